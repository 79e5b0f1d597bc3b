"""Learning curves, read: overfitting, underfitting, a late peak, a training that was not over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from auricle.findings.collapse import collapses
from auricle.findings.study import CellEvidence
from auricle.scoring.statistics import interval_over

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
        interval: of the gap over cells, 95 %; None for one cell.
        lowest: epoch at which the smoothed validation loss is lowest.
        rise: validation loss at the end over that lowest one, 1 and more.
        fall: the same over the one a tenth of the epochs before.
    """

    train: float
    validation: float
    gap: float
    interval: tuple[float, float] | None
    lowest: float
    rise: float
    fall: float
    epochs: int
    cells: int
    collapsed: int

    @property
    def underfits(self) -> bool:
        """Return whether the network misses many of its own training clips."""
        return self.train < FITS

    @property
    def has_gap(self) -> bool:
        """Return whether the gap is wide; where there are several cells, whatever cell is looked at."""
        return self.gap >= GAP and (self.interval is None or self.interval[0] > 0)

    @property
    def past_best(self) -> bool:
        """Return whether the validation loss ends well above a lowest one that came early."""
        return self.rise >= PAST and self.lowest / self.epochs < EARLY

    @property
    def still_falls(self) -> bool:
        """Return whether the validation loss falls at the end."""
        return not self.past_best and self.fall <= FALLING


def read_curves(cells: Sequence[CellEvidence]) -> CurveReading | None:
    """Read the learning curves of a model; None without validation or with fewer than two smoothed epochs."""
    histories = [cell.history for cell in cells if _is_long_enough(cell.history)]
    if not histories:
        return None
    train, validation = (
        np.array([history[-1][f"{name}_accuracy"] for history in histories]) for name in ("train", "validation")
    )
    losses = [_smoothed(np.array([epoch["validation_loss"] for epoch in history])) for history in histories]
    gaps = train - validation
    return CurveReading(
        train=float(train.mean()),
        validation=float(validation.mean()),
        gap=float(gaps.mean()),
        interval=interval_over(gaps.tolist()),
        lowest=float(np.mean([loss.argmin() + SMOOTHED for loss in losses])),
        rise=float(np.mean([loss[-1] / max(loss.min(), 1e-12) for loss in losses])),
        fall=float(np.mean([loss[-1] / max(loss[-1 - max(1, len(loss) // 10)], 1e-12) for loss in losses])),
        epochs=max(len(history) for history in histories),
        cells=len(cells),
        collapsed=len(collapses(cells)),
    )


def _is_long_enough(history: Sequence[Mapping[str, Any]]) -> bool:
    return len(history) > SMOOTHED and all("validation_loss" in epoch for epoch in history)


def _smoothed(losses: np.ndarray) -> np.ndarray:
    return np.convolve(losses, np.full(SMOOTHED, 1 / SMOOTHED), mode="valid")
