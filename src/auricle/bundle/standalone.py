"""The self-contained ONNX model: a waveform of any length in, logits of the recording out.

    waveform (B, samples)
      -> pieces (B, T, N1, N2)      one Fourier window each, by Gather
      -> mel power (B, T, bands)    the Fourier transform in two steps of matrix products
      -> windows (B W, bands, T')   cyclic, or with zeros beyond its end
      -> the network                logits (B W, K)
      -> logits (B, K)              log of the mean over the fullest windows of softmax(logits / temperature)

so that softmax(logits) are the calibrated probabilities that `Classifier.predict` returns.

The transform of N = N1 N2 samples (Cooley, Tukey 1965), n = N2 n1 + n2, k = k1 + N1 k2, W_N = exp(-2 pi i / N):

    X[k] = sum_n2 W_N2^(n2 k2)  W_N^(n2 k1)  sum_n1 W_N1^(n1 k1) x[n1, n2]

Both sums are products with small constant matrices: at N = 1024, 32 x 32, an eighth of the work and a hundredth of
the constants of the plain transform. For a real signal k1 = 0..N1/2 is enough: X[N - k] = conj X[k].
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from auricle.bundle.description import Description
from auricle.model.frames import FrameMaker
from auricle.model.windows import ACTIVE_DB, FULL, SLACK, ClipWindows

OPSET = 20
INT, DOUBLE = TensorProto.INT64, TensorProto.DOUBLE


class Graph:
    """A sequence of operators, whose names are generated."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def __call__(self, operator: str, *inputs: Any, outputs: int = 1, **attributes: Any) -> Any:
        """Add an operator and return the name of its output, or a list of them.

        Inputs are names of outputs; everything else is a constant: integers with 64 bits, arrays unchanged.
        """
        sources = [value if isinstance(value, str) else self.constant(value) for value in inputs]
        names = [f"front_{operator}_{len(self.nodes)}_{number}" for number in range(outputs)]
        self.nodes.append(helper.make_node(operator, sources, names, **attributes))
        return names[0] if outputs == 1 else names

    def constant(self, value: Any) -> str:
        """Add a constant that several operators use, and return its name."""
        name = f"front_constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name


def standalone_model(network: onnx.ModelProto, description: Description) -> onnx.ModelProto:
    """Return a model from waveforms to logits, built around a network on frames (B, bands, T)."""
    graph = Graph()
    _answer(graph, network, description, _frames(graph, description))
    return _model(graph, network, {"waveform": ["batch", "samples"]}, {"logits": ["batch", _classes(description)]})


def page_models(network: onnx.ModelProto, description: Description) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    """Return `standalone_model` in two halves: a waveform to `frames` (B, T, bands), and those to logits (B, K).

    A web page computes the frames of a long recording piece by piece. The second half takes all frames of a clip, or a
    batch of single windows, as frames that fill one window have one window.
    """
    frames = ["batch", "frames", FrameMaker(description.audio, description.frontend).num_bands]
    first, second = Graph(), Graph()
    _frames(first, description)
    _answer(second, network, description, "frames")
    return (
        _model(first, network, {"waveform": ["batch", "samples"]}, {"frames": frames}),
        _model(second, network, {"frames": frames}, {"logits": ["batch", _classes(description)]}),
    )


def _classes(description: Description) -> int:
    return len(description.categories)


def _frames(graph: Graph, description: Description) -> str:
    """Frames of a recording, (B, samples) -> (B, T, bands)."""
    maker = FrameMaker(description.audio, description.frontend)
    if maker.raw:
        return graph("Unsqueeze", "waveform", [2])
    return _mel(graph, maker, graph("Shape", "waveform", start=1, end=2))


def _answer(graph: Graph, network: onnx.ModelProto, description: Description, frames: str) -> None:
    """Add the operators from frames to logits of the recording, (B, T, bands) -> (B, K)."""
    rule = ClipWindows.of(description.audio, description.frontend)
    length = graph("Shape", frames, start=1, end=2)  # (1,)
    starts = _starts(graph, rule, length)
    windows = _windows(graph, rule, frames, starts, length)
    weights = _weights(graph, rule, frames, starts) if rule.fullest else ""
    nodes, constants = _embedded(network, windows)
    graph.nodes += nodes
    graph.constants += constants
    _pool(graph, graph("Shape", starts), _classes(description), description.calibration.temperature, weights)


def _model(graph: Graph, network: onnx.ModelProto, *values: Mapping[str, list[Any]]) -> onnx.ModelProto:
    """Return a graph as a model with named inputs and outputs; the last operator gives the output.

    Versions are those of `network`.
    """
    given, made = (
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in value.items()]
        for value in values
    )
    graph.nodes[-1].output[0] = made[0].name
    model = helper.make_model(
        helper.make_graph(graph.nodes, "auricle", given, made, graph.constants),
        opset_imports=network.opset_import,
        ir_version=network.ir_version,
        producer_name="auricle",
    )
    onnx.checker.check_model(model)
    return model


