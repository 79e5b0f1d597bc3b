"""Learning curves, read: overfitting, underfitting, a late peak, a training that was not over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from auricle.report.collapses import collapses
from auricle.report.effects import interval_over
from auricle.report.evidence import CellEvidence
from auricle.report.wording import decimal, percent, points

SMOOTHED = 5  # epochs that are averaged before a lowest one is looked for
FITS = 0.90  # training accuracy from which on a network fits its training clips
GAP = 0.05
PAST = 1.05  # of the lowest validation loss at the end: past its best
EARLY = 0.8  # of the epochs: a lowest loss before that is early
FALLING = 0.98  # of the validation loss a tenth of the epochs ago: still falling


@dataclass(frozen=True)
class CurveReading:
    """How the trainings of one model went, means over its cells with a validation set.

    Attributes:
        train: training accuracy at the last epoch, 0..1.
        validation: validation accuracy there.
        gap: train - validation.
        interval: of the gap over cells, 95 %; None for one cell.
        lowest: epoch at which the smoothed validation loss is lowest.
        rise: validation loss at the end over that lowest one, 1 and more.
        epochs: of the training.
        words: what it comes to.
    """

    train: float
    validation: float
    gap: float
    interval: tuple[float, float] | None
    lowest: float
    rise: float
    epochs: int
    words: str


def read_curves(cells: Sequence[CellEvidence]) -> CurveReading | None:
    """Read the learning curves of a model; None without validation or with fewer than two smoothed epochs."""
    histories = [cell.history for cell in cells if _is_long_enough(cell.history)]
    if not histories:
        return None
    train, validation = (
        np.array([history[-1][f"{name}_accuracy"] for history in histories]) for name in ("train", "validation")
    )
    losses = [_smoothed(np.array([epoch["validation_loss"] for epoch in history])) for history in histories]
    lowest = float(np.mean([loss.argmin() + SMOOTHED for loss in losses]))
    rise = float(np.mean([loss[-1] / max(loss.min(), 1e-12) for loss in losses]))
    fall = float(np.mean([loss[-1] / max(loss[-1 - max(1, len(loss) // 10)], 1e-12) for loss in losses]))
    epochs = max(len(history) for history in histories)
    gaps = train - validation
    interval = interval_over(gaps.tolist())
    means = float(train.mean()), float(gaps.mean())
    words = _words(*means, interval, lowest / epochs, rise, fall)
    if fallen := len(collapses(cells)):
        words = f"{fallen} of {len(cells)} collapsed; {words}"
    return CurveReading(means[0], float(validation.mean()), means[1], interval, lowest, rise, epochs, words)


def _is_long_enough(history: Sequence[Mapping[str, Any]]) -> bool:
    return len(history) > SMOOTHED and all("validation_loss" in epoch for epoch in history)


def _smoothed(losses: np.ndarray) -> np.ndarray:
    return np.convolve(losses, np.full(SMOOTHED, 1 / SMOOTHED), mode="valid")


def _words(
    train: float, gap: float, interval: tuple[float, float] | None, lowest: float, rise: float, fall: float
) -> str:
    """Say what the numbers come to, one phrase for each thing that is so."""
    found = []
    if train < FITS:
        found.append(f"underfits: {percent(train)} of its own training clips")
    if gap >= GAP and (interval is None or interval[0] > 0):
        found.append("overfits" if interval is not None else f"a gap of {points(gap)}, from one cell")
    if rise >= PAST and lowest < EARLY:
        found.append(f"past its best: the loss has risen by {decimal(100 * (rise - 1), 0)} %")
    elif fall <= FALLING:
        found.append("its loss still falls at the end")
    else:
        found.append("its loss is at rest at the end")
    return "; ".join(found)
