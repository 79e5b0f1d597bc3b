"""Export a finished cell as a bundle; only this module, `convert.py`, `parity.py` and `quantise.py` need PyTorch.

A bundle is only exported if PyTorch and ONNX Runtime agree (see `parity.py`).
"""

import contextlib
import json
import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from pydantic import ValidationError
from safetensors.torch import save as to_safetensors

from auricle import __version__, files, runs
from auricle.bundle import description as names
from auricle.bundle.card import LICENCES, card, config_json, onnx_metadata, warnings_of
from auricle.bundle.convert import network_graph
from auricle.bundle.description import (
    Calibration,
    Description,
    FalseAlarms,
    Origin,
    Scores,
    StoredFile,
    is_class_name,
)
from auricle.bundle.layout import attention_layout
from auricle.bundle.parity import check_parity
from auricle.bundle.quantise import quantise
from auricle.bundle.reading import Bundle, first_fault, load_bundle
from auricle.bundle.standalone import standalone_model
from auricle.config import Preset, preset_from_yaml, to_yaml
from auricle.data.folds import ALL
from auricle.data.manifest import Clip, classes_of, imbalance, scored_of
from auricle.errors import RefusedError, UsageError
from auricle.model.classifier import Ensemble, Network
from auricle.runs import Cell
from auricle.runs.record import read_clips, read_description
from auricle.runs.reopen import find_cell, scoring_cells, seeds_of, study_of
from auricle.scoring.answers import Answers
from auricle.scoring.calibration import fit, temperature_scaled
from auricle.scoring.metrics import score
from auricle.scoring.predictions import Predictions, mean_of, read_predictions
from auricle.training.start import load_network

Say = Callable[[str], object]

UNFINISHED = ".auricle-export"  # marks a folder to which an export is being copied


def export_cell(
    folder: Path,
    to: Path,
    *,
    model: str | None = None,
    every_seed: bool = False,
    int8: bool = False,
    source: str | None = None,
    root: Path | None = None,
    on_progress: Say | None = None,
) -> Bundle:
    """Make a bundle of a finished cell.

    `folder` is that of a cell, or of a study, whose first finished cell of `model` is used (simplest protocol first). A
    folder `to` with a bundle or an unfinished export is replaced; other folders must be empty. With `every_seed`, the
    bundle is an ensemble of all cells that differ only in their seed. `int8` quantises to eight bits, which needs the
    study's recordings (`source` and `root` are as for `reopen_cells`) to measure the accuracy lost.

    Raises:
        UsageError: the study has several models and none is given, or not the given one.
        RefusedError: no finished cell, or PyTorch and ONNX Runtime differ; the message says where.
        MachineError: the bundle cannot be written.
    """
    say = on_progress or (lambda message: None)
    cell = find_cell(folder, model)
    if folder != cell.folder:
        say(f"taking {cell.name}, the model's first finished cell; --final trains one on all clips")
    check_folder(to)
    members = seeds_of(cell) if every_seed else [cell]
    if every_seed and len(members) == 1:
        raise RefusedError(f"{cell.name} is the only finished seed of its study; an ensemble needs at least two")
    read = [read_cell(member) for member in members]
    preset, predictions = read[0][0], _joint([table for _, table in read], cell.folder.parent)
    if bad := [name for name in predictions.categories if not is_class_name(name)]:
        raise RefusedError(
            f"class {bad[0]!r}: names must be printable, with 1 to 200 characters; rename it and train again"
        )
    networks = [load_network(member, preset, len(predictions.categories)) for member in members]
    network = Ensemble(networks).eval() if every_seed else networks[0]
    with _within_limits(cell):
        description = _describe(members, preset, network, predictions)
    for warning in warnings_of(description):
        say(f"warning: {warning}")
    say("writing ONNX")
    graph = network_graph(network, preset)
    temporary = Path(tempfile.gettempdir())
    with (
        _within_limits(cell),
        files.machine_errors(temporary),
        tempfile.TemporaryDirectory(prefix="auricle-") as scratch,
    ):
        beside = Path(scratch) / "bundle"
        beside.mkdir()
        weights = to_safetensors(network.state_dict()) if every_seed else cell.weights.read_bytes()
        description = _write_files(beside, description, graph, preset, weights)
        say("comparing PyTorch and ONNX Runtime on 1,000 sounds")
        check_parity(network, load_bundle(beside))
        if int8:
            say("quantising")
            graph, cost = quantise(graph, beside, study_of(cell.folder), cell, source=source, root=root)
            description = description.model_copy(update={"int8": cost})
            (beside / names.WEIGHTS).unlink()
            _write_files(beside, description, graph, preset, None)
        num_bytes = load_bundle(beside).num_bytes
        with files.machine_errors(to, need_bytes=num_bytes):
            move_bundle(beside, to)
    return load_bundle(to)


