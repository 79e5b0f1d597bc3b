"""A finished cell to a bundle; this module and `parity.py` alone in the room need PyTorch.

Nothing is declared good unseen: PyTorch and ONNX Runtime must agree first (see `parity.py`).
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import shutil
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import torch
import yaml
from safetensors.torch import load_file
from torch import Tensor, nn

from auricle import __version__, runs
from auricle.config import Preset, preset_from_yaml, to_yaml
from auricle.errors import RefusedError, UsageError, choices
from auricle.model.classifier import Classifier as Model
from auricle.model.classifier import build_model, window_frames
from auricle.model.transformer import Encoder
from auricle.runs import Cell, CellName, StudyFolder
from auricle.scoring.metrics import score
from auricle.scoring.predictions import Predictions, read_predictions
from auricle.scoring.statistics import wilson_interval
from auricle.serving import bundle as bundles
from auricle.serving.bundle import Attention, Bundle, Description, Origin, Scores, StoredFile, load_bundle
from auricle.serving.calibrate import calibrate, tempered
from auricle.serving.card import LICENCES, card
from auricle.serving.parity import check_parity
from auricle.serving.quantise import quantise
from auricle.serving.whole import OPSET, whole_model

Say = Callable[[str], object]
PROTOCOLS = ("test-split", "k-fold", "official", "random")


def export_cell(
    folder: Path,
    to: Path,
    *,
    model: str | None = None,
    int8: bool = False,
    data: Path | None = None,
    on_progress: Say | None = None,
) -> Bundle:
    """Make a bundle of a finished cell.

    Args:
        folder: of a cell; or of a study, whose first finished cell of `model` is taken (its plainest protocol).
        to: the bundle's folder; one that holds a bundle is replaced whole, anything else is left alone.
        model: which one, where a study has several.
        int8: quantise to eight bits; the recordings are needed, to see what that costs.
        data: where the study's recordings lie, for int8.
        on_progress: told what is done, a few words each time.

    Raises:
        UsageError: the study has several models and none is named, or not the one named.
        RefusedError: no finished cell, or PyTorch and ONNX Runtime part; the message says where.
        MachineError: the disk refuses.
    """
    say = on_progress or (lambda words: None)
    cell = find_cell(folder, model)
    if to.exists() and (not to.is_dir() or (any(to.iterdir()) and not (to / bundles.DESCRIPTION).is_file())):
        raise RefusedError(f"{to} holds something that is no bundle; name another folder with --to")
    preset, predictions = _read(cell)
    network = _load_network(cell, preset, len(predictions.categories))
    description = _describe(cell, preset, network, predictions)
    say("writing ONNX")
    graph = network_graph(network, preset)
    with runs.machine_errors(to), tempfile.TemporaryDirectory(prefix="auricle-") as scratch:
        beside = Path(scratch) / "bundle"
        beside.mkdir()
        description = _write(beside, description, graph, preset, cell.weights)
        say("comparing PyTorch and ONNX Runtime on 1,000 sounds")
        check_parity(network, preset, load_bundle(beside))
        if int8:
            say("quantising")
            graph, cost = quantise(graph, beside, _study_of(cell), cell.name, data)
            description = description.model_copy(update={"int8": cost})
            (beside / bundles.WEIGHTS).unlink()
            _write(beside, description, graph, preset, None)
        load_bundle(beside)
        _put(beside, to)
    return load_bundle(to)


def find_cell(folder: Path, model: str | None = None) -> Cell:
    """Return the finished cell that a folder means; errors as in `export_cell`."""
    if (folder / "study.yaml").is_file():
        done = [cell for cell in StudyFolder(folder).cells() if cell.done]
        names = sorted({cell.name.model for cell in done})
        if not names:
            raise RefusedError(f"{folder}: no finished cell; run the study first")
        if model is None and len(names) > 1:
            raise UsageError(f"{folder} has several models; name one with --model. Valid: {', '.join(names)}")
        if model is not None and model not in names:
            raise choices("finished model", model, names)
        own = [cell for cell in done if cell.name.model == (model or names[0])]
        return min(own, key=lambda cell: (PROTOCOLS.index(cell.name.protocol), cell.name.fold, cell.name.seed))
    try:
        resolved = folder.resolve()
        cell = Cell(CellName.parse(f"{resolved.parent.name}/{resolved.name}"), folder)
    except ValueError:
        raise RefusedError(f"{folder}: neither a study nor a cell (STUDY/cells/MODEL/PROTOCOL-FOLD-SEED)") from None
    if not cell.done:
        raise RefusedError(f"{folder}: no finished cell (no metrics.json); run its study to the end")
    return cell


def _study_of(cell: Cell) -> Path:
    return cell.folder.resolve().parents[2]


def _read(cell: Cell) -> tuple[Preset, Predictions]:
    try:
        text = cell.config.read_text(encoding="utf-8")
        preset = preset_from_yaml(text, str(cell.config))
    except (OSError, ValueError, UsageError) as error:
        raise RefusedError(f"{cell.config}: damaged: {' '.join(str(error).split())}") from error
    return preset, read_predictions(cell.predictions)


def _load_network(cell: Cell, preset: Preset, num_classes: int) -> Model:
    """Build the network of a cell and give it the cell's weights."""
    with torch.random.fork_rng(devices=[]):
        network = build_model(preset, num_classes).eval()
    try:
        network.load_state_dict(load_file(cell.weights))
    except Exception as error:  # safetensors and PyTorch raise many kinds
        reason = " ".join(str(error).split())[:200]
        raise RefusedError(f"{cell.weights}: does not fit {cell.config.name}: {reason}") from error
    return network


