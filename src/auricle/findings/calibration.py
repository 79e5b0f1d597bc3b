"""Whether the probabilities of the models mean what they say, before and after what validation clips teach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from auricle.report.comparisons import BOOTSTRAP_SEED, SIGNIFICANT
from auricle.report.evidence import CellEvidence, Study
from auricle.scoring.calibration import Fit, Reliability, alarms, fit, losses, luck, reliability, tempered
from auricle.scoring.predictions import ClipPredictions
from auricle.scoring.statistics import bootstrap_interval, holm, mean_test

HOUR_S = 3600.0


@dataclass(frozen=True, eq=False)
class ModelCalibration:
    """A model under a protocol, means over its cells: scores of test clips, with what validation clips taught.

    Attributes:
        model: its name.
        is_fitted: whether there are validation clips; else the temperature is 1 and every threshold 0.5.
        temperatures: of each cell.
        error: expected calibration error at temperature 1.
        tempered_error: the same at the temperature of each cell.
        lucky_error: what is expected of it if every tempered confidence were exactly the chance to be right.
        loss: negative log-likelihood at temperature 1, nats.
        tempered_loss: the same at the temperature.
        p: that the temperature changes nothing in the loss (`statistics.mean_test`), adjusted for the number of models.
        surplus: mean confidence less accuracy at temperature 1, in -1..1; above zero is too sure.
        surplus_p: that it is zero, adjusted likewise.
        bins: confidence and accuracy at temperature 1, the answers of all cells together.
        tempered_bins: the same at the temperature.
        thresholds: of each class, the mean over cells, (K,).
        hit_rates: share of the clips of each class in which it is named at least once, (K,); NaN without clips.
        alarm_rates: false alarms of each class in an hour of clips of the other classes, (K,).
        alarm_rate: of all classes together, in an hour of clips.
        alarm_interval: its 95 % interval, bootstrap over groups.
    """

    model: str
    is_fitted: bool
    temperatures: tuple[float, ...]
    error: float
    tempered_error: float
    lucky_error: float
    loss: float
    tempered_loss: float
    p: float
    surplus: float
    surplus_p: float
    bins: Reliability
    tempered_bins: Reliability
    thresholds: np.ndarray
    hit_rates: np.ndarray
    alarm_rates: np.ndarray
    alarm_rate: float
    alarm_interval: tuple[float, float]

    @property
    def gain(self) -> str:
        """Return what the data show of the temperature: `better`, `worse` or `no difference`."""
        if not self.is_fitted or self.p >= SIGNIFICANT:
            return "no difference"
        return "better" if self.tempered_loss < self.loss else "worse"


@dataclass(frozen=True, eq=False)
class _Tempered:
    """A cell, and its test clips at the temperature and thresholds of its validation clips."""

    cell: CellEvidence
    fit: Fit
    clips: ClipPredictions
    alarms: np.ndarray  # (N, K)


def calibrations(study: Study, protocol: str) -> tuple[ModelCalibration, ...]:
    """Return the calibration of each model with a finished cell under a protocol, p-values adjusted (Holm)."""
    found = [_calibration(study, model, cells) for model in study.models if (cells := study.of(model, protocol))]
    ps, surplus_ps = holm([model.p for model in found]), holm([model.surplus_p for model in found])
    return tuple(
        replace(model, p=p, surplus_p=surplus_p) for model, p, surplus_p in zip(found, ps, surplus_ps, strict=True)
    )


def _tempered(cell: CellEvidence) -> _Tempered:
    found = fit(cell.windows)
    windows = tempered(cell.windows.of("test"), found.temperature)
    return _Tempered(cell, found, windows.by_clip(), alarms(windows, found.thresholds)[1])


def _calibration(study: Study, model: str, cells: Sequence[CellEvidence]) -> ModelCalibration:
    every = [_tempered(cell) for cell in cells]
    before, after = [one.cell.clips for one in every], [one.clips for one in every]
    losses_before, losses_after = ([losses(c.probabilities, c.labels) for c in clips] for clips in (before, after))
    surplus = np.concatenate([_confidence(clips) - _right(clips) for clips in before])
    generator = np.random.default_rng(BOOTSTRAP_SEED)
    hits, by_class, of_clip = _alarm_rates(study, every)
    return ModelCalibration(
        model=model,
        is_fitted=all(one.fit.num_clips for one in every),
        temperatures=tuple(one.fit.temperature for one in every),
        error=float(np.mean([reliability(_confidence(clips), _right(clips)).error for clips in before])),
        tempered_error=float(np.mean([reliability(_confidence(clips), _right(clips)).error for clips in after])),
        lucky_error=float(np.mean([luck(_confidence(clips), generator) for clips in after])),
        loss=float(np.mean([loss.mean() for loss in losses_before])),
        tempered_loss=float(np.mean([loss.mean() for loss in losses_after])),
        p=_p(study, every, np.concatenate(losses_after) - np.concatenate(losses_before)),
        surplus=float(surplus.mean()),
        surplus_p=_p(study, every, surplus),
        bins=_pooled(before),
        tempered_bins=_pooled(after),
        thresholds=np.mean([one.fit.thresholds for one in every], axis=0),
        hit_rates=hits,
        alarm_rates=by_class,
        alarm_rate=float(of_clip.mean()),
        alarm_interval=bootstrap_interval(of_clip, _groups(study, every), generator),
    )


def _confidence(clips: ClipPredictions) -> np.ndarray:
    return np.asarray(clips.probabilities.max(axis=1))


def _right(clips: ClipPredictions) -> np.ndarray:
    return np.asarray(clips.answers == clips.labels)


def _pooled(every: Sequence[ClipPredictions]) -> Reliability:
    return reliability(np.concatenate([*map(_confidence, every)]), np.concatenate([*map(_right, every)]))


def _p(study: Study, every: Sequence[_Tempered], values: np.ndarray) -> float:
    """Test the mean of values, one a clip and cell."""
    trainings = [place for place, one in enumerate(every) for _ in one.clips.clips]
    return mean_test(values, _groups(study, every), trainings)


def _groups(study: Study, every: Sequence[_Tempered]) -> list[str]:
    """Return the group of every clip of every cell."""
    return [study.dataset.groups.get(clip, clip) for one in every for clip in one.clips.clips]


def _alarm_rates(study: Study, every: Sequence[_Tempered]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Count alarms over the cells: what is named in a clip of its class is a hit, in another clip a false alarm.

    Returns:
        Share of the clips of each class in which it is named, (K,); false alarms an hour of each class, (K,), and
        in each clip, (N,).
    """
    labels, counts = np.concatenate([one.clips.labels for one in every]), np.concatenate([one.alarms for one in every])
    own, hours = labels[:, None] == np.arange(counts.shape[1]), study.dataset.clip_s / HOUR_S
    false = np.where(own, 0, counts)
    with np.errstate(invalid="ignore", divide="ignore"):
        hits = (own & (counts > 0)).sum(axis=0) / own.sum(axis=0)
        return hits, false.sum(axis=0) / ((~own).sum(axis=0) * hours), false.sum(axis=1) / hours
