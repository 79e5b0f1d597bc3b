import numpy as np
import pytest

from auricle.scoring.answers import Answers
from auricle.scoring.predictions import ClipPredictions
from auricle.scoring.statistics import share_interval

CATEGORIES = ("cat", "dog")


def table(clips: str, right: list[int]) -> ClipPredictions:
    """Return answers to clips that are named by a letter each; all are cats."""
    probabilities = np.where(np.arange(2) == 1 - np.array(right)[:, None], 0.9, 0.1)
    return ClipPredictions(tuple(clips), np.zeros(len(clips), int), probabilities, CATEGORIES)


def answers(**tables) -> Answers:
    named = {(model, training): found for model, of_model in tables.items() for training, found in of_model.items()}
    return Answers.of(named, {"a": "one", "b": "one"}, CATEGORIES)


def test_what_a_training_did_not_test_is_unknown_and_not_wrong():
    found = answers(cnn={(2, 0): table("abc", [1, 0, 1]), (3, 0): table("cd", [0, 1])})
    assert found.clips == ("a", "b", "c", "d")
    assert found.correct_of("cnn") == pytest.approx(np.array([[1, 0, 1, np.nan], [np.nan, np.nan, 0, 1]]), nan_ok=True)
    assert found.shares[0] == pytest.approx([1, 0, 0.5, 1])
    assert found.counts("cnn").tolist() == [[1, 0], [0, 1], [1, 1], [1, 0]]


def test_an_accuracy_is_a_share_of_clips_however_unequal_the_folds_are():
    found = answers(cnn={(1, 0): table("abcdefghi", [0] * 9), (2, 0): table("j", [1])})
    assert found.accuracy("cnn") == 0.1  # the mean over folds would be 0.5


def test_a_clip_that_many_trainings_tested_counts_once():
    found = answers(cnn={(1, 0): table("ab", [1, 1]), (2, 0): table("ab", [1, 1]), (3, 0): table("c", [0])})
    assert found.accuracy("cnn") == pytest.approx(2 / 3)


def test_groups_are_those_named_and_else_each_clip():
    found = answers(cnn={(1, 0): table("abcd", [1, 1, 0, 0])})
    assert found.groups.tolist() == [0, 0, 1, 2]
    assert found.interval("cnn") == share_interval(np.array([1.0, 1, 0, 0]), np.array([0, 0, 1, 2]))


def test_models_of_different_trainings_share_one_array():
    found = answers(cnn={(1, 0): table("ab", [1, 0])}, tiny={(1, 1): table("b", [1])})
    assert found.correct.shape == (2, 2, 2)
    assert found.tested_by("tiny").tolist() == [False, True]
    assert np.isnan(found.correct_of("cnn") - found.correct_of("tiny")).all()