def _encoder_of_time(network: Model) -> Encoder | None:
    """Return the encoder whose attention says where in time it looked; that of channels to channels does not."""
    summary = network.summary
    return summary if isinstance(summary, Encoder) and summary.tokens != "channels" else None


class NetworkGraph(nn.Module):
    """What network.onnx computes: logits, and for a transformer over time the attention of every layer."""

    def __init__(self, network: Model) -> None:
        super().__init__()
        self.network = network

    def forward(self, frames: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """(B, bands, T) -> (B, K), and (B, layers, heads, tokens, tokens)."""
        network, encoder = self.network, _encoder_of_time(self.network)
        if encoder is None:
            return network(frames)
        map = network.base(network.frontend(frames))
        return network.head(encoder(map)), torch.stack(encoder.attention_weights(map), dim=1)


def network_graph(network: Model, preset: Preset) -> onnx.ModelProto:
    """Return the ONNX graph of a network: `frames` in, `logits` (and `attention`) out, any batch."""
    bands = 1 if network.frontend.spectrum is None else preset.frontend.num_bands
    frames = torch.rand(3, bands, window_frames(preset, network.frontend))
    outputs = ["logits", "attention"] if _encoder_of_time(network) else ["logits"]
    with _quiet():
        program = torch.onnx.export(
            NetworkGraph(network).eval(),
            (frames,),
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=2**16)},),
            input_names=["frames"],
            output_names=outputs,
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    graph = program.model_proto
    for node in graph.graph.node:  # names of Python modules and source lines are nobody's business
        del node.metadata_props[:]
        node.doc_string = ""
    del graph.graph.value_info[:]
    del graph.graph.metadata_props[:]
    del graph.functions[:]
    return graph


@contextlib.contextmanager
def _quiet() -> Any:
    """Let the exporter keep its remarks to itself."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _describe(cell: Cell, preset: Preset, network: Model, predictions: Predictions) -> Description:
    calibration = calibrate(predictions)
    return Description(
        name=cell.name.model,
        categories=predictions.categories,
        audio=preset.audio,
        frontend=preset.frontend,
        mean=float(network.frontend.mean),
        std=float(network.frontend.std),
        calibration=calibration,
        attention=_attention(network, preset),
        scores=_scores(predictions, calibration.temperature),
        origin=_origin(cell),
        files={name: StoredFile(num_bytes=1, sha256="0" * 64) for name in bundles.REQUIRED},
    )


def _attention(network: Model, preset: Preset) -> Attention | None:
    encoder, config = _encoder_of_time(network), preset.encoder
    if encoder is None or config is None:
        return None
    steps = encoder.num_steps
    return Attention(
        num_blocks=config.num_blocks,
        num_heads=config.num_heads,
        num_steps=steps,
        num_rows=encoder.num_tokens // steps,
    )


def _scores(predictions: Predictions, temperature: float) -> Scores | None:
    windows = predictions.of("test")
    if not windows.clips:
        return None
    clips = tempered(windows, temperature)
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
    metrics: dict[str, Any] = yaml.safe_load(cell.metrics.read_text(encoding="utf-8"))
    dataset: dict[str, Any] = {}
    description = StudyFolder(_study_of(cell)).description
    if description.is_file():
        dataset = yaml.safe_load(description.read_text(encoding="utf-8"))["dataset"]
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


def _write(
    folder: Path, description: Description, graph: onnx.ModelProto, preset: Preset, weights: Path | None
) -> Description:
    """Write every file of a bundle; bundle.json last, as it holds the sizes and hashes of the others."""
    contents = {
        bundles.NETWORK: graph.SerializeToString(),
        bundles.WHOLE: whole_model(graph, description).SerializeToString(),
        bundles.CONFIG: to_yaml(preset).encode(),
    }
    if weights is not None:
        contents[bundles.WEIGHTS] = weights.read_bytes()
    contents[bundles.CARD] = card(description, {name: len(content) for name, content in contents.items()}).encode()
    files = {
        name: StoredFile(num_bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
        for name, content in contents.items()
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    description = description.model_copy(update={"files": files})
    (folder / bundles.DESCRIPTION).write_text(description.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return description


def _put(made: Path, to: Path) -> None:
    """Copy a finished bundle to its place; its description goes first away and comes last, so that no half is whole."""
    to.mkdir(parents=True, exist_ok=True)
    (to / bundles.DESCRIPTION).unlink(missing_ok=True)
    for name in bundles.FILES:
        (to / name).unlink(missing_ok=True)
    for name in (*bundles.FILES, bundles.DESCRIPTION):
        if (made / name).is_file():
            shutil.copyfile(made / name, to / name)
