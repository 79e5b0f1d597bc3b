"""Assemble one file from many modules: the definitions that a program needs, unchanged, in reading order.

No name is changed: a test ensures that names are unique in all rooms that can be copied (tests/test_names.py). Of the
variants of a field of the configuration (`config.variants`), only those that the study chooses are included.
"""

import builtins
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from auricle.config import Section
from auricle.errors import AuricleError, listing
from auricle.handin.source_text import Definition, Import, Module, is_module, read_module

ROOMS = ("config", "errors", "text", "data", "model", "scoring", "training", "handin")  # in reading order
KNOWN = {*dir(builtins), "__name__", "__file__", "__doc__"}
# The parts of docstrings for callers (errors and examples), which a self-contained program does not need.
FOR_CALLERS = re.compile(r'\n\n( +)(?:Raises:\n(?:\1    .*\n)+|>>> .*\n(?:\1\S.*\n)*)\1(?=""")')


def chosen(configuration: Iterable[Section], field: str) -> set[object]:
    """Return the values of a field in the given sections; where it is a section, its fields that are not off.

    >>> from auricle.config import load_preset
    >>> presets = [load_preset("cnn"), load_preset("transformer-h2")]
    >>> sorted(chosen(presets, "encoder.tokens"), key=str), sorted(chosen(presets, "base.blocks.pool"))
    ([None, 'time'], ['none'])
    """
    first = field.partition(".")[0]
    values: list[object] = [section for section in configuration if first in type(section).model_fields]
    for name in field.split("."):
        found = [value and getattr(value, name) for value in values]
        values = [one for value in found for one in (value if isinstance(value, tuple) else [value])]
    sections = [value for value in values if isinstance(value, Section)]
    return {value for value in values if not isinstance(value, Section)} | {
        name for section in sections for name, value in section if value
    }


class Assembly:
    """The definitions that some modules need.

    Args:
        roots: modules of which everything is needed, first to last; they exist only as text.
        configuration: chooses variants: the presets, and the study.
        stand_ins: modules that exist only as text and replace those of the package with the same names.

    Raises:
        AuricleError: a name is not defined or has two meanings, or modules import each other in a circle.
    """

    def __init__(self, roots: Sequence[Module], configuration: Iterable[Section], stand_ins: Sequence[Module]) -> None:
        self._modules = {module.name: module for module in (*stand_ins, *roots)}
        self.texts = frozenset(self._modules)  # the names of those that exist only as text
        self._roots = [module.name for module in roots]
        self._configuration = tuple(configuration)
        self._needed: set[Definition] = set()
        self._used_by: dict[str, set[str]] = {}
        self.bound: dict[str, Import | Definition] = {}
        left = [definition for module in roots for definition in module.definitions]
        while left:
            definition = left.pop()
            if definition not in self._needed:
                self._needed.add(definition)
                left += self._needs(definition)
        self.modules = [self._modules[name] for name in self._order()]

    def kept(self, module: Module) -> list[Definition]:
        """Return the needed definitions of a module, in the order of its text."""
        return [definition for definition in module.definitions if definition in self._needed]

    @property
    def imports(self) -> list[Import]:
        """Return the imports from other packages."""
        return [meaning for meaning in self.bound.values() if isinstance(meaning, Import)]

    def _needs(self, definition: Definition) -> list[Definition]:
        """Record what a definition binds and imports, and return the definitions that it uses."""
        if definition.hidden_imports:
            raise AuricleError(
                f"{definition.module} imports {definition.hidden_imports[0]} inside a function; move it up"
            )
        for name in definition.names:
            self._bind(name, definition)
        targets = []
        for name in definition.uses:
            meaning = self._meaning(self._modules[definition.module], name)
            if isinstance(meaning, Import):
                self._bind(meaning.bound.split(".")[0], meaning)
            elif meaning is not None:
                targets.append(meaning)
        self._used_by.setdefault(definition.module, set()).update(target.module for target in targets)
        if definition.field is not None:
            values = chosen(self._configuration, definition.field)
            for variant in self._modules[definition.module].definitions:
                table, own = variant.options or (None, ())
                if table in definition.names and values & {*own}:
                    targets.append(variant)
        return targets

    def _bind(self, name: str, meaning: Import | Definition) -> None:
        other = self.bound.setdefault(name, meaning)
        if other != meaning:
            both = listing(sorted({_origin(other), _origin(meaning)}))
            raise AuricleError(f"{name} has two meanings, in {both}; rename one")

    def _meaning(self, module: Module, name: str) -> Import | Definition | None:
        """Return what a name in a module means: a definition, an import from another package, or None for a builtin."""
        if name in module.by_name:
            return module.by_name[name]
        if name not in module.imports:
            if name in KNOWN:
                return None
            raise AuricleError(f"{module.name}: {name!r} is not defined")
        imported = module.imports[name]
        if not imported.is_ours:
            return imported
        if not imported.name or imported.bound != imported.name or is_module(f"{imported.module}.{imported.name}"):
            raise AuricleError(f"{module.name}: {imported} renames what it imports; import it under its own name")
        source = self._modules.get(imported.module) or read_module(imported.module)
        return self._meaning(self._modules.setdefault(imported.module, source), imported.name)

    def _order(self) -> list[str]:
        """Sort the modules in reading order, each after those whose definitions it uses; the last root last."""
        before = {name: {*self._used_by.get(name, ())} - {name} for name in {one.module for one in self._needed}}
        before[self._roots[-1]] = {*before} - {self._roots[-1]}
        sorter, order, ready = TopologicalSorter(before), list[str](), list[str]()
        try:
            sorter.prepare()
        except CycleError as error:
            raise AuricleError(f"modules import each other: {', '.join(error.args[1])}") from error
        while sorter.is_active():
            ready += sorter.get_ready()
            ready.sort(key=_reading_order, reverse=True)
            order.append(ready.pop())
            sorter.done(order[-1])
        return order