@contextlib.contextmanager
def _within_limits(cell: Cell) -> Iterator[None]:
    """Refuse a model that is valid, but beyond the limits of a bundle."""
    try:
        yield
    except ValidationError as error:
        raise RefusedError(f"{cell.folder}: beyond the limits of a bundle: {first_fault(error)}") from error


def read_cell(cell: Cell) -> tuple[Preset, Predictions]:
    """Return the preset and the predictions of a finished cell; a `RefusedError` gives the file that is damaged."""
    runs.read_metrics(cell, cell.config, cell.predictions, cell.weights)
    try:
        text = cell.config.read_text(encoding="utf-8")
        preset = preset_from_yaml(text, str(cell.config))
    except (OSError, ValueError, UsageError) as error:
        raise RefusedError(f"{cell.config}: damaged: {' '.join(str(error).split())}") from error
    return preset, read_predictions(cell.predictions)


def _joint(tables: Sequence[Predictions], where: Path) -> Predictions:
    """Return the mean predictions of cells that differ only in their seed; `where` begins an error message."""
    try:
        return mean_of(tables)
    except ValueError as error:
        raise RefusedError(f"{where}: {error}; run the study to the end") from error


def _describe(members: Sequence[Cell], preset: Preset, network: Network, predictions: Predictions) -> Description:
    cell = members[0]
    vouching = list(members)
    if cell.name.protocol == ALL:
        seeds = {member.name.seed for member in members}
        recipe = scoring_cells(study_of(cell.folder), cell.name.model)
        vouching = [found for found in recipe if found.name.seed in seeds]
    return Description(
        name=cell.name.model,
        categories=predictions.categories,
        audio=preset.audio,
        frontend=preset.frontend,
        mean=float(network.frontend.mean),
        std=float(network.frontend.std),
        num_members=len(members),
        calibration=Calibration(**vars(fit(predictions))),
        attention=attention_layout(network, preset),
        scores=_scores(vouching),
        origin=_origin(members, vouching),
        files={name: StoredFile.of(b"unknown yet") for name in names.REQUIRED},
    )


def _scores(cells: Sequence[Cell]) -> Scores | None:
    """Return the scores on test clips of the cells that represent a model, each with its own temperature; or None.

    The seeds of a fold are averaged.
    """
    by_fold: defaultdict[int, list[Cell]] = defaultdict(list)
    for cell in cells:
        by_fold[cell.name.fold].append(cell)
    tables, found = {}, []
    for fold, seeds in by_fold.items():
        predictions = _joint([read_predictions(cell.predictions) for cell in seeds], seeds[0].folder.parent)
        windows = predictions.of("test")
        if windows.clips:
            clips = temperature_scaled(windows, fit(predictions).temperature).by_clip()
            tables[cells[0].name.model, (fold, 0)] = clips
            found.append(score(clips.probabilities, clips.labels, clips.categories))
    if not found:
        return None
    model, categories = cells[0].name.model, clips.categories
    known: tuple[Clip, ...] = ()
    with contextlib.suppress(OSError):  # a cell may have been copied without its study
        known = read_clips(study_of(cells[0].folder))
    classes = classes_of(categories)
    is_unequal = bool(known and imbalance(Counter(clip.category for clip in known)))

    def answers_to(chosen: Collection[str]) -> Answers:
        of_classes = {key: table.of_classes(chosen) for key, table in tables.items()}
        return Answers.of(of_classes, {clip.name: clip.group for clip in known}, categories, balanced=is_unequal)

    answers, silent = answers_to(scored_of(categories)), answers_to({*categories} - {*classes})
    low, high = answers.interval(model)
    clip_s = _dataset_of(cells[0]).get("clip_s")
    alarms = silent.false_alarms(model, float(clip_s)) if clip_s else None

    def mean(name: str) -> float:
        return float(np.average([one[name] for one in found], weights=[one["num"] for one in found]))

    recalls = (
        [one["per_class"][name]["recall"] for one in found if one["per_class"][name]["support"]] for name in classes
    )
    return Scores(
        num_clips=len(answers.clips),
        accuracy=answers.accuracy(model),
        low=low,
        high=high,
        macro_f1=mean("macro_f1"),
        calibration_error=mean("calibration_error"),
        recall={name: float(np.mean(values or [0.0])) for name, values in zip(classes, recalls, strict=True)},
        false_alarms=FalseAlarms(**vars(alarms)) if alarms else None,
        majority=answers.majority,
        measure=answers.measure,
    )


