"""Where cells are trained on this machine: in this process, or in a few worker processes."""

from __future__ import annotations

import contextlib
from multiprocessing import connection as channels
from pathlib import Path

from typing_extensions import override

from auricle.work.jobs import Fit, Job, train_job
from auricle.work.loop import Event, OnEvent, Pool
from auricle.work.worker import Worker


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
        on_event(Event("started", job))
        cause = train_job(job, fit, lambda record: on_event(Event("epoch", job, record)))
        on_event(Event("ended", job, cause))


class Workers(Pool):
    """Worker processes, each with the next job that there is. One that dies fails its job and is replaced.

    Args:
        num_workers: processes at a time, 1 or more.
        log: the file of their standard output and errors; it goes if nothing stands in it.
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
            on_event(Event("started", self._unreported.pop(0)))
        ready = channels.wait([worker.channel for worker in self.tasks], timeout_s)
        for worker in [worker for worker in self.tasks if worker.channel in ready]:
            kind, content = worker.receive()
            job, _ = self.tasks[worker] if kind == "epoch" else self.tasks.pop(worker)
            if kind == "ended":
                self._idle.append(worker)
            on_event(Event(kind, job, content))

    @override
    def close(self) -> None:
        workers = [*self.tasks, *self._idle]
        for worker in workers:
            worker.kill()
        for worker in workers:
            worker.process.join()
        with contextlib.suppress(OSError):
            if not self.log.stat().st_size:
                self.log.unlink()
