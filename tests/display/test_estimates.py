from auricle.display.progress import estimate_lines
from auricle.study.estimate import Estimate

CNN = Estimate("cnn", 5, 127_000, 18_400_000, 0.031, 140.0, 0.6)
WIDE = Estimate("report-d-transformer-h4-own-recipe", 4, 48_467_594, 6_590_240_000, 21.4, 900_000.0, 4.3)


def test_a_long_study_is_told_as_a_table_of_eighty_columns_with_a_way_out() -> None:
    lines = estimate_lines([CNN, WIDE], num_workers=2)
    assert max(map(len, lines)) <= 80
    assert lines[1].split() == ["cnn", "5", "127,000", "18", "0.031", "2", "min", "0.6"]
    assert lines[2].split() == [WIDE.model, "4", "48,467,594", "6,590", "21", "10.4", "days", "4.3"]
    assert lines[-2:] == [
        "about 20.8 days in total, 2 cells in parallel",
        "to shorten it: --models A,B or --set training.epochs=20",
    ]


def test_a_study_that_was_not_measured_is_not_told() -> None:
    assert estimate_lines([Estimate("cnn", 5, 127_000, 18_400_000, None, 14.0, 0.6)], 1) == []
