"""The display of a running study in a notebook: what a terminal shows, as HTML that is updated while the study runs.

It needs no widgets, so that it works wherever a notebook shows HTML.
"""

import contextlib
import io
import threading
from collections.abc import Callable, Iterator
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text
from typing_extensions import override

from auricle.display.live import REFRESHES_A_SECOND, Display
from auricle.display.terminal import Terminal

WIDTH = 100  # columns
PAGE = '<pre style="white-space: pre; overflow-x: auto; line-height: 1.35; margin: 0">{code}</pre>'


def as_html(content: RenderableType) -> str:
    """Return what Rich draws as HTML, with any markup in the text escaped."""
    console = Terminal(
        file=io.StringIO(), width=WIDTH, record=True, force_terminal=True, force_jupyter=False, color_system="truecolor"
    )
    console.print(content)
    return console.export_html(inline_styles=True, code_format=PAGE)


@contextlib.contextmanager
def redrawn(
    draw: Callable[[], RenderableType],
    last: Callable[[], RenderableType] = lambda: "",
    show: Callable[[str], None] | None = None,
) -> Iterator[None]:
    """Redraw the output of a notebook cell in a thread while the block runs; in the end it shows `last`."""
    show, over = show or _open_output(), threading.Event()

    def go_on() -> None:
        while not over.wait(1 / REFRESHES_A_SECOND):
            show(as_html(draw()))

    thread = threading.Thread(target=go_on, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        show(as_html(last()))


def _open_output() -> Callable[[str], None]:
    """Add an empty output to the notebook cell, and return a function that replaces its HTML."""
    from IPython.display import HTML, display

    handle: Any = display(HTML(""), display_id=True)
    return lambda html: handle.update(HTML(html))


class NotebookDisplay(Display):
    """Progress in the output of a notebook cell; lines for finished cells stay above the bar, and after it is gone."""

    def __init__(self, title: str, show: Callable[[str], None] | None = None) -> None:
        super().__init__(title, Terminal(file=io.StringIO()))
        self.show = show
        self.lines: list[Text] = []

    @override
    def shown(self) -> contextlib.AbstractContextManager[None]:
        return redrawn(lambda: Group(*self.lines, self.render()), lambda: Group(*self.lines), self.show)

    @override
    def _say(self, line: Text, **wrapping: Any) -> None:
        self.lines.append(line)
