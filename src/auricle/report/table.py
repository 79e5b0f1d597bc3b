"""Tables: values with a way to show them, the same for HTML, PDF and CSV."""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from auricle import files
from auricle.report.wording import Text, decimal, probability, visible

Kind = Literal["text", "code", "count", "percent", "points", "ratio", "decimal", "minutes", "millions", "p"]
FORMULA_MARKS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Spread:
    """A mean over cells and its standard deviation; None where there is one cell."""

    mean: float | None
    sd: float | None = None


@dataclass(frozen=True)
class Range:
    """An interval of a signed number."""

    low: float
    high: float


@dataclass(frozen=True)
class Marked:
    """A name with a mark after it, and what the mark means."""

    text: str
    mark: str
    meaning: str


Value = str | int | float | Spread | Range | Marked | None


@dataclass(frozen=True)
class Column:
    """A column: its key in CSV, its title, how values are shown, which is best, whether it takes the room left."""

    key: str
    title: str
    kind: Kind = "text"
    best: Literal["high", "low"] | None = None
    grows: bool = False


@dataclass(frozen=True)
class Table:
    """A numbered table.

    Attributes:
        columns: of every row.
        groups: rows under a heading; one group with an empty heading is a plain table.
        totals: whether the last row of each group sums up the others.
        shown: heading to the number of its rows that the report shows; the CSV file has all, and so has the report of
            a group that is not named here.
        name: of the CSV file, and the anchor; given where it is placed.
        caption: what to see in it; likewise.
    """

    columns: tuple[Column, ...]
    groups: Mapping[str, Sequence[Sequence[Value]]]
    totals: bool = False
    shown: Mapping[str, int] = field(default_factory=dict)
    name: str = ""
    caption: Text = ()


def show(value: Value, kind: Kind) -> str:
    """Write a value as people read it.

    >>> show(0.8444, "percent"), show(98730, "count"), show(None, "ratio")
    ('84.4', '98,730', '–')
    """
    if isinstance(value, Spread):
        value = value.mean
    if isinstance(value, Marked):
        return f"{value.text} {value.mark}"
    if isinstance(value, Range):
        return f"{_signed(value.low, kind)} to {_signed(value.high, kind)}"
    if value is None or isinstance(value, str):
        return "–" if value is None else value
    if kind == "p":
        return probability(value)
    scale, digits = {
        "percent": (100, 1), "points": (100, 1), "ratio": (1, 3), "decimal": (1, 1), "minutes": (1, 1),
        "millions": (1e-6, 1),
    }.get(kind, (1, 0))  # fmt: skip
    return decimal(value * scale, digits)


def _signed(value: float, kind: Kind) -> str:
    text = show(value, kind)
    return f"+{text}" if value > 0 and text.strip("0.") else text


def show_sd(value: Value, kind: Kind) -> str:
    """Write the standard deviation of a value as people read it; nothing where it has none."""
    return show(value.sd, kind) if isinstance(value, Spread) and value.sd is not None else ""


def write_csv(path: Path, table: Table) -> None:
    """Write a table as CSV with its exact values; text that a spreadsheet would take for a formula gets a `'`.

    Raises:
        MachineError: the disk refuses.
    """
    rows = [(title, row) for title, group in table.groups.items() for row in group]
    grouped = any(title for title, _ in rows)
    header = ["group"] * grouped
    parts = []
    for place, column in enumerate(table.columns):
        names, split = _csv_parts(column.key, [row[place] for _, row in rows])
        header += names
        parts.append(split)
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for title, row in rows:
        cells = [title] * grouped + [cell for value, split in zip(row, parts, strict=True) for cell in split(value)]
        writer.writerow([_harmless(cell) for cell in cells])
    files.write_text(path, text.getvalue())


def _csv_parts(key: str, values: Sequence[Value]) -> tuple[list[str], Callable[[Any], list[Any]]]:
    """Return the columns that a column of a table becomes in CSV, and how to divide a value among them."""
    if any(isinstance(value, Range) for value in values):
        return [f"{key}_low", f"{key}_high"], lambda value: [value.low, value.high] if value else [None, None]
    if any(isinstance(value, Spread) for value in values):
        return [key, f"{key}_sd"], lambda value: [value.mean, value.sd] if value else [None, None]
    if any(isinstance(value, Marked) for value in values):
        return [
            key,
            f"{key}_note",
        ], lambda value: [value.text, value.meaning] if isinstance(value, Marked) else [value, ""]
    return [key], lambda value: [value]


def _harmless(value: Any) -> Any:
    """Keep a spreadsheet from running a name as a formula."""
    if not isinstance(value, str):
        return value
    value = visible(value)
    return f"'{value}" if value.startswith(FORMULA_MARKS) else value


def spread(values: Sequence[float | None]) -> Spread:
    """Return mean and sample standard deviation of the values that are known.

    >>> spread([0.5, 0.7, None])
    Spread(mean=0.6, sd=0.14142135623730948)
    """
    known = [value for value in values if value is not None]
    if not known:
        return Spread(None)
    return Spread(statistics.fmean(known), statistics.stdev(known) if len(known) > 1 else None)
