"""The display of a running study on a terminal: a bar for all cells, and a line for each cell in training.

esc10 ━━━━━━━━━━━━━━━━━━━━╺━━━━━━━━━━  13 of 20 cells   21 min 07 s, about 11 min left
  transformer-h1/k-fold-4-0     epoch  34/100   train 91.2 %   validation 83.1 %    1 min
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text
from typing_extensions import override

from auricle.display.progress import Progress, duration, ending, percent, roughly
from auricle.errors import count
from auricle.runs import CellName
from auricle.text import visible

REFRESHES_A_SECOND = 2


class Display(Progress):
    """Progress that is redrawn while `shown` is open; lines for finished cells scroll by above it."""

    def __init__(self, title: str, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(clock)
        self.title = title
        self.console = console
        self.stage = ""
        self.stage_share = 0.0

    def shown(self) -> AbstractContextManager[object]:
        """Return a context manager that draws while its block runs, and in the end leaves only the lines above."""
        how: dict[str, Any] = {"refresh_per_second": REFRESHES_A_SECOND, "transient": True}
        return Live(get_renderable=self.render, console=self.console, **how)

    @override
    def note(self, text: str) -> None:
        self._say(Text(visible(text)))

    @override
    def warn(self, line: str) -> None:
        self._say(Text.assemble(("! ", "yellow"), visible(line)))

    @override
    def doing(self, what: str) -> None:
        self.stage, self.stage_share = what, 0.0

    @override
    def decoding(self, num_done: int, num_clips: int) -> None:
        self.stage, self.stage_share = f"decoded {num_done} of {num_clips} recordings", num_done / num_clips

    @override
    def done(self, cell: CellName) -> None:
        self._say(Text.assemble(("✓ ", "green"), ending(cell, self.running[cell], self.clock, self.name_width)))
        super().done(cell)

    @override
    def failed(self, cell: CellName, cause: str) -> None:
        self._say(Text.assemble(("✗ ", "red"), visible(f"{cell} failed: {cause}")), overflow="ellipsis", no_wrap=True)
        super().failed(cell, cause)

    def _say(self, line: Text, **wrapping: Any) -> None:
        self.console.print(line, highlight=False, **(wrapping or {"soft_wrap": True}))

    def render(self) -> RenderableType:
        """Draw the present state."""
        if not self.num_cells:
            return self._bar(self.stage_share, self.stage)
        shares = sum(running.epoch / running.num_epochs for running in list(self.running.values()))
        left = self.left_s()
        text = f"{self.num_ended} of {count(self.num_cells, 'cell')}   {duration(self.clock() - self.started_s)}"
        if left:
            text += f", about {roughly(left)} left"
        return Group(self._bar((self.num_ended + shares) / self.num_cells, text), self._cells())

    def _bar(self, share: float, text: str) -> RenderableType:
        grid = Table.grid(padding=(0, 1), expand=True)
        grid.add_column(no_wrap=True, max_width=20)
        grid.add_column(ratio=1, min_width=4)
        grid.add_column(no_wrap=True)
        grid.add_row(Text(self.title, "bold"), ProgressBar(total=1.0, completed=share), Text(text))
        return grid

    def _cells(self) -> RenderableType:
        grid = Table.grid(padding=(0, 2), pad_edge=True)
        grid.add_column(no_wrap=True, overflow="ellipsis")
        for _ in range(4):
            grid.add_column(no_wrap=True, justify="right")
        if self.running:
            grid.add_row("cell", "epoch", "train %", "validation %", "left", style="dim")
        for cell, running in list(self.running.items()):  # a copy: this is drawn while another thread ends cells
            left = self.cost_s(cell, running.num_epochs - running.epoch) if running.epoch else None
            grid.add_row(
                Text(str(cell)),
                f"{running.epoch}/{running.num_epochs}" if running.epoch else "starting",
                percent(running.record.get("train_accuracy")),
                percent(running.record.get("validation_accuracy")),
                roughly(left) if left else "",
            )
        return grid
