"""A progress bar on a terminal or in a notebook; nothing elsewhere."""

import contextlib
import sys
from collections.abc import Callable, Iterator

from auricle.display.watching import in_notebook
from auricle.text import visible


@contextlib.contextmanager
def bar(amount: str) -> Iterator[Callable[[str, int, int | None], None]]:
    """Give a function `draw(step, done, total)` that updates a progress bar, where one can be shown."""
    if not sys.stderr.isatty() and not in_notebook():
        yield lambda doing, done, total: None
        return
    from rich.filesize import decimal
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from auricle.display.terminal import Terminal

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TextColumn(amount), TimeRemainingColumn())
    progress = Progress(*columns, console=Terminal(stderr=True), transient=True)
    task = progress.add_task("", total=None, size="")

    def draw(doing: str, done: int, total: int | None) -> None:
        size = decimal(done) if total is None else f"{decimal(done)} of {decimal(total)}"
        progress.update(task, description=visible(doing), completed=done, total=total, size=size)

    if in_notebook():
        from auricle.display.notebook import redrawn

        with redrawn(progress.get_renderable):
            yield draw
    else:
        with progress:
            yield draw
