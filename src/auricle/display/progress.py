"""Progress of a running study on standard error: what it will cost, and a line for each cell that has ended."""

import textwrap
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from typing_extensions import override

from auricle.errors import count
from auricle.runs import CellName
from auricle.study.estimate import Estimate
from auricle.study.listener import Listener
from auricle.study.status import seconds_left
from auricle.training.watch import MEANINGS

EPOCHS_PER_LINE = 10  # with -v, if not on a terminal
COLUMNS = ("model", "cells", "parameters", "M mult.", "s/step", "per cell", "GB")  # million multiply-adds per window
WIDTH = 80  # characters that a table of estimates should fit in


def duration(seconds: float) -> str:
    """Write a duration in units that people use.

    >>> duration(8.4), duration(107), duration(7500)
    ('8 s', '1 min 47 s', '2 h 05 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


@dataclass
class Running:
    """A cell in training."""

    num_epochs: int
    epoch: int = 0
    record: Mapping[str, Any] = field(default_factory=dict)
    since_s: float = 0.0


class Progress(Listener):
    """The state of a running study and an estimate of when it ends. Shows nothing itself."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.epochs: dict[CellName, int] = {}  # of the cells that have not started
        self.running: dict[CellName, Running] = {}
        self.warned: set[tuple[CellName, str]] = set()  # cells and the kinds of collapse already warned about
        self.seconds: dict[str, float] = {}  # seconds per epoch of a model, a moving average
        self.notes: set[str] = set()  # shown so far; a search shows them, and then the study of its best set
        self.num_cells = 0
        self.num_ended = 0
        self.num_workers = 1
        self.name_width = 0
        self.started_s = clock()

    @override
    def assumed(self, notes: Sequence[str]) -> None:
        for note in (note for note in notes if note not in self.notes):
            self.notes.add(note)
            for line in textwrap.wrap(note, 80, subsequent_indent="  "):
                self.note(line)

    @override
    def planned(self, epochs: Mapping[CellName, int], num_done: int, num_workers: int) -> None:
        self.epochs = dict(epochs)
        self.num_cells, self.num_ended = len(epochs) + num_done, num_done
        self.num_workers, self.started_s = num_workers, self.clock()
        self.name_width = max((len(str(cell)) for cell in epochs), default=0)
        self.note(plan_line(len(epochs), num_done, num_workers))

    @override
    def estimated(self, estimates: Sequence[Estimate], num_workers: int) -> None:
        for line in estimate_lines(estimates, num_workers):
            self.note(line)

    @override
    def started(self, cell: CellName) -> None:
        self.running[cell] = Running(self.epochs.pop(cell), since_s=self.clock())

    @override
    def epoch(self, cell: CellName, record: Mapping[str, Any]) -> None:
        running = self.running[cell]
        running.epoch, running.record = record["epoch"], record
        if line := self._warning(cell, record):
            self.warn(line)
        before = self.seconds.get(cell.model, record["seconds"])
        self.seconds[cell.model] = 0.8 * before + 0.2 * record["seconds"]

    def warn(self, line: str) -> None:
        """Show a warning."""
        self.note(line)

    def _warning(self, cell: CellName, record: Mapping[str, Any]) -> str | None:
        """Return a warning of a collapse (once per cell and kind), a recovery or a damaged checkpoint; else None."""
        where = f"{cell}  epoch {record['epoch']}"
        if restarted := record.get("restarted"):
            return f"{where}: {restarted}"
        if record.get("recovered"):
            return f"{where}: recovered, better than chance again"
        collapse = record.get("collapse")
        if not collapse or (cell, collapse["kind"]) in self.warned:
            return None
        self.warned.add((cell, collapse["kind"]))
        fix = "".join(f" --set {assignment}" for assignment in collapse["cures"][0])
        return f"{where}: {MEANINGS[collapse['kind']]}; {collapse['cause']}; try{fix}"

    @override
    def done(self, cell: CellName) -> None:
        self.running.pop(cell, None)
        self.num_ended += 1

    @override
    def failed(self, cell: CellName, cause: str) -> None:
        Progress.done(self, cell)

    def cost_s(self, cell: CellName, num_epochs: int) -> float | None:
        """Return the seconds of some epochs of a cell; None before the first epoch of any cell."""
        seconds = list(self.seconds.values())  # copies here and below: another thread may draw
        if not seconds:
            return None
        known = self.seconds.get(cell.model, sum(seconds) / len(seconds))
        return known * num_epochs

    def left_s(self) -> float | None:
        """Return the seconds until the last cell ends, if each free worker takes the next cell; None: unknown."""
        if not self.seconds:
            return None
        running = list(self.running.items())
        free = [self.cost_s(cell, each.num_epochs - each.epoch) or 0.0 for cell, each in running]
        free += [0.0] * (self.num_workers - len(free))
        return seconds_left(free, [self.cost_s(cell, num) or 0.0 for cell, num in list(self.epochs.items())])


