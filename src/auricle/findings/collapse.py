"""Trainings that collapsed: which, when, why, and what to change first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from auricle.findings.study import CellEvidence, Study
from auricle.runs import CellName

COLLAPSE_SHARE = 0.95


@dataclass(frozen=True)
class Collapse:
    """A cell that collapsed.

    Attributes:
        kind: of `training.watch.MEANINGS`; None where only its answers to the test clips show it.
        epoch: at which it was recognised while it was trained; None where it was not.
        cause: the likely one, measured then; None where it was not.
        cure: `section.field=value` words to try first.
        answer: the category that it gives most often on its test clips.
    """

    cell: CellName
    kind: str | None
    epoch: int | None
    cause: str | None
    cure: tuple[str, ...]
    answer: str
    answer_share: float


def commonest_answer(cell: CellEvidence) -> tuple[str, float]:
    """Return the category that a cell gives most often on its test clips, and how often, 0..1."""
    counts = np.bincount(cell.clips.answers, minlength=len(cell.clips.categories))
    return cell.clips.categories[int(counts.argmax())], float(counts.max() / counts.sum())


def _gives_one_answer(cell: CellEvidence) -> bool:
    """Return whether nearly every test clip is given one class, while the clips are of several."""
    several = np.bincount(cell.clips.labels).max() < COLLAPSE_SHARE * len(cell.clips.labels)
    return bool(several) and commonest_answer(cell)[1] >= COLLAPSE_SHARE


def collapse_of(cell: CellEvidence) -> Collapse | None:
    """Return how a cell collapsed: as its training recorded it, else as its answers show it."""
    recorded = cell.costs.get("collapse")
    if recorded:
        cures = recorded.get("cures") or [[]]
        known = (recorded["kind"], recorded["epoch"], recorded["cause"], tuple(cures[0]))
        return Collapse(cell.name, *known, *commonest_answer(cell))
    return Collapse(cell.name, None, None, None, (), *commonest_answer(cell)) if _gives_one_answer(cell) else None


def collapses(cells: Sequence[CellEvidence]) -> list[Collapse]:
    """Return the collapses among cells, in their order."""
    return [found for cell in cells if (found := collapse_of(cell)) is not None]


def diverged(study: Study) -> list[str]:
    """Return the names of the cells that failed because a step was not finite."""
    return [str(cell.name) for cell in study.missing if cell.reason.startswith("failed: diverged")]
