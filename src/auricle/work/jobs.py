"""One cell to train, and what becomes of it: done, or failed with a cause."""

import re
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from auricle import files, runs
from auricle.config import Preset
from auricle.data.cache import Recordings
from auricle.data.folds import Split
from auricle.errors import AuricleError, MachineError
from auricle.runs import Cell, CellName

Failures = dict[CellName, str]
OnEpoch = Callable[[dict[str, Any]], None]


class Fit(Protocol):
    """Trains one cell and writes its folder, as `training.fit.fit_cell` does."""

    def __call__(
        self,
        cell: Cell,
        preset: Preset,
        recordings: Recordings,
        split: Split,
        *,
        device: str,
        threads: int | None,
        on_epoch: OnEpoch | None,
    ) -> None:
        """Train, or go on from the checkpoint."""
        ...


def real_fit() -> Fit:
    """Return `training.fit.fit_cell`; PyTorch is loaded only when there is something to train."""
    from auricle.training.fit import fit_cell

    return fit_cell


@dataclass(frozen=True)
class Job:
    """All that it takes to train one cell."""

    cell: Cell
    preset: Preset
    split: Split
    recordings: Recordings
    device: str
    threads: int | None = None


def train_job(job: Job, fit: Fit, on_epoch: OnEpoch) -> str | None:
    """Train a cell and return why it failed, having written error.json; None when it is done.

    Raises:
        MachineError: the machine cannot go on, such as when the disk is full.
    """
    cell = job.cell
    clear_cell(cell)
    try:
        fit(cell, job.preset, job.recordings, job.split, device=job.device, threads=job.threads, on_epoch=on_epoch)
    except MachineError:
        raise
    except Exception as error:  # whatever it is, the other cells go on
        cause = _cause_of(error)
        record_failure(cell, cause, type(error).__name__, traceback.format_exc())
        return cause
    return None


def clear_cell(cell: Cell) -> None:
    """Make the folder of a cell, and remove what a failure or a killed process has left in it.

    Raises:
        MachineError: the disk refuses.
    """
    with files.machine_errors(cell.folder):
        cell.folder.mkdir(parents=True, exist_ok=True)
        cell.error.unlink(missing_ok=True)
        runs.remove_halves(cell.folder)


def _cause_of(error: Exception) -> str:
    """Say in one line what happened; our own errors need no name before it."""
    line = " ".join(str(error).split())
    if isinstance(error, MemoryError) or re.search("allocate memory|out of memory", line, re.IGNORECASE):
        asked = re.search(r"tried to allocate ([\d.]+ ?\w+)", line)
        how_much = f" (it asked for {asked[1]})" if asked else ""
        return f"not enough memory{how_much}; lower training.batch_size, or try fewer --workers"
    return line if isinstance(error, AuricleError) else f"{type(error).__name__}: {line}".rstrip(": ")


def record_failure(cell: Cell, cause: str, kind: str, trace: str) -> None:
    """Write error.json."""
    files.write_json(cell.error, {"cause": cause, "type": kind, "traceback": trace})
