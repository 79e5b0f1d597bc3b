import csv
import math
from pathlib import Path

import pytest

from auricle.findings.study import Study
from auricle.report.tables import comparative, comparative_rows
from auricle.report.table import Column, Range, Spread, Table, show, show_sd, spread, write_csv
from auricle.scoring.statistics import wilson_interval


def test_a_row_is_the_mean_over_the_cells_of_a_model_and_protocol(esc10_study: Path, esc10: Study):
    rows = {(row.model, row.protocol): row for row in comparative(esc10_study)}
    assert len(rows) == 8
    row = rows["cnn", "k-fold"]
    cells = esc10.of("cnn", "k-fold")
    accuracies = [cell.test["clip"]["accuracy"] for cell in cells]
    mean = sum(accuracies) / 4
    assert row.accuracy == pytest.approx(mean)
    assert row.accuracy_sd == pytest.approx(math.sqrt(sum((a - mean) ** 2 for a in accuracies) / 3))
    assert (row.accuracy_min, row.accuracy_max) == (min(accuracies), max(accuracies))
    assert row.macro_f1 == pytest.approx(sum(cell.test["clip"]["macro_f1"] for cell in cells) / 4)
    assert (row.cells, row.cells_planned) == (4, 4)
    assert row.minutes == pytest.approx(sum(cell.costs["seconds"] for cell in cells) / 240)


def test_the_interval_counts_each_test_clip_once_however_often_it_was_scored(esc10: Study):
    row = next(row for row in comparative_rows(esc10) if row.protocol == "k-fold")
    assert row.test_clips == 80
    assert (row.accuracy_low, row.accuracy_high) == wilson_interval(row.accuracy, 80)


def test_one_cell_has_no_spread(esc10: Study):
    row = next(row for row in comparative_rows(esc10) if row.protocol == "test-split")
    assert (row.accuracy_sd, row.macro_f1_sd, row.loss_sd) == (None, None, None)


def test_rows_stand_by_protocol_and_model_in_the_order_of_the_study(esc10: Study):
    rows = comparative_rows(esc10)
    assert [row.protocol for row in rows] == ["test-split"] * 4 + ["k-fold"] * 4
    assert [row.model for row in rows[:4]] == ["cnn", "transformer-h1", "transformer-h2", "transformer-h4"]


def test_values_are_shown_with_their_unit_s_digits():
    assert show(0.84375, "percent") == "84.4"
    assert show(Spread(0.84375, 0.0125), "percent") == "84.4"
    assert show_sd(Spread(0.84375, 0.0125), "percent") == "1.2"
    assert show_sd(0.5, "percent") == ""
    assert show(Range(-0.05, 0.1), "points") == "−5.0 to +10.0"
    assert show(Range(0.0, 0.00001), "points") == "0.0 to 0.0"
    assert show(98_730, "count") == "98,730"
    assert show(41_300_000, "millions") == "41.3"
    assert show(None, "ratio") == "–"
    assert show(2e-9, "p") == "< 0.001"


def test_the_spread_of_unknown_values_is_unknown():
    assert spread([None, None]) == Spread(None)
    assert spread([0.5, None]) == Spread(0.5, None)


def test_csv_holds_exact_values_and_no_formula(tmp_path: Path):
    columns = (
        Column("class", "Class"), Column("accuracy", "Accuracy", "percent"), Column("interval", "Interval", "points"),
    )  # fmt: skip
    rows = [
        ("=cmd|'/c calc'!A1", Spread(1 / 3, 0.125), Range(-0.5, 0.5)),
        ("cat", Spread(None), Range(0.0, 1.0)),
        ("dog", None, None),
    ]
    write_csv(
        tmp_path / "t.csv", Table("t", (), columns, {"k-fold": rows, "@evil": [("-1", Spread(0.5), Range(0, 0))]})
    )
    found = list(csv.reader((tmp_path / "t.csv").read_text().splitlines()))
    assert found == [
        ["group", "class", "accuracy", "accuracy_sd", "interval_low", "interval_high"],
        ["k-fold", "'=cmd|'/c calc'!A1", "0.3333333333333333", "0.125", "-0.5", "0.5"],
        ["k-fold", "cat", "", "", "0.0", "1.0"],
        ["k-fold", "dog", "", "", "", ""],
        ["'@evil", "'-1", "0.5", "", "0", "0"],
    ]
