"""What auricle stands on: the parts that are installed, the lock file with its hashes, and the page of licences."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import auricle
from auricle.extras import EXTRAS, MissingPackageError, extras_named, is_installed

ROOT = Path(__file__).parents[1]
SOURCE = Path(auricle.__file__).parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCKED = ("train", "demo", "media", "wandb")
DISTRIBUTIONS = {"sklearn": "scikit-learn", "yaml": "pyyaml", "PIL": "pillow", "markdown_it": "markdown-it-py",
                 "mlflow": "mlflow-skinny"}  # fmt: skip
BROUGHT = {"starlette": "gradio", "pyarrow": "ray"}  # by another, which goes without them nowhere


def plain(name: str) -> str:
    return re.sub("[-_.]+", "-", name).lower()


def pinned(file: str) -> dict[str, str]:
    text = (ROOT / file).read_text(encoding="utf-8")
    return {plain(name): version for name, version in re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE)}


def distributions(needs: list[str]) -> set[str]:
    return {plain(re.split("[^A-Za-z0-9_.-]", need)[0]) for need in needs} - {"auricle"}


def needed() -> set[str]:
    extras = PROJECT["optional-dependencies"]
    return distributions([*PROJECT["dependencies"], *(need for name in LOCKED for need in extras[name])])


def imported() -> Iterator[str]:
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield (node.module or "").partition(".")[0]


NOTEBOOK = {"IPython"}  # there wherever a notebook runs, and imported only in one


def test_each_package_that_is_imported_is_one_that_predict_needs_or_of_an_extra_that_brings_it() -> None:
    of_extras = {name: extra for extra, names in EXTRAS.items() for name in names}
    for name in {*imported()} - {*sys.stdlib_module_names, *NOTEBOOK, "auricle"}:
        needs = PROJECT["optional-dependencies"][of_extras[name]] if name in of_extras else PROJECT["dependencies"]
        assert plain(DISTRIBUTIONS.get(name, BROUGHT.get(name, name))) in distributions(needs), name


def test_the_extra_dev_brings_every_other_but_the_microphone() -> None:
    dev = PROJECT["optional-dependencies"]["dev"][0]
    assert set(re.findall(r"\w+", dev)[1:]) == {*EXTRAS} - {"listen"}  # PortAudio is no Python package


BLOCKED = """
import sys
sys.modules.update(dict.fromkeys(sys.argv[1].split(",")))
from auricle.cli import main
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize(
    ("extra", "command"),
    [
        ("train", "train tiny --data toy --out study"),
        ("train", "study quickstart --out study"),
        ("train", "search wide --data toy --out study"),
        ("train", "models"),
        ("train", "check toy"),
    ],
)
def test_a_part_that_is_missing_is_one_line_that_names_the_extra_before_anything_is_done(extra, command, tmp_path):
    words = [sys.executable, "-c", BLOCKED, ",".join(EXTRAS[extra]), *command.split()]
    ended = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path)
    assert re.fullmatch(
        rf"auricle: this needs \w+, which is not installed: pip install 'auricle\[{extra}\]'\n", ended.stderr
    )
    assert (ended.returncode, ended.stdout, [*tmp_path.iterdir()]) == (5, "", [])


def test_a_folder_that_a_tracker_left_is_no_package(tmp_path, monkeypatch) -> None:
    (tmp_path / "left_by_a_tracker").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert [is_installed(name) for name in ("left_by_a_tracker", "no_such_module", "numpy")] == [False, False, True]


def test_from_python_too_the_extra_is_named_and_other_failures_stay_what_they_are(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    for module in ("auricle.model.classifier", "auricle.training.waveforms"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    with pytest.raises(MissingPackageError, match=r"pip install 'auricle\[train\]'"):
        auricle.create_model("tiny", 3)
    with pytest.raises(ModuleNotFoundError, match="no_such_module"), extras_named():
        __import__("no_such_module")


def test_the_lock_file_holds_all_that_is_needed_in_the_versions_of_the_constraints_and_each_has_a_hash() -> None:
    locked, constraints = pinned("requirements.lock"), pinned("constraints.txt")
    assert needed() <= set(locked)
    assert locked == {name: constraints[name] for name in locked}, "run `make lock licences`"
    lines = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"\S+==\S+ --hash=sha256:[0-9a-f]{64}", line) for line in lines)


def test_the_page_of_licences_names_each_locked_package_and_copyleft_first() -> None:
    page = (ROOT / "docs" / "licences.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([\w.-]+) \| (\d\S*) \| (.*?) \|", page, re.MULTILINE)
    assert {plain(name): version for name, version, _ in rows} == pinned("requirements.lock"), "run `make licences`"
    assert "soxr" in [name for name, *_ in rows[:6]]
    assert "not named" not in page


def test_the_citation_is_valid_and_agrees_with_the_project():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()  # which the format requires
    assert citation["cff-version"] == "1.2.0"
    assert all(author["name"] for author in citation["authors"])  # an entity has a name, no given and family names
    assert citation["type"] == "software"
    assert (citation["version"], citation["license"]) == (PROJECT["version"], PROJECT["license"])
    assert PROJECT["version"] == auricle.__version__
