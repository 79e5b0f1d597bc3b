"""Eight bits instead of thirty-two, and what that costs, measured on the study's own recordings."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx

from auricle.config import StudyConfig
from auricle.errors import RefusedError
from auricle.runs import CellName, StudyFolder
from auricle.scoring.calibration import softmax
from auricle.serving.bundle import NETWORK, Int8
from auricle.serving.classifier import Classifier

MOST_CLIPS = 200  # that the ranges of the activations are taken from
METHOD = "static, a scale a channel; ranges from training clips"


def quantise(
    graph: onnx.ModelProto, bundle: Path, study: Path, cell: CellName, data: Path | None
) -> tuple[onnx.ModelProto, Int8]:
    """Return a network with eight-bit weights and activations, and what it costs on the test clips.

    Raises:
        RefusedError: the study's recordings cannot be found, or are others than those it was trained on.
    """
    import onnxruntime

    classifier = Classifier.load(bundle)
    train, test, labels = _clips(study, cell, classifier.sample_rate_hz, data)
    windows = np.concatenate([_windows(classifier, waveform) for waveform in train])
    small = _quantised(graph, bundle, windows, keep_attention=classifier.bundle.description.attention is not None)
    session = onnxruntime.InferenceSession(small.SerializeToString(), providers=["CPUExecutionProvider"])
    right_float = right_int8 = 0
    for waveform, label in zip(test, labels, strict=True):
        parts = _windows(classifier, waveform)
        logits = session.run(["logits"], {"frames": parts})[0]
        right_int8 += int(softmax(logits, classifier.temperature).mean(axis=0).argmax() == label)
        right_float += int(classifier.window_probabilities(parts).mean(axis=0).argmax() == label)
    return small, Int8(
        num_clips=len(labels),
        accuracy_float=right_float / len(labels),
        accuracy_int8=right_int8 / len(labels),
        num_bytes_float=(bundle / NETWORK).stat().st_size,
        num_bytes_int8=small.ByteSize(),
        method=METHOD,
    )


def _windows(classifier: Classifier, waveform: np.ndarray) -> np.ndarray:
    num = classifier.windowing.count(len(waveform))
    return classifier.windowing.cut(classifier.maker.frames(waveform), num)


def _clips(study: Path, cell: CellName, rate_hz: int, data: Path | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return waveforms of some training clips and of the test clips, and the test clips' labels."""
    from auricle.data.cache import prepare
    from auricle.data.datasets import load_manifest
    from auricle.data.folds import make_splits
    from auricle.study.record import read_description

    description = read_description(StudyFolder(study))
    if description is None:
        raise RefusedError(f"{study}: no study.yaml, so that --int8 finds no recordings to measure with")
    config = StudyConfig.model_validate(description["study"])
    source = config.data
    recordings = prepare(
        load_manifest(source, root=data, group_by=config.group_by), sample_rate_hz=rate_hz, skip_bad=True
    )
    if recordings.digest not in {description["dataset"]["digest"], *description["dataset"]["digests"].values()}:
        raise RefusedError(f"{source}: other recordings than those {study} was trained on; name theirs with --data")
    splits = make_splits(recordings.manifest, cell.protocol, allow_split_groups=config.allow_split_groups)
    split = next(split for split in splits if split.fold == cell.fold)
    train = split.train[:: max(1, len(split.train) // MOST_CLIPS)][:MOST_CLIPS]
    labels = recordings.manifest.labels[split.test]
    return recordings.waveforms[train], recordings.waveforms[split.test], labels


def _quantised(graph: onnx.ModelProto, bundle: Path, windows: np.ndarray, *, keep_attention: bool) -> onnx.ModelProto:
    """Quantise convolutions and products; the logarithm in front and the last layer keep their precision."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.parts: Iterator[np.ndarray] = iter(np.array_split(windows, -(-len(windows) // 16)))

        def get_next(self) -> dict[str, np.ndarray] | None:
            part = next(self.parts, None)
            return None if part is None else {"frames": part}

    last = [node.name for node in graph.graph.node if node.op_type == "Gemm"][-1:]
    small = bundle / "int8.onnx"
    with quiet():
        quantize_static(
            bundle / NETWORK,
            small,
            Reader(),
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


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Let a converter keep its remarks to itself."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
