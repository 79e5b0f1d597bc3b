"""The worker processes of a search: each takes the next fold of a trial, and a trial ends with its last one.

The first validation fold of a trial is judged epoch by epoch; a trial that survives it trains on the others to the end.
"""

from __future__ import annotations

import contextlib
import json
import statistics
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import connection as channels
from pathlib import Path
from typing import Any

from auricle import files, runs
from auricle.errors import AuricleError, MachineError
from auricle.runs import Cell
from auricle.search.judge import PrunedError, fit_judged
from auricle.search.listener import SearchListener
from auricle.search.trials import Begun, Trials
from auricle.study.jobs import Fit, Job, record_failure
from auricle.study.worker import Worker

TICK_S = 2.0  # at most so long between two looks at what others do
MakeJobs = Callable[[Begun], Sequence[Job]]


@dataclass
class Attempt:
    """A trial in training: the jobs that are left, how many run, and why it has failed, if it has."""

    begun: Begun
    jobs: Sequence[Job]
    left: deque[tuple[Job, Fit]] = field(default_factory=deque)
    held_back: deque[tuple[Job, Fit]] = field(default_factory=deque)  # until the first fold is survived
    num_running: int = 0
    ending: tuple[str, str] | None = None  # what happened, and the cause


class Crew:
    """Workers that train trials until none is left.

    Args:
        trials: what to train next, and where to tell how it went.
        make_jobs: from a trial to its cells, one a validation fold.
        fit: trains one cell; workers must be able to import it.
        num_workers: processes at a time.
        log: the file of their standard output and errors.
        listener: told what happens.
        on_change: called after a trial has begun or ended.
    """

    def __init__(
        self,
        trials: Trials,
        make_jobs: MakeJobs,
        fit: Fit,
        *,
        num_workers: int,
        log: Path,
        listener: SearchListener,
        on_change: Callable[[], None],
    ) -> None:
        self.trials = trials
        self.make_jobs = make_jobs
        self.fit = fit
        self.num_workers = num_workers
        self.log = log
        self.listener = listener
        self.on_change = on_change
        self.workers: list[Worker] = []
        self.attempts: list[Attempt] = []
        self.busy: dict[int, Attempt] = {}  # by the id of a worker

    def work(self) -> None:
        """Train until every trial has ended; what is in training when this is interrupted is given back.

        Raises:
            MachineError: the machine or the storage cannot go on.
        """
        try:
            while self._hand_out() or not self.trials.over():
                waiting = [worker.channel for worker in self.workers if worker.job]
                ready = channels.wait(waiting, TICK_S)
                for worker in [worker for worker in self.workers if worker.channel in ready]:
                    self._hear(worker)
                self.trials.tick()
        except BaseException:
            self._dismiss()
            with contextlib.suppress(AuricleError):  # where not even this can be told, the next start finds out
                self.trials.stop()
                self.on_change()
            raise
        self._dismiss()

    def _dismiss(self) -> None:
        for worker in self.workers:
            worker.kill()
        for worker in self.workers:
            worker.process.join()
        self.workers.clear()

    def _hand_out(self) -> bool:
        """Give every free worker a job, and return whether any works."""
        while True:
            worker = next((worker for worker in self.workers if worker.job is None), None)
            if worker is None and len(self.workers) >= self.num_workers:
                return True
            attempt = next((attempt for attempt in self.attempts if attempt.left), None) or self._begin()
            if attempt is None:
                return any(worker.job for worker in self.workers)
            if attempt.left:
                if worker is None:
                    worker = Worker(self.log)
                    self.workers.append(worker)
                self._give(worker, attempt)

    def _begin(self) -> Attempt | None:
        """Begin the next trial. What its cells have from an earlier try is used."""
        begun = self.trials.next()
        if begun is None:
            return None
        try:
            attempt = Attempt(begun, self.make_jobs(begun))
        except AuricleError as error:
            if isinstance(error, MachineError):
                raise
            self.trials.failed(begun, str(error))
            self._tell(begun.number)
            return Attempt(begun, ())
        judge = partial(fit_judged, self.fit, self.trials.place, begun.trial_id, self.trials.pruner)
        attempt.left.extend(
            (job, self.fit if place else judge) for place, job in enumerate(attempt.jobs) if not job.cell.done
        )
        self.attempts.append(attempt)
        self.on_change()
        if not attempt.left:
            self._conclude(attempt)
        return attempt

    def _give(self, worker: Worker, attempt: Attempt) -> None:
        """Let a worker train a trial's next fold; the others wait until the first is survived."""
        job, fit = attempt.left.popleft()
        if job is attempt.jobs[0]:
            attempt.held_back, attempt.left = attempt.left, deque()
        attempt.num_running += 1
        self.busy[id(worker)] = attempt
        self.listener.started(job.cell.name)
        worker.give(job, fit)

    def _hear(self, worker: Worker) -> None:
        assert worker.job is not None
        cell = worker.job.cell
        kind, content = worker.hear()
        if kind == "epoch":
            self.listener.epoch(cell.name, content)
            return
        if kind == "stopped":
            raise MachineError(content)
        if kind == "died":
            self.workers.remove(worker)
        worker.job = None
        attempt = self.busy.pop(id(worker))
        attempt.num_running -= 1
        if kind == "died" and not cell.done:
            record_failure(cell, content, "WorkerDied", "")
        if not cell.done:
            attempt.ending = attempt.ending or _why(cell)
        if attempt.ending:
            attempt.left.clear()
        elif cell is attempt.jobs[0].cell:
            attempt.left, attempt.held_back = attempt.held_back, deque()
        if not attempt.left and not attempt.num_running:
            self._conclude(attempt)

    def _conclude(self, attempt: Attempt) -> None:
        """End a trial: all its folds are done, or one of them is not to be."""
        self.attempts.remove(attempt)
        begun, ending = attempt.begun, attempt.ending
        if ending is None:
            self.trials.done(begun, **_scores([job.cell for job in attempt.jobs]))
        elif ending[0] == "WorkerDied":
            self.trials.died(begun, ending[1])
        elif ending[0] in (PrunedError.__name__, "DivergedError"):
            self.trials.pruned(begun, ending[1], **_costs([job.cell for job in attempt.jobs]))
        else:
            self.trials.failed(begun, ending[1])
        if ending is None or ending[0] != "WorkerDied":
            _tidy(attempt.jobs)
        self._tell(begun.number)

    def _tell(self, number: int) -> None:
        self.on_change()
        self.listener.tried(number, self.trials.entries())


