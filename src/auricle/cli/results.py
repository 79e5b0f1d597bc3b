"""What stands on standard output when a study is over."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from auricle.runs import CellName

if TYPE_CHECKING:
    from auricle.findings.scores import ComparativeRow
    from auricle.study.study import StudyResult


def print_json(result: StudyResult, files: Mapping[str, Path], more: Mapping[str, Any] | None = None) -> None:
    """Print the result for programs, with more that belongs to it."""
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
    print(json.dumps(document, indent=1, ensure_ascii=False))


def print_results(result: StudyResult) -> None:
    """Print the comparative table and, on standard error, the cells that failed."""
    from auricle.findings.scores import comparative

    if result.done:
        console = Console(highlight=False)
        rows = comparative(result.folder)
        console.print(results_table(rows))
        console.print(Text("Test clips: accuracy ± deviation of cells; macro F1, AUC. Minutes a cell.", "dim"))
        if any(row.baseline for row in rows):
            console.print(Text("Dim: free baselines, which need no network, on the same folds.", "dim"))
        for protocol, group in itertools.groupby(rows, key=lambda row: row.protocol):
            members = list(group)
            console.print(Text(interval_line(protocol, members), "dim"))
            if line := unbeaten_line(protocol, members):
                console.print(Text(line, "bold"))
        if any(row.collapsed for row in rows):
            console.print(Text("* collapsed, at least once: `auricle diagnose CELL` says why, and tries cures.", "dim"))
    if result.failed:
        Console(stderr=True, highlight=False).print(failures_table(result.failed))


def print_places(result: StudyResult, files: Mapping[str, Path]) -> None:
    """Print where the study and its report are."""
    titles = {"html": "report", "pdf": "report, PDF", "errors": "mistakes"}
    for title, path in (("study", result.folder), *((titles[kind], path) for kind, path in files.items())):
        print(f"{title:13}{path}")


def results_table(rows: Sequence[ComparativeRow]) -> Table:
    """Return one row a model under each protocol: means over its cells of the test clips, and standard deviations."""
    table = plain_table()
    table.add_column("", overflow="fold")
    for title in ("cells", "test %", "valid %", "F1", "AUC", "params", "min"):
        table.add_column(title, justify="right", no_wrap=True)
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
    """Say how sure the highest accuracy of a protocol's networks is, and of what its interval is."""
    best = max((row for row in rows if not row.baseline), key=lambda row: row.accuracy)
    clips = f"{best.test_clips:,} test clip{'' if best.test_clips == 1 else 's'}"
    if best.test_groups < best.test_clips:
        clips += f" of {best.test_groups:,} group{'' if best.test_groups == 1 else 's'}"
    interval = f"{100 * best.accuracy_low:.1f} to {100 * best.accuracy_high:.1f}"
    return f"{protocol}: {best.model}, 95 % interval {interval} ({clips})."


def unbeaten_line(protocol: str, rows: Sequence[ComparativeRow]) -> str:
    """Say which networks of a protocol are no better than its best baseline; nothing where every one is."""
    from auricle.findings.comparison import not_above_baseline

    names = ", ".join(row.model for row in not_above_baseline(rows))
    best = next((row.model for row in rows if row.baseline), "")
    return f"{protocol}: no better than {best}, a free baseline: {names}." if names else ""


def _values(row: ComparativeRow) -> tuple[str, ...]:
    return (
        str(row.cells) if row.cells == row.cells_planned else f"{row.cells} of {row.cells_planned}",
        _percent(row.accuracy, row.accuracy_sd),
        _percent(row.validation_accuracy, None),
        f"{row.macro_f1:.3f}",
        "–" if row.macro_auc is None else f"{row.macro_auc:.3f}",
        "–" if row.baseline else _count(row.parameters),
        f"{row.minutes:.1f}",
    )


def plain_table() -> Table:
    """Return an empty table with a line under its head and none elsewhere."""
    return Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))


def failures_table(failed: Mapping[CellName, str]) -> Table:
    """Return one row a cell that failed."""
    table = plain_table()
    table.add_column("failed cell", no_wrap=True)
    table.add_column("cause")
    for name, cause in failed.items():
        table.add_row(str(name), Text(cause))
    return table


def _percent(mean: float | None, sd: float | None) -> str:
    """Write a share in percent, with its standard deviation where there is one."""
    if mean is None:
        return "–"
    return f"{100 * mean:.1f}" if sd is None else f"{100 * mean:.1f} ± {100 * sd:.1f}"


def _count(number: int) -> str:
    """Write a count in four characters or so.

    >>> _count(386_010), _count(2_607_778), _count(980)
    ('386k', '2.61M', '980')
    """
    if number >= 1_000_000:
        return f"{number / 1e6:.2f}M"
    return f"{number / 1e3:.0f}k" if number >= 10_000 else f"{number:,}"
