"""Calibration: reliability, and a temperature and one threshold per class, fitted on validation clips.

Only fitting needs SciPy, as bundles are used where just NumPy is installed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from auricle.data.manifest import background_of
from auricle.scoring.predictions import ClipPredictions, Predictions, numbered

CALIBRATION_BINS = 15
MIN_TEMPERATURE, MAX_TEMPERATURE = 0.05, 20.0
KEPT_SHARE = 0.95  # share of the correct answers that reach their threshold
MIN_ANSWERS = 5  # with fewer correct answers of a class, those of all classes are used
DEFAULT_THRESHOLD = 0.5  # used where nothing was fitted; also the upper limit
SMALLEST_PROBABILITY = 1e-15  # smaller ones are replaced by this before a logarithm
IDEAL_RESAMPLES = 400
NO_CLASS = -1  # none of the classes


@dataclass(frozen=True)
class Fit:
    """Temperature and thresholds of a training, fitted on its validation clips."""

    temperature: float  # logits are divided by it; 1 where nothing was fitted
    thresholds: tuple[float, ...]  # K of them in 0..0.5; below it, the predicted class becomes "none of these"
    num_clips: int  # number of validation clips; 0 where there are none


@dataclass(frozen=True, eq=False)
class Reliability:
    """Confidence (the highest probability) against accuracy, in 15 equal bins of confidence; shape (15,) each."""

    confidence: np.ndarray  # mean in the bin; NaN in an empty one
    accuracy: np.ndarray  # share of correct answers in the bin; NaN in an empty one
    num: np.ndarray  # number of rows in the bin

    @property
    def error(self) -> float:
        """Return the expected calibration error, 0..1: the mean gap between confidence and accuracy over rows."""
        filled = self.num > 0
        distance = np.abs(self.confidence - self.accuracy)[filled]
        return float((distance * self.num[filled]).sum() / self.num.sum())


def softmax(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Return the softmax of logits / temperature in float64, (N, K) -> (N, K).

    >>> softmax(np.array([[0.0, np.log(4.0)]]), 2.0).round(3)
    array([[0.333, 0.667]])
    """
    scaled = logits.astype(np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def reliability(confidence: np.ndarray, correct: np.ndarray) -> Reliability:
    """Sort answers into bins by their confidence, (N,) in 0..1; `correct` says which are correct, (N,)."""
    bins = np.clip(np.ceil(confidence * CALIBRATION_BINS).astype(np.int64) - 1, 0, CALIBRATION_BINS - 1)
    num = np.bincount(bins, minlength=CALIBRATION_BINS)
    sums = [np.bincount(bins, weights=values, minlength=CALIBRATION_BINS) for values in (confidence, correct)]
    with np.errstate(invalid="ignore"):
        return Reliability(sums[0] / num, sums[1] / num, num)


def calibration_error(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the expected calibration error, 0..1, arXiv:1706.04599, eq. 3.

    >>> calibration_error(np.array([[0.9, 0.1], [0.9, 0.1]]), np.array([0, 1]))
    0.4
    """
    return reliability(probabilities.max(axis=1), probabilities.argmax(axis=1) == labels).error


def ideal_error(confidence: np.ndarray, generator: "np.random.Generator") -> float:
    """Return the calibration error to be expected of perfectly calibrated confidences on as many clips.

    It is above zero, as each bin has only a few clips: an error near it is no evidence of miscalibration. Answers are
    simulated 400 times (consistency resampling: Bröcker and Smith, Weather Forecast. 22 (2007) 651).
    """
    draws = generator.random((IDEAL_RESAMPLES, len(confidence))) < confidence
    return float(np.mean([reliability(confidence, correct).error for correct in draws]))


def temperature_scaled(windows: Predictions, temperature: float) -> Predictions:
    """Return the windows with temperature-scaled probabilities, softmax(logits / temperature)."""
    return replace(windows, probabilities=softmax(np.log(np.maximum(windows.probabilities, 1e-30)), temperature))


def losses(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the negative log-likelihood of the true class in each row, nats: (N, K), (N,) -> (N,)."""
    of_truth = probabilities[np.arange(len(labels)), labels]
    return np.asarray(-np.log(np.maximum(of_truth, SMALLEST_PROBABILITY)))


def fit_temperature(windows: Predictions) -> float:
    """Return the temperature that minimises the cross-entropy of the clips, arXiv:1706.04599, section 4.2.

    The target of the true class is (N + 1) / (N + 2) for N clips, not 1: even after N correct answers in N, the next
    may be wrong (Laplace's rule of succession; Platt, Advances in Large Margin Classifiers (1999), sec. 2.2). With a
    target of 1, a network without a mistake on these clips would become certain of every answer, even for noise.
    """

    def loss(logarithm: float) -> float:
        clips = temperature_scaled(windows, math.exp(logarithm)).by_clip()
        surprise = -np.log(np.maximum(clips.probabilities, SMALLEST_PROBABILITY))
        num, num_classes = surprise.shape
        targets = np.full(surprise.shape, 1 / (num + 2) / max(1, num_classes - 1))
        targets[np.arange(num), clips.labels] = (num + 1) / (num + 2)
        return float((targets * surprise).sum(axis=1).mean())

    from scipy.optimize import minimize_scalar

    bounds = (math.log(MIN_TEMPERATURE), math.log(MAX_TEMPERATURE))
    return math.exp(minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-3}).x)


