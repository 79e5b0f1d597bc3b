"""Every parser of ours, fed with what hypothesis makes up: our own errors only, nothing slow, nothing large."""

import contextlib
import json
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from auricle.bundle.graph import check_graph
from auricle.bundle.reading import load_bundle
from auricle.config import load_preset, load_study, parse_overrides, to_yaml
from auricle.data.folds import PROTOCOLS, make_splits
from auricle.data.grouping import NamePattern, grouped_by_name
from auricle.data.manifest import Clip, Manifest, require_enough
from auricle.data.own_tables import read_own_table
from auricle.errors import AuricleError
from auricle.runs import CellName

NUM_FAST = 40  # inputs of each parser
NUM_LONG = {"manifest": 20_000, "configuration": 10_000, "description": 20_000, "graph": 20_000, "names": 30_000}
LIMIT_S, LIMIT_BYTES = 10.0, 2**30
FILES = ("a.wav", "b.WAV", "é 🐕.flac", "deep/c.ogg")
WORDS = [
    "filename", "category", "fold", "group", "dog", "cat", "1", "2", "-1", "9" * 5_000, "1e3", "", " ", '"', "\n", "\r",
    ",", "\ufeff", "\0", "../a.wav", "/", "~", "x" * 300, "a/" * 3_000, *FILES,
]  # fmt: skip
YAML_PIECES = [
    "training: ", "epochs: ", "base: ", "blocks: ", "encoder: ", "extends: ", "recipe: ", "models: ", "presets: ",
    "name: ", "cnn", "- ", "{", "}", "[", "]", "&a ", "*a", "<<: ", ": ", "\n", "  ", "!!bool x", "!!int ''",
    "!!float ''", "!!binary '?'", "2024-99-99", "1:60:61", ".inf", ".nan", "9" * 5_000, "1e999", "0x", "~", "null",
    '"\\ud800"', "!!python/object:os.system ", "[" * 600, "{a: " * 300, "? ", "|", ">", "%YAML 9", "---\n", "\t", "\0",
]  # fmt: skip
OWN_YAML = [
    resources.files(package).joinpath(folder, f"{name}.yaml").read_text(encoding="utf-8")
    for package, folder, name in (
        ("auricle.model", "presets", "cnn"),
        ("auricle.model", "presets", "transformer-h4"),
        ("auricle.study", "studies", "esc10"),
        ("auricle.study", "studies", "quickstart"),
    )
]
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)


@st.composite
def spoilt(draw: st.DrawFn, originals: list, pieces: st.SearchStrategy) -> bytes | str:
    """Something whole, with a few stretches cut out, replaced or repeated."""
    content = draw(st.sampled_from(originals))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(content)))
        stop = min(len(content), start + draw(st.integers(0, 20)))
        content = content[:start] + draw(pieces) + content[draw(st.sampled_from([start, stop])) :]
    return content


@dataclass(frozen=True)
class Parser:
    """What is fed to it, and how; `errors` besides our own are promised in its docstring."""

    inputs: st.SearchStrategy
    feed: Callable[[Path, object], None]
    errors: tuple[type[Exception], ...] = (AuricleError,)


def feed_manifest(folder: Path, content: bytes) -> None:
    table = folder / "clips.csv"
    table.write_bytes(content)
    clips = read_own_table(table).clips
    manifest = Manifest(str(table), tuple(clips), 1.0)
    require_enough(manifest)
    for protocol in PROTOCOLS:
        make_splits(manifest, protocol, allow_split_groups=True)


def feed_configuration(folder: Path, content: str) -> None:
    path = folder / "any.yaml"
    path.write_bytes(content.encode("utf-8", "surrogatepass"))
    for read in (load_preset, load_study, _override, lambda name: to_yaml(load_preset(name))):
        with contextlib.suppress(AuricleError):
            read(str(path) if read is not _override else content)


def _override(content: str) -> None:
    load_preset("cnn", parse_overrides([content]))


def feed_description(folder: Path, content: bytes) -> None:
    (folder / "bundle.json").write_bytes(content)
    load_bundle(folder)


def feed_graph(folder: Path, content: bytes) -> None:
    check_graph(content, folder / "network.onnx")


def feed_names(folder: Path, names: tuple[str, str]) -> None:
    pattern, name = names
    with contextlib.suppress(ValueError):
        assert str(CellName.parse(name))
    clip = Clip(Path("x"), name, "dog", 1, name)
    grouped_by_name(Manifest("any", (clip,), 1.0), NamePattern.parse(pattern))


def a_graph() -> bytes:
    from onnx import TensorProto, helper

    node = helper.make_node("Relu", ["frames"], ["logits"])
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["B", 16, 15]) for name in ("frames", "logits")]
    constant = helper.make_tensor("c", TensorProto.FLOAT, [2, 3], [1.0] * 6)
    graph = helper.make_graph([node], "g", ends[:1], ends[1:], [constant])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]).SerializeToString()


