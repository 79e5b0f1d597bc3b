"""Which cells a study has, how long each of them trains, and which are one training under two names.

The only enumeration of cells: what trains, what says how far a study is, and what reports on it all ask here.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence

from auricle.config import Preset, StudyConfig
from auricle.data.folds import Split, folds_of, make_splits
from auricle.data.manifest import Manifest
from auricle.runs.folder import CellName


def planned_cells(config: StudyConfig, models: Iterable[str], folds: Sequence[int]) -> tuple[CellName, ...]:
    """Return the cells that a study asks for, in the order in which they are trained.

    All models come once before any comes again, so that a study which is cut short can still be compared. Models come
    in the order given, folds ascending.
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
    """Return `planned_cells` as a report reads them: by protocol, model, fold, seed."""

    def order(name: CellName) -> tuple[int, int, int]:
        return config.protocols.index(name.protocol), models.index(name.model), name.fold

    return sorted(planned_cells(config, models, folds), key=order)


def planned_splits(config: StudyConfig, manifest: Manifest) -> list[Split]:
    """Return the splits of all protocols of a study. A seed is one of training: each divides the clips alike.

    Raises:
        RefusedError: the protocols cannot divide the clips.
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
    """Return the cells that need no training of their own, and of each the one whose results it takes.

    Two cells are one training where model, seed and all three sets of clips are the same, as `test-split` is a fold
    of `k-fold`. The cells are in the plan's order; those that are done come before those that are not.
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
    """Return how many windows a training sees in an epoch."""
    num = num_train * preset.training.views
    if preset.training.windows == "random":
        return num
    from auricle.model.windows import count_windows

    return num * count_windows(preset.audio, preset.frontend, clip_s)


def num_epochs(preset: Preset, num_train: int, clip_s: float) -> int:
    """Return how many epochs a training goes through, the last one in part where `max_steps` ends it."""
    training = preset.training
    if training.max_steps is None:
        return training.epochs
    windows = windows_per_epoch(preset, num_train, clip_s)
    size = min(training.batch_size, windows)
    steps_per_epoch = math.ceil(windows / size) if training.windows == "grid" else windows // size
    return min(training.epochs, math.ceil(training.max_steps / steps_per_epoch))
