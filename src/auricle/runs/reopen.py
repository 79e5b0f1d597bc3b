"""Reopen cells that were trained before: choose the cell that represents a model, and find its recordings."""

import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from auricle.config import Preset, StudyConfig, preset_from_yaml
from auricle.config.reading import load_record
from auricle.data.cache import Recordings, digest_of
from auricle.data.datasets import asked_manifest
from auricle.data.folds import ALL, PROTOCOLS, Split, answering, make_splits
from auricle.data.manifest import Manifest
from auricle.errors import RefusedError, UsageError, choices
from auricle.model.half_frames import prepare_for
from auricle.runs.folder import Cell, CellName, StudyFolder, read_metrics
from auricle.runs.record import Description, check_clips, read_description

NOT_A_CELL = "not the folder of a trained cell (STUDY/cells/MODEL/PROTOCOL-FOLD-SEED with a config.yaml)"


@dataclass(frozen=True)
class Reopened:
    """Everything needed to train a cell again."""

    cell: Cell
    preset: Preset
    recordings: Recordings
    split: Split


def study_of(folder: Path) -> StudyFolder:
    """Return the study of a folder, which is that of the study or of one of its cells."""
    resolved = folder.resolve()
    is_study = StudyFolder(folder).description.exists() or len(resolved.parents) <= 2
    return StudyFolder(folder if is_study else resolved.parents[2])


def reopen(folder: Path, *, source: str | None = None, root: Path | None = None) -> Reopened:
    """Read a cell's preset and find its recordings; it need not be finished.

    Args:
        folder: of the cell.
        source: where the user's own recordings are now; None: where they were.
        root: the folder of the study's named dataset, as for `load_manifest`.

    Raises:
        RefusedError: the folder is not a cell of a study, or the recordings are not those of the study.
    """
    try:
        cell = _cell_in(folder)
    except ValueError as error:
        raise RefusedError(f"{folder}: {NOT_A_CELL}") from error
    return next(reopen_cells(study_of(folder), [cell], source=source, root=root))


def _cell_in(folder: Path) -> Cell:
    """Return the cell of a folder, by its name and its parent's; a ValueError if they do not name a cell."""
    resolved = folder.resolve()
    return Cell(CellName.parse(f"{resolved.parent.name}/{resolved.name}"), folder)


def reopen_cells(
    study: StudyFolder, cells: Sequence[Cell], *, source: str | None = None, root: Path | None = None
) -> Iterator[Reopened]:
    """Reopen several cells of a study one after the other; recordings are read once per sample rate.

    The other arguments and the errors are those of `reopen`.
    """
    description, config = _description_and_config(study)
    found: dict[int, Recordings] = {}
    if final := [cell.folder for cell in cells if cell.name.protocol == ALL]:
        raise RefusedError(f"{final[0]} was trained on all clips, so none is left to evaluate it on")
    presets = [_preset_of(cell) for cell in cells]
    for cell, preset in zip(cells, presets, strict=True):
        rate_hz = preset.audio.sample_rate_hz
        if rate_hz not in found:
            manifest = asked_manifest(config, source=source, root=root)
            found[rate_hz] = prepare_for(presets, manifest, rate_hz, skip_bad=True)
            _require_own_recordings(study, description, manifest, found[rate_hz].digest)
            check_clips(study.folder, "study", description["dataset"], found[rate_hz].manifest)
        manifest = found[rate_hz].manifest
        splits = make_splits(manifest, cell.name.protocol, allow_split_groups=config.allow_split_groups)
        yield Reopened(cell, preset, found[rate_hz], next(split for split in splits if split.fold == cell.name.fold))


def _preset_of(cell: Cell) -> Preset:
    try:
        return preset_from_yaml(cell.config.read_text(encoding="utf-8"), str(cell.config))
    except (ValueError, OSError, UsageError) as error:
        raise RefusedError(f"{cell.folder}: {NOT_A_CELL}") from error


def find_recordings(study: StudyFolder, *, source: str | None = None, root: Path | None = None) -> Manifest:
    """Return the table of a study's recordings, after comparing every byte with the study's hash; none is decoded.

    `source` and `root` are as for `reopen_cells`.

    Raises:
        UsageError: there is no such source.
        RefusedError: there is no study, or the recordings are missing or have changed.
    """
    description, config = _description_and_config(study)
    manifest = asked_manifest(config, source=source, root=root)
    rate_hz = description["dataset"]["sample_rate_hz"]
    _require_own_recordings(study, description, manifest, digest_of(manifest, sample_rate_hz=rate_hz))
    return manifest


