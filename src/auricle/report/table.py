"""Tables of values and their format, the same for HTML, PDF and CSV."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from auricle import files
from auricle.config.reading import load_yaml
from auricle.report.wording import Text, decimal, probability, visible
from auricle.text import csv_text, quoted

Kind = Literal["text", "code", "count", "percent", "points", "ratio", "decimal", "minutes", "millions", "p"]


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
    """A name followed by a mark, and the meaning of the mark."""

    text: str
    mark: str
    meaning: str


COLLAPSED, BASELINE = ("†", "collapsed"), ("‡", "free baseline")  # marks and their meaning
Value = str | int | float | Spread | Range | Marked | None
Row = Sequence[Value]


@dataclass(frozen=True)
class Column:
    """A column: its key in CSV, its title, how values are shown, which is best, whether it takes the rest."""

    key: str
    title: str
    kind: Kind = "text"
    best: Literal["high", "low"] | None = None
    grows: bool = False


def columns(name: str, **titles: str) -> tuple[Column, ...]:
    """Return the columns of a table of chapters/columns.yaml; some by their key under other titles."""
    known = _known_columns()[name]
    return tuple(Column(key, **about | {"title": titles.get(key, about["title"])}) for key, about in known.items())


@cache
def _known_columns() -> dict[str, dict[str, Any]]:
    text = resources.files("auricle.report").joinpath("chapters", "columns.yaml").read_text(encoding="utf-8")
    return dict(load_yaml(text))


@dataclass(frozen=True)
class Table:
    """A numbered table; the template gives its caption and its name, which is also that of its CSV file."""

    columns: tuple[Column, ...]
    groups: Mapping[str, Sequence[Row]]  # rows under a heading; one group with an empty heading is a plain table
    totals: bool = False  # whether the last row of each group sums up the others
    shown: Mapping[str, int] = field(default_factory=dict)  # rows under a heading in the report, where not all
    name: str = ""
    caption: Text = ()


def show(value: Value, kind: Kind) -> str:
    """Format a value for people.

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
    """Format the standard deviation of a value for people; empty where it has none."""
    return show(value.sd, kind) if isinstance(value, Spread) and value.sd is not None else ""


def write_csv(path: Path, table: Table) -> None:
    """Write a table as CSV with its exact values; text that a spreadsheet would take for a formula gets a `'`.

    Raises:
        MachineError: the disk refuses.
    """
    titles = [title for title, rows in table.groups.items() for _ in rows]
    parts: list[tuple[Any, ...]] = [("group", *titles)] if any(titles) else []
    for index, column in enumerate(table.columns):
        parts += _csv_parts(column.key, [row[index] for rows in table.groups.values() for row in rows])
    lines = zip(*parts, strict=True)
    files.write_text(path, csv_text([tuple(map(_harmless, line)) for line in lines]))


def _csv_parts(key: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Return a column of a table for CSV: one column or two, each with its key as header."""
    kind = next((kind for kind in (Marked, Range, Spread) if any(isinstance(value, kind) for value in values)), None)
    if kind is None:
        return [(key, *values)]
    if kind is Marked:
        ends = ("", "_note")
        pairs = [(value.text, value.meaning) if isinstance(value, Marked) else (value, "") for value in values]
    else:
        ends = ("_low", "_high") if kind is Range else ("", "_sd")
        pairs = [astuple(value) if value else (None, None) for value in values]
    return [(f"{key}{end}", *half) for end, half in zip(ends, zip(*pairs, strict=True), strict=True)]


def _harmless(value: Any) -> Any:
    """Keep a spreadsheet from running a name as a formula."""
    return quoted(visible(value)) if isinstance(value, str) else value
