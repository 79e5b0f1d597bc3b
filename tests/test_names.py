"""Names are unique across the rooms whose definitions a hand-in may copy, and are imported as themselves.

Text that people read, and names, avoid words that are no terms of the field.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

import auricle
from auricle.handin.source_text import OURS, Module, bound_by, is_module, parse_module

SOURCE = Path(auricle.__file__).parent
ROOMS = ("errors", "text", "files", "system", "config", "data", "model", "scoring", "runs", "training")
COPIED = [path for room in ROOMS for path in (SOURCE / f"{room}.py", *(SOURCE / room).rglob("*.py")) if path.exists()]
PLAIN = sorted(SOURCE.rglob("*.py"))
ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *SOURCE.rglob("*.md"), *SOURCE.rglob("*.yaml")})
# Metaphors and words in another language's order, each with what to write in its place
REFUSED_WORDS = {
    r"heard|hears|hear": "detected, processed",
    r"told": "reported, passed",
    r"mend|mends|mended": "fix",
    r"anew": "again",
    r"at work": "running",
    r"vouch|vouches|vouching": "scores",
    r"goes on|go on|going on": "resumes, continues",
    r"lies in|lie in|stands in|stand in": "is in",
    r"holds(?! the lock| it\b)": "contains",
    r"guessing(?!  )": "chance",  # but for the kind of collapse, in a table
    r"for want of|in place of|in the place of": "without, instead of",
    r"(one|row|line|file|folder|run(?! a model)|seconds|minutes) an? "
    r"(cell|clip|core|fold|model|recording|window|step)": "per",
}
REFUSED_NAMES = {
    "told",
    "tell",
    "heard",
    "words",
    "word",
    "looks",
    "place",
    "places",
    "people",
    "outcomes",
    "last_word",
}
TERMS = {("audit", "words")}  # by room: a fingerprint is of 32-bit words
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


def texts_of(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the texts of a module, docstrings too, with their lines; identifiers and paths have no blank."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value.strip():
            yield node.lineno, node.value


def names_of(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the names that a module gives to functions, parameters and variables."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.lineno, node.name


def refused_words(text: str) -> list[str]:
    return [f"{found[0]} ({better})" for word, better in REFUSED_WORDS.items()
            if (found := re.search(rf"\b({word})\b", text))]  # fmt: skip


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_documents_use_terms_of_the_field(path):
    if path.name not in ("RESULTS.md", "CHANGELOG.md"):  # written by commands; and about words of earlier versions
        assert [(line, found) for line in path.read_text("utf-8").splitlines() if (found := refused_words(line))] == []


@pytest.mark.parametrize("path", PLAIN, ids=lambda path: str(path.relative_to(SOURCE)))
def test_text_and_names_are_terms_of_the_field(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert [(line, found) for line, text in texts_of(tree) for found in refused_words(text)] == []
    room = path.relative_to(SOURCE).parts[0]
    refused = [(line, name) for line, name in names_of(tree) if name.strip("_") in REFUSED_NAMES]
    assert [(line, name) for line, name in refused if (room, name) not in TERMS] == []


def test_a_refused_word_is_seen_and_a_part_of_a_word_is_not():
    assert refused_words("3 recordings heard, one a core") == ["heard (detected, processed)", "one a core (per)"]
    assert refused_words("the threshold of heard_as, amended") == []
