import math
from pathlib import Path

import pytest

from auricle.findings.scores import comparative, network_rows
from auricle.findings.study import Study
from auricle.scoring.statistics import share_interval


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
    row, answers = network_rows(esc10, "k-fold")[0], esc10.answers["k-fold"]
    assert (row.test_clips, row.test_groups) == (80, 40)
    assert (row.accuracy_low, row.accuracy_high) == share_interval(answers.shares[0], answers.groups)


def test_one_cell_has_no_spread(esc10: Study):
    row = network_rows(esc10, "test-split")[0]
    assert (row.accuracy_sd, row.macro_f1_sd, row.loss_sd) == (None, None, None)


def test_rows_stand_by_protocol_and_model_in_the_order_of_the_study(esc10_study: Path):
    rows = comparative(esc10_study)
    assert [row.protocol for row in rows] == ["test-split"] * 4 + ["k-fold"] * 4
    assert [row.model for row in rows[:4]] == ["cnn", "transformer-h1", "transformer-h2", "transformer-h4"]
