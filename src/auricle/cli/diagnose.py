"""The command `diagnose`: why a model does not learn, and which change fixes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from auricle.cli.options import Data, Json, Quiet, Threads, Verbose, say, verbosity
from auricle.errors import count
from auricle.text import json_text

if TYPE_CHECKING:
    from auricle.training.diagnose import Diagnosis, Trial


def diagnose(
    context: typer.Context,
    cell: Annotated[
        Path, typer.Argument(metavar="CELL", help="A cell's folder: STUDY/cells/MODEL/PROTOCOL-FOLD-SEED.")
    ],
    data: Data = None,
    epochs: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Epochs per trial. [default: a fifth of the cell's, at most 10]"),
    ] = None,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda|mps", help="Device.")] = "auto",
    threads: Threads = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Find out why a model does not learn, by training it for a few epochs with each change that may fix it."""
    level = verbosity(context, quiet, verbose)
    from auricle.runs import read_history
    from auricle.runs.reopen import reopen
    from auricle.study.configure import data_of

    source, root = data_of(cell, data)
    found = reopen(cell, source=source, root=root)  # a wrong folder is refused before torch is imported
    from auricle.training.diagnose import diagnose as try_cures
    from auricle.training.watch import standing

    diagnosis = try_cures(
        found.preset,
        found.recordings,
        found.split,
        seed=found.cell.name.seed,
        device=device,
        epochs=epochs,
        collapse=standing(read_history(found.cell)),
        on_trial=(lambda change: say(f"training {as_typed(change)}")) if level >= 0 else None,
    )
    if json:
        print(json_text(asdict(diagnosis), indent=1))
    else:
        _print(diagnosis)


def as_typed(change: Sequence[str]) -> str:
    """Write a change as it is typed on the command line.

    >>> as_typed(["training.learning_rate=0.001", "training.gradient_clip=1"])
    '--set training.learning_rate=0.001 --set training.gradient_clip=1'
    """
    return " ".join(f"--set {assignment}" for assignment in change) or "as configured"


def _print(diagnosis: Diagnosis) -> None:
    from rich.text import Text

    from auricle.cli.results import plain_table
    from auricle.display.terminal import Terminal

    console = Terminal()
    table = plain_table()
    table.add_column("change", overflow="fold")
    for title in ("loss", "train %", ""):
        table.add_column(title, justify="right" if title else "left", no_wrap=True)
    for trial in diagnosis.trials:
        values = ("–", "–", "diverges")
        if trial.loss is not None and trial.accuracy is not None:
            learns = "learns" if trial.learns else "does not learn"
            values = (f"{trial.loss:.2f}", f"{100 * trial.accuracy:.1f}", learns)
        table.add_row(as_typed(trial.change), *values)
    if diagnosis.cause:
        console.print(Text(f"Likely cause: {diagnosis.cause}."))
    console.print(table)
    console.print(Text(verdict(diagnosis)))


def verdict(diagnosis: Diagnosis) -> str:
    """Return one sentence with the result of the trials."""
    unchanged, *changed = diagnosis.trials
    learning = [trial for trial in changed if trial.learns]
    if not diagnosis.cause:
        return f"It learns as configured, {_after(unchanged)} on the training clips: nothing to fix."
    if not learning:
        return f"It did not learn with any of these {_after(unchanged)}; try more --epochs, or several changes at once."
    best = min(learning, key=lambda trial: trial.loss or 0.0)
    return f"Lowest training loss {_after(best)}: {as_typed(best.change)}"


def _after(trial: Trial) -> str:
    return f"after {count(trial.epochs, 'epoch')}"
