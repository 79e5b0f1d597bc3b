"""A cell that was trained before, with the recordings it was trained on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from auricle.config import Preset, StudyConfig, preset_from_yaml
from auricle.data.cache import Recordings, prepare
from auricle.data.datasets import load_manifest
from auricle.data.folds import Split, make_splits
from auricle.errors import RefusedError, UsageError
from auricle.runs import Cell, CellName, StudyFolder
from auricle.study.record import read_description


@dataclass(frozen=True)
class Reopened:
    """All that it takes to train a cell again."""

    cell: Cell
    preset: Preset
    recordings: Recordings
    split: Split


def reopen(
    folder: Path, *, root: Path | None = None, on_progress: Callable[[int, int], None] | None = None
) -> Reopened:
    """Read a cell's preset and find its recordings; it need not be finished.

    Args:
        folder: of the cell, inside its study.
        root: where the study's named dataset lies; None: as `load_manifest` says.
        on_progress: told how many of the recordings are decoded.

    Raises:
        RefusedError: the folder is no cell of a study, or the recordings are not those of the study.
    """
    resolved = folder.resolve()
    study = StudyFolder(resolved.parents[2] if len(resolved.parents) > 2 else resolved)
    description = read_description(study)
    try:
        cell = Cell(CellName.parse(f"{resolved.parent.name}/{resolved.name}"), folder)
        preset = preset_from_yaml(cell.config.read_text(encoding="utf-8"), str(cell.config))
    except (ValueError, OSError, UsageError) as error:
        raise RefusedError(
            f"{folder}: no cell that was trained (STUDY/cells/MODEL/PROTOCOL-FOLD-SEED with its config.yaml)"
        ) from error
    if description is None:
        raise RefusedError(f"{folder}: its study.yaml is missing, so that its recordings are not known")
    source = StudyConfig.model_validate(description["study"]).data
    recordings = prepare(
        load_manifest(source, root=root),
        sample_rate_hz=preset.audio.sample_rate_hz,
        skip_bad=True,
        on_progress=on_progress,
    )
    if recordings.digest not in {description["dataset"]["digest"], *description["dataset"]["digests"].values()}:
        raise RefusedError(f"{source}: other recordings than those of {study.folder}; name theirs with --data")
    splits = make_splits(recordings.manifest, cell.name.protocol)
    return Reopened(cell, preset, recordings, next(split for split in splits if split.fold == cell.name.fold))
