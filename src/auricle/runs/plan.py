"""The cells of a study, the number of their epochs, and which of them are the same training under two names.

This is the only enumeration of cells: training, status and report all use it.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence

from auricle.config import Preset, StudyConfig
from auricle.data.folds import Split, folds_of, make_splits
from auricle.data.manifest import Manifest
from auricle.runs.folder import CellName


def planned_cells(config: StudyConfig, models: Iterable[str], folds: Sequence[int]) -> tuple[CellName, ...]:
    """Return the cells of a study in the order in which they are trained.

    Every model is trained once before any is trained again, so that an interrupted study can still compare them. Models
    are in the order given, folds ascending.
    """
    models = tuple(models)
    return tuple(
        CellName(model, protocol, fold, seed)
        for seed in config.seeds
        for protocol in config.protocols
        for fold in folds_of(protocol, folds)
        for model in models
        if protocol in config.protocols_of(model)
    )


def cells_by_model(config: StudyConfig, models: Sequence[str], folds: Sequence[int]) -> list[CellName]:
    """Return `planned_cells` in the order of a report: by protocol, model, fold, seed."""

    def order(name: CellName) -> tuple[int, int, int]:
        return config.protocols.index(name.protocol), models.index(name.model), name.fold

    return sorted(planned_cells(config, models, folds), key=order)


def planned_splits(config: StudyConfig, manifest: Manifest) -> list[Split]:
    """Return the splits of all protocols of a study; they do not depend on the seeds.

    Raises:
        RefusedError: the protocols cannot split the clips.
    """
    return [
        split
        for protocol in config.protocols
        for split in make_splits(manifest, protocol, allow_split_groups=config.allow_split_groups)
    ]


def with_splits(
    config: StudyConfig, models: Iterable[str], manifest: Manifest, splits: Iterable[Split]
) -> dict[CellName, Split]:
    """Return `planned_cells` of a dataset, each with its split."""
    by_name = {(split.protocol, split.fold): split for split in splits}
    folds = sorted({clip.fold for clip in manifest.clips})
    return {name: by_name[name.protocol, name.fold] for name in planned_cells(config, models, folds)}


def same_trainings(cells: Mapping[CellName, Split], done: Collection[CellName]) -> dict[CellName, CellName]:
    """Return the cells that need no training of their own, each with the cell whose results it takes over.

    Two cells are the same training if model, seed and all three sets of clips are equal, as `test-split` is one fold of
    `k-fold`. The first of them in the plan is trained, unless another is already done.
    """
    trained: dict[tuple[object, ...], CellName] = {}
    same = {}
    for name in sorted(cells, key=lambda name: name not in done):
        split = cells[name]
        sets = (split.train.tobytes(), split.validation.tobytes(), split.test.tobytes())
        original = trained.setdefault((name.model, name.seed, split.leaky, *sets), name)
        if original != name and name not in done:
            same[name] = original
    return same


def windows_per_epoch(preset: Preset, num_train: int, clip_s: float) -> int:
    """Return the number of training windows per epoch."""
    num = num_train * preset.training.views
    if preset.training.windows == "random":
        return num
    from auricle.model.windows import count_windows

    return num * count_windows(preset.audio, preset.frontend, clip_s)


def num_epochs(preset: Preset, num_train: int, clip_s: float) -> int:
    """Return the number of epochs of a training; the last one may be cut short by `max_steps`."""
    training = preset.training
    if training.max_steps is None:
        return training.epochs
    windows = windows_per_epoch(preset, num_train, clip_s)
    size = min(training.batch_size, windows)
    steps_per_epoch = math.ceil(windows / size) if training.windows == "grid" else windows // size
    return min(training.epochs, math.ceil(training.max_steps / steps_per_epoch))
