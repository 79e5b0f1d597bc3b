"""The jobs of a search: the folds of its trials, of which each free worker takes the next.

The first validation fold of a trial is judged epoch by epoch; a trial that survives it trains on the others to the end.
"""

from __future__ import annotations

import json
import statistics
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from typing_extensions import override

from auricle import files, runs
from auricle.errors import AuricleError, MachineError
from auricle.runs import Cell
from auricle.search.judge import PrunedError, fit_judged
from auricle.search.listener import SearchListener
from auricle.search.trials import Begun, Trials
from auricle.work.jobs import Fit, Job
from auricle.work.loop import Source, Task

MakeJobs = Callable[[Begun], Sequence[Job]]


@dataclass
class TrialJobs:
    """A trial in training: the jobs that are left, how many run, and why it has failed, if it has."""

    begun: Begun
    jobs: Sequence[Job]
    left: deque[Task] = field(default_factory=deque)
    held_back: deque[Task] = field(default_factory=deque)  # until the first fold is survived
    num_running: int = 0
    ending: tuple[str, str] | None = None  # the type of the error, and the cause


class TrialSource(Source):
    """Trials are begun as workers become free, until none is left.

    Args:
        trials: what to train next, and where to report how it went.
        make_jobs: from a trial to its cells, one a validation fold.
        fit: trains one cell; workers must be able to import it.
        listener: told what happens.
        on_change: called after a trial has begun or ended.
    """

    def __init__(
        self, trials: Trials, make_jobs: MakeJobs, fit: Fit, listener: SearchListener, on_change: Callable[[], None]
    ) -> None:
        self.trials = trials
        self.make_jobs = make_jobs
        self.fit = fit
        self.listener = listener
        self.on_change = on_change
        self._open: list[TrialJobs] = []

    @override
    def is_over(self) -> bool:
        return self.trials.over()

    @override
    def tick(self) -> None:
        self.trials.tick()

    @override
    def next_task(self) -> Task | None:
        """Return a fold of a trial that has begun, or else of the next one; its other folds wait for the first."""
        trial = next((trial for trial in self._open if trial.left), None)
        while trial is None:
            begun = self.trials.next()
            if begun is None:
                return None
            trial = self._begin(begun)
        job, fit = trial.left.popleft()
        if job is trial.jobs[0]:
            trial.held_back, trial.left = trial.left, deque()
        trial.num_running += 1
        return job, fit

    def _begin(self, begun: Begun) -> TrialJobs | None:
        """Begin a trial; return it if there is anything to train, after what its cells have from an earlier try."""
        try:
            trial = TrialJobs(begun, self.make_jobs(begun))
        except MachineError:
            raise
        except AuricleError as error:
            self.trials.failed(begun, str(error))
            self._report(begun.number)
            return None
        judge = partial(fit_judged, self.fit, self.trials.storage, begun.trial_id, self.trials.pruner)
        trial.left.extend((job, self.fit if n else judge) for n, job in enumerate(trial.jobs) if not job.cell.done)
        self._open.append(trial)
        self.on_change()
        if not trial.left:
            self._conclude(trial)
            return None
        return trial

    @override
    def ended(self, job: Job, cause: str | None) -> None:
        trial = next(trial for trial in self._open if any(own is job for own in trial.jobs))
        trial.num_running -= 1
        if cause is not None:
            trial.ending = trial.ending or _why_failed(job.cell)
        if trial.ending:
            trial.left.clear()
        elif job is trial.jobs[0]:
            trial.left, trial.held_back = trial.held_back, deque()
        if not trial.left and not trial.num_running:
            self._conclude(trial)

    def _conclude(self, trial: TrialJobs) -> None:
        """End a trial: all its folds are done, or one of them is not to be."""
        self._open.remove(trial)
        begun, cells = trial.begun, [job.cell for job in trial.jobs]
        kind, cause = trial.ending or ("", "")
        if not kind:
            self.trials.done(begun, **_mean_scores(cells))
        elif kind == "WorkerDied":
            self.trials.died(begun, cause)
        elif kind in (PrunedError.__name__, "DivergedError"):
            self.trials.pruned(begun, cause, **_costs_so_far(cells))
        else:
            self.trials.failed(begun, cause)
        if kind != "WorkerDied":
            _remove_weights(cells)
        self._report(begun.number)

    def _report(self, number: int) -> None:
        self.on_change()
        self.listener.tried(number, self.trials.entries())


def _why_failed(cell: Cell) -> tuple[str, str]:
    """Return the type of the error that ended a cell, and its cause."""
    error = json.loads(cell.error.read_text(encoding="utf-8"))
    return error["type"], error["cause"]


def _mean_scores(cells: Sequence[Cell]) -> dict[str, Any]:
    """Return the means over the validation folds, of clip scores."""
    metrics = [runs.read_metrics(cell) for cell in cells]
    scores = [each["validation"]["clip"] for each in metrics]
    means = {name: statistics.fmean(each[name] for each in scores) for name in ("loss", "accuracy")}
    return means | {name: sum(each[name] for each in metrics) for name in ("epochs", "seconds")}


def _costs_so_far(cells: Sequence[Cell]) -> dict[str, Any]:
    """Return the epochs and seconds of a trial that ended early."""
    epochs = [record for cell in cells for record in runs.read_history(cell)]
    return {"epochs": len(epochs), "seconds": sum(record["seconds"] for record in epochs)}


def _remove_weights(cells: Sequence[Cell]) -> None:
    """Remove the weights of a trial that has ended: the best set is trained again, with its test."""
    for cell in cells:
        with files.machine_errors(cell.folder):
            for path in (cell.weights, cell.checkpoint):
                path.unlink(missing_ok=True)
