"""The final model of a study, trained on all of its clips; its scores are those of the study's cells.

    STUDY/final/MODEL/all-0-SEED/    like a cell; predictions.csv has the scoring cells' predictions of validation clips

No clip is left to test it on, so its scores are those of the cells that were trained by the same recipe on parts of the
clips (`runs.reopen.scoring_cells`). Temperature and thresholds are fitted to their predictions of validation clips, as
`sklearn.calibration.CalibratedClassifierCV(ensemble=False)` does.
"""

from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np

from auricle import runs
from auricle.data.folds import ALL, for_training_only
from auricle.errors import AuricleError, RefusedError
from auricle.runs import Cell, CellName
from auricle.runs.plan import num_epochs
from auricle.runs.reopen import find_cell, reopen_cells, scoring_cells, study_of
from auricle.scoring.predictions import Predictions, read_predictions, write_predictions
from auricle.study.listener import Listener
from auricle.work.jobs import Fit, Job, JobQueue, real_fit, run_jobs
from auricle.work.options import RunOptions, divide, find_device
from auricle.work.workers import InProcess


def train_final(
    folder: Path,
    model: str | None = None,
    options: RunOptions | None = None,
    *,
    every_seed: bool = False,
    source: str | None = None,
    listener: Listener | None = None,
    fit: Fit | None = None,
) -> Cell:
    """Train a model of a study on all of its clips, with its recipe and first seed, unless that was done before.

    Temperature and thresholds are fitted to predictions of cells; those of cells finished since then are added. With
    `every_seed` it is trained with each seed of the study, and the cell of the first is returned. Only `root`, `device`
    and `threads` of the `options` are used; `source` says where the user's own recordings are now; `fit` is as for
    `run_study`.

    Raises:
        UsageError: no such model, or none is named and the study has several.
        RefusedError: no cell of it is finished, or the recordings are missing or have changed.
        AuricleError: the training failed; the message says why.
        MachineError: the folder is in use, or the disk refuses.
    """
    options, listener = options or RunOptions(), listener or Listener()
    asked, study = find_cell(folder, model), study_of(folder)
    folder = study.folder
    scoring_of: dict[Cell, list[Cell]] = {}
    for cell in scoring_cells(study, asked.name.model):
        name = CellName(cell.name.model, ALL, 0, cell.name.seed)
        scoring_of.setdefault(Cell(name, folder / "final" / str(name)), []).append(cell)
    if every_seed and len(scoring_of) < 2:
        raise RefusedError(f"{folder} has only one finished seed of {asked.name.model}; an ensemble needs at least two")
    finals = list(scoring_of)[: None if every_seed else 1]
    missing = [final for final in finals if not runs.is_intact(final)]
    validation = {final: _validation(scoring_of[final]) for final in finals}
    outdated = [final for final in finals if final not in missing and not _has(final, validation[final])]
    if not missing and not outdated:
        return finals[0]
    with runs.lock(folder):
        for final in outdated:  # cells were finished since then
            metrics = runs.read_metrics(final)
            write_predictions(final.predictions, validation[final])
            runs.write_metrics(final, metrics)
        if not missing:
            return finals[0]
        listener.doing("reading the recordings")
        found = next(reopen_cells(study, scoring_of[finals[0]][:1], source=source, root=options.root))
        split = for_training_only(len(found.recordings.manifest.clips))
        device = find_device(options.device)
        _, threads = divide(1, device, options.threads, num_jobs=1)
        for final in missing:
            runs.remove_damaged(final, listener.note)
            final.folder.mkdir(parents=True, exist_ok=True)
            write_predictions(final.predictions, validation[final])
        jobs = [Job(final, found.preset, split, found.recordings, device, threads) for final in missing]
        num = num_epochs(found.preset, len(split.train), found.recordings.manifest.clip_s)
        listener.planned({job.cell.name: num for job in jobs}, 0, 1)
        queue = JobQueue(jobs, fit or real_fit())
        run_jobs(queue, InProcess(), listener)
    for name, reason in queue.failures.items():
        raise AuricleError(f"{name}: {reason}")
    return finals[0]


def _has(final: Cell, validation: Predictions) -> bool:
    """Return whether a final model has these predictions; formats differ in their digits."""
    own = read_predictions(final.predictions)
    return own.clips == validation.clips and np.allclose(own.probabilities, validation.probabilities, atol=1e-5)


def _validation(cells: list[Cell]) -> Predictions:
    """Return the predictions of some cells for their validation clips; no clip is in two cells of a protocol."""
    parts = [read_predictions(cell.predictions).of("validation") for cell in cells]
    return replace(
        parts[0],
        clips=tuple(chain.from_iterable(part.clips for part in parts)),
        sets=tuple(chain.from_iterable(part.sets for part in parts)),
        labels=np.concatenate([part.labels for part in parts]),
        starts_s=np.concatenate([part.starts_s for part in parts]),
        weights=np.concatenate([part.weights for part in parts]),
        probabilities=np.concatenate([part.probabilities for part in parts]),
    )
