"""What it takes to train a cell, and the one loop over what happens to trainings, for studies, searches and clusters.

    source ("what comes next")  ->  loop  ->  pool ("where it is trained")
                                    loop  <-  events: started, epoch, note, ended
    listener ("who watches")    <-

A pool trains in this process, in worker processes or on a cluster; a source is the cells of a study or the trials of a
search. A cell is done, or has failed with a cause; whatever it is, the other cells go on.
"""

import contextlib
import re
import traceback
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from typing_extensions import override

from auricle import files, runs
from auricle.config import Preset
from auricle.data.cache import Recordings
from auricle.data.folds import Split
from auricle.errors import AuricleError, MachineError
from auricle.runs import Cell, CellName
from auricle.system import is_out_of_memory

TICK_S = 2.0  # at most so long between two looks at what others do
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
        runs.remove_unfinished(cell.folder)


def _cause_of(error: Exception) -> str:
    """Say in one line what happened; our own errors need no name before it."""
    line = " ".join(str(error).split())
    if is_out_of_memory(error):
        asked = re.search(r"tried to allocate ([\d.]+ ?\w+)", line)
        how_much = f" (it asked for {asked[1]})" if asked else ""
        return f"not enough memory{how_much}; lower training.batch_size, or try fewer --workers"
    return line if isinstance(error, AuricleError) else f"{type(error).__name__}: {line}".rstrip(": ")


def record_failure(cell: Cell, cause: str, kind: str, trace: str) -> None:
    """Write error.json."""
    files.write_sealed(cell.error, {"cause": cause, "type": kind, "traceback": trace})


Task = tuple[Job, Fit]
Kind = Literal["started", "epoch", "note", "ended", "died"]  # died: its process did, which wrote no error.json
OnEvent = Callable[[Kind, Job, Any], None]  # with an epoch's record, a note's text, or why the job failed, if it did


class WorkListener:
    """Told of what happens to trainings, in the parent process; this one ignores it all."""

    def note(self, text: str) -> None:
        """Receive one line that a person should read."""

    def started(self, cell: CellName) -> None:
        """A cell starts, or goes on from its checkpoint."""

    def epoch(self, cell: CellName, record: Mapping[str, Any]) -> None:
        """Receive one epoch: a line of history.jsonl.

        It holds `collapse` (kind, epoch, cause, cures, evidence) where the training is found to have collapsed, and
        `recovered` where it is better than guessing again, and `restarted` where a damaged checkpoint made the
        training begin again.
        """

    def done(self, cell: CellName) -> None:
        """A cell is finished; its metrics.json is there."""

    def failed(self, cell: CellName, cause: str) -> None:
        """A cell failed, and why; its error.json is there."""


class Pool:
    """Where jobs are trained; it has room while fewer than `most` tasks are open, None: always."""

    def __init__(self, most: int | None) -> None:
        self.most = most
        self.tasks: dict[Any, Task] = {}  # those that have not ended, by what the pool knows them by

    def has_room(self) -> bool:
        """Return whether another job may be given."""
        return self.most is None or len(self.tasks) < self.most

    def give(self, job: Job, fit: Fit) -> None:
        """Begin a job."""
        raise NotImplementedError

    def wait(self, on_event: OnEvent, timeout_s: float) -> None:
        """Report what has happened; wait at most so long for the first event.

        Raises:
            MachineError: the machine cannot go on.
        """
        raise NotImplementedError

    def close(self) -> None:
        """End what still runs, at once."""


class Source:
    """What is trained next: here, nothing."""

    def next_task(self) -> Task | None:
        """Return another job and what trains it; None while there is none."""
        return None

    def ended(self, job: Job, cause: str | None) -> None:
        """Take in how a job ended: done, or why not."""

    def is_over(self) -> bool:
        """Return whether no job will come any more, where none runs."""
        return True

    def tick(self) -> None:
        """Do what is to be done now and then."""


class JobQueue(Source):
    """Jobs in the order in which they start, and which of them failed; the others go on.

    For other processes, the recordings must be memory maps, and `fit` a function that they can import.
    """

    def __init__(self, jobs: Sequence[Job], fit: Fit) -> None:
        self.failures: Failures = {}
        self._left = deque((job, fit) for job in jobs)

    @override
    def next_task(self) -> Task | None:
        return self._left.popleft() if self._left else None

    @override
    def ended(self, job: Job, cause: str | None) -> None:
        if cause is not None:
            self.failures[job.cell.name] = cause

    @override
    def is_over(self) -> bool:
        return not self._left


def run_jobs(source: Source, pool: Pool, listener: WorkListener) -> None:
    """Train what a source has, in a pool that is closed in the end, until the source is over.

    Raises:
        MachineError: the machine cannot go on; what is written stays.
    """

    def on_event(kind: Kind, job: Job, content: Any) -> None:
        name = job.cell.name
        if kind == "started":
            listener.started(name)
        elif kind == "epoch":
            listener.epoch(name, content)
        elif kind == "note":
            listener.note(content)
        elif job.cell.done or content is None:
            source.ended(job, None)
            listener.done(name)
        else:
            if kind == "died":
                record_failure(job.cell, content, "WorkerDied", "")
            source.ended(job, content)
            listener.failed(name, content)

    with contextlib.closing(pool):
        while True:
            while pool.has_room() and (task := source.next_task()):
                pool.give(*task)
            if not pool.tasks and source.is_over():
                return
            pool.wait(on_event, TICK_S)
            source.tick()