def a_description() -> dict:
    stored = {"num_bytes": 1, "sha256": "0" * 64}
    return {
        "schema_version": 1, "name": "x", "categories": ["a", "b"], "audio": {}, "frontend": {}, "mean": 0, "std": 1,
        "calibration": {"temperature": 1.0, "thresholds": [0.5, 0.5], "num_clips": 3}, "origin": {},
        "files": dict.fromkeys(("network.onnx", "model.onnx", "config.yaml", "README.md"), stored),
    }  # fmt: skip


@st.composite
def descriptions(draw: st.DrawFn) -> bytes:
    """A bundle.json with a few fields changed."""
    content = a_description()
    for name in draw(st.lists(st.sampled_from(sorted(content)), max_size=3)):
        content[name] = draw(JSON_VALUES)
    for name in draw(st.lists(st.sampled_from(("audio", "frontend", "calibration", "origin")), max_size=2)):
        content[name] = {
            **a_description()[name],
            **draw(st.dictionaries(st.text(max_size=10), JSON_VALUES, max_size=2)),
        }
    return json.dumps(content).encode()


NAME_PIECES = [
    "{fold}",
    "{source}",
    "{a}",
    "*",
    "-",
    "_",
    "/",
    ".wav",
    "1",
    "9" * 400,
    "k-fold",
    "é",
    "🐕",
    "{",
    "}",
    "\n",
    "{}",
]
NAMES = st.lists(st.sampled_from(NAME_PIECES) | st.text(max_size=8), max_size=12).map("".join)
FIELDS = st.sampled_from(WORDS) | st.text(max_size=10)
ROWS = st.lists(st.lists(FIELDS, max_size=5).map(",".join), max_size=8).map("\n".join)
HEADERS = st.sampled_from(
    ["filename,category\n", "filename,category,fold,group\n", "\ufefffilename,fold,category\n", ""]
)
PARSERS = {
    "manifest": Parser(
        st.binary(max_size=200) | st.tuples(HEADERS, ROWS).map(lambda parts: "".join(parts).encode("utf-8", "replace")),
        feed_manifest,
    ),
    "configuration": Parser(
        st.text(max_size=60)
        | st.lists(st.sampled_from(YAML_PIECES), max_size=12).map("".join)
        | spoilt(OWN_YAML, st.sampled_from(YAML_PIECES)),
        feed_configuration,
    ),
    "description": Parser(
        st.binary(max_size=60) | descriptions() | spoilt([json.dumps(a_description()).encode()], st.binary(max_size=6)),
        feed_description,
    ),
    "graph": Parser(st.binary(max_size=60) | spoilt([a_graph()], st.binary(max_size=6)), feed_graph),
    "names": Parser(st.tuples(NAMES, NAMES), feed_names),
}


def fuzz(name: str, folder: Path, num_inputs: int) -> None:
    """Feed a parser; the slowest answer and the growth of memory are bounded over all inputs."""
    parser, slowest_s = PARSERS[name], 0.0
    for file in FILES:
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).touch()

    @settings(
        max_examples=num_inputs,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    @given(content=parser.inputs)
    def feed(content: object) -> None:
        nonlocal slowest_s
        start = time.process_time()  # a loop without end burns it; a busy machine does not
        try:
            parser.feed(folder, content)
        except parser.errors:
            pass
        finally:
            slowest_s = max(slowest_s, time.process_time() - start)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    feed()
    assert slowest_s < LIMIT_S
    assert 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) < LIMIT_BYTES


@pytest.mark.parametrize("name", PARSERS)
def test_a_parser_answers_whatever_it_is_fed(name: str, tmp_path: Path) -> None:
    fuzz(name, tmp_path, NUM_FAST)


@pytest.mark.long
@pytest.mark.parametrize("name", PARSERS)
def test_a_parser_answers_its_share_of_a_hundred_thousand_inputs(name: str, tmp_path: Path) -> None:
    fuzz(name, tmp_path, NUM_LONG[name])


# each line takes the one before it in ten times: 10**7 pairs, all of them while the mapping is made
MERGED = "a: &a {x: 1}\n" + "".join(
    f"{b}: &{b} {{<<: [{','.join([f'*{a}'] * 10)}]}}\n" for a, b in zip("abcdefg", "bcdefgh", strict=True)
)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 5_000,
        "a: " + "9" * 5_000,
        "a: 2024-99-99",
        "a: !!bool x",
        "a: !!int ''",
        "&a [*a]",
        'name: "\\ud800"',
        "x" * 200_000,
        "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
        + "".join(f"{b}: &{b} [{','.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
        MERGED,
    ],
)
def test_yaml_that_would_break_or_flood_the_reader_is_refused_in_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(AuricleError) as caught:
        load_preset(str(tmp_path / "x.yaml"))
    assert "x.yaml" in str(caught.value)
    assert len(str(caught.value)) < 1_000
