"""Calibration of the models' probabilities, before and after temperature scaling on validation clips."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from auricle.findings.study import Study
from auricle.scoring.answers import HOUR_S, Answers
from auricle.scoring.calibration import (
    Reliability,
    count_detections,
    fit,
    ideal_error,
    losses,
    reliability,
    temperature_scaled,
)
from auricle.scoring.difference import Difference, adjusted, difference
from auricle.scoring.predictions import ClipPredictions, numbered
from auricle.scoring.statistics import BOOTSTRAP_SEED, count_interval


@dataclass(frozen=True, eq=False)
class ModelCalibration:
    """Calibration of a model under a protocol on test clips, as means over its cells; fitted on validation clips."""

    model: str
    temperatures: tuple[float, ...]  # of each cell
    error: float  # expected calibration error at temperature 1
    scaled_error: float  # the same at the temperature of each cell
    ideal_error: float  # expected for a perfectly calibrated model with the same scaled confidences
    loss: float  # negative log-likelihood at temperature 1, nats
    scaled_loss: float  # the same at the temperature
    gain: Difference | None  # of that loss by scaling, adjusted for all models; None: no validation clips
    surplus: Difference  # mean confidence minus accuracy at temperature 1, adjusted too; above 0: overconfident
    bins: Reliability  # confidence and accuracy at temperature 1, the answers of all cells together
    scaled_bins: Reliability  # the same at the temperature
    thresholds: np.ndarray  # of each class, the mean over cells, (K,)
    hit_rates: np.ndarray  # share of the clips of each class in which it is detected at least once, (K,); or NaN
    alarm_rates: np.ndarray  # false alarms of each class per hour of clips of the other classes, (K,)
    alarm_rate: float  # of all classes together, per hour of clips
    alarm_interval: tuple[float, float]  # its 95 % interval, over groups of clips

    @property
    def is_fitted(self) -> bool:
        """Return whether there are validation clips to fit a temperature and thresholds on."""
        return self.gain is not None


def calibrations(study: Study, protocol: str) -> tuple[ModelCalibration, ...]:
    """Return the calibration of each model with a finished cell under a protocol, its tests adjusted (Holm)."""
    found = [_calibration(study, protocol, model) for model in study.models if study.of(model, protocol)]
    gains = adjusted({one.model: one.gain for one in found if one.gain})
    surpluses = adjusted({one.model: one.surplus for one in found})
    return tuple(replace(one, gain=gains.get(one.model), surplus=surpluses[one.model]) for one in found)


def _calibration(study: Study, protocol: str, model: str) -> ModelCalibration:
    cells = study.of(model, protocol)
    fits = [fit(cell.windows) for cell in cells]
    windows = [
        temperature_scaled(cell.windows.of("test"), one.temperature) for cell, one in zip(cells, fits, strict=True)
    ]
    before, after = [cell.clips for cell in cells], [one.by_clip() for one in windows]
    # (N, K) each
    counts = [count_detections(one, found.thresholds)[1] for one, found in zip(windows, fits, strict=True)]
    losses_before, losses_after = ([losses(c.probabilities, c.labels) for c in clips] for clips in (before, after))
    answers = study.answers_to(study.dataset.categories, protocol)
    surplus = _mean_of(answers, before, [_confidence(clips) - _right(clips) for clips in before])
    assert surplus
    gain = None
    if all(one.num_clips for one in fits):
        lowered = [b - a for b, a in zip(losses_before, losses_after, strict=True)]
        gain = _mean_of(answers, before, lowered, bound=math.inf)
    generator = np.random.default_rng(BOOTSTRAP_SEED)
    labels = np.concatenate([clips.labels for clips in after])
    background = ~np.isin(study.dataset.categories, study.dataset.classes)
    clip_hours = study.dataset.clip_s / HOUR_S
    hits, by_class, of_clip = _alarm_rates(labels, np.concatenate(counts), background, clip_hours)
    known = ~np.isnan(of_clip)
    groups = numbered([study.dataset.groups.get(clip, clip) for clips in after for clip in clips.clips])
    low, high = count_interval(of_clip[known] * clip_hours, groups[known])
    return ModelCalibration(
        model=model,
        temperatures=tuple(one.temperature for one in fits),
        error=float(np.mean([_reliability([clips]).error for clips in before])),
        scaled_error=float(np.mean([_reliability([clips]).error for clips in after])),
        ideal_error=float(np.mean([ideal_error(_confidence(clips), generator) for clips in after])),
        loss=float(np.mean([loss.mean() for loss in losses_before])),
        scaled_loss=float(np.mean([loss.mean() for loss in losses_after])),
        gain=gain,
        surplus=surplus,
        bins=_reliability(before),
        scaled_bins=_reliability(after),
        thresholds=np.mean([one.thresholds for one in fits], axis=0),
        hit_rates=hits,
        alarm_rates=by_class,
        alarm_rate=float(of_clip[known].mean()),
        alarm_interval=(low / clip_hours, high / clip_hours),
    )


def _mean_of(
    answers: Answers, clips: Sequence[ClipPredictions], values: Sequence[np.ndarray], bound: float = 1.0
) -> Difference | None:
    """Measure the mean of values of cells and clips; their distribution is skewed by large values for wrong answers."""
    table = answers.aligned(zip([one.clips for one in clips], values, strict=True))
    return difference(table, answers.groups, mirrored=False, bound=bound)


def _confidence(clips: ClipPredictions) -> np.ndarray:
    return np.asarray(clips.probabilities.max(axis=1))


def _right(clips: ClipPredictions) -> np.ndarray:
    return np.asarray(clips.answers == clips.labels)


def _reliability(every: Sequence[ClipPredictions]) -> Reliability:
    return reliability(np.concatenate([*map(_confidence, every)]), np.concatenate([*map(_right, every)]))


def _alarm_rates(
    labels: np.ndarray, counts: np.ndarray, background: np.ndarray, clip_hours: float
) -> tuple[np.ndarray, ...]:
    """Return the share of hits by class, (K,), and false alarms per hour by class, (K,), and by clip, (N,).

    False alarms are counted in the clips of background, the class where `background` is true, (K,); if none is tested,
    in those of the other classes. NaN: not counted.
    """
    own = labels[:, None] == np.arange(counts.shape[1])
    silent = background[labels] if background[labels].any() else np.ones(len(labels), dtype=bool)
    false = silent[:, None] & ~own  # where the alarms of a class are false, (N, K)
    with np.errstate(invalid="ignore", divide="ignore"):
        hits = np.where(background, np.nan, (own & (counts > 0)).sum(axis=0) / own.sum(axis=0))
        by_class = np.where(false, counts, 0).sum(axis=0) / (false.sum(axis=0) * clip_hours)
        of_clip = np.where(silent, np.where(false, counts, 0).sum(axis=1) / clip_hours, np.nan)
        return hits, by_class, of_clip
