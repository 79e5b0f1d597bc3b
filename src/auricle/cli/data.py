"""The verbs `data list` and `data get`; `data check` has a module of its own."""

import json as json_format
import sys
from pathlib import Path
from typing import Annotated

import typer

from auricle.cli import check
from auricle.cli.bar import bar
from auricle.cli.check import Root
from auricle.cli.options import Json, required
from auricle.errors import UsageError

app = typer.Typer(help="See, get and check recordings.", no_args_is_help=True, rich_markup_mode=None)


@app.command("list", short_help="List the datasets that have a name.")
def list_(root: Root = None, json: Json = False) -> None:
    """List the datasets that have a name, and where they lie on this machine."""
    from auricle.data.datasets import SOURCES, find_dataset

    found = {name: None if name == "toy" else find_dataset(name, root) for name in SOURCES}
    if json:
        rows = [
            {"name": name, "about": about, "folder": str(found[name]) if found[name] else None}
            for name, about in SOURCES.items()
        ]
        print(json_format.dumps(rows, indent=1, ensure_ascii=False))
        return
    for name, about in SOURCES.items():
        where = "built in" if name == "toy" else found[name] or f"not here; get it: auricle data get {name}"
        print(f"{name:14}{about}\n{'':14}{where}")


@app.command(short_help="Download a dataset.")
def get(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="esc10, esc50 or urbansound8k.", show_default=False)
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="DIR", help="Where to put it. [default: the user's cache]")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Download a dataset, verify it and unpack it. A download that broke off goes on where it stood."""
    from auricle.data.datasets import find_dataset
    from auricle.data.download import DOWNLOADABLE, archive_of
    from auricle.data.download import get as download

    source = required(name, "dataset", DOWNLOADABLE)
    archive = archive_of(source)
    if not find_dataset(source, to) and not yes:
        question = f"{source} is a download of {archive.size_mb:,} MB from {archive.url}"
        if not sys.stdin.isatty():
            raise UsageError(f"{question}; nobody can be asked here, so say --yes")
        typer.confirm(f"{question}. Go on?", abort=True, err=True)
    with bar("{task.fields[size]}") as show:
        folder = download(source, to=to, on_progress=show)
    print(folder)


app.command("check", short_help="Say what is in a dataset, what is wrong with it, and mend it.")(check.check)
