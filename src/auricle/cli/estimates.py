"""The table that says what a study will cost before it starts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from auricle.study.estimate import Estimate

COLUMNS = (
    "model",
    "cells",
    "parameters",
    "M mult.",
    "s/step",
    "a cell",
    "GB",
)  # M mult.: multiply-adds of a window, millions
WIDTH = 80


def roughly(seconds: float) -> str:
    """Write a stretch of time as far as an estimate knows it.

    >>> roughly(40), roughly(1500), roughly(9000), roughly(500_000)
    ('40 s', '25 min', '2.5 h', '5.8 days')
    """
    for limit, unit_s, unit in ((90, 1, "s"), (5400, 60, "min")):
        if seconds < limit:
            return f"{seconds / unit_s:.0f} {unit}"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86_400:.1f} days"


def estimate_lines(estimates: Sequence[Estimate], num_workers: int) -> list[str]:
    """Return a row a model, the time of all, and how to have less of it; nothing for a study that is short."""
    if not any(each.step_s for each in estimates):
        return []
    rows = [COLUMNS, *(_row(each) for each in estimates)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    gap = "  " if sum(widths) + 2 * (len(widths) - 1) <= WIDTH else " "
    lines = [gap.join([f"{row[0]:<{widths[0]}}", *map(str.rjust, row[1:], widths[1:])]) for row in rows]
    total_s = sum(each.cell_s * each.num_cells for each in estimates) / num_workers
    at_a_time = f", {num_workers} cells at a time" if num_workers > 1 else ""
    hint = "for less: --models A,B or --set training.epochs=20"
    return [*lines, f"about {roughly(total_s)} in all{at_a_time}", hint]


def _row(each: Estimate) -> tuple[str, ...]:
    step = "–" if each.step_s is None else f"{each.step_s:.2g}" if each.step_s < 10 else f"{each.step_s:.0f}"
    return (
        each.model,
        f"{each.num_cells}",
        f"{each.parameters:,}",
        f"{each.multiply_adds / 1e6:,.0f}",
        step,
        roughly(each.cell_s),
        f"{each.memory_gb:.1f}",
    )
