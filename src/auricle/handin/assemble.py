"""Many modules to one file: what a program needs of them, in order, each name once.

A definition is taken as it stands, comments and docstring with it; a module of which nothing is needed leaves no trace.
Words that mean a definition are rewritten where two modules gave one name to two things.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Mapping, Sequence

from auricle.errors import AuricleError
from auricle.handin.sources import Definition, Foreign, Module, Use, is_module, read_module

ROOMS = ("errors", "config", "data", "model", "training", "scoring", "report", "handin")  # in the order of reading


class Assembly:
    """The definitions that some modules need, and the name that each gets.

    Args:
        roots: modules of which everything is needed, first to last; they may exist as text alone.

    Raises:
        AuricleError: a word leads nowhere, modules import each other in a circle, or no free name is found.
    """

    def __init__(self, roots: Sequence[Module]) -> None:
        self._modules = {module.name: module for module in roots}
        self._roots = [module.name for module in roots]
        self._needed: dict[Definition, None] = {}
        self.foreign: dict[str, Foreign] = {}
        for module in roots:
            for definition in module.definitions:
                self._need(definition)
        self.modules = [self._modules[name] for name in self._order()]
        self._final = self._names()

    def kept(self, module: Module) -> list[Definition]:
        """Return what is needed of a module, in the order of its text."""
        return [definition for definition in module.definitions if definition in self._needed]

    def text(self, definition: Definition) -> str:
        """Return a definition with the final names in it."""
        lines = [line.encode() for line in definition.lines]
        module = self._modules[definition.module]
        edits = []
        for use in definition.uses:
            target = self._target(module, use)
            if target is None or isinstance(target, Foreign):
                continue
            final, whole = self._final[target], module.ours.get(use.name, ("", ""))[1] is None
            edits.append((use.line - definition.first_line, use.start, use.attribute_end if whole else use.end, final))
        for line, start, end, final in sorted(edits, reverse=True):
            old = lines[line][start:end].decode()
            if old != final:
                if not old.replace(".", "").isidentifier():  # Python 3.11 does not say where a word in an f-string is
                    raise AuricleError(f"{definition.module}: {old!r} cannot be renamed {final}; give it its own name")
                lines[line] = lines[line][:start] + final.encode() + lines[line][end:]
        text = b"\n".join(lines).decode()
        for name in definition.names:
            final = self._final[(definition.module, name)]
            for word in ("def", "class"):
                text = text.replace(f"{word} {name}(", f"{word} {final}(", 1).replace(
                    f"{word} {name}:", f"{word} {final}:", 1
                )
        return text

    def _module(self, name: str) -> Module:
        if name not in self._modules:
            self._modules[name] = read_module(name)
        return self._modules[name]

    def _need(self, definition: Definition) -> None:
        """Take a definition and, before it, all that it needs."""
        left = [definition]
        while left:
            taken = left.pop()
            if taken in self._needed:
                continue
            self._needed[taken] = None
            module = self._modules[taken.module]
            for use in taken.uses:
                target = self._target(module, use)
                if isinstance(target, Foreign):
                    self._import(target)
                elif target is not None:
                    left.append(self._modules[target[0]].by_name[target[1]])

    def _import(self, foreign: Foreign) -> None:
        bound = foreign.bound.split(".")[0]
        other = self.foreign.setdefault(bound, foreign)
        if _dotted(other) != _dotted(foreign):
            raise AuricleError(
                f"{bound} means both {_dotted(other)} and {_dotted(foreign)}; import one by another name"
            )

    def _target(self, module: Module, use: Use) -> tuple[str, str] | Foreign | None:
        """Return what a word means: module and name of a definition, an import from elsewhere, or a builtin."""
        where, name = module, use.name
        while name not in where.by_name:
            if name in where.foreign:
                return where.foreign[name]
            if name not in where.ours:
                if hasattr(builtins, name) or name in ("__name__", "__file__", "__doc__"):
                    return None
                raise AuricleError(f"{module.name}: {name!r} in line {use.line} leads nowhere")
            source, inner = where.ours[name]
            where, name = self._module(source), inner or use.attribute or ""
            if is_module(f"{source}.{name}"):
                raise AuricleError(
                    f"{module.name}: line {use.line} reaches through two modules; import {name!r} itself"
                )
        return where.name, name

    def _order(self) -> list[str]:
        """Sort the modules as one reads them, each after those whose definitions it uses; the first root first."""
        before = {name: self._used_by(name) for name in {definition.module for definition in self._needed}}
        order = [self._roots[0]]
        while left := before.keys() - {*order}:
            ready = [name for name in left if before[name] <= {*order} and (name != self._roots[-1] or len(left) == 1)]
            if not ready:
                raise AuricleError(f"modules import each other: {', '.join(sorted(left))}")
            order.append(min(ready, key=_place))
        return order

    def _used_by(self, module: str) -> set[str]:
        """Return the other modules whose definitions a module uses."""
        targets = [
            self._target(self._modules[module], use)
            for definition in self.kept(self._modules[module])
            for use in definition.uses
        ]
        return {target[0] for target in targets if isinstance(target, tuple)} - {module}

    def sections(self) -> dict[str, list[Definition]]:
        """Return the definitions by the module under whose heading they stand.

        What is needed of a module that is mostly not needed stands with the first that uses it.
        """
        found = {module.name: self.kept(module) for module in self.modules}
        for module in self.modules:
            own = sum(len(definition.lines) for definition in self.kept(module))
            if 2 * own < sum(len(definition.lines) for definition in module.definitions):
                user = next(name for name in found if module.name in self._used_by(name))
                found[user] = found.pop(module.name) + found[user]
        return found

    def _names(self) -> Mapping[tuple[str, str], str]:
        """Give every definition its name; of two that share one, the later gets its module's name before it."""
        final: dict[tuple[str, str], str] = {}
        taken = {*self.foreign, *dir(builtins)}
        for module in self.modules:
            for definition in self.kept(module):
                for name in definition.names:
                    free = next((word for word in (name, _longer(module.name, name)) if word not in taken), None)
                    if free is None:
                        raise AuricleError(f"{module.name}: two others are called {name} too; give it another name")
                    final[module.name, name] = free
                    taken.add(free)
        renamed = {new: key for key, new in final.items() if new != key[1]}
        for definition in self._needed:
            words = {node.id for node in ast.walk(definition.node) if isinstance(node, ast.Name)}
            for new in renamed.keys() & words:
                raise AuricleError(f"{definition.module} uses the word {new}, which {renamed[new]} would get")
        return final


def _dotted(foreign: Foreign) -> str:
    return f"{foreign.module}.{foreign.name}" if foreign.name else foreign.module


def _longer(module: str, name: str) -> str:
    """Put a module's name before a name, in the name's own style.

    >>> _longer("auricle.model.cnn", "ACTIVATIONS"), _longer("auricle.model.cnn", "_split")
    ('CNN_ACTIVATIONS', '_cnn_split')
    >>> _longer("auricle.model.cnn", "Block")
    'CnnBlock'
    """
    stem = module.rpartition(".")[2]
    if name.isupper():
        return f"{stem.upper()}_{name}"
    if name.startswith("_"):
        return f"_{stem}{'' if name[1:2].isupper() else '_'}{name.lstrip('_')}"
    return f"{stem.title()}{name}" if name[0].isupper() else f"{stem}_{name}"


def _place(module: str) -> tuple[int, str]:
    room = module.split(".")[1]
    return (ROOMS.index(room) if room in ROOMS else len(ROOMS), module)
