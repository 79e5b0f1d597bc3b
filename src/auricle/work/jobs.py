"""Training jobs, and the loop that runs them for studies, searches and clusters.

    source (gives jobs)       ->  loop  ->  pool (trains them)
                                  loop  <-  events: started, epoch, note, ended
    listener (shows progress) <-

A pool trains in this process, in worker processes or on a cluster; a source gives the cells of a study or the trials of
a search. A cell ends as done, or as failed with a cause; either way the other cells continue.
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

TICK_S = 2.0  # longest time between two calls of `Source.tick`
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
        """Train the cell, or resume from its checkpoint."""
        ...


def real_fit() -> Fit:
    """Return `training.fit.fit_cell`; PyTorch is loaded only when there is something to train."""
    from auricle.training.fit import fit_cell

    return fit_cell


@dataclass(frozen=True)
class Job:
    """Everything needed to train one cell."""

    cell: Cell
    preset: Preset
    split: Split
    recordings: Recordings
    device: str
    threads: int | None = None


def train_job(job: Job, fit: Fit, on_epoch: OnEpoch) -> str | None:
    """Train a cell; if it fails, write error.json and return the cause; None when it is done.

    Raises:
        MachineError: the machine cannot continue, for example because the disk is full.
    """
    cell = job.cell
    clear_cell(cell)
    try:
        fit(cell, job.preset, job.recordings, job.split, device=job.device, threads=job.threads, on_epoch=on_epoch)
    except MachineError:
        raise
    except Exception as error:  # any failure of one cell leaves the others unharmed
        cause = _cause_of(error)
        record_failure(cell, cause, type(error).__name__, traceback.format_exc())
        return cause
    return None


def clear_cell(cell: Cell) -> None:
    """Create the folder of a cell, and remove what a failure or a killed process left in it.

    Raises:
        MachineError: the disk refuses.
    """
    with files.machine_errors(cell.folder):
        cell.folder.mkdir(parents=True, exist_ok=True)
        cell.error.unlink(missing_ok=True)
        runs.remove_unfinished(cell.folder)


def _cause_of(error: Exception) -> str:
    """Return the cause in one line; errors of other libraries are preceded by their type."""
    line = " ".join(str(error).split())
    if is_out_of_memory(error):
        asked = re.search(r"tried to allocate ([\d.]+ ?\w+)", line)
        how_much = f" ({asked[1]} more were needed)" if asked else ""
        return f"not enough memory{how_much}; lower training.batch_size, or try fewer --workers"
    return line if isinstance(error, AuricleError) else f"{type(error).__name__}: {line}".rstrip(": ")


def record_failure(cell: Cell, cause: str, kind: str, trace: str) -> None:
    """Write error.json."""
    files.write_sealed(cell.error, {"cause": cause, "type": kind, "traceback": trace})


Task = tuple[Job, Fit]
Kind = Literal["started", "epoch", "note", "ended", "died"]  # died: the process did, without an error.json
OnEvent = Callable[[Kind, Job, Any], None]  # with the record of an epoch, the text of a note, or the cause of a failure


class WorkListener:
    """Receives the events of trainings, in the parent process; this class ignores them all."""

    def note(self, text: str) -> None:
        """Receive one line for the user."""

    def started(self, cell: CellName) -> None:
        """A cell starts, or resumes from its checkpoint."""

    def epoch(self, cell: CellName, record: Mapping[str, Any]) -> None:
        """Receive the record of one epoch, a line of history.jsonl.

        It contains `collapse` (kind, epoch, cause, cures, evidence) if the training has just collapsed, `recovered` if
        it is better than chance again, and `restarted` if a damaged checkpoint made the training start again.
        """

    def done(self, cell: CellName) -> None:
        """A cell is finished; its metrics.json is written."""

    def failed(self, cell: CellName, cause: str) -> None:
        """A cell failed for this cause; its error.json is written."""


class Pool:
    """Where jobs are trained; it takes jobs while fewer than `most` are open, None: always."""

    def __init__(self, most: int | None) -> None:
        self.most = most
        self.tasks: dict[Any, Task] = {}  # those that have not ended, by a key of the pool's own

    def has_room(self) -> bool:
        """Return whether the pool can take another job."""
        return self.most is None or len(self.tasks) < self.most

    def give(self, job: Job, fit: Fit) -> None:
        """Start a job."""
        raise NotImplementedError

    def wait(self, on_event: OnEvent, timeout_s: float) -> None:
        """Report events; wait at most `timeout_s` for the first one.

        Raises:
            MachineError: the machine cannot continue.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Stop everything that still runs, at once."""


class Source:
    """Gives the jobs to train; this class has none."""

    def next_task(self) -> Task | None:
        """Return the next job and the function that trains it; None if there is none at present."""
        return None

    def ended(self, job: Job, cause: str | None) -> None:
        """Receive how a job ended: the cause of a failure, or None."""

    def is_over(self) -> bool:
        """Return whether no more jobs will come, given that none is running."""
        return True

    def tick(self) -> None:
        """Do periodic work."""


class JobQueue(Source):
    """A fixed list of jobs in starting order; it collects the failures.

    To train in other processes, the recordings must be memory maps, and `fit` a function that they can import.
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
    """Train the jobs of a source in a pool until the source is over, then close the pool.

    Raises:
        MachineError: the machine cannot continue; files already written remain.
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
