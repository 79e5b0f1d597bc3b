import hashlib
import json
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from auricle.bundle.graph import check_graph
from auricle.bundle.reading import load_bundle
from auricle.errors import RefusedError
from auricle.predict.classifier import Classifier


def rewrite(folder: Path, name: str, content: bytes) -> None:
    """Replace a file as a liar would: with its size and hash in bundle.json."""
    (folder / name).write_bytes(content)
    description = json.loads((folder / "bundle.json").read_text())
    description["files"][name] = {"num_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (folder / "bundle.json").write_text(json.dumps(description))


def change(folder: Path, **fields: object) -> None:
    description = json.loads((folder / "bundle.json").read_text()) | fields
    (folder / "bundle.json").write_text(json.dumps(description))


def network(*nodes: onnx.NodeProto, constants: tuple[onnx.TensorProto, ...] = ()) -> bytes:
    frames = helper.make_tensor_value_info("frames", TensorProto.FLOAT, ["B", 16, 15])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)
    graph = helper.make_graph(list(nodes), "g", [frames], [logits], list(constants))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10).SerializeToString()


def test_a_bundle_loads_and_says_what_it_is(bundle):
    description = load_bundle(bundle).description
    assert description.categories == ("click", "noise", "tone")
    assert description.calibration.num_clips == 30
    assert description.scores is not None
    assert description.scores.low < description.scores.accuracy < description.scores.high
    assert {file.name for file in bundle.iterdir()} == {*description.files, "bundle.json"}


def test_no_file_of_a_bundle_is_a_pickle_or_names_this_machine(bundle):
    for file in bundle.iterdir():
        content = file.read_bytes()
        assert not content.startswith((b"\x80\x02", b"\x80\x04", b"\x80\x05", b"PK"))
        assert b"site-packages" not in content
        assert str(Path.home()).encode() + b"/" not in content


@pytest.mark.parametrize("name", ["network.onnx", "model.onnx", "model.safetensors", "config.yaml", "README.md"])
def test_one_changed_byte_is_seen(copy, name):
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(RefusedError, match=f"{name}: damaged"):
        load_bundle(copy)


@pytest.mark.parametrize("name", ["network.onnx", "README.md", "bundle.json"])
def test_a_missing_or_a_linked_file_is_refused(copy, name, tmp_path):
    content = (copy / name).read_bytes()
    (copy / name).unlink()
    with pytest.raises(RefusedError, match=f"{name}: missing"):
        load_bundle(copy)
    (tmp_path / "elsewhere").write_bytes(content)
    (copy / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RefusedError, match="not an ordinary file"):
        load_bundle(copy)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"schema_version": 2}, "schema_version"),
        ({"surprise": 1}, "surprise"),
        ({"categories": ["one", "one", "two"]}, "twice"),
        ({"categories": ["one", "two", "\x1b[31mred"]}, "printable"),
        ({"std": 0}, "std"),
        ({"mean": "NaN"}, "mean"),
        ({"files": {"../../evil": {"num_bytes": 1, "sha256": "0" * 64}}}, "files"),
        ({"audio": {"sample_rate_hz": 192_000, "window_s": 1e9}}, "window"),
        ({"audio": {"window_hop_s": 1e-9}}, "hop"),
        ({"frontend": {"hop_ms": 1e-9}}, "hop_ms"),
        ({"frontend": {"transform_ms": 1e9}}, "transform_ms"),
        ({"calibration": {"thresholds": [0.5]}}, "3 are needed"),
        ({"calibration": {"temperature": 0, "thresholds": [0.5] * 3}}, "temperature"),
    ],
)
def test_a_lie_in_the_description_is_named(copy, fields, reason):
    change(copy, **fields)
    with pytest.raises(RefusedError, match=reason) as refusal:
        load_bundle(copy)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b"{" + b" " * 2**21 + b"}"])
def test_a_description_that_is_none_is_refused(copy, content):
    (copy / "bundle.json").write_bytes(content)
    with pytest.raises(RefusedError, match=r"bundle\.json"):
        load_bundle(copy)


def external(content: bytes) -> bytes:
    model = onnx.load_from_string(content)
    constant = model.graph.initializer[0]
    constant.ClearField("raw_data")
    constant.data_location = TensorProto.EXTERNAL
    constant.external_data.add(key="location", value="/etc/passwd")
    return model.SerializeToString()


def looping(content: bytes) -> bytes:
    body = helper.make_graph([], "body", [], [])
    return network(helper.make_node("Loop", ["", ""], ["logits"], body=body))


def hidden_graph(content: bytes) -> bytes:
    body = helper.make_graph([], "body", [], [])
    return network(helper.make_node("Relu", ["frames"], ["logits"], body=body))


