"""What the comparison says beyond the ranking."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from auricle.findings.classes import class_f1, total_confusion
from auricle.findings.study import Study
from auricle.report.chapters.comparison import comparison
from auricle.report.document import Bullets, Report, blocks_of
from report.written import plain, report_of, sections

TWO = {"categories": ("cat", "dog"), "models": ("cnn",), "epochs": 1, "clip_s": 0.1}


def observations(report: Report) -> dict[str, str]:
    """Return the last list of the chapter: its heads and their sentences."""
    lists = [block for block in blocks_of(sections(comparison, report)) if isinstance(block, Bullets)]
    return dict(plain(item).split(". ", 1) for block in lists[1:] for item in block.items if ". " in plain(item))


@pytest.fixture(scope="module")
def report(esc10_study: Path) -> Report:
    return report_of(esc10_study)


@pytest.fixture(scope="module")
def seen(report: Report) -> dict[str, str]:
    return observations(report)


def test_the_confusion_matrix_is_the_sum_over_cells(esc10: Study):
    total = total_confusion(esc10.of("cnn", "k-fold"))
    assert total.sum() == 320
    assert total.sum(axis=1).tolist() == [32] * 10


def test_the_named_confusions_are_the_largest_numbers_off_the_diagonal(esc10: Study, seen: dict[str, str]):
    total = total_confusion([cell for cell in esc10.cells if cell.name.protocol == "k-fold"])
    wrong = total - np.diag(np.diag(total))
    true, answer = np.unravel_index(wrong.argmax(), wrong.shape)
    names = [category.replace("_", " ") for category in esc10.dataset.categories]
    assert f"most often: {names[true]} heard as {names[answer]} ({wrong.max()} of 128)" in seen["Confusions"]


def test_the_best_and_worst_classes_are_those_of_mean_f1(esc10: Study, seen: dict[str, str]):
    cells = [cell for cell in esc10.cells if cell.name.protocol == "k-fold"]
    means = {category: np.mean(class_f1(cells, category)) for category in esc10.dataset.categories}
    best, worst = max(means, key=means.get), min(means, key=means.get)
    assert f"the best are {best.replace('_', ' ')} ({means[best]:.2f})" in seen["Classes"]
    assert f"the worst are {worst.replace('_', ' ')} ({means[worst]:.2f})" in seen["Classes"]
    assert seen["Classes"].endswith("A class has as few as 8 test clips: an order to look into, not a result.")


def test_the_overfitting_gap_is_that_of_the_last_epoch(esc10: Study, seen: dict[str, str]):
    ends = [cell.history[-1] for cell in esc10.of("cnn", "k-fold")]
    train = 100 * np.mean([end["train_accuracy"] for end in ends])
    validation = 100 * np.mean([end["validation_accuracy"] for end in ends])
    told = f"cnn {train:.1f} % and {validation:.1f} %, a gap of {train - validation:.1f} points"
    assert told in seen["Overfitting"]


def test_the_spread_of_cells_names_the_widest_model(report: Report, seen: dict[str, str]):
    widest = max(report.findings.main.rows, key=lambda row: row.accuracy_max - row.accuracy_min)
    assert f"({widest.model}: {100 * widest.accuracy_min:.1f} %" in seen["Spread of cells"]


def test_validation_clips_are_set_apart_from_test_clips_only_beyond_the_interval(report: Report, seen: dict[str, str]):
    assert "which 80 test clips cannot tell from none (95 % interval" in seen["Validation and test"]
    comparisons = {
        name: replace(one, rows=tuple(replace(row, validation_accuracy=0.999) for row in one.rows))
        for name, one in report.findings.comparisons.items()
    }
    apart = observations(Report(report.study, replace(report.findings, comparisons=comparisons)))
    assert "cannot tell" not in apart["Validation and test"]


def test_no_collapse_is_reported_with_the_most_frequent_answer(seen: dict[str, str]):
    assert seen["Collapse"].startswith("No cell collapsed to one class: no class makes up more than")


def test_one_cell_each_says_so_and_nothing_is_said_of_validation_where_there_is_none(
    make_study: Callable[..., Path],
):
    seen = observations(report_of(make_study(**TWO, protocols=("test-split",), skill={"cnn": 60.0})))
    assert "One cell each" in seen
    assert seen["Confusions"] == "No clip was given a wrong class."
    seen = observations(report_of(make_study(**TWO, protocols=("official",))))
    assert not {"Overfitting", "Validation and test"} & set(seen)


def test_a_model_that_gives_one_class_is_said_to_have_collapsed(make_study: Callable[..., Path]):
    changes = TWO | {"categories": ("cat", "dog", "owl"), "models": ("cnn", "transformer-h1")}
    folder = make_study(**changes, protocols=("test-split",), skill={"cnn": None, "transformer-h1": 9.0})
    told = observations(report_of(folder))["Collapse"]
    assert told.startswith("1 cell of 2 collapsed to one class")
    assert "cnn under test-split (1 of 1: cat is the answer to 100 % of the test clips)" in told
    assert "transformer" not in told
