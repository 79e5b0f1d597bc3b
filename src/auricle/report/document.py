"""The report as one tree of plain blocks, numbered once, from which HTML and PDF are both made.

chapters -> Document -> numbered(...) -> JSON-like values -> report.html.j2, report.typ
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from auricle.report.figures import Panel
from auricle.report.tabular import Table
from auricle.report.wording import Text


@dataclass(frozen=True)
class Paragraph:
    """A paragraph."""

    text: Text


@dataclass(frozen=True)
class Bullets:
    """A list; each item may start with a few strong words."""

    items: tuple[Text, ...]


@dataclass(frozen=True)
class Callout:
    """A box that must not be overlooked."""

    title: str
    text: Text


@dataclass(frozen=True)
class KeyNumber:
    """A number in large type, and what it is."""

    number: str
    words: str


@dataclass(frozen=True)
class Answer:
    """The box on the first page: the answer, and the numbers that carry it."""

    text: Text
    numbers: tuple[KeyNumber, ...]


@dataclass(frozen=True)
class Figure:
    """A numbered figure of one panel or several side by side."""

    name: str
    panels: tuple[Panel, ...]
    caption: Text


@dataclass(frozen=True)
class Pair:
    """Two blocks side by side where there is room."""

    left: Figure
    right: Table


@dataclass(frozen=True)
class Command:
    """A command to type."""

    words: str


Block = Paragraph | Bullets | Callout | Answer | Figure | Table | Pair | Command


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it."""

    name: str
    title: str
    blocks: tuple[Block, ...]
    sections: tuple[Section, ...] = ()


@dataclass(frozen=True)
class Document:
    """The whole report; the first section stands before the contents and has no number."""

    title: str
    subtitle: str
    running_head: str
    sections: tuple[Section, ...]

    def tables(self) -> Iterator[Table]:
        """Yield every table, in order."""
        return (block for block in blocks_of(self.sections) if isinstance(block, Table))

    def panels(self) -> Iterator[Panel]:
        """Yield every panel of every figure, in order."""
        figures = (block for block in blocks_of(self.sections) if isinstance(block, Figure))
        return (panel for figure in figures for panel in figure.panels)


def blocks_of(sections: Sequence[Section]) -> Iterator[Block]:
    """Yield the blocks of sections in reading order, both parts of a pair in the place of the pair."""
    for section in sections:
        for block in section.blocks:
            yield from (block.left, block.right) if isinstance(block, Pair) else (block,)
        yield from blocks_of(section.sections)
