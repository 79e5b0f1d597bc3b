"""The model to use: one of a study, trained on all of its clips; the study's cells vouch for it.

    STUDY/final/MODEL/all-0-SEED/    as a cell; predictions.csv holds what the vouching cells say of validation clips

Nobody is left to test it, so its scores are those of the cells that were trained by the same recipe on parts of the
clips (`runs.reopen.vouching_cells`). Temperature and thresholds are fitted to what these say of their validation clips,
as `sklearn.calibration.CalibratedClassifierCV(ensemble=False)` does.
"""

from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np

from auricle import runs
from auricle.data.folds import ALL, Split
from auricle.errors import AuricleError
from auricle.runs import Cell, CellName, StudyFolder
from auricle.runs.reopen import find_cell, reopen_cells, vouching_cells
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
    source: str | None = None,
    listener: Listener | None = None,
    fit: Fit | None = None,
) -> Cell:
    """Train a model of a study on all of its clips, by its recipe and first seed, unless that was done already.

    Of `options` count where named datasets lie, the device and the threads; `source`: where a person's own recordings
    lie now; `fit` is as for `run_study`.

    Raises:
        UsageError: no such model, or several and none is named.
        RefusedError: no cell of it is finished, or the recordings are not there or are others.
        AuricleError: the training failed, and why.
        MachineError: the folder is in use, or the disk refuses.
    """
    options, listener, study = options or RunOptions(), listener or Listener(), StudyFolder(folder)
    cells = vouching_cells(study, find_cell(folder, model).name.model)
    name = CellName(cells[0].name.model, ALL, 0, cells[0].name.seed)
    final = Cell(name, folder / "final" / str(name))
    if final.done:
        return final
    with runs.lock(folder):
        listener.doing("reading the recordings")
        found = next(reopen_cells(study, cells[:1], source=source, root=options.root))
        nobody, everybody = np.array([], np.int64), np.arange(len(found.recordings.manifest.clips))
        final.folder.mkdir(parents=True, exist_ok=True)
        write_predictions(final.predictions, _validation(cells))
        split = Split(ALL, 0, everybody, nobody, nobody, leaky=False)
        device = find_device(options.device)
        _, threads = divide(1, device, options.threads, num_jobs=1)
        job = Job(final, found.preset, split, found.recordings, device, threads)
        listener.planned({name: found.preset.training.epochs}, 0, 1)
        queue = JobQueue([job], fit or real_fit())
        run_jobs(queue, InProcess(), listener)
    if name in queue.failures:
        raise AuricleError(f"{name}: {queue.failures[name]}")
    return final


def _validation(cells: list[Cell]) -> Predictions:
    """Return what each of some cells says of its own validation clips; under one protocol no two share any."""
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
