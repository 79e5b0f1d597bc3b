"""What the benchmarks share: sides measured in turn, medians, ratios with their spread, a section of RESULTS.md."""

from __future__ import annotations

import statistics
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from auricle.data.datasets import load_manifest
from auricle.data.manifest import Manifest
from auricle.errors import RefusedError
from auricle.report.results_page import write_section
from auricle.runs.provenance import commit, machine

T = TypeVar("T")


def seconds(work: Callable[[], object]) -> float:
    """Return how long something takes on the clock."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def in_turn(sides: Mapping[str, Callable[[], T]], num_rounds: int, *, warm_up: bool = True) -> dict[str, list[T]]:
    """Measure every side once a round, A B C B C A ..., so that whatever slows the machine down meets them all.

    Args:
        sides: each measures itself once and returns what it found.
        num_rounds: rounds that count.
        warm_up: one round more at the start, which does not count.
    """
    found: dict[str, list[T]] = {name: [] for name in sides}
    order = deque(sides)
    for place in range(num_rounds + warm_up):
        for name in order:
            result = sides[name]()
            if place >= warm_up:
                found[name].append(result)
        order.rotate(-1)
    return found


def ratio(over: Sequence[float], under: Sequence[float]) -> str:
    """Say the median of the ratios of the rounds, and the lowest and the highest.

    >>> ratio([2.0, 3.0, 5.0], [1.0, 1.0, 2.0])
    '2.50 (2.00 to 3.00)'
    """
    ratios = [a / b for a, b in zip(over, under, strict=True)]
    return f"{statistics.median(ratios):#.3g} ({min(ratios):#.3g} to {max(ratios):#.3g})"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown, laid out for a terminal too; all columns but the first are numbers."""
    lines = [tuple(header), *map(tuple, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ("-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])))
    for place, (first, *others) in enumerate(lines):
        numbers = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        lines[place] = (first.ljust(widths[0]), *numbers)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def publish(title: str, about: str, measured: str, results: Path | None) -> None:
    """Print a table with its title and what it shows; write it as a section of RESULTS.md where that is given."""
    print(f"{title}\n\n{about}\n\n{measured}\n", flush=True)
    if results is not None:
        facts = machine("cpu")
        where = f"- Machine: {facts['processor']}, {facts['cores']} cores\n- Commit: {commit()}\n"
        where += f"- Date: {time.strftime('%Y-%m-%d')}"
        write_section(results, title.lower().replace(" ", "-"), f"## {title}\n\n{about}\n\n{measured}\n\n{where}")


def recordings_here() -> tuple[Manifest, str]:
    """Return ESC-10 where it is on this machine, else the toy recordings, and what to call them."""
    try:
        return load_manifest("esc10"), "ESC-10"
    except RefusedError as error:
        print(f"toy recordings instead of ESC-10: {error}", file=sys.stderr)
        return load_manifest("toy"), "auricle's toy recordings (WAV at 16 kHz, nothing to resample)"
