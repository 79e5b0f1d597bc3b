import csv
from pathlib import Path
from typing import get_args

from auricle.report.table import Column, Kind, Range, Spread, Table, _known_columns, columns, show, show_sd, write_csv


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


def test_csv_holds_exact_values_and_no_formula(tmp_path: Path):
    columns = (
        Column("class", "Class"), Column("accuracy", "Accuracy", "percent"), Column("interval", "Interval", "points"),
    )  # fmt: skip
    rows = [
        ("=cmd|'/c calc'!A1", Spread(1 / 3, 0.125), Range(-0.5, 0.5)),
        ("cat", Spread(None), Range(0.0, 1.0)),
        ("dog", None, None),
    ]
    write_csv(tmp_path / "t.csv", Table(columns, {"k-fold": rows, "@evil": [("-1", Spread(0.5), Range(0, 0))]}))
    found = list(csv.reader((tmp_path / "t.csv").read_text().splitlines()))
    assert found == [
        ["group", "class", "accuracy", "accuracy_sd", "interval_low", "interval_high"],
        ["k-fold", "'=cmd|'/c calc'!A1", "0.3333333333333333", "0.125", "-0.5", "0.5"],
        ["k-fold", "cat", "", "", "0.0", "1.0"],
        ["k-fold", "dog", "", "", "", ""],
        ["'@evil", "'-1", "0.5", "", "0", "0"],
    ]


def test_the_columns_of_every_table_are_shown_in_a_way_that_is_known():
    tables = {name: columns(name) for name in _known_columns()}
    assert {column.kind for of_table in tables.values() for column in of_table} <= set(get_args(Kind))
    assert {column.best for of_table in tables.values() for column in of_table} <= {None, "high", "low"}
    assert [column.title for column in tables["missing"]] == ["Cell", "Protocol", "Reason"]
