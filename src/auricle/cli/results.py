"""What a study prints on standard output when it has ended, and what `auricle status` prints meanwhile."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table
from rich.text import Text

from auricle.cli.options import print_line
from auricle.display.progress import percent, roughly
from auricle.display.terminal import Terminal
from auricle.errors import MachineError, RefusedError, count
from auricle.text import json_text, visible

if TYPE_CHECKING:
    from auricle.findings.scores import ComparativeRow
    from auricle.search.record import SearchStatus
    from auricle.study.status import CellStatus, State, StudyStatus
    from auricle.study.study import StudyResult

SHOWN: tuple[State, ...] = ("running", "stopped", "failed")
STATES: tuple[State, ...] = ("done", *SHOWN, "waiting")


def print_json(result: StudyResult, files: Mapping[str, Path], more: Mapping[str, Any] | None = None) -> None:
    """Print the result as JSON, with the fields of `more` added."""
    from auricle.findings.scores import comparative

    rows = [asdict(row) for row in comparative(result.folder)] if result.done else []
    document = {
        "folder": str(result.folder),
        "done": [str(name) for name in result.done],
        "failed": {str(name): cause for name, cause in result.failed.items()},
        "trained": result.num_ran,
        "results": [row for row in rows if not row["baseline"]],
        "baselines": [row for row in rows if row["baseline"]],
        "report": {kind: str(path) for kind, path in files.items()},
        **(more or {}),
    }
    print(json_text(document, indent=1))


def print_results(result: StudyResult) -> None:
    """Print the comparative table and, on standard error, the cells that failed."""
    from auricle.findings.scores import comparative

    if result.done:
        console = Terminal()
        rows = comparative(result.folder)
        console.print(results_table(rows))
        titles = f"Test clips: {rows[0].measure} ± standard deviation over cells; macro F1, AUC. Minutes per cell."
        console.print(Text(titles, "dim"))
        if any(row.baseline for row in rows):
            console.print(Text("Dim: free baselines (no neural network), on the same folds.", "dim"))
        for protocol, group in itertools.groupby(rows, key=lambda row: row.protocol):
            members = list(group)
            console.print(Text(interval_line(protocol, members), "dim"))
            if line := false_alarms_line(protocol, members):
                console.print(Text(line, "dim"))
            for line in filter(None, (unbeaten_line(protocol, members), few_groups_line(protocol, members))):
                console.print(Text(line, "bold"))
        if any(row.collapsed for row in rows):
            console.print(Text("* at least one cell collapsed; `auricle diagnose CELL` finds out why.", "dim"))
    if result.failed:
        table = plain_table()
        table.add_column("failed cell", no_wrap=True)
        table.add_column("cause")
        for name, cause in result.failed.items():
            table.add_row(str(name), Text(visible(cause)))
        Terminal(stderr=True).print(table)


def print_locations(result: StudyResult, files: Mapping[str, Path]) -> None:
    """Print where the study and its report are."""
    titles = {"html": "report", "pdf": "report (PDF)", "errors": "mistakes"}
    for title, path in (("study", result.folder), *((titles[kind], path) for kind, path in files.items())):
        print_line(f"{title:13}{path}")


def results_table(rows: Sequence[ComparativeRow]) -> Table:
    """Return one row per model and protocol: means and standard deviations over its cells, of the test clips."""
    table = plain_table("", "cells", "clips", "test %", "val. %", "F1", "AUC", "params", "min")
    for protocol, group in itertools.groupby(rows, key=lambda row: row.protocol):
        members = list(group)
        best = max(row.accuracy for row in members)
        table.add_row(Text(f"{protocol}, leaky" if members[0].leaky else protocol, "bold"))
        for row in members:
            style = "bold" if row.accuracy == best and len(members) > 1 else "dim" if row.baseline else ""
            name = f"  {row.model} *" if row.collapsed else f"  {row.model}"
            table.add_row(Text(name), *_values(row), style=style)
    return table


def interval_line(protocol: str, rows: Sequence[ComparativeRow]) -> str:
    """Return the confidence interval of a protocol's most accurate network, and what it is computed over."""
    best = max((row for row in rows if not row.baseline), key=lambda row: row.accuracy)
    clips = count(best.test_clips, "test clip")
    if best.test_groups < best.test_clips:
        clips += f" of {count(best.test_groups, 'group')}"
    interval = f"{100 * best.accuracy_low:.1f} to {100 * best.accuracy_high:.1f}"
    return f"{protocol}: {best.model}, 95 % interval {interval} ({clips})."


def false_alarms_line(protocol: str, rows: Sequence[ComparativeRow]) -> str:
    """Return the false alarms per hour of background of a protocol's networks; empty without background."""
    found = [(row.model, row.false_alarms) for row in rows if row.false_alarms and not row.baseline]
    if not found:
        return ""
    rates = ", ".join(
        f"{name} {one.an_hour:.1f} (95 % interval {one.low:.1f} to {one.high:.1f})" for name, one in found
    )
    background = found[0][1]
    clips = f"{count(background.num_clips, 'background clip')}, {background.length}"
    return f"{protocol}: false alarms per hour: {rates}; {clips}."


def few_groups_line(protocol: str, rows: Sequence[ComparativeRow]) -> str:
    """Return a warning that a protocol tests on few groups, and which would test on all; empty if there is no need."""
    from auricle.findings.scores import FEW_GROUPS

    if protocol in ("official", "random") or rows[0].test_groups >= FEW_GROUPS:
        return ""
    return f"{protocol}: tested on only {count(rows[0].test_groups, 'group')}; the protocol official tests every group."


