"""Names are unique across the rooms whose definitions a hand-in may copy, and are imported as themselves."""

import ast
from collections import defaultdict
from pathlib import Path

import pytest

import auricle
from auricle.handin.source_text import OURS, Module, bound_by, is_module, parse_module

SOURCE = Path(auricle.__file__).parent
ROOMS = ("errors", "text", "files", "system", "config", "data", "model", "scoring", "runs", "training")
COPIED = [path for room in ROOMS for path in (SOURCE / f"{room}.py", *(SOURCE / room).rglob("*.py")) if path.exists()]
WITH_ALIASES = [path for path in COPIED if path.name != "__init__.py"]


def module_at(path: Path) -> Module:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return parse_module(".".join((OURS, *parts)), path.read_text())


def twice(texts: dict[str, str]) -> dict[str, list[str]]:
    """Return the top-level names that several modules define, and which."""
    found = defaultdict(list)
    for module, text in texts.items():
        for node in ast.parse(text).body:
            for name in bound_by(node):
                if not name.startswith("__"):
                    found[name].append(module)
    return {name: modules for name, modules in found.items() if len({*modules}) > 1}


def test_no_name_is_defined_twice():
    assert twice({str(path.relative_to(SOURCE)): path.read_text() for path in COPIED}) == {}


@pytest.mark.parametrize("path", WITH_ALIASES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_names_of_ours_are_imported_as_themselves(path):
    for one in module_at(path).imports.values():
        if one.is_ours:
            assert one.name, f"import {one.module}: import the names"
            assert one.bound == one.name, f"{one}: give it a name that needs no other"
            assert not is_module(f"{one.module}.{one.name}"), f"{one}: import the names, not the module"


def test_a_name_that_two_modules_define_is_seen():
    texts = {"a": "LIMIT = 1\ndef f():\n    x = 1", "b": "class f: pass\nx = 1", "c": "x: int = 2"}
    assert twice(texts) == {"f": ["a", "b"], "x": ["b", "c"]}
