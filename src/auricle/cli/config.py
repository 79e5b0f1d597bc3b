"""The command `config`: every field of a model, its value and the values allowed."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from auricle.cli.options import Json, Set, complete_preset
from auricle.text import json_text

if TYPE_CHECKING:
    from auricle.config import Preset, Setting

WIDTHS = (22, 18, 17, 20)  # columns of field, value, default and range


def config(
    name: Annotated[
        str, typer.Argument(metavar="MODEL", help="A model, or a YAML file.", autocompletion=complete_preset)
    ] = "cnn",
    assignments: Set = None,
    json: Json = False,
) -> None:
    """List every field of a model: its value, its default, the values allowed and what it means.

    With --set, the values after the change are shown. Fields that the model does not use are dim.
    """
    from auricle.config import load_preset, parse_overrides, settings

    preset = load_preset(name, parse_overrides(assignments or ()))
    if json:
        values = preset.model_dump(mode="json", include={"name", "about"})
        print(json_text(values | {"settings": _rows(settings(preset))}, indent=1))
    else:
        _print(preset, settings(preset))


def _rows(found: Sequence[Setting]) -> list[dict[str, object]]:
    return [
        {
            "field": f"{each.section}.{each.field}",
            **{"label": each.label, "value": each.typed, "default": each.default, "allowed": each.allowed},
            **{"description": each.description, "applies": each.applies},
        }
        for each in found
    ]


def _print(preset: Preset, found: Sequence[Setting]) -> None:
    """Print a heading for each section and, for each field, its value, default and range with its meaning below."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    from auricle.display.terminal import Terminal

    console = Terminal()

    def line(*cells: str | Text, style: str = "") -> None:
        grid = Table.grid(padding=(0, 1, 0, 0))
        for width in WIDTHS:
            grid.add_column(width=width, overflow="fold")
        grid.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in cells), style=style)
        console.print(grid)

    console.print(Text.assemble((preset.name, "bold"), f": {preset.about}\n"))
    line("field", "value", "default", "allowed", style="dim")
    for section, field in type(preset).model_fields.items():
        own = [each for each in found if each.section == section]
        if own and getattr(preset, section) is None:
            console.print(Text.assemble((f"{section} = null", "bold"), f"  no {section} in this model"))
        elif own:
            console.print(Text.assemble((section, "bold"), f"  {field.description}"))
            for part, fields in itertools.groupby(own, key=lambda each: each.field.rpartition(".")[0]):
                if part:
                    console.print(Text(f"{section}.{part}, in order", "bold"))
                for each in fields:
                    is_own = each.applies and bool(each.default) and each.typed != each.default
                    cells = (f"  {each.field.removeprefix(f'{part}.')}", Text(each.typed, "bold" if is_own else ""))
                    line(*cells, each.default, each.allowed, style="" if each.applies else "dim")
                    console.print(Padding(Text(each.description, "dim"), (0, 0, 0, 4)))
    console.print(
        Text("\nChange a field with --set, for example --set training.epochs=20; change blocks in a YAML file.")
    )