def unbeaten_line(protocol: str, rows: Sequence[ComparativeRow]) -> str:
    """Return which networks of a protocol are no better than its best baseline; empty if all are better."""
    from auricle.findings.comparison import not_above_baseline, on_common_clips

    below = not_above_baseline(rows)
    if not below:
        return ""
    best = next(row for row in rows if row.baseline)
    where = on_common_clips(below, best)
    return (
        f"{protocol}: not better than the free baseline {best.model}{where}: {', '.join(row.model for row in below)}."
    )


def _values(row: ComparativeRow) -> tuple[str, ...]:
    return (
        str(row.cells) if row.cells == row.cells_planned else f"{row.cells} of {row.cells_planned}",
        f"{row.test_clips:,}",
        percent(row.accuracy) + ("" if row.accuracy_sd is None else f" ± {percent(row.accuracy_sd)}"),
        percent(row.validation_accuracy),
        f"{row.macro_f1:.3f}",
        "–" if row.macro_auc is None else f"{row.macro_auc:.3f}",
        "–" if row.baseline else _count(row.parameters),
        f"{row.minutes:.1f}",
    )


def plain_table(first: str | None = None, *numbers: str) -> Table:
    """Return an empty table without a frame: a first column that wraps, then right-aligned columns of numbers."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    if first is not None:
        table.add_column(first, overflow="fold")
    for title in numbers:
        table.add_column(title, justify="right", no_wrap=True)
    return table


def _count(number: int) -> str:
    """Abbreviate a count to about four characters.

    >>> _count(386_010), _count(2_607_778), _count(980)
    ('386k', '2.61M', '980')
    """
    if number >= 1_000_000:
        return f"{number / 1e6:.2f}M"
    return f"{number / 1e3:.0f}k" if number >= 10_000 else f"{number:,}"


def print_status(folder: Path, as_json: bool) -> None:
    """Print what is done, running and failed, with the time left.

    Raises:
        RefusedError: the folder contains neither a study nor a search.
        MachineError: it is about to: the recordings are being read.
    """
    from auricle import runs
    from auricle.search.record import read_search_status
    from auricle.study.configure import find_study
    from auricle.study.status import read_status

    folder = find_study(folder)
    search, study = read_search_status(folder), read_status(folder)
    if search is None and study is None:
        if any(runs.owner(each) is not None for each in (folder, folder / "search")):
            raise MachineError(f"{folder} is still reading its recordings; ask again later")
        raise RefusedError(f"{folder} contains neither a study nor a search; name the folder of one")
    if as_json:
        parts = {"search": search and asdict(search), "study": study and asdict(study)}
        print(json_text({"folder": str(folder), **parts}, indent=1))
        return
    console = Terminal()
    if search is not None:
        _print_search(console, search)
    if study is not None:
        _print_study(console, study)


def _print_search(console: Terminal, search: SearchStatus) -> None:
    from auricle.search.record import ENDED

    ended = sum(search.counts[state] for state in ENDED)
    is_over = ended >= search.num_trials  # more, if fewer trials were asked for the second time
    counts = ", ".join(f"{num} {state}" for state, num in search.counts.items() if num) or "none started"
    text = f"{ended} of {count(search.num_trials, 'trial')} ended: {counts}{_left(search.left_s)}"
    _print_head(console, f"search {search.name}", search.running, text, is_over)
    if search.best:
        score = f"validation loss {search.best['loss']:.3f}, {100 * search.best['accuracy']:.1f} %"
        so_far = "" if is_over else " so far"
        console.print(Text(f"best{so_far}: trial-{search.best['number']}, {score}"))
    if search.cells:
        console.print(_cells_table(search.cells))


def _print_study(console: Terminal, study: StudyStatus) -> None:
    counts = ", ".join(f"{study.num(state)} {state}" for state in STATES[1:] if study.num(state))
    num_done = study.num("done")
    text = f"{num_done} of {count(len(study.cells), 'cell')} done{'; ' if counts else ''}{counts}{_left(study.left_s)}"
    _print_head(console, f"study {study.name}", study.running, text, num_done == len(study.cells))
    table = plain_table("model", *STATES)
    for model in dict.fromkeys(cell.model for cell in study.cells):
        states = [cell.state for cell in study.cells if cell.model == model]
        numbers = [states.count(state) for state in STATES]
        table.add_row(Text(model), *(str(number) if number else "·" for number in numbers))
    console.print(table)
    if shown := [cell for cell in study.cells if cell.state in SHOWN]:
        console.print()
        console.print(_cells_table(shown))


def _print_head(console: Terminal, title: str, running: bool, text: str, over: bool) -> None:
    state = "finished" if over else "running" if running else "not running"
    console.print(Text.assemble((title, "bold"), f", {state}: {text}"))


def _left(left_s: float | None) -> str:
    return f"; about {roughly(left_s)} left" if left_s else ""


def _cells_table(cells: Sequence[CellStatus]) -> Table:
    """Return one row per cell that is in training, stopped or failed."""
    table = plain_table("cell", "state", "epoch", "train %", "val. %", "left")
    table.columns[1].justify = "left"
    for cell in cells:
        accuracies = percent(cell.train_accuracy), percent(cell.validation_accuracy)
        left = roughly(cell.left_s) if cell.left_s and cell.state == "running" else ""
        table.add_row(Text(cell.name), cell.state, f"{cell.epoch}/{cell.epochs}", *accuracies, left)
        if cell.cause:
            table.add_row(Text(visible(f"  {cell.cause}"), "dim"))
    return table
