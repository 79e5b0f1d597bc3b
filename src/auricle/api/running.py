"""Studies in the Python API: `run_study` trains one, `run_search` tunes its settings first, `open_study` reads one.

The command line uses the same code.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from auricle.api.dataset import Dataset
from auricle.api.study import Study
from auricle.config import StudyConfig, load_study
from auricle.display.watching import search_watched, watched
from auricle.errors import AuricleError, UsageError
from auricle.study.configure import (
    SHORT,
    STUDIES_FOLDER,
    check_numbers,
    check_protocols,
    configured,
    find_study,
    own_study,
)
from auricle.study.listener import Listener
from auricle.study.study import StudyResult
from auricle.study.study import run_study as run_cells
from auricle.system import expanded
from auricle.tracking.tracking import Mode, choose_trackers, mirrored
from auricle.work.options import RunOptions

Names = str | Sequence[str]


def run_study(
    data: Dataset | Path | str | None = None,
    models: Names | None = None,
    *,
    out: Path | str | None = None,
    study: str | None = None,
    protocols: Names | None = None,
    folds: Collection[int] | None = None,
    seeds: Collection[int] | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    overrides: Mapping[str, Any] | None = None,
    allow_split_groups: bool = False,
    skip_bad: bool = False,
    workers: int | None = None,
    threads: int | None = None,
    device: str = "auto",
    tracker: Names | None = None,
    wandb: str | None = None,
    progress: bool = True,
) -> Study:
    """Train every cell of a study that is not done yet, and return the study; `auricle study` does the same.

    Progress is shown in the output of a notebook cell, on a terminal, or as lines on standard error. A study that was
    stopped (by Ctrl-C, the stop button of a notebook or a crash) resumes when the function is called again.
    `Study.report` writes the report.

    Args:
        data: what `load_dataset` returned or takes; None: the data of `study`.
        models: names of presets (`list_models`), or paths of YAML files. None: those of the study; for your own
            recordings `cnn` and `transformer-h4`.
        out: the folder of the study. None: runs/NAME, named after the data.
        study: a study by name, such as "esc10" or "quickstart", or a YAML file. None: a new study of the data.
        protocols: `test-split`, `k-fold`, `official`, `random` or `random-split`. None: those of the study; for your
            own recordings a single split with a test set, and every fold in turn.
        folds: train only these folds.
        seeds: train once with each of these random seeds.
        epochs: passes over the training clips.
        batch_size: windows per training step.
        learning_rate: of the optimiser.
        overrides: values by `section.field`, such as `{"frontend.num_bands": 128}`; `auricle config MODEL` lists the
            fields.
        allow_split_groups: allow folds that split a group; results are marked as leaky.
        skip_bad: skip recordings that cannot be read, instead of refusing the dataset.
        workers: training processes in parallel. None: one per core, on a GPU as far as its memory allows.
        threads: CPU threads per process. None: $OMP_NUM_THREADS, else 1.
        device: auto, cpu, cuda or mps.
        tracker: `wandb`, `tensorboard` or `mlflow`, or several. None: Weights & Biases, if it is installed.
        wandb: online, offline or off. None: online if there is an API key, else offline.
        progress: whether to show progress.

    Raises:
        UsageError: a name, a field or a value is wrong, or the folder contains another study.
        RefusedError: the recordings are refused, or are not those of the folder.
        MachineError: the folder is in use, the disk refuses, or there is too little memory.
        AuricleError: no cell could be trained; the message gives the cause of the first.
    """
    dataset = data if isinstance(data, Dataset) else Dataset.described(data)
    if data is None and study is None:
        raise UsageError("no data: give a dataset, a folder, a CSV, or a study such as study='quickstart'")
    of_data = {"group_by": dataset.group_by, "label": dataset.label}
    base = load_study(study) if study is not None else own_study(dataset.source or "", root=dataset.root, **of_data)
    config, root = configured(
        base,
        dataset.source,
        _all_overrides(overrides, epochs=epochs, batch_size=batch_size, learning_rate=learning_rate),
        **of_data,
        clip_s=dataset.clip_s,
        models=_names(models),
        protocols=None if protocols is None else check_protocols(_names(protocols) or ()),
        seeds=None if seeds is None else check_numbers(seeds, "seeds"),
        allow_split_groups=allow_split_groups or None,
    )
    of_folds = None if folds is None else check_numbers(folds, "folds")
    options = RunOptions(dataset.root or root, skip_bad, workers, threads, device)
    folder = expanded(out) if out is not None else STUDIES_FOLDER / config.name
    chosen = choose_trackers(_joined(tracker), wandb)
    with watched(config.name, 0 if progress else -1) as listener, _hint_when_stopped(listener, "run_study", folder):
        return _study_of(train_cells(config, folder, options, chosen, folds=of_folds, listener=listener), options.root)


def run_search(
    space: Mapping[str, Any] | Path | str,
    data: Dataset | Path | str | None = None,
    *,
    out: Path | str | None = None,
    trials: int | None = None,
    storage: str | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    overrides: Mapping[str, Any] | None = None,
    skip_bad: bool = False,
    workers: int | None = None,
    threads: int | None = None,
    device: str = "auto",
    tracker: Names | None = None,
    wandb: str | None = None,
    progress: bool = True,
) -> Study:
    """Tune hyperparameters on the validation folds, then train the best set and test it; as `auricle search` does.

    The test fold is not loaded before the best set is known. `Study.trials` of the returned study lists what was
    tried, `Study.report` shows it. A search that was stopped resumes when the function is called again.

    Args:
        space: a search space by name, such as "wide", a YAML file, or its content, such as
            `{"models": ["tiny"], "parameters": {"training.batch_size": [16, 32]}}`.
        data: what `load_dataset` returned or takes; None: the data of the space.
        out: the folder of the search. None: runs/search-NAME.
        trials: None: as in the space.
        storage: an Optuna storage that several machines share. None: a journal in the folder.
        epochs: of every trial; this and all that follows is as in `run_study`.
        batch_size: windows per training step.
        learning_rate: of the optimiser.
        overrides: values by `section.field`.
        skip_bad: skip recordings that cannot be read.
        workers: trials in parallel.
        threads: CPU threads per process.
        device: auto, cpu, cuda or mps.
        tracker: for the training of the best set.
        wandb: online, offline or off.
        progress: whether to show progress.

    Raises:
        UsageError: a name, a field or a value is wrong, or the folder contains something else.
        RefusedError: the recordings are refused, or are not those of the folder.
        MachineError: the folder is in use, or the disk or the storage refuses.
        AuricleError: no trial was completed.
    """
    from auricle.search.search import run_search as run_trials
    from auricle.search.space import load_space

    dataset = data if isinstance(data, Dataset) else Dataset.described(data)
    config, root = configured(
        load_space(space if isinstance(space, Mapping) else str(space)),
        dataset.source,
        _all_overrides(overrides, epochs=epochs, batch_size=batch_size, learning_rate=learning_rate),
        trials=trials,
        group_by=dataset.group_by,
        label=dataset.label,
        clip_s=dataset.clip_s,
    )
    options = RunOptions(dataset.root or root, skip_bad, workers, threads, device)
    folder = expanded(out) if out is not None else STUDIES_FOLDER / f"search-{config.name}"
    chosen, level = choose_trackers(_joined(tracker), wandb), 0 if progress else -1
    with search_watched(config.name, level) as listener, _hint_when_stopped(listener, "run_search", folder):
        best = run_trials(config, folder, options, storage=storage, listener=listener).study
    with watched(best.name, level) as listener, _hint_when_stopped(listener, "run_search", folder):
        return _study_of(train_cells(best, folder, options, chosen, folds=None, listener=listener), options.root)


@contextlib.contextmanager
def _hint_when_stopped(listener: Listener, function: str, folder: Path) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        listener.note(f"stopped; call {function} again to resume from {folder}")
        raise


def _study_of(result: StudyResult, root: Path | None) -> Study:
    """Return a study of which something was trained, or raise the cause of the first failure."""
    if not result.done:
        name, cause = next(iter(result.failed.items()))
        raise AuricleError(f"no cell of {result.folder} could be trained; {name}: {cause}")
    return Study(result.folder, root)


def _all_overrides(overrides: Mapping[str, Any] | None, **short: Any) -> dict[str, Any]:
    """Return overrides together with those given by a parameter of their own; setting one twice is an error."""
    overrides, own = overrides or {}, {name: value for name, value in short.items() if value is not None}
    if twice := [name for name in own if SHORT[name] in overrides]:
        raise UsageError(f"{twice[0]} and overrides[{SHORT[twice[0]]!r}] are the same; give one of them")
    return {**overrides, **{SHORT[name]: value for name, value in own.items()}}


def _names(asked: Names | None) -> tuple[str, ...] | None:
    return (asked,) if isinstance(asked, str) else None if asked is None else tuple(map(str, asked))


def _joined(asked: Names | None) -> str | None:
    return None if asked is None else ",".join(_names(asked) or ())


def train_cells(
    config: StudyConfig,
    folder: Path,
    options: RunOptions,
    trackers: tuple[Mode, list[str]],
    *,
    folds: Collection[int] | None,
    listener: Listener,
) -> StudyResult:
    """Train every cell of a study that is not done, while trackers (`choose_trackers`) follow it.

    Arguments and errors are those of `study.study.run_study`.
    """
    mode, others = trackers
    beside = mirrored(mode, listener.note, others)
    return run_cells(config, folder, options, folds=folds, listener=listener, beside=beside)


def open_study(folder: Path | str) -> Study:
    """Open the folder of a study, finished or not, by its path or its name in runs/; nothing is trained.

    Raises:
        RefusedError: the folder contains no study, or a damaged one.
    """
    study = Study(find_study(folder))
    study.status()
    return study
