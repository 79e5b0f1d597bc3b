"""Check that an ONNX file contains only arithmetic on its own constants.

ONNX is Protocol Buffers. The few fields that matter are read here directly, in a millisecond and without the package
`onnx` (docs/decisions/onnx-graph-check.md): operators, their domains, attributes with graphs inside, constants and
where their bytes are stored. A graph may not loop, branch, call functions, use custom operators, or read other files.
"""

import math
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from auricle.errors import RefusedError

MAX_NODES = 20_000
MAX_FIELDS = 100_000  # of a message; the names of a graph's values and nodes need a few thousand
MAX_CONSTANT_VALUES = 2**25
STANDARD = frozenset((
    "Abs", "Add", "And", "AveragePool", "BatchNormalization", "Cast", "CastLike", "Ceil", "Clip", "Concat",
    "Constant", "ConstantOfShape", "Conv", "ConvInteger", "Cos", "DequantizeLinear", "Div", "DynamicQuantizeLinear",
    "Equal", "Erf", "Exp", "Expand", "Flatten", "Floor", "Gather", "Gelu", "Gemm", "GlobalAveragePool",
    "GlobalMaxPool", "Greater", "GreaterOrEqual", "Identity", "LayerNormalization", "Less", "LessOrEqual", "Log",
    "LogSoftmax", "MatMul", "MatMulInteger", "Max", "MaxPool", "Min", "Mod", "Mul", "Neg", "Not", "Or", "Pad", "Pow",
    "QLinearConv", "QLinearMatMul", "QuantizeLinear", "Range", "Reciprocal", "ReduceLogSumExp", "ReduceMax",
    "ReduceMean", "ReduceSum", "Relu", "Reshape", "Round", "Shape", "Sigmoid", "Sign", "Sin", "Size", "Slice",
    "Softmax", "Split", "Sqrt", "Squeeze", "Sub", "Sum", "Tanh", "Transpose", "Unsqueeze", "Where",
))  # fmt: skip
MICROSOFT = frozenset((
    "DynamicQuantizeMatMul", "FusedConv", "FusedGemm", "FusedMatMul", "Gelu", "MatMulIntegerToFloat", "QGemm",
    "QLinearAdd", "QLinearAveragePool", "QLinearConcat", "QLinearGlobalAveragePool", "QLinearMul",
    "QLinearReduceMean", "QLinearSigmoid", "QLinearSoftmax",
))  # fmt: skip
OPERATORS = {"": STANDARD, "ai.onnx": STANDARD, "ai.onnx.ml": STANDARD, "com.microsoft": MICROSOFT}  # by domain
ELEMENT_BYTES = {1: 4, 2: 1, 3: 1, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8}  # by type: float, (u)int8, int16, int32, ...

Fields = dict[int, list[Any]]  # of a message: the values of each field by its number


def check_graph(content: bytes, path: Path) -> None:
    """Refuse an ONNX model that could do anything but compute; the `RefusedError` gives the file and the reason."""
    try:
        reason = _model_reason(_fields(memoryview(content)))
    except (IndexError, ValueError, TypeError, OverflowError):
        reason = "not an ONNX model, or damaged"
    if reason:
        raise RefusedError(f"{path}: {reason}")


def _model_reason(model: Fields) -> str | None:
    """Return what is wrong with a ModelProto, or None."""
    if model[25]:
        return "defines functions of its own; only plain operators are accepted"
    (content,) = model[7]
    graph = _fields(content)
    num_nodes = len(graph[1])
    if not 1 <= num_nodes <= MAX_NODES:
        return f"{num_nodes} operators; 1 to {MAX_NODES} are accepted"
    if graph[15]:
        return "contains sparse constants; only dense ones are accepted"
    return _first((_node_reason, graph[1]), (_tensor_reason, graph[5]))


def _node_reason(node: Fields) -> str | None:
    """Return what is wrong with a NodeProto, or None."""
    # the last value of a field counts
    operator, domain = (str(b"".join(node[field][-1:]), "utf-8") for field in (4, 7))
    if operator not in OPERATORS.get(domain, ()):
        return f"operator {domain + '::' if domain else ''}{operator} is not accepted"[:200]
    return _first((_attribute_reason, node[5]))


def _attribute_reason(attribute: Fields) -> str | None:
    """Return what is wrong with an AttributeProto, or None."""
    if attribute[6] or attribute[11]:
        return "contains a graph inside an operator, which could loop forever"
    if attribute[22] or attribute[23]:
        return "contains sparse constants; only dense ones are accepted"
    return _first((_tensor_reason, attribute[5] + attribute[10]))


def _tensor_reason(tensor: Fields) -> str | None:
    """Return what is wrong with a TensorProto, or None: external data, or fewer bytes than its shape needs."""
    if tensor[13] or 1 in tensor[14]:
        return "has constants in another file; only self-contained models are accepted"
    shape: list[int] = []
    for value in tensor[1]:  # a number, or several in one field
        shape += [value] if isinstance(value, int) else _numbers(value)
    num_values = math.prod(shape)
    if any(size >= 2**63 for size in shape) or num_values > MAX_CONSTANT_VALUES:
        return f"a constant of {num_values} values; at most {MAX_CONSTANT_VALUES} are accepted"
    (element_type,), raw = tensor[2][-1:] or (0,), tensor[9][-1:]
    if raw and len(raw[0]) != num_values * ELEMENT_BYTES.get(element_type, -1):
        return f"a constant of {num_values} values in {len(raw[0])} bytes: damaged"
    return None


def _first(*checks: tuple[Callable[[Fields], str | None], list[memoryview]]) -> str | None:
    """Return the first reason that a check finds in the messages that it is for."""
    reasons = (check(_fields(message)) for check, messages in checks for message in messages)
    return next(filter(None, reasons), None)


def _fields(message: memoryview) -> Fields:
    """Read a message: integers, and bytes for all else."""
    fields: Fields = defaultdict(list)
    offset = num_fields = 0
    while offset < len(message):
        if (num_fields := num_fields + 1) > MAX_FIELDS:
            raise ValueError("too many fields")
        tag, offset = _varint(message, offset)
        wire = tag & 7
        if wire == 0:
            value, offset = _varint(message, offset)
            fields[tag >> 3].append(value)
            continue
        if wire == 2:
            size, offset = _varint(message, offset)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise ValueError(f"wire type {wire}")
        if offset + size > len(message):
            raise ValueError("cut off")
        fields[tag >> 3].append(message[offset : offset + size])
        offset += size
    return fields


def _numbers(message: memoryview) -> list[int]:
    numbers: list[int] = []
    offset = 0
    while offset < len(message):
        if len(numbers) == MAX_FIELDS:
            raise ValueError("too many numbers")
        number, offset = _varint(message, offset)
        numbers.append(number)
    return numbers


def _varint(message: memoryview, offset: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = message[offset]
        number |= (byte & 127) << shift
        offset, shift = offset + 1, shift + 7
        if byte < 128:
            return number, offset
        if shift > 63:
            raise ValueError("a number of more than ten bytes")
