"""Trainings: which collapsed, and why; and what their learning curves show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from auricle.data.manifest import scored_of
from auricle.findings.study import CellEvidence, Study
from auricle.runs import CellName
from auricle.scoring.statistics import interval_over

COLLAPSE_SHARE = 0.95  # share of answers of one class from which on a training counts as collapsed
SMOOTHED = 5  # number of epochs averaged before the minimum is taken
FITS = 0.90  # training accuracy from which on a network fits its training clips
GAP = 0.05
PAST = 1.05  # of the lowest validation loss at the end: past its best
EARLY = 0.8  # of the epochs: a lowest loss before that is early
FALLING = 0.98  # of the validation loss a tenth of the epochs ago: still falling


@dataclass(frozen=True)
class Collapse:
    """A cell that collapsed."""

    cell: CellName
    kind: str | None  # of `training.watch.MEANINGS`; None where only its answers to the test clips show it
    epoch: int | None  # at which it was recognised during training; None where it was not
    cause: str | None  # the likely cause, measured then; None where it was not
    cure: tuple[str, ...]  # settings `section.field=value` to try first
    answer: str  # the category that it predicts most often on its test clips
    answer_share: float


def commonest_answer(cell: CellEvidence) -> tuple[str, float]:
    """Return the category that a cell predicts most often on test clips except background, and its share, 0..1."""
    clips = cell.clips.of_classes(scored_of(cell.clips.categories))
    counts = np.bincount(clips.answers, minlength=len(clips.categories))
    return clips.categories[int(counts.argmax())], float(counts.max() / counts.sum())


def collapse_of(cell: CellEvidence) -> Collapse | None:
    """Return how a cell collapsed, from the record of its training, else from its answers; None if it did not."""
    commonest, labels = commonest_answer(cell), cell.clips.of_classes(scored_of(cell.clips.categories)).labels
    if recorded := cell.costs.get("collapse"):
        cures = recorded.get("cures") or [[]]
        return Collapse(cell.name, recorded["kind"], recorded["epoch"], recorded["cause"], tuple(cures[0]), *commonest)
    several = np.bincount(labels).max() < COLLAPSE_SHARE * len(labels)  # classes among the test clips
    return Collapse(cell.name, None, None, None, (), *commonest) if several and commonest[1] >= COLLAPSE_SHARE else None


def collapses(cells: Sequence[CellEvidence]) -> list[Collapse]:
    """Return the collapses among cells, in their order."""
    return [found for cell in cells if (found := collapse_of(cell)) is not None]


def diverged(study: Study) -> list[str]:
    """Return the names of the cells that failed because a step was not finite."""
    return [str(cell.name) for cell in study.missing if cell.reason.startswith("failed: diverged")]


@dataclass(frozen=True)
class CurveReading:
    """The learning curves of one model, as means over its cells with a validation set."""

    train: float  # training accuracy at the last epoch, 0..1
    validation: float
    gap: float
    interval: tuple[float, float] | None  # of the gap over cells, 95 %; None for one cell
    base_alone: float | None  # validation accuracy when the encoder joins the base; None if it is there at once
    lowest: float  # epoch at which the smoothed validation loss is lowest
    rise: float  # validation loss at the end divided by the lowest one, at least 1
    fall: float  # validation loss at the end divided by that a tenth of the epochs before
    epochs: int
    cells: int
    collapsed: int

    @property
    def underfits(self) -> bool:
        """Return whether the network misclassifies many of its training clips."""
        return self.train < FITS

    @property
    def has_gap(self) -> bool:
        """Return whether the gap is wide; with several cells, its interval over them excludes zero."""
        return self.gap >= GAP and (self.interval is None or self.interval[0] > 0)

    @property
    def past_best(self) -> bool:
        """Return whether the validation loss ends well above a minimum that came early."""
        return self.rise >= PAST and self.lowest / self.epochs < EARLY

    @property
    def still_falls(self) -> bool:
        """Return whether the validation loss falls at the end, to its minimum or close to it."""
        return self.fall <= FALLING and self.rise <= 1 / FALLING


def _num_epochs(history: Sequence[Mapping[str, Any]]) -> float:
    """Return the number of epochs; of the last one only the part that `max_steps` allowed."""
    steps = [epoch.get("steps", 1) for epoch in history]
    return sum(steps) / steps[0] if steps else 0.0


def read_curves(cells: Sequence[CellEvidence], base_share: float = 0.0) -> CurveReading | None:
    """Read the learning curves of a model; None without validation or with fewer than two smoothed epochs.

    Of the losses, the epochs in which the base learns alone, a share of all, are left out: theirs is another network.
    """
    validated = [cell.history for cell in cells if all("validation_loss" in epoch for epoch in cell.history)]
    found = [(history, int(base_share * _num_epochs(history))) for history in validated]
    if not (found := [(history, alone) for history, alone in found if len(history) - alone > SMOOTHED]):
        return None
    histories = [history for history, _ in found]
    train, validation = (
        np.array([history[-1][f"{name}_accuracy"] for history in histories]) for name in ("train", "validation")
    )
    even = np.full(SMOOTHED, 1 / SMOOTHED)
    losses = [
        np.convolve([epoch["validation_loss"] for epoch in history[alone:]], even, mode="valid")
        for history, alone in found
    ]
    joined = [history[alone - 1]["validation_accuracy"] for history, alone in found if alone]
    gaps = train - validation
    return CurveReading(
        train=float(train.mean()),
        validation=float(validation.mean()),
        gap=float(gaps.mean()),
        interval=interval_over(gaps.tolist()),
        base_alone=float(np.mean(joined)) if len(joined) == len(found) else None,
        lowest=float(
            np.mean([alone + loss.argmin() + SMOOTHED for (_, alone), loss in zip(found, losses, strict=True)])
        ),
        rise=float(np.mean([loss[-1] / max(loss.min(), 1e-12) for loss in losses])),
        fall=float(np.mean([loss[-1] / max(loss[-1 - max(1, len(loss) // 10)], 1e-12) for loss in losses])),
        epochs=max(len(history) for history in histories),
        cells=len(cells),
        collapsed=len(collapses(cells)),
    )