def two_factors(number: int) -> tuple[int, int]:
    """Return N1 <= N2 with N1 N2 = N, as equal as they can be.

    >>> two_factors(1024), two_factors(1103)
    ((32, 32), (1, 1103))
    """
    first = max(factor for factor in range(1, math.isqrt(number) + 1) if number % factor == 0)
    return first, number // first


def _mel(graph: Graph, maker: FrameMaker, samples: str) -> str:
    """Mel power, (B, samples) -> (B, T, bands)."""
    N, (N1, N2) = maker.transform_samples, two_factors(maker.transform_samples)
    M = N1 // 2 + 1
    pieces = graph("Mul", _pieces(graph, maker, samples), maker.window.reshape(N1, N2))
    k1 = np.arange(M)[:, None]
    first = np.exp(-2j * np.pi * k1 * np.arange(N1) / N1)  # (M, N1)
    mixed = graph("MatMul", np.float32(np.concatenate([first.real, first.imag])), pieces)
    real, imaginary = graph("Split", mixed, outputs=2, axis=2, num_outputs=2)  # (B, T, M, N2) each
    twiddle = np.exp(-2j * np.pi * k1 * np.arange(N2) / N)
    cosine, sine = (graph.constant(np.float32(part)) for part in (twiddle.real, twiddle.imag))
    turned_real = graph("Sub", graph("Mul", real, cosine), graph("Mul", imaginary, sine))
    turned_imaginary = graph("Add", graph("Mul", real, sine), graph("Mul", imaginary, cosine))
    second = np.exp(-2j * np.pi * np.outer(np.arange(N2), np.arange(N2)) / N2)
    matrix = np.block([[second.real, second.imag], [-second.imag, second.real]])  # (2 N2, 2 N2)
    both = graph("Concat", turned_real, turned_imaginary, axis=3)  # (B, T, M, 2 N2)
    spectrum = graph("MatMul", both, np.float32(matrix))
    real, imaginary = graph("Split", spectrum, outputs=2, axis=3, num_outputs=2)
    power = graph("Add", graph("Mul", real, real), graph("Mul", imaginary, imaginary))  # (B, T, M, N2)
    flat = graph("Reshape", power, [0, 0, -1])
    return graph("MatMul", flat, _filters_by_bin(maker.filters, N, N1, N2))


