"""Which words of a statement mean something that is defined outside of it."""

from __future__ import annotations

import ast
from dataclasses import dataclass


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


def uses_of(node: ast.stmt) -> tuple[Use, ...]:
    """Return every word in a statement of a module that means something global, its own names too."""
    found = _Words()
    found.visit(node)
    return tuple(dict.fromkeys(found.uses))


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
