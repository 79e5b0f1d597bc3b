"""Cells that are one training under two names, as `test-split` is a fold of `k-fold`: trained once, kept twice."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from auricle import files, runs
from auricle.data.folds import Split
from auricle.runs import CellName, StudyFolder
from auricle.study.jobs import clear


def twins(cells: Mapping[CellName, Split], done: Collection[CellName]) -> dict[CellName, CellName]:
    """Return the cells that need no training of their own, and of each the one whose results it takes.

    Two cells are one training where model, seed and all three sets of clips are the same.

    Args:
        cells: of the plan, in its order.
        done: those that are finished; they come before those that are not.
    """
    trained: dict[tuple[object, ...], CellName] = {}
    taken = {}
    for name in sorted(cells, key=lambda name: name not in done):
        split = cells[name]
        sets = (split.train.tobytes(), split.validation.tobytes(), split.test.tobytes())
        original = trained.setdefault((name.model, name.seed, split.leaky, *sets), name)
        if original != name and name not in done:
            taken[name] = original
    return taken


def take_over(study: StudyFolder, taken: Mapping[CellName, CellName]) -> dict[CellName, CellName]:
    """Give each cell what its twin has written, a failure too; return those whose twins are not finished.

    Raises:
        MachineError: the disk refuses.
        RefusedError: what a twin has written is damaged.
    """
    waiting = {}
    for name, original in taken.items():
        ours, theirs = study.cell(name), study.cell(original)
        if theirs.done or theirs.error.exists():
            clear(ours)
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


def told(taken: Mapping[CellName, CellName]) -> str:
    """Say in a line which cells are not trained, and why."""
    name, original = next(iter(taken.items()))
    return f"{len(taken)} of the cells need no training: same clips and seed as another ({name} is {original})"