def custom(content: bytes) -> bytes:
    return network(helper.make_node("Shell", ["frames"], ["logits"], domain="evil"))


def function(content: bytes) -> bytes:
    model = onnx.load_from_string(content)
    model.functions.add(name="f", domain="")
    return model.SerializeToString()


def short_constant(content: bytes) -> bytes:
    constant = TensorProto(name="c", data_type=1, dims=[1000, 1000], raw_data=b"1234")
    return network(helper.make_node("Add", ["frames", "c"], ["logits"]), constants=(constant,))


@pytest.mark.parametrize(
    ("forge", "reason"),
    [
        (external, "another file"),
        (looping, "Loop|graph inside"),
        (hidden_graph, "graph inside"),
        (custom, "evil::Shell"),
        (function, "functions"),
        (short_constant, "damaged"),
        (lambda content: b"", "at least 1|greater"),
        (lambda content: content[: len(content) // 2], "damaged"),
        (lambda content: b"\x80\x04\x95pickle", "damaged"),
        (lambda content: b"\xff" * 1000, "damaged"),
    ],
)
@pytest.mark.parametrize("name", ["network.onnx", "model.onnx"])
def test_a_graph_that_could_do_more_than_compute_is_refused(copy, forge, reason, name):
    rewrite(copy, name, forge((copy / name).read_bytes()))
    with pytest.raises(RefusedError, match=reason):
        load_bundle(copy)


def huge_allocation() -> bytes:
    side = numpy_helper.from_array(np.ones(100_000, np.float32).reshape(-1, 1), "a")
    nodes = [
        helper.make_node("Transpose", ["a"], ["b"]),
        helper.make_node("MatMul", ["a", "b"], ["logits"]),
    ]
    return network(*nodes, constants=(side,))


def endless_work() -> bytes:
    side = numpy_helper.from_array(np.full((3000, 3000), 1e-4, np.float32), "x0")
    nodes = [helper.make_node("MatMul", [f"x{i}", "x0"], [f"x{i + 1}"]) for i in range(1000)]
    return network(*nodes, helper.make_node("Relu", ["x1000"], ["logits"]), constants=(side,))


@pytest.mark.parametrize("forge", [huge_allocation, endless_work])
def test_a_graph_that_wants_too_much_is_refused_soon_and_in_little_memory(copy, forge):
    rewrite(copy, "network.onnx", forge())
    program = (
        "import re, sys, time; from pathlib import Path\n"
        "from auricle.cli import main\n"
        "import onnxruntime\n"
        "start = time.perf_counter()\n"
        "code = main(['predict', sys.argv[1], 'x.wav'])\n"
        "peak_mb = int(re.search(r'VmHWM:\\s*(\\d+)', Path('/proc/self/status').read_text())[1]) / 1024\n"
        "print(code, time.perf_counter() - start, peak_mb)\n"
    )
    result = subprocess.run([sys.executable, "-c", program, str(copy)], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr[-500:]
    code, _, memory_mb = result.stdout.split()
    assert code == "3"
    assert float(memory_mb) < 512
    assert "network.onnx" in result.stderr


def test_a_network_that_answers_with_another_shape_is_refused(copy):
    rewrite(copy, "network.onnx", network(helper.make_node("Relu", ["frames"], ["logits"])))
    with pytest.raises(RefusedError, match="promised"):
        Classifier.load(copy)


def message(field: int, content: bytes) -> bytes:
    """A field of Protocol Buffers that holds bytes."""
    size, length = len(content), b""
    while size >= 128:
        size, length = size >> 7, length + bytes([size & 127 | 128])
    return bytes([field << 3 | 2]) + length + bytes([size]) + content


@pytest.mark.parametrize(
    "graph",
    [
        message(1, b"") * 2_000_000,  # operators without a name
        message(5, message(1, b"\x01" * 4_000_000)),  # a constant of four million dimensions
        message(5, b"\x08\x01" * 2_000_000),
    ],
    ids=["operators", "packed dimensions", "dimensions"],
)
def test_a_graph_of_millions_of_parts_is_refused_in_little_memory(graph):
    content = message(7, message(1, message(4, b"Relu")) + graph)
    tracemalloc.start()
    try:
        with pytest.raises(RefusedError, match=r"damaged|not accepted"):
            check_graph(content, Path("network.onnx"))
        assert tracemalloc.get_traced_memory()[1] < 30e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("path", ["no/such", "a\0b"])
def test_a_folder_that_is_none_is_refused(path):
    with pytest.raises(RefusedError):
        load_bundle(Path(path))
