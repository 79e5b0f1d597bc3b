"""Trainings that collapsed: which, when, why, and what to change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from auricle.report.evidence import CellEvidence, Study
from auricle.report.tabular import Marked
from auricle.report.wording import Code, Text, count, listing, percent, spoken
from auricle.training.watch import MEANINGS

COLLAPSE_SHARE = 0.95
MARK, MEANING = "†", "collapsed"


@dataclass(frozen=True)
class Collapse:
    """A cell that collapsed.

    Attributes:
        cell: which.
        kind: of `training.watch.MEANINGS`; None where only its answers to the test clips show it.
        epoch: at which it was recognised while it was trained; None where it was not.
        cause: the likely one, measured then; None where it was not.
        cure: `section.field=value` words to try first.
    """

    cell: CellEvidence
    kind: str | None
    epoch: int | None
    cause: str | None
    cure: tuple[str, ...]


def commonest_answer(cell: CellEvidence) -> tuple[int, float]:
    """Return the class that a cell gives most often on its test clips, and how often, 0..1."""
    counts = np.bincount(cell.clips.answers, minlength=len(cell.clips.categories))
    return int(counts.argmax()), float(counts.max() / counts.sum())


def _one_answer(cell: CellEvidence) -> bool:
    """Return whether nearly every test clip is given one class, while the clips are of several."""
    several = np.bincount(cell.clips.labels).max() < COLLAPSE_SHARE * len(cell.clips.labels)
    return bool(several) and commonest_answer(cell)[1] >= COLLAPSE_SHARE


def collapse_of(cell: CellEvidence) -> Collapse | None:
    """Return how a cell collapsed: as its training recorded it, else as its answers show it."""
    recorded = cell.costs.get("collapse")
    if recorded:
        cures = recorded.get("cures") or [[]]
        return Collapse(cell, recorded["kind"], recorded["epoch"], recorded["cause"], tuple(cures[0]))
    return Collapse(cell, None, None, None, ()) if _one_answer(cell) else None


def collapses(cells: Sequence[CellEvidence]) -> list[Collapse]:
    """Return the collapses among cells, in their order."""
    return [found for cell in cells if (found := collapse_of(cell)) is not None]


def seen(fallen: Collapse) -> str:
    """Say what a collapse looks like.

    For example: from epoch 10 on, every clip is given one answer.
    """
    if fallen.kind is None or fallen.epoch is None:
        place, share = commonest_answer(fallen.cell)
        return f"{spoken(fallen.cell.clips.categories[place])} is the answer to {percent(share, 0)} of the test clips"
    return f"at epoch {fallen.epoch} {MEANINGS[fallen.kind]}"


def explained(cells: Sequence[CellEvidence]) -> Text:
    """Say of the cells of one model what collapsed, the likely cause and the change to try; nothing if none did."""
    fallen = collapses(cells)
    if not fallen:
        return ()
    head = f"{len(fallen)} of {count(len(cells), 'cell')} learnt nothing of use: {seen(fallen[0])}"
    known = next((one for one in fallen if one.cause), None)
    if known is None:
        return (f"{head}.",)
    if not known.cure:
        return (f"{head}. Likely cause: {known.cause}.",)
    change = " ".join(f"--set {word}" for word in known.cure)
    return (f"{head}. Likely cause: {known.cause}. To try first: ", Code(change), ".")


def told(study: Study) -> str | None:
    """Name every model and protocol with a collapsed cell; None where there is none."""
    groups = {
        (cell.name.model, cell.name.protocol): study.of(cell.name.model, cell.name.protocol) for cell in study.cells
    }
    fallen = {name: found for name, cells in groups.items() if (found := collapses(cells))}
    if not fallen:
        return None
    every = [one for found in fallen.values() for one in found]
    to_one = " to one class" if all(one.kind in (None, "one-class", "constant") for one in every) else ""
    names = [
        f"{model} under {protocol} ({len(found)} of {len(groups[model, protocol])}: {seen(found[0])})"
        for (model, protocol), found in fallen.items()
    ]
    head = f"{count(len(every), 'cell')} of {len(study.cells)} collapsed{to_one} and learnt nothing of use"
    return f"{head}: {listing(names)}."


def diverged(study: Study) -> list[str]:
    """Return the names of the cells that failed because a step was not finite."""
    return [str(cell.name) for cell in study.missing if cell.reason.startswith("failed: diverged")]


def marked(name: str, cells: Sequence[CellEvidence]) -> str | Marked:
    """Return a name, marked if one of the cells collapsed."""
    return Marked(name, MARK, MEANING) if collapses(cells) else name
