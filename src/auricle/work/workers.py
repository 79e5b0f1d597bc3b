"""Where cells are trained on this machine: in this process, or in a few workers that take one cell after another.

A worker is a fresh interpreter that reads the recordings from the cache itself; no array travels. It does not answer
Ctrl-C or SIGTERM, which reach a whole group of processes: only its parent does, and kills it, which loses
nothing, as all that it writes is whole or not there. And it ends with its parent, however that ends.

    parent                        worker
      (fit, job)      ------->
      ("epoch", record) <-----    after every epoch
      ("ended", cause)  <-----    cause None: done
      ("stopped", why)  <-----    its machine cannot go on
"""

import contextlib
import faulthandler
import multiprocessing
import os
import threading
from dataclasses import replace
from multiprocessing import connection as channels
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
from typing_extensions import override

from auricle.data.cache import Recordings
from auricle.data.processes import without_main
from auricle.data.rows import Rows, StoredRows
from auricle.errors import MachineError
from auricle.system import (
    be_killed_with_parent,
    ignore_stop_signals,
    signal_name,
    stop_signals_blocked,
    threads_kept,
)
from auricle.work.jobs import Fit, Job, Kind, OnEvent, Pool, train_job

LAST_SECONDS_S = 10.0  # for a process that has closed its channel to end by itself


class Worker:
    """The process, seen from its parent; its channel is ready to be read when it has reported something or died."""

    def __init__(self, log: Path) -> None:
        spawn = multiprocessing.get_context("spawn")
        self.log = log
        self.channel, far_end = spawn.Pipe()
        self.process: BaseProcess = spawn.Process(target=_train_what_comes, args=(far_end, log), daemon=True)
        with stop_signals_blocked(), without_main():  # the process inherits the former, and needs nothing of a script
            self.process.start()
        far_end.close()

    def give(self, job: Job, fit: Fit) -> None:
        """Let it train a cell."""
        with contextlib.suppress(OSError):  # it has died, which reading the channel will show
            self.channel.send((fit, replace(job, recordings=unmapped(job.recordings))))

    def receive(self) -> tuple[Kind, Any]:
        """Return what it reports: an epoch, or that its job has ended, or how it died.

        Raises:
            MachineError: its machine cannot go on.
        """
        try:
            kind, content = self.channel.recv()
        except (EOFError, OSError):
            self.process.join(LAST_SECONDS_S)
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
            return "the system killed the worker (SIGKILL), mostly because memory ran out; try fewer --workers"
        how = f"crashed ({name})" if name else f"ended with exit code {code}"
        return f"the worker {how}; see {self.log}"


def unmapped(recordings: Recordings) -> Recordings:
    """Return recordings that are read from the file of their memory map, to be sent in a few bytes."""
    waveforms = recordings.waveforms
    if isinstance(waveforms, Rows):
        return recordings
    assert isinstance(waveforms, np.memmap), "workers share a file"
    assert waveforms.filename is not None
    num_rows, num_samples = waveforms.shape
    rows = StoredRows((Path(waveforms.filename),), (num_rows,), (num_samples,), waveforms.dtype.str)
    return replace(recordings, waveforms=rows)


def _train_what_comes(channel: channels.Connection, log: Path) -> None:
    """Train what comes, until the parent closes the channel or dies."""
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


def end_with_parent() -> None:
    """In a child: end when the parent does, however that ends; on Linux the system sees to it at once."""
    ignore_stop_signals()
    be_killed_with_parent()
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    channels.wait([parent.sentinel])
    os._exit(1)


class InProcess(Pool):
    """This process: a job is trained while it is waited for."""

    def __init__(self) -> None:
        super().__init__(most=1)

    @override
    def give(self, job: Job, fit: Fit) -> None:
        self.tasks[job.cell.name] = job, fit

    @override
    def wait(self, on_event: OnEvent, timeout_s: float) -> None:
        _, (job, fit) = self.tasks.popitem()
        on_event("started", job, None)
        with threads_kept():  # a notebook goes on after it
            cause = train_job(job, fit, lambda record: on_event("epoch", job, record))
        on_event("ended", job, cause)


class Workers(Pool):
    """Worker processes, each with the next job that there is. One that dies fails its job and is replaced.

    The log holds their standard output and errors; it goes if nothing stands in it.
    """

    def __init__(self, num_workers: int, log: Path) -> None:
        super().__init__(most=num_workers)
        self.log = log
        self._idle: list[Worker] = []
        self._unreported: list[Job] = []  # that have started

    @override
    def give(self, job: Job, fit: Fit) -> None:
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
