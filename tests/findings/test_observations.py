from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from auricle.findings.classes import class_f1, total_confusion
from auricle.findings.scores import network_rows
from auricle.findings.study import CellEvidence, Study, load_study
from auricle.report.chapters import comparison as chapter
from auricle.report.chapters.comparison import comparison
from auricle.report.figures.drawing import Drawing
from auricle.report.figures.results import f1_by_model
from auricle.scoring.metrics import score_predictions
from auricle.scoring.predictions import Predictions
from report_text import chapter_sections, texts


def observed(study: Study) -> dict[str, str]:
    """Return the observations of a study's report, by title."""
    (chapter,) = chapter_sections(study, comparison)
    section = next(section for section in chapter.sections if section.name == "observations")
    return dict(text.split(". ", 1) for text in list(texts((section,)))[1:])


@pytest.fixture(scope="module")
def study(esc10: Study) -> Study:
    return esc10


@pytest.fixture(scope="module")
def seen(esc10: Study) -> dict[str, str]:
    return observed(esc10)


def test_the_confusion_matrix_is_the_sum_over_cells(study: Study):
    total = total_confusion(study.of("cnn", "k-fold"))
    assert total.sum() == 320
    assert total.sum(axis=1).tolist() == [32] * 10


def test_the_named_confusions_are_the_largest_numbers_off_the_diagonal(study: Study, seen: dict[str, str]):
    total = total_confusion([cell for cell in study.cells if cell.name.protocol == "k-fold"])
    wrong = total - np.diag(np.diag(total))
    true, answer = np.unravel_index(wrong.argmax(), wrong.shape)
    names = [category.replace("_", " ") for category in study.dataset.categories]
    told = seen["Confusions"]
    assert f"most often: {names[true]} predicted as {names[answer]} ({wrong.max()} of 128)" in told


def test_the_best_and_worst_classes_are_those_of_mean_f1(study: Study, seen: dict[str, str]):
    cells = [cell for cell in study.cells if cell.name.protocol == "k-fold"]
    means = {category: np.mean(class_f1(cells, category)) for category in study.dataset.categories}
    best, worst = max(means, key=means.get), min(means, key=means.get)
    told = seen["Classes"]
    assert f"the best are {best.replace('_', ' ')} ({100 * means[best]:.1f} %)" in told
    assert f"the worst are {worst.replace('_', ' ')} ({100 * means[worst]:.1f} %)" in told
    assert told.endswith("As a class has as few as 8 test clips, this order is only a hint.")


def test_the_overfitting_gap_is_that_of_the_last_epoch(study: Study, seen: dict[str, str]):
    ends = [cell.history[-1] for cell in study.of("cnn", "k-fold")]
    train = 100 * np.mean([end["train_accuracy"] for end in ends])
    validation = 100 * np.mean([end["validation_accuracy"] for end in ends])
    told = seen["Overfitting"]
    assert f"cnn {train:.1f} % and {validation:.1f} %, a gap of {train - validation:.1f} points" in told


def test_the_spread_of_cells_names_the_widest_model(study: Study, seen: dict[str, str]):
    ranges = {model: [c.test["clip"]["accuracy"] for c in study.of(model, "k-fold")] for model in study.models}
    widest = max(ranges, key=lambda model: max(ranges[model]) - min(ranges[model]))
    assert f"({widest}: {100 * min(ranges[widest]):.1f} %" in seen["Spread of cells"]


@pytest.fixture(scope="module")
def single(make_study: Callable[..., Path]) -> dict[str, str]:
    """One training without a validation set."""
    return observed(
        load_study(
            make_study(
                categories=("cat", "dog"), models=("cnn",), protocols=("official",), epochs=1, clip_s=0.1,
                skill={"cnn": 60.0}, num_folds=2, unstarted=["cnn/official-2-0"],
            )
        )
    )  # fmt: skip


def test_one_cell_each_says_that_it_says_nothing_about_another(single: dict[str, str]):
    assert "the spread over folds and seeds is unknown" in single["One cell each"]


def test_nothing_is_said_of_validation_where_there_is_none(single: dict[str, str]):
    assert not {"Overfitting", "Validation and test"} & set(single)


def test_nothing_is_said_of_windows_where_each_clip_has_one(study: Study, seen: dict[str, str]):
    cells = (replace(cell, test={**cell.test, "window": cell.test["clip"]}) for cell in study.cells)
    assert "compared with single windows" in seen["Windows and clips"]
    assert "Windows and clips" not in observed(replace(study, cells=tuple(cells)))


def test_no_wrong_answer_is_no_confusion(single: dict[str, str]):
    assert single["Confusions"] == "All clips were classified correctly."


def test_validation_clips_are_set_apart_from_test_clips_only_beyond_the_interval(seen: dict[str, str]):
    assert "which is not significant with 80 test clips (95 % interval" in seen["Validation and test"]


def test_the_interval_of_the_test_clips_of_one_model_is_that_of_the_other_chapters(make_study: Callable[..., Path]):
    study = load_study(make_study(models=("cnn",), protocols=("k-fold",), epochs=1, clip_s=0.1))
    (row,) = network_rows(study, "k-fold")
    assert row.test_groups < row.test_clips
    low, high = (f"{100 * share:.1f} %" for share in (row.accuracy_low, row.accuracy_high))
    assert f"(95 % interval {low} to {high})" in observed(study)["Validation and test"]


def test_a_class_without_test_clips_has_no_f1_in_the_figure(study: Study, monkeypatch: pytest.MonkeyPatch):
    def without_dogs(cell: CellEvidence) -> CellEvidence:
        clips = cell.windows.by_clip().of_classes(set(study.dataset.categories) - {"dog"}).clips
        kept = np.flatnonzero(np.isin(cell.windows.clips, clips))
        columns = (np.array(column)[kept] for column in (cell.windows.clips, cell.windows.sets))
        arrays = (cell.windows.labels, cell.windows.starts_s, cell.windows.probabilities)
        windows = Predictions(*map(tuple, columns), *(array[kept] for array in arrays), cell.windows.categories)
        test = score_predictions(windows, "test")
        return replace(cell, windows=windows, clips=windows.of("test").by_clip(), test=test)

    drawn: list[dict[str, list[float]]] = []

    def draw(means: dict[str, list[float]], *others: Any) -> Drawing:
        drawn.append(means)
        return f1_by_model(means, *others)

    monkeypatch.setattr(chapter, "f1_by_model", draw)
    chapter_sections(replace(study, cells=tuple(map(without_dogs, study.of("cnn", "test-split")))), chapter.comparison)
    dogs = study.dataset.categories.index("dog")
    assert [index for index, f1 in enumerate(drawn[0]["cnn"]) if np.isnan(f1)] == [dogs]


def test_a_model_that_gives_one_class_is_said_to_have_collapsed(make_study: Callable[..., Path]):
    folder = make_study(
        categories=("cat", "dog", "owl"), models=("cnn", "transformer-h1"), protocols=("test-split",), epochs=1,
        clip_s=0.1, skill={"cnn": None, "transformer-h1": 9.0},
    )  # fmt: skip
    told = observed(load_study(folder))["Collapse"]
    assert told.startswith("1 cell of 2 collapsed to one class")
    assert "cnn under test-split (1 of 1: cat is predicted for 100 % of the test clips)" in told
    assert "transformer" not in told


def test_no_collapse_is_reported_with_the_most_frequent_answer(seen: dict[str, str]):
    assert seen["Collapse"].startswith("No cell collapsed to one class: no class makes up more than")
