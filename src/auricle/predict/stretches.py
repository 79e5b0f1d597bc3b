"""Combine overlapping windows into stretches of time with one label each."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from auricle.model.windows import mean_over_windows
from auricle.predict.classifier import NONE_OF_THESE, Classifier
from auricle.predict.stream import WindowProbabilities
from auricle.scoring.calibration import NO_CLASS, detected_classes

SHORTEST_S = 1e-3  # a shorter last step is merged with the one before


@dataclass(frozen=True)
class Stretch:
    """A stretch of a recording with one most probable class."""

    start_s: float
    end_s: float
    label: str  # the class; `none of these` where no class is probable enough
    probability: float  # of the most probable class, the mean over the stretch
    top: tuple[tuple[str, float], ...]  # the most probable classes and their means, highest first


@dataclass(frozen=True)
class Pooling:
    """The rules by which windows are combined into stretches."""

    categories: tuple[str, ...]
    thresholds: tuple[float, ...]  # below it, the most probable class becomes "none of these", (K,)
    window_s: float
    hop_s: float  # distance of two windows
    merge_s: float = 0.0  # stretches of one class with a gap of at most this are merged
    min_duration_s: float = 0.0  # shorter stretches are left out
    top: int = 1  # number of classes given for each stretch
    whole_s: float = 0.0  # recordings of at most this length get one answer as a whole

    def stretches(self, windows: WindowProbabilities) -> list[Stretch]:
        """Return the stretches of a recording in order, including those labelled `none of these`."""
        edges = self._edges(windows)
        steps = self._steps(windows, edges)  # (S, K)
        labels = detected_classes(steps, self.thresholds, self.categories)
        bounds = [0, *(np.flatnonzero(np.diff(labels)) + 1).tolist(), len(labels)]  # where the label changes
        spans = [(first, last, int(labels[first])) for first, last in pairwise(bounds)]
        stretches = [self._stretch(*span, edges, steps) for span in self._merged(spans, edges)]
        return [stretch for stretch in stretches if stretch.end_s - stretch.start_s >= self.min_duration_s - 1e-9]

    def _edges(self, windows: WindowProbabilities) -> np.ndarray:
        """Where steps of one hop begin and end, (S + 1,)."""
        if windows.weights is not None:
            return np.array([0.0, windows.duration_s])
        num = max(1, int(np.ceil((windows.duration_s - SHORTEST_S) / self.hop_s)))
        return np.append(np.arange(num) * self.hop_s, windows.duration_s)

    def _steps(self, windows: WindowProbabilities, edges: np.ndarray) -> np.ndarray:
        """Mean probabilities of the windows that cover each step, (S, K); of the nearest where none does."""
        if windows.weights is not None:
            return mean_over_windows(windows.probabilities, windows.weights)[None]
        starts = windows.starts_s
        first = np.searchsorted(starts + self.window_s, edges[:-1] + 1e-6, side="right")
        last = np.searchsorted(starts, edges[1:] - 1e-6, side="left")
        first = np.clip(first, 0, len(starts) - 1)
        last = np.maximum(np.minimum(last, len(starts)), first + 1)
        sums = np.vstack([np.zeros(len(self.categories)), np.cumsum(windows.probabilities, axis=0)])
        return (sums[last] - sums[first]) / (last - first)[:, None]

    def _merged(self, spans: list[tuple[int, int, int]], edges: np.ndarray) -> list[tuple[int, int, int]]:
        """Merge stretches of one class with at most `merge_s` of `none of these` between them."""
        merged: list[tuple[int, int, int]] = []
        for span in spans:
            gap = len(merged) > 1 and merged[-1][2] == NO_CLASS and merged[-2][2] == span[2] != NO_CLASS
            if gap and edges[span[0]] - edges[merged[-2][1]] <= self.merge_s + 1e-9:
                merged[-2:] = [(merged[-2][0], span[1], span[2])]
            else:
                merged.append(span)
        return merged

    def _stretch(self, first: int, last: int, label: int, edges: np.ndarray, steps: np.ndarray) -> Stretch:
        means = steps[first:last].mean(axis=0)
        order = np.argsort(-means, kind="stable")
        if label != NO_CLASS:  # its own label comes first, even where a merged gap outweighs it
            order = np.concatenate([[label], order[order != label]])
        top = tuple((self.categories[index], float(means[index])) for index in order[: self.top])
        name = NONE_OF_THESE if label == NO_CLASS else self.categories[label]
        return Stretch(float(edges[first]), float(edges[last]), name, float(means[order[0]]), top)


def named_stretches(stretches: Sequence[Stretch]) -> list[Stretch]:
    """Return the stretches in which a class is detected."""
    return [stretch for stretch in stretches if stretch.label != NONE_OF_THESE]


def pooling_of(
    classifier: Classifier,
    *,
    hop_s: float | None = None,
    threshold: float | None = None,
    merge_s: float = 0.0,
    min_duration_s: float = 0.0,
    top: int = 1,
    whole: bool = False,
) -> Pooling:
    """Return the rules by which the windows of a model are combined.

    `hop_s` None: windows as in scoring, and one answer for a recording no longer than a clip; `whole`: one answer for
    every recording. `threshold` is the minimum probability of every class; None: those of the bundle.
    """
    categories = classifier.categories
    return Pooling(
        categories=categories,
        thresholds=classifier.thresholds if threshold is None else (threshold,) * len(categories),
        window_s=classifier.window_s,
        hop_s=hop_s or classifier.model.windowing.hop_s,
        merge_s=merge_s,
        min_duration_s=min_duration_s,
        top=min(top, len(categories)),
        whole_s=math.inf if whole else classifier.window_s if hop_s else classifier.clip_s,
    )