def percent(share: float | None) -> str:
    """Write a fraction in percent; a dash for None."""
    return "–" if share is None else f"{100 * share:.1f}"


def ending(cell: CellName, running: Running, clock: Callable[[], float], width: int) -> str:
    """Return one line with a finished cell's duration and its accuracies after the last epoch."""
    parts = [f"{cell!s:<{width}}  {duration(clock() - running.since_s):>11}"]
    for name in ("train", "validation"):
        if f"{name}_accuracy" in running.record:
            parts.append(f"{name} {percent(running.record[f'{name}_accuracy']):>5} %")
    return "  ".join(parts)


class Lines(Progress):
    """One line per finished cell, for files and pipes; with `level` 1 also the decoding and every tenth epoch."""

    def __init__(self, write: Callable[[str], object], level: int, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(clock)
        self.write = write
        self.level = level

    @override
    def note(self, text: str) -> None:
        self.write(text)

    @override
    def decoding(self, num_done: int, num_clips: int) -> None:
        if self.level > 0 and num_done == num_clips:
            self.write(f"{count(num_clips, 'recording')} decoded")

    @override
    def epoch(self, cell: CellName, record: Mapping[str, Any]) -> None:
        super().epoch(cell, record)
        total = self.running[cell].num_epochs
        if self.level > 0 and (record["epoch"] % EPOCHS_PER_LINE == 0 or record["epoch"] in (1, total)):
            train, validation = (percent(record.get(f"{name}_accuracy")) for name in ("train", "validation"))
            self.write(f"{cell}  epoch {record['epoch']}/{total}  train {train} %, validation {validation} %")

    @override
    def done(self, cell: CellName) -> None:
        line = ending(cell, self.running[cell], self.clock, self.name_width)
        super().done(cell)
        left = self.left_s()
        more = f"  about {roughly(left)} left" if left and (self.epochs or self.running) else ""
        self.write(f"[{self.num_ended}/{self.num_cells}] {line}{more}")

    @override
    def failed(self, cell: CellName, cause: str) -> None:
        super().failed(cell, cause)
        self.write(f"[{self.num_ended}/{self.num_cells}] {cell} failed: {cause}")


def plan_line(num_left: int, num_done: int, num_workers: int) -> str:
    """Return a line with the number of cells to train.

    >>> plan_line(18, 2, 2), plan_line(0, 1, 2)
    ('18 cells to train, 2 in parallel; 2 already done', 'nothing to train; 1 cell already done')
    """
    if not num_left:
        return f"nothing to train; {count(num_done, 'cell')} already done"
    cells = f"{count(num_left, 'cell')} to train"
    in_parallel = f", {num_workers} in parallel" if num_workers > 1 else ""
    already = f"; {num_done} already done" if num_done else ""
    return cells + in_parallel + already


def roughly(seconds: float) -> str:
    """Write an estimated duration, rounded to what an estimate can tell.

    >>> roughly(40), roughly(1500), roughly(9000), roughly(500_000)
    ('40 s', '25 min', '2.5 h', '5.8 days')
    """
    for limit, unit_s, unit in ((90, 1, "s"), (5400, 60, "min")):
        if seconds < limit:
            return f"{seconds / unit_s:.0f} {unit}"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86_400:.1f} days"


def estimate_lines(estimates: Sequence[Estimate], num_workers: int) -> list[str]:
    """Return one row per model, the total time and how to reduce it; nothing for a short study."""
    if not any(each.step_s for each in estimates):
        return []
    rows = [COLUMNS, *(_estimate_row(each) for each in estimates)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    gap = "  " if sum(widths) + 2 * (len(widths) - 1) <= WIDTH else " "
    lines = [gap.join([f"{row[0]:<{widths[0]}}", *map(str.rjust, row[1:], widths[1:])]) for row in rows]
    total_s = sum(each.cell_s * each.num_cells for each in estimates) / num_workers
    in_parallel = f", {num_workers} cells in parallel" if num_workers > 1 else ""
    hint = "to shorten it: --models A,B or --set training.epochs=20"
    return [*lines, f"about {roughly(total_s)} in total{in_parallel}", hint]


def _estimate_row(each: Estimate) -> tuple[str, ...]:
    step = "–" if each.step_s is None else f"{each.step_s:.2g}" if each.step_s < 10 else f"{each.step_s:.0f}"
    counts = (f"{each.num_cells}", f"{each.parameters:,}", f"{each.multiply_adds / 1e6:,.0f}")
    return (each.model, *counts, step, roughly(each.cell_s), f"{each.memory_gb:.1f}")
