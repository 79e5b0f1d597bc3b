"""A process that trains one cell after another.

It is a fresh interpreter that opens the recordings' memory map itself; no array travels. It does not answer
Ctrl-C or SIGTERM, which reach a whole group of processes: only its parent does, and kills it, which loses
nothing, as all that it writes is whole or not there. And it ends with its parent, however that ends.

    parent                        worker
      (fit, job)      ------->
      ("epoch", record) <-----    after every epoch
      ("ended", cause)  <-----    cause None: done
      ("stopped", why)  <-----    its machine cannot go on
"""

from __future__ import annotations

import contextlib
import faulthandler
import multiprocessing
import os
import signal
from dataclasses import dataclass, replace
from multiprocessing import connection as channels
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np

from auricle.data.cache import Recordings
from auricle.errors import MachineError
from auricle.work.children import end_with_parent, signals_blocked
from auricle.work.jobs import Fit, Job, train_job
from auricle.work.loop import Kind

LAST_SECONDS_S = 10.0  # for a process that has closed its channel to end by itself


class Worker:
    """The process, seen from its parent.

    Attributes:
        channel: ready to be read when it has reported something or died.
        log: the file of its standard output and errors.
    """

    def __init__(self, log: Path) -> None:
        spawn = multiprocessing.get_context("spawn")
        self.log = log
        self.channel, far_end = spawn.Pipe()
        self.process: BaseProcess = spawn.Process(target=_train_what_comes, args=(far_end, log), daemon=True)
        with signals_blocked():  # the process inherits it
            self.process.start()
        far_end.close()

    def give(self, job: Job, fit: Fit) -> None:
        """Let it train a cell."""
        with contextlib.suppress(OSError):  # it has died, which reading the channel will show
            self.channel.send((fit, replace(job, recordings=without_waveforms(job.recordings))))

    def receive(self) -> tuple[Kind, Any]:
        """Return what it reports: an epoch, or that its job has ended, or how it died.

        Raises:
            MachineError: its machine cannot go on.
        """
        try:
            kind, content = self.channel.recv()
        except (EOFError, OSError):
            self.process.join(LAST_SECONDS_S)
            self.kill()
            self.process.join()
            return "died", self._how_it_died()
        if kind == "stopped":
            raise MachineError(content)
        return kind, content

    def _how_it_died(self) -> str:
        code = self.process.exitcode or 0
        if code == -signal.SIGKILL:
            return "the system killed the worker (SIGKILL), mostly because memory ran out; try fewer --workers"
        how = f"crashed ({signal.Signals(-code).name})" if code < 0 else f"ended with exit code {code}"
        return f"the worker {how}; see {self.log}"

    def kill(self) -> None:
        """End it at once; `process.join` then returns soon."""
        self.process.kill()


@dataclass(frozen=True)
class _MappedFile:
    """A memory map by its file."""

    path: Path
    dtype: str
    offset: int
    shape: tuple[int, ...]

    def open(self) -> np.ndarray:
        return np.memmap(self.path, dtype=self.dtype, mode="r", offset=self.offset, shape=self.shape)


def without_waveforms(recordings: Recordings) -> Recordings:
    """Return the recordings with the file of their memory map instead of it, to be sent in a few bytes."""
    waveforms = recordings.waveforms
    assert isinstance(waveforms, np.memmap), "workers share a memory map"
    assert waveforms.filename is not None
    mapped = _MappedFile(Path(waveforms.filename), waveforms.dtype.str, waveforms.offset, waveforms.shape)
    return replace(recordings, waveforms=mapped)  # type: ignore[arg-type]


def with_waveforms(recordings: Recordings) -> Recordings:
    """Return the recordings that `without_waveforms` described.

    Raises:
        OSError: this machine does not see the map.
        ValueError: the map is shorter than it should be.
    """
    mapped: Any = recordings.waveforms
    return replace(recordings, waveforms=mapped.open())


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
            job = replace(job, recordings=with_waveforms(job.recordings))
            try:
                cause = train_job(job, fit, lambda record: channel.send(("epoch", record)))
            except MachineError as error:
                channel.send(("stopped", str(error)))
            else:
                channel.send(("ended", cause))
