"""Where cells are trained on this machine: in this process, or in a few worker processes."""

from __future__ import annotations

import contextlib
from multiprocessing import connection as channels
from pathlib import Path

from auricle.work.jobs import Fit, Job, train_job
from auricle.work.loop import Event, OnEvent
from auricle.work.worker import Worker


class InProcess:
    """A pool of one, in this process: a job is trained while it is waited for."""

    def __init__(self) -> None:
        self._task: tuple[Job, Fit] | None = None

    @property
    def has_room(self) -> bool:
        """As `Pool` says."""
        return self._task is None

    @property
    def is_busy(self) -> bool:
        """As `Pool` says."""
        return self._task is not None

    def give(self, job: Job, fit: Fit) -> None:
        """As `Pool` says."""
        self._task = job, fit

    def wait(self, on_event: OnEvent, timeout_s: float) -> None:
        """Train the job to its end."""
        if self._task is not None:
            job, fit = self._task
            on_event(Event("started", job))
            cause = train_job(job, fit, lambda record: on_event(Event("epoch", job, record)))
            self._task = None
            on_event(Event("ended", job, cause))

    def close(self) -> None:
        """Nothing is left to end."""


class Workers:
    """Worker processes, each with the next job that there is. One that dies fails its job and is replaced.

    Args:
        num_workers: processes at a time, 1 or more.
        log: the file of their standard output and errors; it goes if nothing stands in it.
    """

    def __init__(self, num_workers: int, log: Path) -> None:
        self.num_workers = num_workers
        self.log = log
        self._workers: list[Worker] = []
        self._started: list[Job] = []  # not reported yet

    @property
    def has_room(self) -> bool:
        """As `Pool` says."""
        return len(self._workers) < self.num_workers or any(worker.job is None for worker in self._workers)

    @property
    def is_busy(self) -> bool:
        """As `Pool` says."""
        return any(worker.job for worker in self._workers)

    def give(self, job: Job, fit: Fit) -> None:
        """As `Pool` says."""
        worker = next((worker for worker in self._workers if worker.job is None), None)
        if worker is None:
            worker = Worker(self.log)
            self._workers.append(worker)
        worker.give(job, fit)
        self._started.append(job)

    def wait(self, on_event: OnEvent, timeout_s: float) -> None:
        """As `Pool` says."""
        while self._started:
            on_event(Event("started", self._started.pop(0)))
        ready = channels.wait([worker.channel for worker in self._workers if worker.job], timeout_s)
        for worker in [worker for worker in self._workers if worker.channel in ready]:
            event = worker.receive()
            if event.kind == "died":
                self._workers.remove(worker)
            on_event(event)

    def close(self) -> None:
        """As `Pool` says."""
        for worker in self._workers:
            worker.kill()
        for worker in self._workers:
            worker.process.join()
        self._workers.clear()
        with contextlib.suppress(OSError):
            if not self.log.stat().st_size:
                self.log.unlink()
