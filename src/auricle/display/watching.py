"""Who shows what is being done: a display on a terminal or in a notebook, lines elsewhere, or nobody."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from auricle.text import visible

if TYPE_CHECKING:
    from auricle.study.listener import Listener


def say(line: str) -> None:
    """Write one line to standard error; if nobody reads it any more, the work goes on all the same."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{visible(line)}\n")
        sys.stderr.flush()


def in_notebook() -> bool:
    """Return whether a Jupyter kernel runs this process (Colab and VS Code are such), which shows HTML."""
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
def told(level: int = 0) -> Iterator[Callable[..., None]]:
    """Give what says in a few words what comes next, and how much of it is done: a bar, lines elsewhere, or nothing."""
    if level < 0:
        yield lambda words, done=0, total=None: None
    elif in_notebook() or sys.stderr.isatty():
        from auricle.display.bar import bar

        with bar("{task.completed}/{task.total}") as draw:
            yield lambda words, done=0, total=None: draw(words, done, total)
    else:
        yield lambda words, done=0, total=None: say(f"{words} ({done + 1} of {total})" if total else words)
