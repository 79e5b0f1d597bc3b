"""Cells that were trained before: which one stands for a model, and the recordings it was trained on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from auricle.config import Preset, StudyConfig, preset_from_yaml
from auricle.data.cache import Recordings, digest_of, prepare
from auricle.data.datasets import load_manifest
from auricle.data.folds import PROTOCOLS, Split, make_splits
from auricle.data.manifest import Manifest
from auricle.errors import RefusedError, UsageError
from auricle.files import read_marked
from auricle.runs.folder import Cell, CellName, StudyFolder
from auricle.runs.record import Description, read_description

NOT_A_CELL = "no cell that was trained (STUDY/cells/MODEL/PROTOCOL-FOLD-SEED with its config.yaml)"


@dataclass(frozen=True)
class Reopened:
    """All that it takes to train a cell again."""

    cell: Cell
    preset: Preset
    recordings: Recordings
    split: Split


def study_of(folder: Path) -> StudyFolder:
    """Return the study that a folder is, or that it is a cell of."""
    resolved = folder.resolve()
    is_study = StudyFolder(folder).description.exists() or len(resolved.parents) <= 2
    return StudyFolder(folder if is_study else resolved.parents[2])


def reopen(folder: Path, *, source: str | None = None, root: Path | None = None) -> Reopened:
    """Read a cell's preset and find its recordings; it need not be finished.

    `source`: where a person's own recordings lie now; None: where they lay. `root`: where the study's named dataset
    lies, as `load_manifest` says.

    Raises:
        RefusedError: the folder is no cell of a study, or the recordings are not those of the study.
    """
    resolved = folder.resolve()
    try:
        cell = Cell(CellName.parse(f"{resolved.parent.name}/{resolved.name}"), folder)
    except ValueError as error:
        raise RefusedError(f"{folder}: {NOT_A_CELL}") from error
    return next(reopen_cells(study_of(folder), [cell], source=source, root=root))


def reopen_cells(
    study: StudyFolder, cells: Sequence[Cell], *, source: str | None = None, root: Path | None = None
) -> Iterator[Reopened]:
    """Reopen several cells of a study one after the other; recordings are read once for each sample rate.

    The rest is as for `reopen`.

    Raises:
        RefusedError: as `reopen`.
    """
    description, config = _require_description(study), study_config(study)
    found: dict[int, Recordings] = {}
    for cell in cells:
        preset = _preset_of(cell)
        rate_hz = preset.audio.sample_rate_hz
        if rate_hz not in found:
            manifest = load_manifest(source or config.data, root=root, group_by=config.group_by)
            found[rate_hz] = prepare(manifest, sample_rate_hz=rate_hz, skip_bad=True)
            _require_own_recordings(study, description, manifest, found[rate_hz].digest)
        manifest = found[rate_hz].manifest
        splits = make_splits(manifest, cell.name.protocol, allow_split_groups=config.allow_split_groups)
        yield Reopened(cell, preset, found[rate_hz], next(split for split in splits if split.fold == cell.name.fold))


def _preset_of(cell: Cell) -> Preset:
    try:
        return preset_from_yaml(cell.config.read_text(encoding="utf-8"), str(cell.config))
    except (ValueError, OSError, UsageError) as error:
        raise RefusedError(f"{cell.folder}: {NOT_A_CELL}") from error


def find_recordings(study: StudyFolder, *, source: str | None = None, root: Path | None = None) -> Manifest:
    """Describe the recordings of a study, having compared every byte with those it was trained on; none is decoded.

    `source` and `root` are as for `reopen_cells`.

    Raises:
        UsageError: there is no such source.
        RefusedError: no study, or the recordings are not there, or are others.
    """
    description, config = _require_description(study), study_config(study)
    manifest = load_manifest(source or config.data, root=root, group_by=config.group_by)
    rate_hz = description["dataset"]["sample_rate_hz"]
    _require_own_recordings(study, description, manifest, digest_of(manifest, sample_rate_hz=rate_hz))
    return manifest


def study_config(study: StudyFolder) -> StudyConfig:
    """Return what was asked of a study.

    Raises:
        RefusedError: no study.
    """
    return StudyConfig.model_validate(_require_description(study)["study"])


def _require_description(study: StudyFolder) -> Description:
    description = read_description(study)
    if description is None:
        raise RefusedError(f"{study.folder}: its study.yaml is missing, so that its recordings are not known")
    return description


def _require_own_recordings(study: StudyFolder, description: Description, manifest: Manifest, digest: str) -> None:
    if digest not in {description["dataset"]["digest"], *description["dataset"]["digests"].values()}:
        raise RefusedError(f"{manifest.source}: other recordings than those of {study.folder}; name theirs with --data")


def plainest_cells(study: Path) -> dict[str, Cell]:
    """Return one finished cell a model, in the study's order: of the plainest protocol, its first fold and seed.

    Raises:
        RefusedError: no cell is finished.
    """
    folder = StudyFolder(study)
    finished = [cell for cell in folder.cells() if cell.done]
    if not finished:
        raise RefusedError(f"{study}: no finished cell; run the study until at least one is")
    # the last one of a model stays
    finished.sort(key=lambda cell: (PROTOCOLS.index(cell.name.protocol), cell.name.fold, cell.name.seed), reverse=True)
    by_model = {cell.name.model: cell for cell in finished}
    return {name: by_model[name] for name in (*models_of(folder), *by_model) if name in by_model}


def models_of(study: StudyFolder) -> list[str]:
    """Return the names of a study's models, in its order."""
    return list(yaml.safe_load(read_marked(study.description)).get("models", ()))
