"""Which display shows the progress of a study: live on a terminal or in a notebook, lines elsewhere, or none."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from auricle.text import visible

if TYPE_CHECKING:
    from auricle.study.listener import Listener


def say(line: str) -> None:
    """Write one line to standard error; if it cannot be written, the work continues without it."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{visible(line)}\n")
        sys.stderr.flush()


def in_notebook() -> bool:
    """Return whether this process is a Jupyter kernel, as in Colab or VS Code, which can show HTML."""
    ipython: Any = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


@contextlib.contextmanager
def watched(title: str, level: int = 0) -> Iterator[Listener]:
    """Give the listener for a study: a display on a terminal or in a notebook, lines elsewhere; below 0 nothing."""
    from auricle.study.listener import Listener

    if level < 0:
        yield Listener()
    elif in_notebook():
        from auricle.display.notebook import NotebookDisplay

        notebook = NotebookDisplay(title)
        with notebook.shown():
            yield notebook
    elif sys.stderr.isatty() and level == 0:
        from auricle.display.live import Display
        from auricle.display.terminal import Terminal

        display = Display(title, Terminal(stderr=True))
        with display.shown():
            yield display
    else:
        from auricle.display.progress import Lines

        yield Lines(say, level)


@contextlib.contextmanager
def search_watched(title: str, level: int = 0) -> Iterator[Listener]:
    """Give the listener for a search: lines, and on a terminal a status line below them; below 0 nothing."""
    from auricle.display.search_progress import SearchLines
    from auricle.study.listener import Listener

    if level < 0:
        yield Listener()
    elif sys.stderr.isatty() and level == 0:
        from rich.text import Text

        from auricle.display.terminal import Terminal

        console = Terminal(stderr=True)
        with console.status(Text(f"search {title}")) as status:
            yield SearchLines(
                lambda line: console.print(Text(line), soft_wrap=True), level, lambda text: status.update(Text(text))
            )
    else:
        yield SearchLines(say, level)


@contextlib.contextmanager
def progress_shown(level: int = 0) -> Iterator[Callable[..., None]]:
    """Give a function `report(step, done, total)` that shows progress as a bar, or as lines where there is no terminal.

    Below level 0 it shows nothing.
    """
    if level < 0:
        yield lambda step, done=0, total=None: None
    elif in_notebook() or sys.stderr.isatty():
        from auricle.display.bar import bar

        with bar("{task.completed}/{task.total}") as draw:
            yield lambda step, done=0, total=None: draw(step, done, total)
    else:
        yield lambda step, done=0, total=None: say(f"{step} ({done + 1} of {total})" if total else step)