def _filters_by_bin(filters: np.ndarray, N: int, N1: int, N2: int) -> np.ndarray:
    """Lay the rows of (bins, bands) out in the order (k1, k2) of the transform; a bin that occurs twice counts once."""
    k = np.arange(N1 // 2 + 1)[:, None] + N1 * np.arange(N2)
    bins, first = np.unique(np.minimum(k, N - k), return_index=True)
    placed = np.zeros((k.size, filters.shape[1]), np.float32)
    placed[first] = filters[bins]
    return placed


def _pieces(graph: Graph, maker: FrameMaker, samples: str) -> str:
    """Overlapping pieces, (B, samples) -> (B, T, N1, N2); they are gathered in blocks that both lengths hold whole."""
    N, hop = maker.transform_samples, maker.hop_samples
    block = math.gcd(N, hop)
    whole = graph("Sub", samples, [N % 2])
    last = graph("Div", graph("Max", whole, [0]), [hop])  # the last frame, (1,)
    end = graph("Add", graph("Mul", last, [hop]), [N])
    padded = graph("Pad", "waveform", [0, N // 2, 0, N])
    padded = graph("Slice", padded, [0], end, [1])
    blocks = graph("Reshape", padded, [0, -1, block])
    firsts = graph("Mul", _range(graph, graph("Add", last, [1])), hop // block)  # blocks where frames begin
    index = graph("Add", graph("Unsqueeze", firsts, [1]), np.arange(N // block))
    return graph("Reshape", graph("Gather", blocks, index, axis=1), [0, -1, *two_factors(N)])


def _range(graph: Graph, end: str) -> str:
    """0, 1, ... end - 1; end has shape (1,)."""
    return graph("Range", 0, graph("Squeeze", end, [0]), 1)


def _starts(graph: Graph, rule: ClipWindows, length: str) -> str:
    """First frames of the windows of a recording of `length` frames, (1,) -> (W,): as `ClipWindows.times`."""
    last = graph("Cast", graph("Sub", length, [1]), to=DOUBLE)
    hops, beyond = (
        graph("Sub", graph("Div", frames, [rule.hop_frames]), [SLACK])
        for frames in (last, graph("Sub", last, [float(rule.window_frames)]))
    )
    if rule.fullest:
        is_longer = graph("Greater", beyond, [0.0])
        num = graph("Max", graph("Where", is_longer, graph("Ceil", hops), [1.0]), [1.0])
    else:
        num = graph("Add", graph("Max", graph("Ceil", beyond), [0.0]), [1.0])
    exact = graph("Mul", graph("Cast", _range(graph, graph("Cast", num, to=INT)), to=DOUBLE), rule.hop_frames)
    return graph("Cast", graph("Round", exact), to=INT)  # as Python rounds: half to even


def _windows(graph: Graph, rule: ClipWindows, frames: str, starts: str, length: str) -> str:
    """Windows of frames, (B, T, bands) -> (B W, bands, window_frames)."""
    index = graph("Add", graph("Unsqueeze", starts, [1]), np.arange(rule.window_frames))
    if rule.fullest:
        index = graph("Mod", index, length)
    else:
        beyond = rule.window_frames + math.ceil(rule.hop_frames) + 2
        frames = graph("Pad", frames, [0, 0, 0, 0, beyond, 0])
    windows = graph("Gather", frames, index, axis=1)  # (B, W, window_frames, bands)
    turned = graph("Transpose", windows, perm=[0, 1, 3, 2])
    bands = graph("Shape", frames, start=2, end=3)
    return graph("Reshape", turned, graph("Concat", [-1], bands, [rule.window_frames], axis=0))


def _weights(graph: Graph, rule: ClipWindows, frames: str, starts: str) -> str:
    """Weights of the windows, (B, T, bands) and (W,) -> (B, W): as `ClipWindows.weights`."""
    num = rule.moment_frames
    powers = graph("Mul", frames, frames) if rule.is_raw else frames
    levels = graph("ReduceSum", powers, [2], keepdims=0)  # (B, T)
    whole = graph("Pad", levels, [0, 0, 0, num - 1])
    end = graph("Mul", graph("Div", graph("Shape", whole, start=1, end=2), [num]), [num])
    moments = graph("Reshape", graph("Slice", whole, [0], end, [1]), [0, -1, num])
    levels = graph("ReduceSum", moments, [2], keepdims=0)  # (B, M)
    least = graph("Mul", graph("ReduceMax", levels, [1], keepdims=1), np.float32(10 ** (-ACTIVE_DB / 10)))
    active = graph("Cast", graph("GreaterOrEqual", levels, least), to=DOUBLE)
    steps = np.arange(max(1, rule.window_frames // num))
    index = graph("Add", graph("Unsqueeze", graph("Div", starts, [num]), [1]), steps)
    index = graph("Mod", index, graph("Shape", levels, start=1, end=2))
    fullness = graph("ReduceSum", graph("Gather", active, index, axis=1), [2], keepdims=0)  # (B, W)
    full = graph("Mul", graph("ReduceMax", fullness, [1], keepdims=1), FULL)
    return graph("Cast", graph("GreaterOrEqual", fullness, full), to=TensorProto.FLOAT)


def _embedded(network: onnx.ModelProto, windows: str) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """Return the nodes and the constants of a network that its logits need, fed with `windows`."""
    needed, nodes = {"logits"}, []
    for node in reversed(network.graph.node):
        if needed.intersection(node.output):
            needed.update(node.input)
            kept = onnx.NodeProto()
            kept.CopyFrom(node)
            rename = {"frames": windows, "logits": "window_logits"}
            kept.input[:] = [rename.get(name, name) for name in kept.input]
            kept.output[:] = [rename.get(name, name) for name in kept.output]
            nodes.append(kept)
    return nodes[::-1], [constant for constant in network.graph.initializer if constant.name in needed]


def _pool(graph: Graph, num: str, num_classes: int, temperature: float, weights: str) -> None:
    """Logits of a recording from those of its windows, (B W, K) and (B, W) -> (B, K); no weights: all equal."""
    shape = graph("Concat", [-1], num, [num_classes], axis=0)
    scaled = graph("Div", "window_logits", np.float32(temperature))
    by_clip = graph("Reshape", scaled, shape)
    probabilities = graph("Softmax", by_clip, axis=2)
    if weights:
        shares = graph("Div", weights, graph("ReduceSum", weights, [1], keepdims=1))
        weighted = graph("Mul", probabilities, graph("Unsqueeze", shares, [2]))
        mean = graph("ReduceSum", weighted, [1], keepdims=0)
    else:
        mean = graph("ReduceMean", probabilities, [1], keepdims=0)
    graph("Log", graph("Max", mean, np.float32(1e-30)))
