"""Cells that are one training under two names: trained once, kept twice."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from auricle import files, runs
from auricle.runs import CellName, StudyFolder
from auricle.work.jobs import clear_cell


def take_over(study: StudyFolder, same: Mapping[CellName, CellName]) -> dict[CellName, CellName]:
    """Give each cell what its original has written, a failure too; return those whose originals are not finished.

    Args:
        study: its folder.
        same: of each cell, the one that is the same training.

    Raises:
        MachineError: the disk refuses.
        RefusedError: what an original has written is damaged.
    """
    waiting = {}
    for name, original in same.items():
        ours, theirs = study.cell(name), study.cell(original)
        if theirs.done or theirs.error.exists():
            clear_cell(ours)
        if not theirs.done:
            waiting[name] = original
            if theirs.error.exists():
                files.write_bytes(ours.error, theirs.error.read_bytes())
            continue
        written = (theirs.config, theirs.history, theirs.predictions, theirs.weights)
        metrics = runs.read_metrics(theirs, *written)
        for path in filter(Path.exists, written):
            files.write_bytes(ours.folder / path.name, path.read_bytes())
        runs.write_metrics(ours, {**metrics, "cell": str(name), "same_as": str(original)})
        ours.checkpoint.unlink(missing_ok=True)
    return waiting


def note_on(same: Mapping[CellName, CellName]) -> str:
    """Say in a line which cells are not trained, and why."""
    name, original = next(iter(same.items()))
    return f"{len(same)} of the cells need no training: same clips and seed as another ({name} is {original})"
