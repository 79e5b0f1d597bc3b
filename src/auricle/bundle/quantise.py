"""Quantise a network to eight bits, and measure the accuracy lost on the study's own recordings."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx

from auricle.bundle.convert import quiet
from auricle.bundle.description import NETWORK, Int8
from auricle.bundle.model import BundleModel
from auricle.bundle.reading import load_bundle
from auricle.data.manifest import scored_of
from auricle.model.windows import mean_over_windows
from auricle.runs import Cell, StudyFolder
from auricle.runs.reopen import reopen_cells
from auricle.system import disable_telemetry

MOST_CLIPS = 200  # clips for the ranges of the activations
WINDOWS_AT_ONCE = 16
METHOD = "static, one scale per channel; ranges from training clips"


def quantise(
    graph: onnx.ModelProto, bundle: Path, study: StudyFolder, cell: Cell, *, source: str | None, root: Path | None
) -> tuple[onnx.ModelProto, Int8]:
    """Return a network with eight-bit weights and activations, and the accuracy lost on the test clips.

    Raises a `RefusedError` if the study's recordings are not found or have changed since training.
    """
    model = BundleModel(load_bundle(bundle))
    found = next(reopen_cells(study, [cell], source=source, root=root))
    train, test, manifest = found.split.train, found.split.test, found.recordings.manifest
    test = test[np.isin(manifest.categories, scored_of(manifest.categories))[manifest.labels[test]]]
    train = train[:: max(1, len(train) // MOST_CLIPS)][:MOST_CLIPS]
    windows = np.concatenate([model.windows(waveform)[0] for waveform in found.recordings.waveforms[train]])
    small = _quantised(graph, bundle, windows, keep_attention=model.bundle.description.attention is not None)
    small_network = model.open_network(small.SerializeToString())
    right_float = right_int8 = 0
    for waveform, label in zip(found.recordings.waveforms[test], manifest.labels[test], strict=True):
        windows, weights = model.windows(waveform)
        whole, small_whole = (
            mean_over_windows(model.probabilities(windows, network), weights) for network in (None, small_network)
        )
        right_float += int(whole.argmax() == label)
        right_int8 += int(small_whole.argmax() == label)
    return small, Int8(
        num_clips=len(test),
        accuracy_float=right_float / len(test),
        accuracy_int8=right_int8 / len(test),
        num_bytes_float=(bundle / NETWORK).stat().st_size,
        num_bytes_int8=small.ByteSize(),
        method=METHOD,
    )


def _quantised(graph: onnx.ModelProto, bundle: Path, windows: np.ndarray, *, keep_attention: bool) -> onnx.ModelProto:
    """Quantise convolutions and products; the logarithm of the frontend and the last layer keep their precision."""
    disable_telemetry()
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class WindowReader(CalibrationDataReader):
        def __init__(self) -> None:
            self.parts: Iterator[np.ndarray] = iter(np.array_split(windows, -(-len(windows) // WINDOWS_AT_ONCE)))

        def get_next(self) -> dict[str, np.ndarray] | None:
            part = next(self.parts, None)
            return None if part is None else {"frames": part}

    last = [node.name for node in graph.graph.node if node.op_type == "Gemm"][-1:]
    small = bundle / "int8.onnx"
    with quiet():
        quantize_static(
            bundle / NETWORK,
            small,
            WindowReader(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv", "Gemm", *([] if keep_attention else ["MatMul"])],
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=last,
        )
    result = onnx.load(small)
    small.unlink()
    del result.graph.value_info[:]
    return result
