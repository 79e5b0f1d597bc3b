import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
from onnx import helper

import forged_bundles as forged
from auricle.bundle.graph import check_graph
from auricle.bundle.reading import load_bundle
from auricle.errors import RefusedError
from auricle.predict.classifier import Classifier
from forged_bundles import change, field, network, rewrite


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


@pytest.mark.parametrize(
    "name", ["network.onnx", "model.onnx", "model.safetensors", "config.yaml", "config.json", "README.md"]
)
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
        ({"calibration": {"temperature": 1e-320, "thresholds": [0.5] * 3}}, "temperature"),
        ({"calibration": {"thresholds": [0.5] * 3, "num_clips": 10**300}}, "num_clips"),
        ({"mean": 1e308}, "mean"),
        ({"std": 1e-320}, "std"),
        ({"frontend": {"floor": 1e-320}}, "floor"),
        ({"audio": {"window_s": 100, "window_hop_s": 0.01}}, "overlap"),
        ({"name": "cnn\x9b31m"}, "name"),
        ({"attention": {"num_blocks": 1, "num_heads": 1, "num_steps": 100_000}}, "num_steps"),
        ({"int8": {"num_clips": 1, "accuracy_int8": 1e9, "num_bytes_float": 1, "num_bytes_int8": 1}}, "accuracy_int8"),
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


@pytest.mark.parametrize(
    ("forge", "reason"),
    [
        (forged.external, "another file"),
        (lambda content: forged.looping(), "Loop|graph inside"),
        (lambda content: forged.hidden_graph(), "graph inside"),
        (lambda content: forged.custom(), "evil::Shell"),
        (forged.function, "functions"),
        (lambda content: forged.short_constant(), "damaged"),
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


@pytest.mark.parametrize("forge", [forged.huge_product, forged.endless_products])
def test_a_graph_that_wants_too_much_is_refused_soon_and_in_little_memory(copy, forge):
    rewrite(copy, "network.onnx", forge())
    program = (
        "import re, resource, sys; from pathlib import Path\n"
        "resource.setrlimit(resource.RLIMIT_CPU, (60, 60))\n"  # a busy machine burns no more of it than an idle one
        "from auricle.cli import main\n"
        "code = main(['predict', sys.argv[1], 'x.wav'])\n"
        "peak_mb = int(re.search(r'VmHWM:\\s*(\\d+)', Path('/proc/self/status').read_text())[1]) / 1024\n"
        "print(code, peak_mb)\n"
    )
    result = subprocess.run([sys.executable, "-c", program, str(copy)], capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stderr[-500:]
    code, memory_mb = result.stdout.split()
    assert code == "3"
    assert float(memory_mb) < 512
    assert "network.onnx" in result.stderr


def test_a_network_that_answers_with_another_shape_is_refused(copy):
    rewrite(copy, "network.onnx", network(helper.make_node("Relu", ["frames"], ["logits"])))
    with pytest.raises(RefusedError, match="expected finite"):
        Classifier.load(copy)


@pytest.mark.parametrize(
    "graph",
    [
        field(1, b"") * 2_000_000,  # operators without a name
        field(5, field(1, b"\x01" * 4_000_000)),  # a constant of four million dimensions
        field(5, b"\x08\x01" * 2_000_000),
    ],
    ids=["operators", "packed dimensions", "dimensions"],
)
def test_a_graph_of_millions_of_parts_is_refused_in_little_memory(graph):
    content = forged.of_parts(graph)
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
