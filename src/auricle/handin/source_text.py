"""Parse modules as text: their definitions, names and imports."""

from __future__ import annotations

import ast
import symtable
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from importlib.resources.abc import Traversable

OURS = "auricle"


@dataclass(frozen=True)
class Import:
    """A name that a module imports: `from module import name as bound`, or `import module as bound`."""

    module: str
    name: str | None
    bound: str

    def __str__(self) -> str:
        alias = "" if self.bound == (self.name or self.module) else f" as {self.bound}"
        return f"from {self.module} import {self.name}{alias}" if self.name else f"import {self.module}{alias}"

    @property
    def is_ours(self) -> bool:
        """Whether it is imported from this package."""
        return self.module.split(".")[0] == OURS


@dataclass(frozen=True, eq=False)
class Definition:
    """A statement of a module that binds names, as it stands, with the comments above it.

    Attributes:
        module: that contains it.
        names: that it binds; possibly none.
        text: its source.
        node: the statement.
    """

    module: str
    names: tuple[str, ...]
    text: str
    node: ast.stmt

    @cached_property
    def uses(self) -> tuple[str, ...]:
        """The global names in it, including its own."""
        tables = [symtable.symtable(self.text, self.module, "exec")]
        found: dict[str, None] = {}
        while tables:
            table = tables.pop()
            tables += table.get_children()
            for symbol in table.get_symbols():
                if symbol.is_referenced() and (table.get_type() == "module" or symbol.is_global()):
                    found[symbol.get_name()] = None
        return tuple(found)

    @property
    def hidden_imports(self) -> list[str]:
        """The modules of this package that are imported inside of it, in a function."""
        froms = [node for node in ast.walk(self.node) if isinstance(node, ast.ImportFrom)]
        return [str(node.module) for node in froms if str(node.module).split(".")[0] == OURS]

    @property
    def options(self) -> tuple[str, tuple[object, ...]] | None:
        """The table and the values of which it is the variant: `@TABLE.of(value, ...)`; None where it is of none."""
        for decorator in getattr(self.node, "decorator_list", []):
            match decorator:
                case ast.Call(func=ast.Attribute(value=ast.Name(id=table), attr="of"), args=values):
                    return table, tuple(ast.literal_eval(value) for value in values)
        return None

    @property
    def field(self) -> str | None:
        """The field of the configuration that chooses from it, where it is a table: `TABLE = Variants("field")`."""
        match self.node:
            case ast.Assign(value=ast.Call(func=ast.Name(id="Variants"), args=[ast.Constant(value=str(field))])):
                return field
        return None


@dataclass(frozen=True, eq=False)
class Module:
    """A parsed module: its docstring, its definitions in the order of the text, its imports by name."""

    name: str
    doc: str
    definitions: tuple[Definition, ...]
    imports: Mapping[str, Import]

    @cached_property
    def by_name(self) -> Mapping[str, Definition]:
        """The definitions by the names that they bind."""
        return {name: definition for definition in self.definitions for name in definition.names}


def read_module(name: str) -> Module:
    """Read a module of the package."""
    return parse_module(name, next(file for file in _files(name) if file.is_file()).read_text(encoding="utf-8"))


def is_module(name: str) -> bool:
    """Return whether a dotted name is a module of the package."""
    return any(file.is_file() for file in _files(name))


def _files(name: str) -> tuple[Traversable, Traversable]:
    """Return the possible paths of a module: a file, or __init__.py of a folder."""
    *folders, last = name.split(".")[1:] or [""]
    folder = resources.files(OURS).joinpath(*folders)
    return folder.joinpath(f"{last}.py"), folder.joinpath(last, "__init__.py")


def parse_module(name: str, text: str) -> Module:
    """Parse a module."""
    tree, lines = ast.parse(text), text.split("\n")
    imports: dict[str, Import] = {}
    definitions = []
    for node in tree.body[1 if ast.get_docstring(tree) else 0 :]:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            imports |= {one.bound: one for inner in node.body for one in _imports(inner)}
        elif isinstance(node, ast.Import | ast.ImportFrom):
            imports |= {one.bound: one for one in _imports(node)}
        else:
            definitions.append(_definition(name, node, lines))
    return Module(name, ast.get_docstring(tree) or "", tuple(definitions), imports)


def _imports(node: ast.stmt) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield Import(alias.name, None, alias.asname or alias.name)
    elif isinstance(node, ast.ImportFrom) and node.module != "__future__":
        for alias in node.names:
            yield Import(str(node.module), alias.name, alias.asname or alias.name)


def _definition(module: str, node: ast.stmt, lines: list[str]) -> Definition:
    first = min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", []))])
    while first > 1 and lines[first - 2].startswith("#"):
        first -= 1
    return Definition(module, tuple(bound_by(node)), "\n".join(lines[first - 1 : node.end_lineno]), node)


def bound_by(node: ast.stmt) -> Iterator[str]:
    """Return the names that a statement of a module binds."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            yield from (inner.id for inner in ast.walk(target) if isinstance(inner, ast.Name))
