"""The command `models`: the networks that come with the package, and the layers of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from auricle.cli.options import Json, Set, complete_preset
from auricle.text import json_text

if TYPE_CHECKING:
    from rich.table import Table

    from auricle.display.terminal import Terminal

BETWEEN = 8  # characters of a line that a table of three columns leaves empty
WIDE = 110  # characters per line from which the names of layers fit in


def models(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="A model by name, or a YAML file; without it, all are listed.",
            autocompletion=complete_preset,
        ),
    ] = None,
    assignments: Set = None,
    classes: Annotated[int, typer.Option(min=2, metavar="N", help="Number of classes.")] = 10,
    clip_s: Annotated[float, typer.Option("--clip-s", min=0.05, metavar="SECONDS", help="Length of a clip.")] = 5.0,
    every: Annotated[
        bool, typer.Option("--all", help="Also list the models of published reports, one per line.")
    ] = False,
    json: Json = False,
) -> None:
    """List the models, or show one layer by layer with shapes, parameters and multiply-adds."""
    from auricle.api.models import list_models
    from auricle.config import load_preset, parse_overrides, preset_names

    overrides = parse_overrides(assignments or ())
    names = preset_names()
    shown = [name] if name else list_models(reports=every)
    presets = [load_preset(each, overrides) for each in shown]
    from auricle.model.describe import describe

    descriptions = [describe(preset, classes, clip_s) for preset in presets]
    if json:
        print(json_text(descriptions[0] if name else descriptions, indent=1))
        return
    from auricle.cli.results import plain_table
    from auricle.display.terminal import Terminal

    console, table = Terminal(), plain_table()
    if name:
        _print_layers(console, table, descriptions[0], classes, clip_s)
    else:
        _print_list(console, table, descriptions, classes, in_a_line=every, num_more=len(names) - len(shown))


def _print_list(
    console: Terminal,
    table: Table,
    descriptions: list[dict[str, Any]],
    classes: int,
    *,
    in_a_line: bool,
    num_more: int,
) -> None:
    from rich.text import Text

    longest = max(len(description["name"]) for description in descriptions)
    table.add_column("model", no_wrap=True)
    table.add_column("parameters", justify="right", no_wrap=True)
    table.add_column("about")
    for description in descriptions:
        about = Text(description["about"])
        if in_a_line:
            about.truncate(console.width - longest - len("parameters") - BETWEEN, overflow="ellipsis")
        table.add_row(description["name"], f"{description['parameters']:,}", about)
    console.print(table)
    console.print(Text(f"Parameters with {classes} classes. To see one layer by layer: auricle models NAME"))
    if num_more:
        console.print(Text(f"{num_more} more reproduce published reports: auricle models --all"))


def _print_layers(console: Terminal, table: Table, description: dict[str, Any], classes: int, clip_s: float) -> None:
    from rich.text import Text

    wide = console.width >= WIDE
    if wide:
        table.add_column("layer", no_wrap=True)
    table.add_column("kind" if wide else "layer")
    for title in ("output", "parameters", "multiply-adds"):
        table.add_column(title, justify="right", no_wrap=True)
    for layer in description["layers"]:
        shape = " × ".join(map(str, layer["output_shape"]))
        counts = (f"{layer['parameters']:,}", f"{layer['multiply_adds']:,}")
        table.add_row(*([layer["name"]] if wide else []), Text(layer["kind"]), shape, *counts)
    console.print(Text.assemble((description["name"], "bold"), f": {description['about']}"))
    console.print(table)
    for title, value in (
        ("trainable parameters", description["trainable_parameters"]),
        ("non-trainable parameters", description["non_trainable_parameters"]),
        ("multiply-adds per window", description["multiply_adds_per_window"]),
        (f"multiply-adds per {clip_s:g} s clip", description["multiply_adds"]),
    ):
        console.print(Text(f"{title:28}{value:>14,}"))
    console.print(Text(f"Shapes and multiply-adds of the layers are for one window and {classes} classes."))
