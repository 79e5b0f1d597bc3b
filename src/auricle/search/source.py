"""The training jobs of a search: the validation folds of its trials, never the test fold.

In the first fold of a trial, the pruner may end it after every epoch; the other folds are trained only if it was not
pruned, and then to the end.
"""

import statistics
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from optuna import Trial
from optuna.pruners import BasePruner
from typing_extensions import override

from auricle import files, runs
from auricle.config import Preset
from auricle.data.cache import Recordings
from auricle.data.folds import Split, make_splits
from auricle.data.manifest import Manifest
from auricle.errors import AuricleError, MachineError
from auricle.runs import Cell
from auricle.runs.plan import num_epochs
from auricle.search.storage import TrialStorage, open_storage, storage_errors, trials_in
from auricle.search.trials import Begun, Trials
from auricle.study.listener import Listener
from auricle.work.jobs import Fit, Job, OnEpoch, Source, Task


@dataclass(frozen=True)
class SearchClips:
    """A dataset without the clips of its test fold; each of `folds` is the validation fold in turn."""

    manifest: Manifest
    folds: tuple[int, ...]
    num_left_out: int


def without_test(manifest: Manifest, protocol: str) -> SearchClips:
    """Remove the clips that the protocol tests on; only the table of clips is read.

    Raises:
        RefusedError: the protocol cannot split the dataset.
    """
    splits = make_splits(manifest, protocol)
    tests = {int(index) for split in splits for index in split.test}
    clips = tuple(clip for index, clip in enumerate(manifest.clips) if index not in tests)
    return SearchClips(replace(manifest, clips=clips), tuple(split.fold for split in splits), len(tests))


def validation_splits(manifest: Manifest, protocol: str, folds: Sequence[int]) -> list[Split]:
    """Split the clips of `without_test`: each fold in turn validates, the others train, none tests."""
    validates, nobody = {fold: manifest.folds == fold for fold in folds}, np.array([], np.int64)
    return [
        Split(protocol, fold, np.flatnonzero(~who), np.flatnonzero(who), nobody, leaky=False)
        for fold, who in validates.items()
    ]


@dataclass
class TrialJobs:
    """A trial in training: the jobs left, how many are running, and why it failed, if it did."""

    begun: Begun
    jobs: Sequence[Job]
    left: deque[Task] = field(default_factory=deque)
    held_back: deque[Task] = field(default_factory=deque)  # until the first fold is done without pruning
    num_running: int = 0
    ending: tuple[str, str] | None = None  # the type of the error, and the cause


@dataclass(eq=False)
class TrialSource(Source):
    """Starts trials as workers become free, until none is left.

    `make_jobs` returns the jobs of a trial, one per validation fold; workers must be able to import `fit`. `on_change`
    is called after a trial has started or ended.
    """

    trials: Trials
    make_jobs: Callable[[Begun], Sequence[Job]]
    fit: Fit
    listener: Listener
    on_change: Callable[[], None]
    _open: list[TrialJobs] = field(default_factory=list)

    @override
    def is_over(self) -> bool:
        return self.trials.over()

    @override
    def tick(self) -> None:
        self.trials.tick()

    @override
    def next_task(self) -> Task | None:
        """Return a fold of a started trial, or the first fold of the next one; its other folds wait for that."""
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
        """Start a trial; return it if anything is left to train, considering cells done in an earlier attempt."""
        try:
            trial = TrialJobs(begun, self.make_jobs(begun))
        except MachineError:
            raise
        except AuricleError as error:
            self.trials.end(begun, "failed", str(error))
            self._report(begun.number)
            return None
        judge = partial(fit_judged, self.fit, self.trials.storage, begun.trial_id, self.trials.pruner)
        for n, job in enumerate(trial.jobs):
            if not runs.is_intact(job.cell):
                runs.remove_damaged(job.cell, self.listener.note)
                trial.left.append((job, self.fit if n else judge))
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
        if cause is not None and trial.ending is None:
            error = files.read_sealed(job.cell.error)
            trial.ending = error["type"], error["cause"]
        if trial.ending:
            trial.left.clear()
        elif job is trial.jobs[0]:
            trial.left, trial.held_back = trial.held_back, deque()
        if not trial.left and not trial.num_running:
            self._conclude(trial)

    def _conclude(self, trial: TrialJobs) -> None:
        """End a trial: all its folds are done, or one of them has ended it."""
        self._open.remove(trial)
        begun, cells = trial.begun, [job.cell for job in trial.jobs]
        kind, cause = trial.ending or ("", "")
        if not kind:
            self.trials.end(begun, "done", **_mean_scores(cells))
        elif kind == "WorkerDied":
            self.trials.died(begun, cause)
        elif kind in (PrunedError.__name__, "DivergedError"):
            epochs = [record for cell in cells for record in runs.read_history(cell)]
            seconds = sum(record["seconds"] for record in epochs)
            self.trials.end(begun, "pruned", cause, epochs=len(epochs), seconds=seconds)
        else:
            self.trials.end(begun, "failed", cause)
        if kind != "WorkerDied":
            for cell in cells:  # the best set is trained again, and then tested
                with files.machine_errors(cell.folder):
                    cell.weights.unlink(missing_ok=True)
                    cell.checkpoint.unlink(missing_ok=True)
        self._report(begun.number)

    def _report(self, number: int) -> None:
        self.on_change()
        self.listener.tried(number, self.trials.entries())


def _mean_scores(cells: Sequence[Cell]) -> dict[str, Any]:
    """Return the mean clip scores over the validation folds, and the accuracy of each fold."""
    metrics = [runs.read_metrics(cell) for cell in cells]
    scores = [each["validation"]["clip"] for each in metrics]
    means = {name: statistics.fmean(each[name] for each in scores) for name in ("loss", "accuracy")}
    sums = {name: sum(each[name] for each in metrics) for name in ("epochs", "seconds")}
    return means | sums | {"accuracies": [each["accuracy"] for each in scores]}


class PrunedError(AuricleError):
    """The trial is worse than the others and ends early; this is not a failure."""


def fit_judged(
    fit: Fit,
    storage: TrialStorage,
    trial_id: int,
    pruner: BasePruner,
    cell: Cell,
    preset: Preset,
    recordings: Recordings,
    split: Split,
    *,
    on_epoch: OnEpoch | None,
    **on: Any,
) -> None:
    """Train one cell and report its validation loss to the pruner after every epoch; a resumed one from the first on.

    The other arguments are those of `Fit`; `on_epoch` is called before the pruner decides about an epoch.

    Raises:
        PrunedError: the pruner ended the trial.
        MachineError: the storage cannot be reached, or the disk refuses.
    """
    study = trials_in(open_storage(storage), storage, pruner=pruner)
    with storage_errors(storage):
        trial = Trial(study, trial_id)
    reported: set[int] = set()
    last = num_epochs(preset, len(split.train), recordings.manifest.clip_s)

    def report(record: dict[str, Any]) -> None:
        if record["epoch"] not in reported:
            reported.add(record["epoch"])
            with storage_errors(storage):
                trial.report(record["validation_loss"], record["epoch"])

    def judge(record: dict[str, Any]) -> None:
        if on_epoch:
            on_epoch(record)
        report(record)
        with storage_errors(storage):
            lags = record["epoch"] < last and trial.should_prune()
        if lags:
            raise PrunedError(f"worse than other trials after epoch {record['epoch']} of {last}")

    for record in runs.read_history(cell):
        report(record)
    fit(cell, preset, recordings, split, on_epoch=judge, **on)