def _origin(meaning: Import | Definition) -> str:
    return meaning.module if isinstance(meaning, Definition) or not meaning.name else f"{meaning.module}.{meaning.name}"


def _reading_order(module: str) -> tuple[int, str]:
    room = module.split(".")[1]
    return (ROOMS.index(room) if room in ROOMS else len(ROOMS), module)


def program(assembly: Assembly, doc: str) -> str:
    """Return the file: its docstring, all imports, then a section for each module."""
    parts = [f'"""{doc}\n"""\n', "from __future__ import annotations\n", import_lines(assembly.imports)]
    for number, module in enumerate(assembly.modules, 1):
        title = re.split(r"[:;] | \(", module.doc.partition("\n")[0].rstrip("."))[0]
        origin = f" ({module.name.replace('.', '/')}.py)" if module.name not in assembly.texts else ""
        parts.append(f"\n# {number}. {title}{origin}\n{_body(assembly.kept(module))}")
    return FOR_CALLERS.sub("", "\n".join(parts))


def import_lines(imports: Iterable[Import]) -> str:
    """Write imports: the standard library first, then other packages; one line per module."""
    by_module: dict[tuple[bool, str], list[Import]] = {}
    for one in sorted(imports, key=str):
        by_module.setdefault((one.name is not None, one.module), []).append(one)
    groups: Mapping[bool, list[str]] = {True: [], False: []}
    for (is_from, name), own in sorted(by_module.items()):
        names = ", ".join(str(one).partition(" import ")[2] for one in own)
        lines = [f"from {name} import {names}"] if is_from else [str(one) for one in own]
        groups[name.split(".")[0] in sys.stdlib_module_names].extend(lines)
    return "\n\n".join("\n".join(group) for group in groups.values() if group) + "\n"


def _body(definitions: Sequence[Definition]) -> str:
    """Return definitions with the blank lines between them that the style requires."""
    text, before = "", None
    for definition in definitions:
        if before is not None and (hasattr(before.node, "body") or hasattr(definition.node, "body")):
            text += "\n\n"
        text += definition.text + "\n"
        before = definition
    return text
