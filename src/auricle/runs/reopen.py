"""Cells that were trained before: which one stands for a model, and the recordings it was trained on."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from auricle.config import Preset, StudyConfig, preset_from_yaml
from auricle.config.reading import load_record
from auricle.data.cache import Recordings, digest_of
from auricle.data.datasets import asked_manifest
from auricle.data.folds import PROTOCOLS, Split, answering, make_splits
from auricle.data.manifest import Manifest
from auricle.errors import RefusedError, UsageError, choices
from auricle.model.half_frames import prepare_for
from auricle.runs.folder import Cell, CellName, StudyFolder, read_metrics
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
    try:
        cell = _cell_in(folder)
    except ValueError as error:
        raise RefusedError(f"{folder}: {NOT_A_CELL}") from error
    return next(reopen_cells(study_of(folder), [cell], source=source, root=root))


def _cell_in(folder: Path) -> Cell:
    """Return the cell of a folder, by its name and its parent's; a ValueError where they name none."""
    resolved = folder.resolve()
    return Cell(CellName.parse(f"{resolved.parent.name}/{resolved.name}"), folder)


def reopen_cells(
    study: StudyFolder, cells: Sequence[Cell], *, source: str | None = None, root: Path | None = None
) -> Iterator[Reopened]:
    """Reopen several cells of a study one after the other; recordings are read once for each sample rate.

    The rest, and what is refused, is as for `reopen`.
    """
    description, config = _description_and_config(study)
    found: dict[int, Recordings] = {}
    presets = [_preset_of(cell) for cell in cells]
    for cell, preset in zip(cells, presets, strict=True):
        rate_hz = preset.audio.sample_rate_hz
        if rate_hz not in found:
            manifest = asked_manifest(config, source=source, root=root)
            found[rate_hz] = prepare_for(presets, manifest, rate_hz, skip_bad=True)
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
    description, config = _description_and_config(study)
    manifest = asked_manifest(config, source=source, root=root)
    rate_hz = description["dataset"]["sample_rate_hz"]
    _require_own_recordings(study, description, manifest, digest_of(manifest, sample_rate_hz=rate_hz))
    return manifest


def study_config(study: StudyFolder) -> StudyConfig:
    """Return what was asked of a study.

    Raises:
        RefusedError: no study.
    """
    return _description_and_config(study)[1]


def _description_and_config(study: StudyFolder) -> tuple[Description, StudyConfig]:
    description = read_description(study)
    if description is None:
        raise RefusedError(f"{study.folder}: its study.yaml is missing, so that its recordings are not known")
    return description, StudyConfig.model_validate(description["study"])


def _require_own_recordings(study: StudyFolder, description: Description, manifest: Manifest, digest: str) -> None:
    if digest not in {description["dataset"]["digest"], *description["dataset"]["digests"].values()}:
        raise RefusedError(f"{manifest.source}: other recordings than those of {study.folder}; name theirs with --data")


def find_cell(folder: Path, model: str | None = None) -> Cell:
    """Return the finished cell that a folder means: itself, or of a study the plainest one of a model.

    Raises:
        UsageError: the study has several models and none is named, or not the one named.
        RefusedError: neither study nor finished cell.
    """
    if (folder / "study.yaml").is_file():
        cells = plainest_cells(folder)
        if model is None and len(cells) > 1:
            raise UsageError(f"{folder} has several models; name one with --model. Valid: {', '.join(cells)}")
        if model is not None and model not in cells:
            raise choices("finished model", model, list(cells))
        return cells[model or next(iter(cells))]
    try:
        cell = _cell_in(folder)
    except ValueError:
        raise RefusedError(f"{folder}: neither a study nor a cell (STUDY/cells/MODEL/PROTOCOL-FOLD-SEED)") from None
    if not cell.done:
        raise RefusedError(f"{folder}: no finished cell (no metrics.json); run its study to the end")
    return cell


def vouching_cells(study: StudyFolder, model: str) -> list[Cell]:
    """Return the cells that say how good a model's recipe is: of the protocol that answers a study, seed by seed.

    Raises:
        RefusedError: none is finished, or its metrics.json is damaged.
    """
    finished = [cell for cell in study.cells() if cell.done and cell.name.model == model]
    if not finished:
        raise RefusedError(f"{study.folder}: no cell of {model} is finished, so nothing says how good it is")
    num_cells = Counter(cell.name.protocol for cell in sorted(finished, key=_plainness))
    leaky = {cell.name.protocol for cell in finished if read_metrics(cell)["leaky"]}
    chosen = [cell for cell in finished if cell.name.protocol == answering(num_cells, leaky)]
    return sorted(chosen, key=lambda cell: (cell.name.seed, cell.name.fold))


def seeds_of(cell: Cell) -> list[Cell]:
    """Return the finished cells that differ from one in their seed alone, itself among them."""
    others = cell.folder.resolve().parent.glob(f"{cell.name.protocol}-{cell.name.fold}-*")
    return sorted((found for found in map(_cell_in, others) if found.done), key=lambda found: found.name.seed)


def _plainness(cell: Cell) -> tuple[int, int, int]:
    return PROTOCOLS.index(cell.name.protocol), cell.name.fold, cell.name.seed


def plainest_cells(study: Path) -> dict[str, Cell]:
    """Return one finished cell a model, in the study's order: of the plainest protocol, its first fold and seed.

    Raises:
        RefusedError: no cell is finished.
    """
    folder = StudyFolder(study)
    finished = [cell for cell in folder.cells() if cell.done]
    if not finished:
        raise RefusedError(f"{study}: no finished cell; run the study until at least one is")
    finished.sort(key=_plainness, reverse=True)  # the last one of a model stays
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