def _why(cell: Cell) -> tuple[str, str]:
    """Return the kind of error that ended a cell, and its cause."""
    error = json.loads(cell.error.read_text(encoding="utf-8"))
    return error["type"], error["cause"]


def _scores(cells: Sequence[Cell]) -> dict[str, Any]:
    """Return the means over the validation folds, of clip scores."""
    metrics = [runs.read_metrics(cell) for cell in cells]
    scores = [each["validation"]["clip"] for each in metrics]
    return {
        "loss": statistics.fmean(each["loss"] for each in scores),
        "accuracy": statistics.fmean(each["accuracy"] for each in scores),
        "epochs": sum(each["epochs"] for each in metrics),
        "seconds": sum(each["seconds"] for each in metrics),
    }


def _costs(cells: Sequence[Cell]) -> dict[str, Any]:
    """Return the epochs and seconds of a trial that ended early."""
    epochs = [record for cell in cells for record in runs.read_history(cell)]
    return {"epochs": len(epochs), "seconds": sum(record["seconds"] for record in epochs)}


def _tidy(jobs: Sequence[Job]) -> None:
    """Remove the weights of a trial that has ended: the best set is trained again, with its test."""
    for job in jobs:
        with files.machine_errors(job.cell.folder):
            for path in (job.cell.weights, job.cell.checkpoint):
                path.unlink(missing_ok=True)
