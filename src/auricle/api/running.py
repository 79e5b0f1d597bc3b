"""Studies from Python: `run_study` trains one, `open_study` reads one; the command line goes through the same."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from auricle.api.dataset import Dataset
from auricle.api.study import Study
from auricle.config import StudyConfig, load_study
from auricle.display.watching import watched
from auricle.errors import AuricleError, UsageError
from auricle.study.asking import (
    SHORT,
    STUDIES_FOLDER,
    as_asked,
    check_numbers,
    check_protocols,
    find_study,
    own_study,
)
from auricle.study.listener import Listener
from auricle.study.study import StudyResult
from auricle.study.study import run_study as run_cells
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

    Progress is shown in the output of a notebook's cell, on a terminal, or as lines on standard error. A study that was
    stopped (Ctrl-C, the stop button of a notebook, a lost machine) goes on when it is called again. `Study.report`
    writes the report.

    Args:
        data: what `load_dataset` returned or takes; None: that of `study`.
        models: names of presets (`list_models`), or paths of YAML files. None: those of the study, for your own
            recordings `cnn` and `transformer-h4`.
        out: the folder of the study. None: runs/NAME, named as the data are.
        study: a study of the package, such as "esc10" or "quickstart", or a YAML file. None: what suits the data.
        protocols: of `test-split`, `k-fold`, `official`, `random`. None: those of the study; for your own recordings
            one split with a test set, and every fold in turn.
        folds: only these folds of the protocols, by their number.
        seeds: one training with each of them.
        epochs: passes over the training clips.
        batch_size: windows in a step.
        learning_rate: of the optimiser.
        overrides: `section.field` to a value, as `{"frontend.num_bands": 128}`; `auricle config MODEL` lists them all.
        allow_split_groups: allow folds that split a group; results are marked as leaky.
        skip_bad: leave out recordings that cannot be read, instead of refusing the dataset.
        workers: processes that train at a time. None: one a core; on a GPU one.
        threads: CPU threads of each. None: as OMP_NUM_THREADS says, else one.
        device: auto, cpu, cuda or mps.
        tracker: of `wandb`, `tensorboard` and `mlflow`. None: Weights & Biases, where it is installed.
        wandb: online, offline or off. None: online if there is a key, else offline.
        progress: whether to show it.

    Raises:
        UsageError: a name, a field or a value is wrong, or the folder holds another study.
        RefusedError: the recordings are refused, or are not those of the folder.
        MachineError: the folder is in use, the disk refuses, or memory is too small.
        AuricleError: no cell could be trained; the message has the cause of the first.
    """
    asked = data if isinstance(data, Dataset) else Dataset.described(data)
    if data is None and study is None:
        raise UsageError("what to train on? give a dataset, a folder or a CSV, or a study, such as study='quickstart'")
    of_data = {"group_by": asked.group_by, "label": asked.label}
    base = load_study(study) if study is not None else own_study(asked.asked or "", **of_data)
    short = {"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate}
    config, root = as_asked(
        base,
        asked.asked,
        _all_overrides(overrides or {}, short),
        **of_data,
        clip_s=asked.clip_s,
        models=_names(models),
        protocols=None if protocols is None else check_protocols(_names(protocols) or ()),
        seeds=None if seeds is None else check_numbers(seeds, "seeds"),
        allow_split_groups=allow_split_groups or None,
    )
    of_folds = None if folds is None else check_numbers(folds, "folds")
    options = RunOptions(asked.root or root, skip_bad, workers, threads, device)
    folder = Path(out) if out is not None else STUDIES_FOLDER / config.name
    chosen = choose_trackers(",".join(_names(tracker) or ()), wandb)
    with watched(config.name, 0 if progress else -1) as listener:
        try:
            result = train_cells(config, folder, options, chosen, folds=of_folds, listener=listener)
        except KeyboardInterrupt:
            listener.note(f"stopped; the same call goes on from {folder}")
            raise
    if not result.done:
        name, cause = next(iter(result.failed.items()))
        raise AuricleError(f"no cell of {folder} could be trained; {name}: {cause}")
    return Study(folder)


def _all_overrides(overrides: Mapping[str, Any], short: Mapping[str, Any]) -> dict[str, Any]:
    """Return overrides with those that have a parameter of their own, each of which is set once."""
    own = {name: value for name, value in short.items() if value is not None}
    if twice := [name for name in own if SHORT[name] in overrides]:
        raise UsageError(f"{twice[0]} and overrides[{SHORT[twice[0]]!r}] are the same; give one of them")
    return {**overrides, **{SHORT[name]: value for name, value in own.items()}}


def _names(asked: Names | None) -> tuple[str, ...] | None:
    return (asked,) if isinstance(asked, str) else None if asked is None else tuple(map(str, asked))


def train_cells(
    config: StudyConfig,
    folder: Path,
    options: RunOptions,
    trackers: tuple[Mode, list[str]],
    *,
    folds: Collection[int] | None,
    listener: Listener,
) -> StudyResult:
    """Train every cell of a study that is not done, with mirrors (`choose_trackers`) beside it.

    Arguments and errors are those of `study.study.run_study`.
    """
    mode, others = trackers
    beside = mirrored(mode, listener.note, others)
    return run_cells(config, folder, options, folds=folds, listener=listener, beside=beside)


def open_study(folder: Path | str) -> Study:
    """Open the folder of a study, finished or not, or the one of this name in runs/; nothing is trained.

    Raises:
        RefusedError: the folder holds no study, or a damaged one.
    """
    study = Study(find_study(folder))
    study.status()
    return study
