"""In a worker: a training that tells the storage how it goes, and ends when others went better."""

from __future__ import annotations

from typing import Any

from optuna import Trial
from optuna.pruners import BasePruner

from auricle import runs
from auricle.config import Preset
from auricle.data.cache import Recordings
from auricle.data.folds import Split
from auricle.errors import AuricleError
from auricle.runs import Cell
from auricle.runs.plan import num_epochs
from auricle.search.storage import TrialStorage, open_storage, storage_errors, trials_in
from auricle.work.jobs import Fit, OnEpoch


class PrunedError(AuricleError):
    """The trial lags behind the others and ends early; this is no failure."""


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
    """Train one cell and report its validation loss after every epoch, from the first one on if it goes on.

    The rest is as `Fit` says; `on_epoch` is told of each epoch before that is judged.

    Raises:
        PrunedError: the trial need not go on.
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
            raise PrunedError(f"behind the others after epoch {record['epoch']} of {last}")

    for record in runs.read_history(cell):
        report(record)
    fit(cell, preset, recordings, split, on_epoch=judge, **on)
