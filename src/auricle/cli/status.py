"""`auricle study --status DIR`: how far a study or a search is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from auricle.cli.progress import duration
from auricle.cli.results import plain_table
from auricle.errors import RefusedError

if TYPE_CHECKING:
    from auricle.search.record import SearchStatus
    from auricle.study.status import CellStatus, State, StudyStatus

SHOWN: tuple[State, ...] = ("running", "stopped", "failed")
STATES: tuple[State, ...] = ("done", *SHOWN, "waiting")


def print_status(folder: Path, as_json: bool) -> None:
    """Print what is done, running and failed, with the time left.

    Raises:
        RefusedError: the folder holds neither study nor search.
    """
    from auricle.search.record import read_search_status
    from auricle.study.status import read_status

    if not folder.exists() and (Path("runs") / folder).is_dir():
        folder = Path("runs") / folder
    search, study = read_search_status(folder), read_status(folder)
    if search is None and study is None:
        raise RefusedError(f"{folder} holds no study and no search; name a folder that one of them wrote")
    if as_json:
        parts = {"search": search and asdict(search), "study": study and asdict(study)}
        print(json.dumps({"folder": str(folder), **parts}, indent=1, ensure_ascii=False))
        return
    console = Console(highlight=False)
    if search is not None:
        _print_search(console, search)
    if study is not None:
        _print_study(console, study)


def _print_search(console: Console, search: SearchStatus) -> None:
    ended = sum(search.counts[state] for state in ("done", "pruned", "failed"))
    counts = ", ".join(f"{num} {state}" for state, num in search.counts.items() if num) or "none begun"
    text = f"{ended} of {search.num_trials} trials ended: {counts}{_left(search.left_s)}"
    _print_head(console, f"search {search.name}", search.running, text, ended == search.num_trials)
    if search.best:
        score = f"validation loss {search.best['loss']:.3f}, {100 * search.best['accuracy']:.1f} %"
        so_far = "" if ended == search.num_trials else " so far"
        console.print(Text(f"best{so_far}: trial-{search.best['number']}, {score}"))
    if search.cells:
        console.print(_cells_table(search.cells))


def _print_study(console: Console, study: StudyStatus) -> None:
    counts = ", ".join(f"{study.num(state)} {state}" for state in STATES[1:] if study.num(state))
    num_done = study.num("done")
    text = f"{num_done} of {len(study.cells)} cells done{'; ' if counts else ''}{counts}{_left(study.left_s)}"
    _print_head(console, f"study {study.name}", study.running, text, num_done == len(study.cells))
    table = plain_table()
    table.add_column("model", overflow="fold")
    for title in STATES:
        table.add_column(title, justify="right", no_wrap=True)
    for model in dict.fromkeys(cell.model for cell in study.cells):
        states = [cell.state for cell in study.cells if cell.model == model]
        numbers = [states.count(state) for state in STATES]
        table.add_row(Text(model), *(str(number) if number else "·" for number in numbers))
    console.print(table)
    if shown := [cell for cell in study.cells if cell.state in SHOWN]:
        console.print()
        console.print(_cells_table(shown))


def _print_head(console: Console, title: str, running: bool, text: str, over: bool) -> None:
    state = "finished" if over else "running" if running else "not running"
    console.print(Text.assemble((title, "bold"), f", {state}: {text}"))


def _left(left_s: float | None) -> str:
    return f"; about {duration(left_s)} left" if left_s else ""


def _cells_table(cells: Sequence[CellStatus]) -> Table:
    """Return one row a cell that is in training, stopped, or failed."""
    table = plain_table()
    table.add_column("cell", overflow="fold")
    for title in ("state", "epoch", "train %", "valid. %", "left"):
        table.add_column(title, justify="left" if title == "state" else "right", no_wrap=True)
    for cell in cells:
        accuracies = (
            "–" if share is None else f"{100 * share:.1f}" for share in (cell.train_accuracy, cell.validation_accuracy)
        )
        left = duration(cell.left_s) if cell.left_s and cell.state == "running" else ""
        table.add_row(Text(cell.name), cell.state, f"{cell.epoch}/{cell.epochs}", *accuracies, left)
        if cell.cause:
            table.add_row(Text(f"  {cell.cause}", "dim"))
    return table
