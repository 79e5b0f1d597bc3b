"""A study with background: its scores, and that the report and the terminal say false alarms an hour."""

import numpy as np
import pytest

from auricle.cli.results import false_alarms_line
from auricle.findings.calibration import calibrations
from auricle.findings.scores import comparative
from auricle.findings.study import load_study
from auricle.findings.trainings import collapses
from auricle.report.chapters.comparison import comparison
from auricle.report.chapters.results import calibration, results, summary
from auricle.report.document import Table, blocks_of
from report_text import report_of, sections, texts

CATEGORIES = ("background", "cat", "dog")


@pytest.fixture(scope="module")
def study(make_study):
    """Twenty test clips of each class and of background, of six seconds: two minutes of background."""
    folder = make_study(
        categories=CATEGORIES, models=("cnn", "silent"), protocols=("test-split",), clips_per_class_and_fold=20,
        clip_s=6.0, epochs=2, skill={"cnn": 1.5, "silent": None}, baselines={"majority": 0},
    )  # fmt: skip
    return load_study(folder)


def counted(study, model: str) -> tuple[float, float]:
    """Return accuracy, and false alarms an hour, of one cell, counted by hand."""
    (cell,) = study.of(model, "test-split")
    right, is_background = cell.clips.answers == cell.clips.labels, cell.clips.labels == 0
    return float(right[~is_background].mean()), float((~right[is_background]).sum() * 3600 / (20 * 6))


def test_a_row_has_the_accuracy_of_the_classes_and_the_false_alarms_of_the_background(study):
    rows = {row.model: row for row in comparative(study.folder)}
    for model in ("cnn", "silent"):
        accuracy, an_hour = counted(study, model)
        assert rows[model].accuracy == rows[model].ensemble_accuracy == pytest.approx(accuracy)
        assert rows[model].test_clips == 40
        assert rows[model].false_alarms.an_hour == pytest.approx(an_hour)
        assert (rows[model].false_alarms.num_clips, rows[model].false_alarms.hours) == (20, pytest.approx(1 / 30))
    assert 0 <= rows["cnn"].false_alarms.low < rows["cnn"].false_alarms.an_hour < rows["cnn"].false_alarms.high < 600
    assert (rows["silent"].accuracy, rows["silent"].false_alarms.an_hour) == (0, 0)
    assert rows["majority"].false_alarms is not None


def test_a_model_that_hears_only_background_did_not_learn(study):
    assert [(found.cell.model, found.answer) for found in collapses(study.cells)] == [("silent", "background")]


def test_alarms_of_windows_are_counted_in_background_alone(study):
    found = {one.model: one for one in calibrations(study, "test-split")}
    assert found["silent"].alarm_rate == 0
    assert np.isnan(found["cnn"].hit_rates[0])
    assert np.isnan(found["cnn"].alarm_rates[0])
    assert found["cnn"].alarm_rate == pytest.approx(found["cnn"].alarm_rates[1:].sum())


def test_the_report_says_false_alarms_and_does_not_rank_the_background(study):
    report = report_of(study)
    first = "\n".join(texts(sections(summary, report)))
    _, an_hour = counted(study, "cnn")
    assert f"cnn has {an_hour:.1f} per hour (95 % interval " in first
    assert "20 background clips, 2.0 minutes" in first
    assert "training.balance" not in first  # classes and background are of one size
    assert "predicting background for one of their clips is an error" in first
    tables = {block.name: block for block in blocks_of(sections(results, report)) if isinstance(block, Table)}
    of_classes = next(table for name, table in tables.items() if name.startswith("table-classes-"))
    assert {title: [row[0] for row in rows] for title, rows in of_classes.groups.items()} == {
        "": ["cat", "dog", "macro mean"], "Not in the mean": ["background"],
    }  # fmt: skip
    assert [row[-1] for row in of_classes.groups[""]] == [20, 20, 40]
    assert "in a clip of background it is a false alarm" in "\n".join(texts(sections(calibration, report)))
    (classes,) = [text for text in texts(sections(comparison, report)) if text.startswith("Classes.")]
    assert "background" not in classes


def test_without_background_no_word_of_it(make_study):
    report = report_of(make_study(models=("cnn",), protocols=("test-split",), epochs=2, clip_s=0.1))
    every = [*texts(sections(summary, report)), *texts(sections(results, report))]
    assert not [text for text in every if "background" in text.casefold() or "alarm" in text]
    (table,) = [block for block in blocks_of(sections(summary, report)) if isinstance(block, Table)]
    assert "false_alarms" not in [column.key for column in table.columns]


def test_the_terminal_says_false_alarms_an_hour(study):
    rows = comparative(study.folder)
    _, an_hour = counted(study, "cnn")
    line = false_alarms_line("test-split", rows)
    assert line.startswith(f"test-split: false alarms per hour: cnn {an_hour:.1f} (95 % interval ")
    assert line.endswith("20 background clips, 2.0 minutes.")
    assert "majority" not in line
