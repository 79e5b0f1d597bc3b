"""Does a probability mean what it says? Reliability, and a temperature and a threshold a class from validation clips.

No more than NumPy is needed, as bundles are used where nothing else is installed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from auricle.data.manifest import background_of
from auricle.scoring.predictions import ClipPredictions, Predictions, numbered

CALIBRATION_BINS = 15
LEAST_TEMPERATURE, MOST_TEMPERATURE = 0.05, 20.0
KEPT = 0.95  # of the right answers pass their threshold
FEW = 5  # right answers of a class below which those of all classes speak for it
UNKNOWN = 0.5  # the threshold where nothing was fitted, and the highest of all
SMALLEST_PROBABILITY = 1e-15  # below it, the logarithm is taken of this
LUCK_RESAMPLES = 400
NONE = -1  # none of the classes


@dataclass(frozen=True)
class Fit:
    """What validation clips say about the probabilities of a training."""

    temperature: float  # logits are divided by it; 1 where nothing was fitted
    thresholds: tuple[float, ...]  # a class that wins with less is none of these, K of them in 0..0.5
    num_clips: int  # validation clips; 0 where there are none


@dataclass(frozen=True, eq=False)
class Reliability:
    """Confidence (the highest probability) against accuracy, in 15 equal bins of confidence; shape (15,) each."""

    confidence: np.ndarray  # mean in the bin; NaN in an empty one
    accuracy: np.ndarray  # share of right answers in the bin; NaN in an empty one
    num: np.ndarray  # rows in the bin

    @property
    def error(self) -> float:
        """Return the expected calibration error, 0..1: the mean distance of confidence and accuracy over rows."""
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


def reliability(confidence: np.ndarray, right: np.ndarray) -> Reliability:
    """Sort answers into bins by their confidence, (N,) in 0..1; `right` says which are right, (N,)."""
    bins = np.clip(np.ceil(confidence * CALIBRATION_BINS).astype(np.int64) - 1, 0, CALIBRATION_BINS - 1)
    num = np.bincount(bins, minlength=CALIBRATION_BINS)
    sums = [np.bincount(bins, weights=values, minlength=CALIBRATION_BINS) for values in (confidence, right)]
    with np.errstate(invalid="ignore"):
        return Reliability(sums[0] / num, sums[1] / num, num)


def calibration_error(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return how far confidence is from being right, 0..1: the expected calibration error, arXiv:1706.04599, eq. 3.

    >>> calibration_error(np.array([[0.9, 0.1], [0.9, 0.1]]), np.array([0, 1]))
    0.4
    """
    return reliability(probabilities.max(axis=1), probabilities.argmax(axis=1) == labels).error


def luck(confidence: np.ndarray, generator: np.random.Generator) -> float:
    """Return the calibration error that is to be expected if every confidence were exactly the chance to be right.

    It is above zero, as bins hold few clips: an error near it says nothing against a model. Answers are drawn
    anew 400 times (consistency resampling: Bröcker and Smith, Weather Forecast. 22 (2007) 651).
    """
    draws = generator.random((LUCK_RESAMPLES, len(confidence))) < confidence
    return float(np.mean([reliability(confidence, right).error for right in draws]))


def tempered(windows: Predictions, temperature: float) -> Predictions:
    """Return windows with the probabilities softmax(logits / temperature)."""
    return replace(windows, probabilities=softmax(np.log(np.maximum(windows.probabilities, 1e-30)), temperature))


def losses(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the negative log-likelihood of the true class in each row, nats: (N, K), (N,) -> (N,)."""
    of_truth = probabilities[np.arange(len(labels)), labels]
    return np.asarray(-np.log(np.maximum(of_truth, SMALLEST_PROBABILITY)))


def fit_temperature(windows: Predictions) -> float:
    """Return the temperature at which clips are told most probably, arXiv:1706.04599, section 4.2.

    The cross-entropy of the clips is minimised over the logarithm of the temperature. The target of the true class of N
    clips is (N + 1) / (N + 2), not 1, as N right answers in N say no more than that of the next one (Laplace's rule;
    Platt, Advances in Large Margin Classifiers (1999), sec. 2.2): or else a network without a mistake would be
    declared certain of everything, of noise too.
    """

    def loss(logarithm: float) -> float:
        clips = tempered(windows, math.exp(logarithm)).by_clip()
        surprise = -np.log(np.maximum(clips.probabilities, SMALLEST_PROBABILITY))
        num, num_classes = surprise.shape
        targets = np.full(surprise.shape, 1 / (num + 2) / max(1, num_classes - 1))
        targets[np.arange(num), clips.labels] = (num + 1) / (num + 2)
        return float((targets * surprise).sum(axis=1).mean())

    from scipy.optimize import minimize_scalar

    bounds = (math.log(LEAST_TEMPERATURE), math.log(MOST_TEMPERATURE))
    return math.exp(minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-3}).x)


def fit_thresholds(clips: ClipPredictions) -> tuple[float, ...]:
    """Return for each class the probability that 95 % of its clips with a right answer reach, but one half at most.

    A calibrated answer of more than one half is more likely right than wrong, whatever a few clips say.
    """
    right = clips.answers == clips.labels
    confidence = clips.probabilities.max(axis=1)
    by_class = [confidence[right & (clips.labels == label)] for label in range(len(clips.categories))]
    speaking = [own if len(own) >= FEW else confidence[right] for own in by_class]
    return tuple(round(min(UNKNOWN, float(np.quantile(own, 1 - KEPT))) if len(own) else UNKNOWN, 6) for own in speaking)


def fit(predictions: Predictions) -> Fit:
    """Fit temperature and thresholds on the validation rows; where there are none, 1 and 0.5."""
    windows = predictions.of("validation")
    if not windows.clips:
        return Fit(1.0, (UNKNOWN,) * len(predictions.categories), num_clips=0)
    temperature = round(fit_temperature(windows), 6)
    clips = tempered(windows, temperature).by_clip()
    return Fit(temperature, fit_thresholds(clips), len(clips.clips))


def named(probabilities: np.ndarray, thresholds: tuple[float, ...], categories: Sequence[str]) -> np.ndarray:
    """Return the class that wins each row, or -1 where it misses its threshold or is the background: (R, K) -> (R,)."""
    winners, background = probabilities.argmax(axis=1), background_of(categories)
    is_class = np.array([category != background for category in categories])
    is_sure = probabilities.max(axis=1) >= np.array(thresholds)[winners]
    return np.where(is_sure & is_class[winners], winners, NONE)


def alarms(windows: Predictions, thresholds: tuple[float, ...]) -> tuple[tuple[str, ...], np.ndarray]:
    """Count how often each class is named in each clip: windows in a row that name one class are one alarm.

    Windows have tempered probabilities, and stand in any order. A class that wins one with less than its threshold is
    not named (`named`). Returns the N clips, and the alarms in each by class, int64, (N, K); those of other classes
    than the clip's are false.
    """
    clips, clip_of_row = tuple(dict.fromkeys(windows.clips)), numbered(windows.clips)
    order = np.lexsort((windows.starts_s, clip_of_row))
    clip_of_row, classes = clip_of_row[order], named(windows.probabilities, thresholds, windows.categories)[order]
    begins = np.ones(len(order), dtype=bool)
    begins[1:] = (clip_of_row[1:] != clip_of_row[:-1]) | (classes[1:] != classes[:-1])
    begins &= classes != NONE
    counts = np.zeros((len(clips), len(windows.categories)), dtype=np.int64)
    np.add.at(counts, (clip_of_row[begins], classes[begins]), 1)
    return clips, counts
