"""Cells that were trained before: which one stands for a model, and the recordings it was trained on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

from auricle.config import Preset, StudyConfig, preset_from_yaml
from auricle.data.cache import Recordings, prepare
from auricle.data.datasets import load_manifest
from auricle.data.folds import PROTOCOLS, Split, make_splits
from auricle.errors import RefusedError, UsageError
from auricle.files import read_marked
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
    config = StudyConfig.model_validate(description["study"])
    recordings = prepare(
        load_manifest(config.data, root=root, group_by=config.group_by),
        sample_rate_hz=preset.audio.sample_rate_hz,
        skip_bad=True,
        on_progress=on_progress,
    )
    if recordings.digest not in {description["dataset"]["digest"], *description["dataset"]["digests"].values()}:
        raise RefusedError(f"{config.data}: other recordings than those of {study.folder}; name theirs with --data")
    splits = make_splits(recordings.manifest, cell.name.protocol, allow_split_groups=config.allow_split_groups)
    return Reopened(cell, preset, recordings, next(split for split in splits if split.fold == cell.name.fold))


def plainest_cells(study: Path) -> dict[str, Cell]:
    """Return one finished cell a model, in the study's order: of the plainest protocol, its first fold and seed.

    Raises:
        RefusedError: no cell is finished.
    """
    folder = StudyFolder(study)
    finished = [cell for cell in folder.cells() if cell.done]
    if not finished:
        raise RefusedError(f"{study}: no finished cell; run the study until at least one is")
    by_model: dict[str, Cell] = {}
    for cell in sorted(
        finished, key=lambda cell: (PROTOCOLS.index(cell.name.protocol), cell.name.fold, cell.name.seed)
    ):
        by_model.setdefault(cell.name.model, cell)
    return {name: by_model[name] for name in (*models_of(folder), *by_model) if name in by_model}


def models_of(study: StudyFolder) -> list[str]:
    """Return the names of a study's models, in its order."""
    return list(yaml.safe_load(read_marked(study.description)).get("models", ()))
