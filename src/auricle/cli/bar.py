"""A bar on a terminal for what takes a while; nothing elsewhere."""

import contextlib
import sys
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def bar(amount: str) -> Iterator[Callable[[str, int, int | None], None]]:
    """Give a function to be told what is done, how much of it, and of how much: a bar, where there is a terminal."""
    if not sys.stderr.isatty():
        yield lambda doing, done, total: None
        return
    from rich.console import Console
    from rich.filesize import decimal
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn(amount), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=None, size="")

        def draw(doing: str, done: int, total: int | None) -> None:
            size = decimal(done) if total is None else f"{decimal(done)} of {decimal(total)}"
            progress.update(task, description=doing, completed=done, total=total, size=size)

        yield draw
