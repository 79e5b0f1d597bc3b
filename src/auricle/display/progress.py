"""A running study, seen from standard error: what it will cost, and a line for each cell that has ended."""

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

EPOCHS_A_LINE = 10  # with -v, elsewhere than on a terminal
COLUMNS = ("model", "cells", "parameters", "M mult.", "s/step", "a cell", "GB")  # multiply-adds of a window, millions
WIDTH = 80  # of a table of estimates, if possible


def duration(seconds: float) -> str:
    """Write a stretch of time as people say it.

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
    """What is known of a running study, and an estimate of when it ends. Shows nothing itself."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.epochs: dict[CellName, int] = {}  # of the cells that have not started
        self.running: dict[CellName, Running] = {}
        self.warned: set[tuple[CellName, str]] = set()  # cells with the kind of their collapse
        self.seconds: dict[str, float] = {}  # an epoch of a model, averaged, recent ones count more
        self.num_cells = 0
        self.num_ended = 0
        self.num_workers = 1
        self.name_width = 0
        self.started_s = clock()

    @override
    def assumed(self, notes: Sequence[str]) -> None:
        for note in notes:
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
        """Show a line that a person should not miss."""
        self.note(line)

    def _warning(self, cell: CellName, record: Mapping[str, Any]) -> str | None:
        """Return what to say of a collapse, once a cell and kind, of a recovery and of a damaged checkpoint."""
        where = f"{cell}  epoch {record['epoch']}"
        if restarted := record.get("restarted"):
            return f"{where}: {restarted}"
        if record.get("recovered"):
            return f"{where}: it is better than guessing again"
        collapse = record.get("collapse")
        if not collapse or (cell, collapse["kind"]) in self.warned:
            return None
        self.warned.add((cell, collapse["kind"]))
        cure = "".join(f" --set {word}" for word in collapse["cures"][0])
        return f"{where}: {MEANINGS[collapse['kind']]}; {collapse['cause']}; try{cure}"

    @override
    def done(self, cell: CellName) -> None:
        self.running.pop(cell, None)
        self.num_ended += 1

    @override
    def failed(self, cell: CellName, cause: str) -> None:
        Progress.done(self, cell)

    def cell_left_s(self, cell: CellName) -> float | None:
        """Return the seconds that a running cell still needs; None while nothing is known."""
        running = self.running[cell]
        return self._cost_s(cell, running.num_epochs - running.epoch)

    def _cost_s(self, cell: CellName, num_epochs: int) -> float | None:
        if not self.seconds:
            return None
        known = self.seconds.get(cell.model, sum(self.seconds.values()) / len(self.seconds))
        return known * num_epochs

    def left_s(self) -> float | None:
        """Return the seconds until the last cell ends, each cell taken by the next free worker; None: unknown."""
        if not self.seconds:
            return None
        free = [self.cell_left_s(cell) or 0.0 for cell in self.running]
        free += [0.0] * (self.num_workers - len(free))
        return seconds_left(free, [self._cost_s(cell, num) or 0.0 for cell, num in self.epochs.items()])


def percent(share: float | None) -> str:
    """Write a share in percent, a dash where there is none."""
    return "–" if share is None else f"{100 * share:.1f}"


def ending(cell: CellName, running: Running, clock: Callable[[], float], width: int) -> str:
    """Return one line that says how a finished cell did in its last epoch, its name padded to a width."""
    parts = [f"{cell!s:<{width}}  {duration(clock() - running.since_s):>11}"]
    for name in ("train", "validation"):
        if f"{name}_accuracy" in running.record:
            parts.append(f"{name} {percent(running.record[f'{name}_accuracy']):>5} %")
    return "  ".join(parts)


class Lines(Progress):
    """One line a finished cell, for files and pipes; with `level` 1 also the decoding and every tenth epoch."""

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
            self.write(f"{num_clips} recordings decoded")

    @override
    def epoch(self, cell: CellName, record: Mapping[str, Any]) -> None:
        super().epoch(cell, record)
        total = self.running[cell].num_epochs
        if self.level > 0 and (record["epoch"] % EPOCHS_A_LINE == 0 or record["epoch"] in (1, total)):
            train, validation = (percent(record.get(f"{name}_accuracy")) for name in ("train", "validation"))
            self.write(f"{cell}  epoch {record['epoch']}/{total}  train {train} %, validation {validation} %")

    @override
    def done(self, cell: CellName) -> None:
        line = ending(cell, self.running[cell], self.clock, self.name_width)
        super().done(cell)
        left = self.left_s()
        more = f"  about {duration(left)} left" if left and (self.epochs or self.running) else ""
        self.write(f"[{self.num_ended}/{self.num_cells}] {line}{more}")

    @override
    def failed(self, cell: CellName, cause: str) -> None:
        super().failed(cell, cause)
        self.write(f"[{self.num_ended}/{self.num_cells}] {cell} failed: {cause}")


def plan_line(num_left: int, num_done: int, num_workers: int) -> str:
    """Say what will run.

    >>> plan_line(18, 2, 2)
    '18 cells to train, 2 at a time; 2 are done already'
    """
    if not num_left:
        return f"nothing to train: all {num_done} cells are done"
    cells = f"{count(num_left, 'cell')} to train"
    at_a_time = f", {num_workers} at a time" if num_workers > 1 else ""
    already = f"; {num_done} {'is' if num_done == 1 else 'are'} done already" if num_done else ""
    return cells + at_a_time + already


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
    counts = (f"{each.num_cells}", f"{each.parameters:,}", f"{each.multiply_adds / 1e6:,.0f}")
    return (each.model, *counts, step, roughly(each.cell_s), f"{each.memory_gb:.1f}")
