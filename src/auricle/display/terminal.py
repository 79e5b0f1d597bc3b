"""A console that prints text from files, such as names, without obeying control characters in it."""

from collections.abc import Iterator
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from typing_extensions import override

from auricle.text import visible


class Terminal(Console):
    """Rich's console without markup and highlighting; control characters in text are spelt out.

    A line end in a name still ends the line: pass names through `visible` where that matters.
    """

    def __init__(self, *, stderr: bool = False, **settings: Any) -> None:
        super().__init__(stderr=stderr, highlight=False, markup=False, emoji=False, **settings)

    @override
    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        for segment in super().render(renderable, options):
            text = "\n".join(map(visible, segment.text.split("\n")))
            yield segment if segment.control or text == segment.text else Segment(text, segment.style)
