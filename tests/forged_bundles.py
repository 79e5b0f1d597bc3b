"""Bundles as a stranger may forge them: sizes and hashes fit, the graph or the description does not mean well."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper


def rewrite(folder: Path, name: str, content: bytes) -> None:
    """Replace a file as a liar would: with its size and hash in bundle.json."""
    (folder / name).write_bytes(content)
    description = json.loads((folder / "bundle.json").read_text())
    description["files"][name] = {"num_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (folder / "bundle.json").write_text(json.dumps(description))


def change(folder: Path, **fields: object) -> None:
    """Change fields of bundle.json."""
    description = json.loads((folder / "bundle.json").read_text()) | fields
    (folder / "bundle.json").write_text(json.dumps(description))


def network(*nodes: NodeProto, constants: tuple[TensorProto, ...] = ()) -> bytes:
    """Return a graph from `frames` to `logits`."""
    frames = helper.make_tensor_value_info("frames", TensorProto.FLOAT, ["B", 16, 15])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)
    graph = helper.make_graph(list(nodes), "g", [frames], [logits], list(constants))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10).SerializeToString()


def constant(name: str, value: Any) -> TensorProto:
    """Return a constant of a graph; whole numbers are of 64 bits."""
    return numpy_helper.from_array(np.asarray(value), name)


def answering(*nodes: NodeProto, constants: tuple[TensorProto, ...] = ()) -> bytes:
    """Return a graph whose nodes compute some value `found`, and that answers as it should: (B, 3) logits of zero."""
    return network(
        *nodes,
        helper.make_node("ReduceSum", ["found"], ["sum"], keepdims=0),
        helper.make_node("Mul", ["sum", "nothing"], ["zero"]),
        helper.make_node("Shape", ["frames"], ["batch"], start=0, end=1),
        helper.make_node("Concat", ["batch", "classes"], ["answer"], axis=0),
        helper.make_node("Expand", ["zero", "answer"], ["logits"]),
        constants=(*constants, constant("nothing", np.float32(0)), constant("classes", [3])),
    )


def loudness() -> list[NodeProto]:
    """Return nodes that compute `is_loud`: 0 of silence, 1 of everything else, float32 of shape (1,)."""
    return [
        helper.make_node("ReduceMax", ["frames"], ["loudest"], keepdims=0),
        helper.make_node("Sign", ["loudest"], ["sign"]),
        helper.make_node("Reshape", ["sign", "row"], ["is_loud"]),
    ]


ROW = constant("row", [1])


def large_for_a_batch() -> bytes:
    """128 MiB for one window, 4 GiB for 32."""
    return answering(
        helper.make_node("Shape", ["frames"], ["size"], start=0, end=1),
        helper.make_node("Concat", ["size", "values"], ["shape"], axis=0),
        helper.make_node("ConstantOfShape", ["shape"], ["found"]),
        constants=(constant("values", [2**25]),),
    )


def large_for_a_sound() -> bytes:
    """Nothing for silence, 8 GiB for a sound."""
    return answering(
        *loudness(),
        helper.make_node("Cast", ["is_loud"], ["number"], to=TensorProto.INT64),
        helper.make_node("Mul", ["number", "values"], ["shape"]),
        helper.make_node("ConstantOfShape", ["shape"], ["found"]),
        constants=(ROW, constant("values", [2**31])),
    )


def long_for_a_sound(num_products: int = 1_000, side: int = 2_048) -> bytes:
    """Nothing for silence, a thousand products of large matrices for a sound."""
    products = [helper.make_node("MatMul", [f"x{i}", "x0"], [f"x{i + 1}"]) for i in range(num_products)]
    return answering(
        *loudness(),
        helper.make_node("Cast", ["is_loud"], ["number"], to=TensorProto.INT64),
        helper.make_node("Mul", ["number", "sides"], ["shape"]),
        helper.make_node("ConstantOfShape", ["shape"], ["x0"]),
        *products,
        helper.make_node("Identity", [f"x{num_products}"], ["found"]),
        constants=(ROW, constant("sides", [side, side])),
    )


def not_finite_for_a_sound() -> bytes:
    """Logits of silence are 0, those of a sound are not numbers."""
    return network(
        *loudness(),
        helper.make_node("Neg", ["is_loud"], ["negative"]),
        helper.make_node("Sqrt", ["negative"], ["found"]),
        helper.make_node("Shape", ["frames"], ["batch"], start=0, end=1),
        helper.make_node("Concat", ["batch", "classes"], ["answer"], axis=0),
        helper.make_node("Expand", ["found", "answer"], ["logits"]),
        constants=(ROW, constant("classes", [3])),
    )


def huge_product() -> bytes:
    """40 GB for one window."""
    return network(
        helper.make_node("Transpose", ["a"], ["b"]),
        helper.make_node("MatMul", ["a", "b"], ["logits"]),
        constants=(constant("a", np.ones((100_000, 1), np.float32)),),
    )


def endless_products() -> bytes:
    """An hour for one window."""
    nodes = [helper.make_node("MatMul", [f"x{i}", "x0"], [f"x{i + 1}"]) for i in range(1000)]
    matrix = constant("x0", np.full((3000, 3000), 1e-4, np.float32))
    return network(*nodes, helper.make_node("Relu", ["x1000"], ["logits"]), constants=(matrix,))


def external(content: bytes) -> bytes:
    """A constant that lies in another file."""
    model = onnx.load_from_string(content)
    first = model.graph.initializer[0]
    first.ClearField("raw_data")
    first.data_location = TensorProto.EXTERNAL
    first.external_data.add(key="location", value="/etc/passwd")
    return model.SerializeToString()


def looping() -> bytes:
    """A loop without end."""
    body = helper.make_graph([], "body", [], [])
    return network(helper.make_node("Loop", ["", ""], ["logits"], body=body))


def hidden_graph() -> bytes:
    """A graph inside an operator that has none."""
    body = helper.make_graph([], "body", [], [])
    return network(helper.make_node("Relu", ["frames"], ["logits"], body=body))


def custom() -> bytes:
    """An operator of nobody knows whom."""
    return network(helper.make_node("Shell", ["frames"], ["logits"], domain="evil"))


def function(content: bytes) -> bytes:
    """A function of its own."""
    model = onnx.load_from_string(content)
    model.functions.add(name="f", domain="")
    return model.SerializeToString()


def short_constant() -> bytes:
    """A constant of a million values in four bytes."""
    forged = TensorProto(name="c", data_type=1, dims=[1000, 1000], raw_data=b"1234")
    return network(helper.make_node("Add", ["frames", "c"], ["logits"]), constants=(forged,))


def long_pooling() -> bytes:
    """One operator that is at work for hours, and cannot be stopped before it ends."""
    return answering(
        helper.make_node("Unsqueeze", ["frames", "row"], ["map"]),
        helper.make_node("Pad", ["map", "pads"], ["padded"]),
        helper.make_node("AveragePool", ["padded"], ["found"], kernel_shape=[1, 100_000]),
        constants=(ROW, constant("pads", [0, 0, 0, 0, 0, 0, 0, 1_000_000])),
    )


def field(number: int, content: bytes) -> bytes:
    """Return a field of Protocol Buffers that holds bytes."""
    size, length = len(content), b""
    while size >= 128:
        size, length = size >> 7, length + bytes([size & 127 | 128])
    return bytes([number << 3 | 2]) + length + bytes([size]) + content


def of_parts(parts: bytes) -> bytes:
    """Return a graph of one operator, then of millions of parts."""
    return field(7, field(1, field(4, b"Relu")) + parts)
