"""An assembly as one file: what it is, all imports, then a section for each module."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence

from auricle.handin.assemble import Assembly
from auricle.handin.sources import Definition, Foreign, Module, is_module

RULE = "# " + "=" * 98


def written(assembly: Assembly, doc: str) -> str:
    """Return the file: its docstring, all imports, then a section for each module.

    Args:
        assembly: what stands in it.
        doc: says what the file is; the list of sections comes after it.
    """
    sections = assembly.sections()
    modules = [module for module in assembly.modules if module.name in sections]
    titles = [_title(module, sections[module.name]) for module in modules]
    contents = "\n".join(f"    {place:2}  {title}" for place, title in enumerate(titles, 1))
    parts = [
        f'"""{doc}\n\nSections:\n\n{contents}\n"""\n',
        "from __future__ import annotations\n",
        imports(assembly.foreign),
    ]
    for place, (module, title) in enumerate(zip(modules, titles, strict=True), 1):
        parts += [_heading(place, title, module, sections[module.name]), _body(assembly, sections[module.name])]
    return "\n".join(parts)


def imports(foreign: Mapping[str, Foreign]) -> str:
    """Write the imports: Python's own, then others'; one line a module."""
    groups: list[list[str]] = [[], []]
    modules = sorted({(one.name is not None, one.module) for one in foreign.values()}, key=lambda key: (key[0], key[1]))
    for is_from, name in modules:
        mine = sorted((f for f in foreign.values() if (f.name is not None, f.module) == (is_from, name)), key=str)
        lines = (
            [f"from {name} import {', '.join(str(f).partition(' import ')[2] for f in mine)}"]
            if is_from
            else map(str, mine)
        )
        groups[name.split(".")[0] not in sys.stdlib_module_names].extend(lines)
    return "\n\n".join("\n".join(group) for group in groups if group) + "\n"


def _title(module: Module, kept: Sequence[Definition]) -> str:
    """Return what a section is called: the first sentence of its module, where all of that is here; else its start."""
    sentence = module.doc.partition("\n")[0].rstrip(".")
    return sentence if _is_whole(module, kept) else re.split("[:;] ", sentence)[0]


def _is_whole(module: Module, kept: Sequence[Definition]) -> bool:
    return {*module.definitions} <= {*kept}


def _heading(place: int, title: str, module: Module, kept: Sequence[Definition]) -> str:
    """Return a section's heading, with the rest of the module's docstring where all of the module is here."""
    told = [f"{place}. {title}"]
    if _is_whole(module, kept):
        told += module.doc.splitlines()[1:]
    if is_module(module.name):
        told += ["", f"({module.name.replace('.', '/')}.py)"]
    return "\n".join(["", RULE, *(f"# {line}".rstrip() for line in told), RULE, "", ""])


def _body(assembly: Assembly, kept: Sequence[Definition]) -> str:
    """Return the definitions of a section, with the space between them that the house style asks for."""
    text = ""
    previous: Definition | None = None
    for definition in kept:
        if previous is not None:
            follows = definition.module == previous.module and definition.first_line == _end(previous) + 1
            text += "" if follows or (_is_short(previous) and _is_short(definition)) else "\n\n"
        text += assembly.text(definition) + "\n"
        previous = definition
    return text


def _end(definition: Definition) -> int:
    return definition.first_line + len(definition.lines) - 1


def _is_short(definition: Definition) -> bool:
    return not hasattr(definition.node, "body")