def fit_thresholds(clips: ClipPredictions) -> tuple[float, ...]:
    """Return for each class the probability that 95 % of its correctly classified clips reach, at most one half.

    The limit, because a calibrated answer above one half is more likely correct than wrong, whatever a few clips say.
    """
    correct = clips.answers == clips.labels
    confidence = clips.probabilities.max(axis=1)
    by_class = [confidence[correct & (clips.labels == label)] for label in range(len(clips.categories))]
    used = [own if len(own) >= MIN_ANSWERS else confidence[correct] for own in by_class]
    return tuple(
        round(min(DEFAULT_THRESHOLD, float(np.quantile(own, 1 - KEPT_SHARE))) if len(own) else DEFAULT_THRESHOLD, 6)
        for own in used
    )


def fit(predictions: Predictions) -> Fit:
    """Fit temperature and thresholds on the validation rows; without any, they are 1 and 0.5."""
    windows = predictions.of("validation")
    if not windows.clips:
        return Fit(1.0, (DEFAULT_THRESHOLD,) * len(predictions.categories), num_clips=0)
    temperature = round(fit_temperature(windows), 6)
    clips = temperature_scaled(windows, temperature).by_clip()
    return Fit(temperature, fit_thresholds(clips), len(clips.clips))


def detected_classes(probabilities: np.ndarray, thresholds: tuple[float, ...], categories: Sequence[str]) -> np.ndarray:
    """Return the predicted class of each row, or -1 if it is below its threshold or background: (R, K) -> (R,)."""
    winners, background = probabilities.argmax(axis=1), background_of(categories)
    is_class = np.array([category != background for category in categories])
    is_sure = probabilities.max(axis=1) >= np.array(thresholds)[winners]
    return np.where(is_sure & is_class[winners], winners, NO_CLASS)


def count_detections(windows: Predictions, thresholds: tuple[float, ...]) -> tuple[tuple[str, ...], np.ndarray]:
    """Count how often each class is detected in each clip; consecutive windows with the same class count once.

    Windows have temperature-scaled probabilities and may be in any order. A class below its threshold is not detected
    (`detected_classes`). Returns the N clips, and the detections in each by class, int64, (N, K); detections of any
    class but the clip's own are false alarms.
    """
    clips, clip_of_row = tuple(dict.fromkeys(windows.clips)), numbered(windows.clips)
    order = np.lexsort((windows.starts_s, clip_of_row))
    classes = detected_classes(windows.probabilities, thresholds, windows.categories)[order]
    clip_of_row = clip_of_row[order]
    begins = np.ones(len(order), dtype=bool)
    begins[1:] = (clip_of_row[1:] != clip_of_row[:-1]) | (classes[1:] != classes[:-1])
    begins &= classes != NO_CLASS
    counts = np.zeros((len(clips), len(windows.categories)), dtype=np.int64)
    np.add.at(counts, (clip_of_row[begins], classes[begins]), 1)
    return clips, counts
