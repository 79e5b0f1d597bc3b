"""Classes and clips: which are difficult, which are confused, and where one model is better than another."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import NamedTuple

import numpy as np

from auricle.findings.study import CellEvidence
from auricle.scoring.answers import Answers
from auricle.scoring.difference import ZERO_TOLERANCE, Difference, adjusted, difference

MOST_ALL_PAIRS = 4  # models; if there are more, each is compared with the best only
NUM_CONFUSED = 5


@dataclass(frozen=True)
class ClassDifference:
    """Two models on the clips of one class."""

    category: str
    difference: Difference  # accuracy of its first model minus that of the second
    won: tuple[str, ...]  # clips that the first classifies correctly more often, the largest difference first
    lost: tuple[str, ...]


def class_f1(cells: Sequence[CellEvidence], category: str) -> list[float]:
    """Return the F1 of a class in each cell whose test clips include it."""
    scores = [cell.test["clip"]["per_class"][category] for cell in cells]
    return [score["f1"] for score in scores if score["support"]]


def total_confusion(cells: Sequence[CellEvidence]) -> np.ndarray:
    """Return the confusion matrix summed over cells, int64, shape (K, K)."""
    return np.asarray(np.array([cell.test["clip"]["confusion"] for cell in cells], dtype=np.int64).sum(axis=0))


def confused_pairs(cells: Sequence[CellEvidence], categories: Sequence[str]) -> list[tuple[str, str, int, int]]:
    """Return the pairs that are confused most: true class, answer, how often, and of how many answers to that class."""
    total = total_confusion(cells)
    wrong = total - np.diag(np.diag(total))
    order = np.argsort(-wrong, axis=None, kind="stable")[:NUM_CONFUSED]
    return [
        (categories[true], categories[answer], int(wrong[true, answer]), int(total[true].sum()))
        for true, answer in zip(*np.unravel_index(order, total.shape), strict=True)
        if wrong[true, answer]
    ]


def class_differences(answers: Answers, ranked: Sequence[str]) -> list[ClassDifference]:
    """Return every class in which two models differ on a clip, tests adjusted for their number.

    `ranked`: the models, the most accurate first.
    """
    found = []
    for first, second in combinations(ranked, 2):
        if len(ranked) > MOST_ALL_PAIRS and first != ranked[0]:
            continue
        values = answers.correct_of(first) - answers.correct_of(second)
        for label, category in enumerate(answers.categories):
            of_class = answers.labels == label
            one = difference(values[:, of_class], answers.groups[of_class], first, second)
            if one and (one.wins or one.losses):
                clips = _won_and_lost(values[:, of_class], np.array(answers.clips)[of_class])
                found.append(ClassDifference(category, one, *clips))
    tests = adjusted({index: one.difference for index, one in enumerate(found)})
    return [replace(one, difference=tests[index]) for index, one in enumerate(found)]


def _won_and_lost(values: np.ndarray, clips: np.ndarray) -> tuple[tuple[str, ...], tuple[str, ...]]:
    sums, nums = np.nansum(values, axis=0), (~np.isnan(values)).sum(axis=0)
    means = [(str(clips[index]), sums[index] / nums[index]) for index in np.flatnonzero(nums)]
    means.sort(key=lambda clip: (-abs(clip[1]), clip[0]))
    won = tuple(clip for clip, mean in means if mean > ZERO_TOLERANCE)
    return won, tuple(clip for clip, mean in means if mean < -ZERO_TOLERANCE)


class Lead(NamedTuple):
    """The classes and clips in which one model is better than another."""

    ahead: str
    behind: str
    classes: tuple[tuple[str, float], ...]  # in which it is more accurate, with the difference, the largest first
    clips: tuple[str, ...]  # those that it classifies correctly more often, the largest difference first


def leads(found: Sequence[ClassDifference]) -> list[Lead]:
    """Sum up the classes in which two models differ, two leads a pair."""
    clearest = sorted(found, key=lambda one: (-abs(one.difference.mean), one.category))
    summed = []
    for first, second in dict.fromkeys((one.difference.first, one.difference.second) for one in found):
        of_pair = [one for one in clearest if (one.difference.first, one.difference.second) == (first, second)]
        for sign, sides, clips in ((1, (first, second), "won"), (-1, (second, first), "lost")):
            ahead = [one for one in of_pair if sign * one.difference.mean > 0]
            classes = tuple((one.category, abs(one.difference.mean)) for one in ahead)
            summed.append(Lead(*sides, classes, tuple(clip for one in of_pair for clip in getattr(one, clips))))
    return summed


def hardest(answers: Answers, models: Sequence[str]) -> list[str]:
    """Return the clips that at least one cell of some models misclassifies, the most often misclassified first."""
    means = zip(mean_shares(answers, models).tolist(), answers.clips, strict=True)
    return [clip for _, clip in sorted((mean, clip) for mean, clip in means if mean < 1)]


def mean_shares(answers: Answers, models: Sequence[str]) -> np.ndarray:
    """Return the share of correct answers of some models to each clip, the mean over models, (N,)."""
    return np.asarray(np.nanmean(answers.shares[[answers.models.index(model) for model in models]], axis=0))


def num_missed_by_most(answers: Answers, models: Sequence[str]) -> int:
    """Return how many clips are misclassified by most trainings of every one of some models."""
    shares = answers.shares[[answers.models.index(model) for model in models]]
    return int((np.where(np.isnan(shares), 1.0, shares) < 0.5).all(axis=0).sum())