def _dataset_of(cell: Cell) -> Mapping[str, Any]:
    """Return the description of the recordings in a cell's study; nothing if the cell was copied without it."""
    description = read_description(study_of(cell.folder))
    return description["dataset"] if description else {}


def _origin(members: Sequence[Cell], vouching: Sequence[Cell]) -> Origin:
    """Return what the members were trained on, as far as their study's folder has it."""
    cell, metrics = members[0], [runs.read_metrics(member) for member in members]
    dataset = _dataset_of(cell)
    source = str(dataset.get("source", "unknown"))
    return Origin(
        cell=str(cell.name),
        source=source if source in LICENCES else Path(source).name,
        digest=str(dataset.get("digest", "")),
        licence=LICENCES[source][0] if source in LICENCES else "",
        num_train=metrics[0]["num_train"],
        clip_s=float(dataset.get("clip_s", 0.0)),
        leaky=any(runs.read_metrics(one)["leaky"] for one in vouching),
        vouching=tuple(str(one.name) for one in vouching if one not in members),
        collapsed=any(of_one.get("collapse") for of_one in metrics),
        notes=tuple(str(note) for note in dataset.get("notes", ())),
        auricle=__version__,
    )


def _write_files(
    folder: Path, description: Description, graph: onnx.ModelProto, preset: Preset, weights: bytes | None
) -> Description:
    """Write every file of a bundle; bundle.json last, as it contains the sizes and hashes of the others."""
    contents = {
        names.NETWORK: _with_metadata(graph, description),
        names.STANDALONE: _with_metadata(standalone_model(graph, description), description),
        names.CONFIG: to_yaml(preset).encode(),
        names.LABELS: config_json(description).encode(),
    }
    if weights is not None:
        contents[names.WEIGHTS] = weights
    sizes = {name: len(content) for name, content in contents.items()}
    contents[names.CARD] = card(description, sizes, has_encoder=preset.encoder is not None).encode()
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    stored = {name: StoredFile.of(content) for name, content in contents.items()}
    description = description.model_copy(update={"files": stored})
    (folder / names.DESCRIPTION).write_text(description.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return description


def _with_metadata(model: onnx.ModelProto, description: Description) -> bytes:
    """Return the content of an ONNX file with metadata on its input and its classes."""
    described = onnx.ModelProto()
    described.CopyFrom(model)
    onnx.helper.set_model_props(described, onnx_metadata(description))
    return described.SerializeToString()


def check_folder(to: Path) -> None:
    """Refuse a folder that contains anything but a bundle or an unfinished export."""
    is_ours = to.is_dir() and (_is_description(to / names.DESCRIPTION) or (to / UNFINISHED).is_file())
    if not is_ours and to.exists() and (not to.is_dir() or any(to.iterdir())):
        what = "contains files that are not a bundle" if to.is_dir() else "is a file, not a folder"
        raise RefusedError(f"{to} {what}; choose another folder with --to")


def _is_description(path: Path) -> bool:
    """Return whether a file describes a bundle, of this version or another."""
    with contextlib.suppress(OSError, ValueError):
        content = json.loads(path.read_text(encoding="utf-8"))
        return isinstance(content, dict) and "schema_version" in content
    return False


def move_bundle(made: Path, to: Path) -> None:
    """Copy a finished bundle to its folder, which `check_folder` has accepted.

    The new files are copied beside the old ones, which are kept if the disk is full, and then renamed. The description
    is deleted first and renamed last, so that an incomplete bundle is never valid. Meanwhile the folder contains
    `UNFINISHED`, so that a killed export can be repeated.
    """
    to.mkdir(parents=True, exist_ok=True)
    stored = [name for name in (*names.FILES, names.DESCRIPTION) if (made / name).is_file()]
    parts = {name: to / f".{name}.part" for name in stored}
    was_unfinished = (to / UNFINISHED).exists()
    try:
        (to / UNFINISHED).touch()
        for name in names.FILES:  # left by an export that was killed
            (to / f".{name}.part").unlink(missing_ok=True)
        for name, part in parts.items():
            shutil.copyfile(made / name, part)
    except BaseException:
        with contextlib.suppress(OSError):
            for path in (*parts.values(), *([] if was_unfinished else [to / UNFINISHED])):
                path.unlink(missing_ok=True)
            to.rmdir()  # if it is empty now
        raise
    for name in (names.DESCRIPTION, *names.FILES):
        (to / name).unlink(missing_ok=True)
    for name, part in parts.items():
        part.replace(to / name)
    (to / UNFINISHED).unlink()
