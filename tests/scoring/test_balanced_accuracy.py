"""Where classes are of unequal size, an answer that is always the commonest class is worth one class of K."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from auricle.scoring.answers import Answers
from auricle.scoring.difference import compare_all
from auricle.scoring.predictions import ClipPredictions
from auricle.scoring.statistics import share_interval, wilson_interval

CATEGORIES = ("burping", "cold", "hungry")


def table(labels: np.ndarray, answers: np.ndarray) -> ClipPredictions:
    clips = tuple(f"{number}.wav" for number in range(len(labels)))
    return ClipPredictions(clips, labels, np.eye(3)[answers], CATEGORIES)


def made(balanced: bool) -> tuple[Answers, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [4, 12, 200])
    answers = np.where(generator.random(len(labels)) < 0.6, labels, generator.integers(0, 3, len(labels)))
    tables = {("always", (1, 0)): table(labels, np.full(len(labels), 2)), ("some", (1, 0)): table(labels, answers)}
    return Answers.of(tables, {}, CATEGORIES, balanced=balanced), labels, answers


def test_it_is_that_of_scikit_learn():
    answers, labels, predicted = made(balanced=True)
    assert answers.accuracy("some") == pytest.approx(balanced_accuracy_score(labels, predicted))
    assert answers.accuracy("always") == pytest.approx(1 / 3)
    assert made(balanced=False)[0].accuracy("always") == pytest.approx(200 / 216)


def test_always_answering_the_commonest_class_wins_by_accuracy_and_loses_by_balanced_accuracy():
    for balanced, better in ((False, "always"), (True, "some")):
        answers, _, _ = made(balanced)
        (found,) = compare_all([(answers.lead("always", "some"), "always", "some")], answers.groups)
        assert found.mean == pytest.approx(answers.accuracy("always") - answers.accuracy("some"))
        assert ("always" if found.mean > 0 else "some") == better


def test_its_interval_holds_it_stays_a_share_and_is_wide_for_few_clips_of_a_class():
    (low, high), (narrow_low, narrow_high) = (made(balanced)[0].interval("some") for balanced in (True, False))
    assert 0 <= low < made(balanced=True)[0].accuracy("some") < high <= 1
    assert high - low > 1.5 * (narrow_high - narrow_low)


def test_its_interval_holds_it_where_all_groups_agree():
    shares, groups = np.tile([1.0] * 9 + [0.0], 6), np.repeat(np.arange(6), 10)  # six speakers, one class of two right
    weights = np.tile([5 / 9] * 9 + [5.0], 6)
    assert share_interval(shares, groups, weights) == pytest.approx(wilson_interval(0.5, 6))


def test_equal_classes_are_scored_alike():
    labels = np.repeat([0, 1, 2], 20)
    predicted = np.random.default_rng(1).integers(0, 3, 60)
    one, other = (
        Answers.of({("m", (1, 0)): table(labels, predicted)}, {}, CATEGORIES, balanced=b) for b in (True, False)
    )
    assert one.accuracy("m") == pytest.approx(other.accuracy("m"))
    assert np.allclose(*(each.weights(each.tested_by("m")) for each in (one, other)))


def test_of_a_model_with_a_missing_fold_it_is_the_mean_over_classes_of_the_clips_tested():
    labels = np.repeat([0, 1, 0, 1], [40, 2, 40, 8])  # the second fold has most of the rare class
    every = ClipPredictions(tuple(f"{number}.wav" for number in range(90)), labels, np.eye(2)[labels], ("cat", "dog"))
    folds = [
        ClipPredictions(every.clips[part], labels[part], every.probabilities[part], every.categories)
        for part in (slice(0, 42), slice(42, 90))
    ]
    cats = ClipPredictions(folds[0].clips, folds[0].labels, np.eye(2)[np.zeros(42, np.int64)], every.categories)
    tables = {("right", (1, 0)): folds[0], ("right", (2, 0)): folds[1], ("cats", (1, 0)): cats}
    answers = Answers.of(tables, {}, every.categories, balanced=True)
    assert answers.accuracy("cats") == pytest.approx(0.5)
    (found,) = compare_all([(answers.lead("right", "cats"), "right", "cats")], answers.groups)
    assert found.mean == pytest.approx(0.5)
