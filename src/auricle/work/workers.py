"""Train cells on this machine: in this process, or in worker processes that take one cell after another.

A worker is a new interpreter that reads the recordings from the cache itself, so no arrays are sent. It ignores Ctrl-C
and SIGTERM, which reach a whole group of processes: only the parent reacts, and kills the worker, which loses nothing
because all files are written atomically. A worker also ends when its parent ends for any reason.

    parent                        worker
      (fit, job)      ------->
      ("epoch", record) <-----    after every epoch
      ("ended", cause)  <-----    cause None: done
      ("stopped", why)  <-----    the machine cannot continue
"""

import contextlib
import faulthandler
import functools
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing import connection as channels
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
from typing_extensions import override

from auricle.data.cache import Recordings
from auricle.data.processes import without_main
from auricle.data.rows import Rows, StoredRows
from auricle.errors import AuricleError, MachineError
from auricle.system import (
    be_killed_with_parent,
    ignore_stop_signals,
    signal_name,
    stop_signals_blocked,
    threads_kept,
)
from auricle.work.jobs import Fit, Job, Kind, OnEvent, Pool, train_job

Result = TypeVar("Result")
EXIT_TIMEOUT_S = 10.0  # for a process that has closed its channel to end by itself


class Worker:
    """A worker process, as seen by its parent; its channel becomes readable when it has reported something or died."""

    def __init__(self, log: Path) -> None:
        spawn = multiprocessing.get_context("spawn")
        self.log = log
        self.channel, far_end = spawn.Pipe()
        self.process: BaseProcess = spawn.Process(target=_train_jobs, args=(far_end, log), daemon=True)
        # the worker inherits the block, and does not import the main script
        with stop_signals_blocked(), without_main():
            self.process.start()
        far_end.close()

    def give(self, job: Job, fit: Fit) -> None:
        """Send it a cell to train."""
        with contextlib.suppress(OSError):  # it has died, which reading the channel will show
            self.channel.send((fit, replace(job, recordings=unmapped(job.recordings))))

    def receive(self) -> tuple[Kind, Any]:
        """Return its next report: an epoch, the end of its job, or how it died.

        Raises:
            MachineError: the machine cannot continue.
        """
        try:
            kind, content = self.channel.recv()
        except (EOFError, OSError):
            self.process.join(EXIT_TIMEOUT_S)
            self.process.kill()
            self.process.join()
            return "died", self._how_it_died()
        if kind == "stopped":
            raise MachineError(content)
        return kind, content

    def _how_it_died(self) -> str:
        code = self.process.exitcode or 0
        name = signal_name(code)
        if name == "SIGKILL":
            return "the system killed the worker (SIGKILL), probably because memory ran out; try fewer --workers"
        how = f"crashed ({name})" if name else f"ended with exit code {code}"
        return f"the worker {how}; see {self.log}"


def unmapped(recordings: Recordings) -> Recordings:
    """Return the recordings with the path of their memory map instead of the array, which is small to send."""
    waveforms = recordings.waveforms
    if isinstance(waveforms, Rows):
        return recordings
    assert isinstance(waveforms, np.memmap), "workers share a file"
    assert waveforms.filename is not None
    num_rows, num_samples = waveforms.shape
    rows = StoredRows((Path(waveforms.filename),), (num_rows,), (num_samples,), waveforms.dtype.str)
    return replace(recordings, waveforms=rows)


def _train_jobs(channel: channels.Connection, log: Path) -> None:
    """Train the jobs received, until the parent closes the channel or dies."""
    end_with_parent()
    with log.open("a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    faulthandler.enable()
    with contextlib.suppress(EOFError):
        while True:
            fit, job = channel.recv()
            try:
                cause = train_job(job, fit, lambda record: channel.send(("epoch", record)))
            except MachineError as error:
                channel.send(("stopped", str(error)))
            else:
                channel.send(("ended", cause))


@contextlib.contextmanager
def running_beside(function: Callable[..., Result], *args: Any) -> Iterator[Callable[[], Result]]:
    """Run a function in a new interpreter; the yielded one waits for its result. It is killed at the end of the block.

    Raises:
        EOFError: by the yielded function: the process died.
        AuricleError: by the yielded function: that of the function.
    """
    spawn = multiprocessing.get_context("spawn")
    channel, far_end = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_send_result, args=(far_end, function, args))  # no daemon: it may decode in others
    with stop_signals_blocked(), without_main():
        process.start()
    far_end.close()

    @functools.cache
    def result() -> Result:
        found = channel.recv()
        if isinstance(found, AuricleError):
            raise found
        return cast(Result, found)

    try:
        yield result
    finally:
        process.kill()
        process.join()


def _send_result(channel: channels.Connection, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    end_with_parent()
    try:
        found = function(*args)
    except AuricleError as error:
        found = error
    channel.send(found)


def end_with_parent() -> None:
    """In a child process: end when the parent ends for any reason; on Linux the system does that at once."""
    ignore_stop_signals()
    be_killed_with_parent()
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    channels.wait([parent.sentinel])
    os._exit(1)


class InProcess(Pool):
    """Train in this process: `wait` trains the job."""

    def __init__(self) -> None:
        super().__init__(most=1)

    @override
    def give(self, job: Job, fit: Fit) -> None:
        self.tasks[job.cell.name] = job, fit

    @override
    def wait(self, on_event: OnEvent, timeout_s: float) -> None:
        _, (job, fit) = self.tasks.popitem()
        on_event("started", job, None)
        with threads_kept():  # a notebook continues in this process
            cause = train_job(job, fit, lambda record: on_event("epoch", job, record))
        on_event("ended", job, cause)


class Workers(Pool):
    """Train in worker processes, each taking the next job. If one dies, its job fails and it is replaced.

    The log receives their standard output and errors; it is deleted if it is empty.
    """

    def __init__(self, num_workers: int, log: Path) -> None:
        super().__init__(most=num_workers)
        self.log = log
        self._idle: list[Worker] = []
        self._unreported: list[Job] = []  # that have started

    @override
    def give(self, job: Job, fit: Fit) -> None:
        self._idle = [worker for worker in self._idle if worker.process.is_alive()]  # memory may have run out
        worker = self._idle.pop() if self._idle else Worker(self.log)
        self.tasks[worker] = job, fit
        worker.give(job, fit)
        self._unreported.append(job)

    @override
    def wait(self, on_event: OnEvent, timeout_s: float) -> None:
        while self._unreported:
            on_event("started", self._unreported.pop(0), None)
        ready = channels.wait([worker.channel for worker in self.tasks], timeout_s)
        for worker in [worker for worker in self.tasks if worker.channel in ready]:
            kind, content = worker.receive()
            job, _ = self.tasks[worker] if kind == "epoch" else self.tasks.pop(worker)
            if kind == "ended":
                self._idle.append(worker)
            on_event(kind, job, content)

    @override
    def close(self) -> None:
        workers = [*self.tasks, *self._idle]
        for worker in workers:
            worker.process.kill()
        for worker in workers:
            worker.process.join()
        with contextlib.suppress(OSError):
            if not self.log.stat().st_size:
                self.log.unlink()
