"""The joint answer of several models: one class for a clip, detections over time for a longer sound."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from auricle.predict.classifier import NONE_OF_THESE
from auricle.predict.stream import predict_windows, waveform_blocks
from auricle.predict.stretches import Pooling, Stretch, named_stretches

if TYPE_CHECKING:
    from auricle.demo.page import Shown
    from auricle.predict.classifier import Prediction


@dataclass(frozen=True)
class Verdict:
    """The answer of all models to a clip."""

    label: str  # the class with the highest mean probability
    probability: float  # the mean over the models that know the class
    none_of_these: bool  # at least half of the models say so
    num_agreeing: int  # models that give this answer
    others: tuple[tuple[str, str], ...]  # the other models and their answers


def mean_probabilities(shown: Sequence[Shown], predictions: Sequence[Prediction]) -> dict[str, float]:
    """Return the probability of each class, the highest first: the mean over the models that know it."""
    totals: Counter[str] = Counter()
    num: Counter[str] = Counter()
    for model, prediction in zip(shown, predictions, strict=True):
        totals.update(dict(zip(model.classifier.categories, prediction.probabilities.tolist(), strict=True)))
        num.update(model.classifier.categories)
    return dict(sorted(((name, totals[name] / num[name]) for name in totals), key=lambda item: -item[1]))


def verdict_of(shown: Sequence[Shown], predictions: Sequence[Prediction]) -> Verdict:
    """Return the joint answer of models from their predictions for a clip."""
    means = mean_probabilities(shown, predictions)
    label = next(iter(means))
    answers = [NONE_OF_THESE if one.none_of_these else one.label for one in predictions]
    none_of_these = 2 * answers.count(NONE_OF_THESE) >= len(answers)
    answer = NONE_OF_THESE if none_of_these else label
    others = tuple((model.name, said) for model, said in zip(shown, answers, strict=True) if said != answer)
    return Verdict(label, means[label], none_of_these, len(shown) - len(others), others)


def is_long(shown: Sequence[Shown], duration_s: float) -> bool:
    """Return whether a sound is longer than the clips of every model."""
    return duration_s > max(model.classifier.clip_s for model in shown)


def detections_over_time(
    shown: Sequence[Shown], waveform: np.ndarray, rate_hz: int
) -> tuple[list[Stretch], list[Shown]]:
    """Return the detections over time, and the models used: those with the same windows and classes as the first.

    Their probabilities and thresholds are averaged, window by window.
    """
    first = shown[0].classifier
    alike = [
        model
        for model in shown
        if (model.classifier.categories, model.classifier.model.windowing) == (first.categories, first.model.windowing)
    ]
    samples = first.resampled(waveform, rate_hz)
    predictions = [predict_windows(model.classifier, waveform_blocks(samples, model.classifier)) for model in alike]
    together = replace(predictions[0], probabilities=np.mean([one.probabilities for one in predictions], axis=0))
    thresholds = np.mean([model.classifier.thresholds for model in alike], axis=0)
    pooling = Pooling(first.categories, tuple(thresholds.tolist()), first.window_s, first.model.windowing.hop_s)
    return pooling.stretches(together), alike


def lengths_s(stretches: Sequence[Stretch]) -> dict[str, float]:
    """Return the total duration of each class, the longest first."""
    totals: Counter[str] = Counter()
    for stretch in named_stretches(stretches):
        totals[stretch.label] += stretch.end_s - stretch.start_s  # type: ignore[assignment]
    return dict(totals.most_common())
