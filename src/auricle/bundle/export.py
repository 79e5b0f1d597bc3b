"""A finished cell to a bundle; this module, `convert.py`, `parity.py` and `quantise.py` alone in the room need PyTorch.

Nothing is declared good unseen: PyTorch and ONNX Runtime must agree first (see `parity.py`).
"""

import shutil
import tempfile
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path

import onnx

from auricle import __version__, files, runs
from auricle.bundle import description as names
from auricle.bundle.convert import network_graph
from auricle.bundle.description import Calibration, Description, Origin, Scores, StoredFile
from auricle.bundle.layout import attention_layout
from auricle.bundle.parity import check_parity
from auricle.bundle.quantise import quantise
from auricle.bundle.reading import Bundle, load_bundle
from auricle.bundle.standalone import standalone_model
from auricle.config import Preset, preset_from_yaml, to_yaml
from auricle.errors import RefusedError, UsageError, choices
from auricle.model.classifier import Classifier as TorchClassifier
from auricle.runs import Cell, CellName, StudyFolder
from auricle.runs.record import read_description
from auricle.runs.reopen import plainest_cells
from auricle.scoring.calibration import KEPT, fit, tempered
from auricle.scoring.metrics import score
from auricle.scoring.predictions import Predictions, read_predictions
from auricle.scoring.statistics import wilson_interval
from auricle.training.start import load_network

Say = Callable[[str], object]

LICENCES = {
    "esc10": "ESC-10 (K. J. Piczak, 2015), Creative Commons Attribution; each clip's author stands in the dataset",
    "esc50": "ESC-50 (K. J. Piczak, 2015), Creative Commons Attribution-NonCommercial 3.0",
    "urbansound8k": "UrbanSound8K (J. Salamon, C. Jacoby, J. P. Bello, 2014), Creative Commons "
    "Attribution-NonCommercial",
    "toy": "synthetic sounds that auricle makes from a seed; free of rights",
}
ESCAPED = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_[]#|"} | {"<": "&lt;", ">": "&gt;"})


def export_cell(
    folder: Path,
    to: Path,
    *,
    model: str | None = None,
    int8: bool = False,
    source: str | None = None,
    root: Path | None = None,
    on_progress: Say | None = None,
) -> Bundle:
    """Make a bundle of a finished cell.

    `folder` is of a cell, or of a study, whose first finished cell of `model` is taken (its plainest protocol). A
    folder `to` that holds a bundle is replaced whole, any other that holds something is left alone. `int8` quantises to
    eight bits; that needs the study's recordings (`source` and `root` are as for `reopen_cells`), to see what it costs.

    Raises:
        UsageError: the study has several models and none is named, or not the one named.
        RefusedError: no finished cell, or PyTorch and ONNX Runtime part; the message says where.
        MachineError: the disk refuses.
    """
    say = on_progress or (lambda words: None)
    cell = find_cell(folder, model)
    if to.exists() and (not to.is_dir() or (any(to.iterdir()) and not (to / names.DESCRIPTION).is_file())):
        raise RefusedError(f"{to} holds something that is no bundle; name another folder with --to")
    preset, predictions = read_cell(cell)
    network = load_network(cell, preset, len(predictions.categories))
    description = _describe(cell, preset, network, predictions)
    say("writing ONNX")
    graph = network_graph(network, preset)
    with files.machine_errors(to), tempfile.TemporaryDirectory(prefix="auricle-") as scratch:
        beside = Path(scratch) / "bundle"
        beside.mkdir()
        description = _write_files(beside, description, graph, preset, cell.weights)
        say("comparing PyTorch and ONNX Runtime on 1,000 sounds")
        check_parity(network, preset, load_bundle(beside))
        if int8:
            say("quantising")
            graph, cost = quantise(graph, beside, _study_of(cell), cell, source=source, root=root)
            description = description.model_copy(update={"int8": cost})
            (beside / names.WEIGHTS).unlink()
            _write_files(beside, description, graph, preset, None)
        load_bundle(beside)
        _replace(beside, to)
    return load_bundle(to)


def find_cell(folder: Path, model: str | None = None) -> Cell:
    """Return the finished cell that a folder means; errors as in `export_cell`."""
    if (folder / "study.yaml").is_file():
        cells = plainest_cells(folder)
        if model is None and len(cells) > 1:
            raise UsageError(f"{folder} has several models; name one with --model. Valid: {', '.join(cells)}")
        if model is not None and model not in cells:
            raise choices("finished model", model, list(cells))
        return cells[model or next(iter(cells))]
    try:
        resolved = folder.resolve()
        cell = Cell(CellName.parse(f"{resolved.parent.name}/{resolved.name}"), folder)
    except ValueError:
        raise RefusedError(f"{folder}: neither a study nor a cell (STUDY/cells/MODEL/PROTOCOL-FOLD-SEED)") from None
    if not cell.done:
        raise RefusedError(f"{folder}: no finished cell (no metrics.json); run its study to the end")
    return cell