def study_config(study: StudyFolder) -> StudyConfig:
    """Return the configuration of a study.

    Raises:
        RefusedError: there is no study.
    """
    return _description_and_config(study)[1]


def _description_and_config(study: StudyFolder) -> tuple[Description, StudyConfig]:
    description = read_description(study)
    if description is None:
        raise RefusedError(f"{study.folder} has no study.yaml, so its data are unknown; name the folder of a study")
    return description, StudyConfig.model_validate(description["study"])


def _require_own_recordings(study: StudyFolder, description: Description, manifest: Manifest, digest: str) -> None:
    if digest not in {description["dataset"]["digest"], *description["dataset"]["digests"].values()}:
        raise RefusedError(f"{manifest.source} differs from the recordings of {study.folder}; name those with --data")


def find_cell(folder: Path, model: str | None = None) -> Cell:
    """Return the finished cell of a folder: the cell itself or, for a study, the cell that represents a model.

    Raises:
        UsageError: the study has several models and none is named, or not the one named; or the cell is of another.
        RefusedError: neither a study nor a finished cell.
    """
    if StudyFolder(folder).description.is_file():
        cells = representative_cells(folder)
        if model is None and len(cells) > 1:
            raise UsageError(f"{folder} has several models; name one with --model; available: {', '.join(cells)}")
        if model is not None and model not in cells:
            raise choices("finished model", model, list(cells))
        return cells[model or next(iter(cells))]
    try:
        cell = _cell_in(folder)
    except ValueError:
        raise RefusedError(f"{folder}: neither a study nor a cell (STUDY/cells/MODEL/PROTOCOL-FOLD-SEED)") from None
    if not cell.done:
        raise RefusedError(f"{folder}: the cell is not finished (no metrics.json); run its study to the end")
    if model not in (None, cell.name.model):
        raise UsageError(
            f"{folder} is a cell of {cell.name.model}, not of {model}; leave out --model, or name the study"
        )
    return cell


def scoring_cells(study: StudyFolder, model: str) -> list[Cell]:
    """Return the cells whose scores are those of a model's recipe: of the main protocol, by seed and fold.

    Raises:
        RefusedError: none is finished, or its metrics.json is damaged.
    """
    finished = [cell for cell in study.cells() if cell.done and cell.name.model == model]
    if not finished:
        raise RefusedError(f"{study.folder}: no cell of {model} is finished, so it has no scores; run the study first")
    num_cells = Counter(cell.name.protocol for cell in sorted(finished, key=_simplest_first))
    leaky = {cell.name.protocol for cell in finished if read_metrics(cell)["leaky"]}
    chosen = [cell for cell in finished if cell.name.protocol == answering(num_cells, leaky)]
    return sorted(chosen, key=lambda cell: (cell.name.seed, cell.name.fold))


def seeds_of(cell: Cell) -> list[Cell]:
    """Return the finished cells that differ from a cell only in their seed, including itself."""
    found = []
    for folder in cell.folder.resolve().parent.glob(f"{cell.name.protocol}-{cell.name.fold}-*"):
        with contextlib.suppress(ValueError):  # a copy beside a cell, which has another name
            found.append(_cell_in(folder))
    return sorted((each for each in found if each.done), key=lambda each: each.name.seed)


def _simplest_first(cell: Cell) -> tuple[int, int, int]:
    return PROTOCOLS.index(cell.name.protocol), cell.name.fold, cell.name.seed


def representative_cells(study: Path) -> dict[str, Cell]:
    """Return one finished cell per model, in the study's order: of the simplest protocol, its first fold and seed.

    Raises:
        RefusedError: no cell is finished.
    """
    folder = StudyFolder(study)
    finished = [cell for cell in folder.cells() if cell.done]
    if not finished:
        raise RefusedError(f"{study} has no finished cell; run the study until at least one cell is done")
    finished.sort(key=_simplest_first, reverse=True)  # the dictionary keeps the last one of each model
    by_model = {cell.name.model: cell for cell in finished}
    return {name: by_model[name] for name in (*models_of(folder), *by_model) if name in by_model}


def models_of(study: StudyFolder) -> list[str]:
    """Return the names of a study's models, in its order.

    Raises:
        RefusedError: study.yaml is damaged.
    """
    try:
        return list(load_record(study.description).get("models", ()))
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise RefusedError(f"{study.description} is damaged ({reason}); run the study again") from error
