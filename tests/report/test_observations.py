from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from auricle.findings.study import Study, load_study
from auricle.report.observations import (
    class_f1,
    classes,
    collapse,
    confusions,
    observations,
    overfitting,
    spread_of_cells,
    total_confusion,
    validation_and_test,
)
from auricle.report.tables import comparative_rows
from auricle.report.wording import Text


def words(text: Text) -> str:
    plain = "".join(piece if isinstance(piece, str) else getattr(piece, "words", "") for piece in text)
    return plain.replace("\xa0", " ")


@pytest.fixture
def study(esc10: Study) -> Study:
    return esc10


def test_the_confusion_matrix_is_the_sum_over_cells(study: Study):
    total = total_confusion(study.of("cnn", "k-fold"))
    assert total.sum() == 320
    assert total.sum(axis=1).tolist() == [32] * 10


def test_the_named_confusions_are_the_largest_numbers_off_the_diagonal(study: Study):
    total = total_confusion([cell for cell in study.cells if cell.name.protocol == "k-fold"])
    wrong = total - np.diag(np.diag(total))
    true, answer = np.unravel_index(wrong.argmax(), wrong.shape)
    names = [category.replace("_", " ") for category in study.dataset.categories]
    told = words(confusions(study, "k-fold").text)
    assert f"most often: {names[true]} heard as {names[answer]} ({wrong.max()} of 128)" in told


def test_the_best_and_worst_classes_are_those_of_mean_f1(study: Study):
    cells = [cell for cell in study.cells if cell.name.protocol == "k-fold"]
    means = {category: np.mean(class_f1(cells, category)) for category in study.dataset.categories}
    best, worst = max(means, key=means.get), min(means, key=means.get)
    told = words(classes(study, "k-fold").text)
    assert f"the best are {best.replace('_', ' ')} ({means[best]:.2f})" in told
    assert f"the worst are {worst.replace('_', ' ')} ({means[worst]:.2f})" in told
    assert told.endswith("A class has as few as 8 test clips: an order to look into, not a result.")


def test_the_overfitting_gap_is_that_of_the_last_epoch(study: Study):
    ends = [cell.history[-1] for cell in study.of("cnn", "k-fold")]
    train = 100 * np.mean([end["train_accuracy"] for end in ends])
    validation = 100 * np.mean([end["validation_accuracy"] for end in ends])
    told = words(overfitting(study, "k-fold").text)
    assert f"cnn {train:.1f} % and {validation:.1f} %, a gap of {train - validation:.1f} points" in told


def test_the_spread_of_cells_names_the_widest_model(study: Study):
    rows = [row for row in comparative_rows(study) if row.protocol == "k-fold"]
    widest = max(rows, key=lambda row: row.accuracy_max - row.accuracy_min)
    assert f"({widest.model}: {100 * widest.accuracy_min:.1f} %" in words(spread_of_cells(rows).text)


def test_one_cell_each_says_that_it_says_nothing_about_another(study: Study):
    rows = [row for row in comparative_rows(study) if row.protocol == "test-split"]
    assert spread_of_cells(rows).title == "One cell each"


def test_nothing_is_said_of_validation_where_there_is_none(make_study: Callable[..., Path]):
    folder = make_study(categories=("cat", "dog"), models=("cnn",), protocols=("official",), epochs=1, clip_s=0.1)
    study = load_study(folder)
    rows = comparative_rows(study)
    assert overfitting(study, "official") is None
    assert validation_and_test(rows) is None
    assert "Overfitting" not in [seen.title for seen in observations(study, rows, "official")]


def test_validation_clips_are_set_apart_from_test_clips_only_beyond_the_interval(study: Study):
    told = words(validation_and_test([row for row in comparative_rows(study) if row.protocol == "k-fold"]).text)
    assert "which 80 test clips cannot tell from none (95 % interval" in told
    apart = [replace(row, validation_accuracy=0.999) for row in comparative_rows(study)]
    assert "cannot tell" not in words(validation_and_test(apart).text)


def test_a_model_that_gives_one_class_is_said_to_have_collapsed(make_study: Callable[..., Path]):
    folder = make_study(
        categories=("cat", "dog", "owl"), models=("cnn", "transformer-h1"), protocols=("test-split",), epochs=1,
        clip_s=0.1, skill={"cnn": None, "transformer-h1": 9.0},
    )  # fmt: skip
    told = words(collapse(load_study(folder)).text)
    assert told.startswith("1 cell of 2 collapsed to one class")
    assert "cnn under test-split (1 of 1: cat is the answer to 100 % of the test clips)" in told
    assert "transformer" not in told


def test_no_collapse_is_reported_with_the_most_frequent_answer(study: Study):
    assert words(collapse(study).text).startswith("No cell collapsed to one class: no class makes up more than")


def test_no_wrong_answer_is_no_confusion(make_study: Callable[..., Path]):
    folder = make_study(
        categories=("cat", "dog"), models=("cnn",), protocols=("test-split",), epochs=1, clip_s=0.1, skill={"cnn": 60.0}
    )
    assert words(confusions(load_study(folder), "test-split").text) == "No clip was given a wrong class."