def _study_of(cell: Cell) -> StudyFolder:
    return StudyFolder(cell.folder.resolve().parents[2])


def read_cell(cell: Cell) -> tuple[Preset, Predictions]:
    """Return the preset and the predictions of a finished cell; a `RefusedError` names a file that is damaged."""
    runs.read_metrics(cell, cell.config, cell.predictions, cell.weights)
    try:
        text = cell.config.read_text(encoding="utf-8")
        preset = preset_from_yaml(text, str(cell.config))
    except (OSError, ValueError, UsageError) as error:
        raise RefusedError(f"{cell.config}: damaged: {' '.join(str(error).split())}") from error
    return preset, read_predictions(cell.predictions)


def _describe(cell: Cell, preset: Preset, network: TorchClassifier, predictions: Predictions) -> Description:
    calibration = Calibration(**vars(fit(predictions)))
    return Description(
        name=cell.name.model,
        categories=predictions.categories,
        audio=preset.audio,
        frontend=preset.frontend,
        mean=float(network.frontend.mean),
        std=float(network.frontend.std),
        calibration=calibration,
        attention=attention_layout(network, preset),
        scores=_scores(predictions, calibration.temperature),
        origin=_origin(cell),
        files={name: StoredFile.of(b"unknown yet") for name in names.REQUIRED},
    )


def _scores(predictions: Predictions, temperature: float) -> Scores | None:
    windows = predictions.of("test")
    if not windows.clips:
        return None
    clips = tempered(windows, temperature).by_clip()
    found = score(clips.probabilities, clips.labels, clips.categories)
    low, high = wilson_interval(found["accuracy"], found["num"])
    return Scores(
        num_clips=found["num"],
        accuracy=found["accuracy"],
        low=low,
        high=high,
        macro_f1=found["macro_f1"],
        calibration_error=found["calibration_error"],
        recall={name: row["recall"] for name, row in found["per_class"].items()},
    )


def _origin(cell: Cell) -> Origin:
    """Say what a cell was trained on, as far as its study's folder tells."""
    metrics = runs.read_metrics(cell)
    description = read_description(_study_of(cell))
    dataset = description["dataset"] if description else {}
    source = str(dataset.get("source", "unknown"))
    return Origin(
        cell=str(cell.name),
        source=source if source in LICENCES else Path(source).name,
        digest=str(dataset.get("digest", "")),
        licence=LICENCES.get(source, ""),
        num_train=metrics["num_train"],
        clip_s=float(dataset.get("clip_s", 0.0)),
        leaky=metrics["leaky"],
        notes=tuple(str(note) for note in dataset.get("notes", ())),
        auricle=__version__,
    )


def _write_files(
    folder: Path, description: Description, graph: onnx.ModelProto, preset: Preset, weights: Path | None
) -> Description:
    """Write every file of a bundle; bundle.json last, as it holds the sizes and hashes of the others."""
    contents = {
        names.NETWORK: graph.SerializeToString(),
        names.STANDALONE: standalone_model(graph, description).SerializeToString(),
        names.CONFIG: to_yaml(preset).encode(),
    }
    if weights is not None:
        contents[names.WEIGHTS] = weights.read_bytes()
    sizes = {name: len(content) for name, content in contents.items()}
    contents[names.CARD] = card(description, sizes, has_encoder=preset.encoder is not None).encode()
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    stored = {name: StoredFile.of(content) for name, content in contents.items()}
    description = description.model_copy(update={"files": stored})
    (folder / names.DESCRIPTION).write_text(description.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return description


def card(description: Description, sizes: Mapping[str, int], *, has_encoder: bool) -> str:
    """Return README.md of a bundle, from templates/card.md.j2; no name in it becomes Markdown or HTML."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True)
    environment.filters["plain"] = lambda name: name.translate(ESCAPED)
    environment.filters["percent"] = lambda share, digits=1: f"{100 * share:.{digits}f} %"
    environment.filters["megabytes"] = lambda num_bytes: f"{num_bytes / 1e6:.2f} MB"
    template = resources.files("auricle.bundle").joinpath("templates", "card.md.j2").read_text(encoding="utf-8")
    return environment.from_string(template).render(about=description, sizes=sizes, has_encoder=has_encoder, kept=KEPT)


def _replace(made: Path, to: Path) -> None:
    """Copy a finished bundle to its place; its description goes first away and comes last, so that no half is whole."""
    to.mkdir(parents=True, exist_ok=True)
    (to / names.DESCRIPTION).unlink(missing_ok=True)
    for name in names.FILES:
        (to / name).unlink(missing_ok=True)
    for name in (*names.FILES, names.DESCRIPTION):
        if (made / name).is_file():
            shutil.copyfile(made / name, to / name)
