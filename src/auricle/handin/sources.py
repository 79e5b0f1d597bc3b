"""Modules as text: what each defines, and what it imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from importlib.resources.abc import Traversable

from auricle.errors import AuricleError
from auricle.handin.words import Use, uses_of

OURS = "auricle"


@dataclass(frozen=True)
class Foreign:
    """An import from elsewhere: `import module as bound`, or `from module import name as bound`."""

    module: str
    name: str | None
    bound: str

    def __str__(self) -> str:
        alias = "" if self.bound == (self.name or self.module) else f" as {self.bound}"
        return f"from {self.module} import {self.name}{alias}" if self.name else f"import {self.module}{alias}"


@dataclass(frozen=True, eq=False)
class Definition:
    """A statement of a module that binds names, as it stands, with the comments above it.

    Attributes:
        module: in which it stands.
        names: that it binds; none for a statement that only does something.
        lines: its text.
        first_line: of the text in its module, from 1.
        node: the statement.
    """

    module: str
    names: tuple[str, ...]
    lines: tuple[str, ...]
    first_line: int
    node: ast.stmt

    @cached_property
    def uses(self) -> tuple[Use, ...]:
        """Every word in it that means something global, its own names too."""
        return uses_of(self.node)


@dataclass(frozen=True, eq=False)
class Module:
    """A module, read and not run.

    Attributes:
        doc: its docstring.
        definitions: in the order of the text.
        foreign: bound name to an import from elsewhere.
        ours: bound name to module and name, the name None where a whole module is meant.
    """

    name: str
    doc: str
    definitions: tuple[Definition, ...]
    foreign: Mapping[str, Foreign]
    ours: Mapping[str, tuple[str, str | None]]
    by_name: Mapping[str, Definition] = field(init=False)

    def __post_init__(self) -> None:
        by_name = {name: definition for definition in self.definitions for name in definition.names}
        object.__setattr__(self, "by_name", by_name)


def read_module(name: str) -> Module:
    """Read a module of the package."""
    file = next(file for file in _files(name) if file.is_file())
    return parse_module(name, file.read_text(encoding="utf-8"))


def is_module(name: str) -> bool:
    """Return whether a dotted name is a module of the package."""
    return any(file.is_file() for file in _files(name))


def _files(name: str) -> tuple[Traversable, Traversable]:
    """Return where a module may stand: a file, or a folder's."""
    *folders, last = name.split(".")[1:] or [""]
    place = resources.files(OURS).joinpath(*folders)
    return place.joinpath(f"{last}.py"), place.joinpath(last, "__init__.py")


def parse_module(name: str, text: str) -> Module:
    """Take a module apart.

    Raises:
        AuricleError: it imports a module of ours inside a function, or from elsewhere with an asterisk.
    """
    tree, lines = ast.parse(text), text.split("\n")
    foreign: dict[str, Foreign] = {}
    ours: dict[str, tuple[str, str | None]] = {}
    definitions = []
    for node in tree.body[1 if ast.get_docstring(tree) else 0 :]:
        if isinstance(node, ast.Import | ast.ImportFrom):
            _note_import(node, foreign, ours)
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            for inner in node.body:
                assert isinstance(inner, ast.Import | ast.ImportFrom)
                _note_import(inner, foreign, ours)
        else:
            _refuse_hidden_imports(name, node)
            definitions.append(_definition(name, node, lines))
    return Module(name, ast.get_docstring(tree) or "", tuple(definitions), foreign, ours)


def _note_import(
    node: ast.Import | ast.ImportFrom, foreign: dict[str, Foreign], ours: dict[str, tuple[str, str | None]]
) -> None:
    for alias in node.names:
        bound = alias.asname or alias.name
        if isinstance(node, ast.Import):
            foreign[bound.split(".")[0]] = Foreign(alias.name, None, bound)
        elif node.module is not None and node.module.split(".")[0] == OURS:
            whole = f"{node.module}.{alias.name}"
            ours[bound] = (whole, None) if is_module(whole) else (node.module, alias.name)
        elif node.module != "__future__":
            foreign[bound] = Foreign(str(node.module), alias.name, bound)


def _refuse_hidden_imports(module: str, node: ast.stmt) -> None:
    for inner in ast.walk(node):
        if isinstance(inner, ast.ImportFrom) and str(inner.module).split(".")[0] == OURS:
            raise AuricleError(f"{module} imports {inner.module} in line {inner.lineno}, inside a function; move it up")


def _definition(module: str, node: ast.stmt, lines: list[str]) -> Definition:
    decorators = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(decorator.lineno for decorator in decorators)])
    while first > 1 and lines[first - 2].startswith("#"):
        first -= 1
    assert node.end_lineno is not None
    text = tuple(lines[first - 1 : node.end_lineno])
    return Definition(module, tuple(_bound_by(node)), text, first, node)


def _bound_by(node: ast.stmt) -> Iterator[str]:
    """Name what a statement of a module binds."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            yield from (inner.id for inner in ast.walk(target) if isinstance(inner, ast.Name))
