"""Modules as text: what each defines, what it imports, and which of its words mean something defined elsewhere."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from importlib.resources.abc import Traversable

from auricle.errors import AuricleError

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


@dataclass(frozen=True)
class Use:
    """A word in a definition that means something global, and where it stands.

    Attributes:
        name: the word.
        attribute: what follows it after a dot, if anything; it counts where the word means a module.
        line: from 1, in the module.
        start: byte in its line.
        end: the same of what comes after the word; with the attribute in `attribute_end`.
    """

    name: str
    attribute: str | None
    line: int
    start: int
    end: int
    attribute_end: int


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
        found = _Words()
        found.visit(self.node)
        return tuple(dict.fromkeys(found.uses))


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


class _Words(ast.NodeVisitor):
    """Finds the words that no function or comprehension around them binds."""

    def __init__(self) -> None:
        self.uses: list[Use] = []
        self.scopes: list[set[str]] = []

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if isinstance(node.value, ast.Name):
            self._note(node.value, node)
        else:
            self.visit(node.value)

    def visit_Name(self, node: ast.Name) -> None:
        self._note(node, None)

    def _note(self, node: ast.Name, around: ast.Attribute | None) -> None:
        if not any(node.id in scope for scope in self.scopes):
            assert node.end_col_offset is not None
            end = around.end_col_offset if around else node.end_col_offset
            attribute = around.attr if around else None
            self.uses.append(Use(node.id, attribute, node.lineno, node.col_offset, node.end_col_offset, end or 0))

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        outside = [*node.decorator_list, *node.args.defaults, *filter(None, node.args.kw_defaults)]
        arguments = [inner for inner in ast.walk(node.args) if isinstance(inner, ast.arg)]
        outside += [argument.annotation for argument in arguments if argument.annotation]
        for part in [*outside, *filter(None, [node.returns])]:
            self.visit(part)
        self._inside({argument.arg for argument in arguments} | _bound_in(node.body), node.body)

    visit_FunctionDef = _function
    visit_AsyncFunctionDef = _function

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._inside({inner.arg for inner in ast.walk(node.args) if isinstance(inner, ast.arg)}, [node.body])

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for part in [*node.decorator_list, *node.bases, *(keyword.value for keyword in node.keywords)]:
            self.visit(part)
        own = _bound_in(node.body)
        for statement in node.body:
            if isinstance(statement, ast.FunctionDef):  # it does not see the names of its class
                self.visit(statement)
            else:
                self._inside(own, [statement])

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> None:
        targets = [inner for generator in node.generators for inner in ast.walk(generator.target)]
        self.visit(node.generators[0].iter)
        self._inside({inner.id for inner in targets if isinstance(inner, ast.Name)}, list(ast.iter_child_nodes(node)))

    visit_ListComp = visit_SetComp = visit_GeneratorExp = visit_DictComp = _comprehension

    def _inside(self, bound: set[str], nodes: list) -> None:
        self.scopes.append(bound)
        for node in nodes:
            self.visit(node)
        self.scopes.pop()


def _bound_in(body: list[ast.stmt]) -> set[str]:
    """Return the names that statements bind in their own scope."""
    bound: set[str] = set()
    left: list[ast.AST] = list(body)
    while left:
        node = left.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            bound |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp):
            walruses = [inner.target for inner in ast.walk(node) if isinstance(inner, ast.NamedExpr)]
            bound |= {target.id for target in walruses}
        elif not isinstance(node, ast.Lambda):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                bound.add(node.id)
            if isinstance(node, ast.ExceptHandler) and node.name:
                bound.add(node.name)
            left += ast.iter_child_nodes(node)
    return bound
