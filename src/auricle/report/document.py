"""The report as one tree of plain blocks, numbered once, from which HTML and PDF are both made.

findings -> chapters (values, figures, tables; prose from templates) -> Document -> numbered(...) -> HTML, Typst
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from auricle.findings.comparison import MOST_SHOWN, on_common_clips
from auricle.findings.findings import Findings
from auricle.findings.reference import published_best
from auricle.findings.study import Study
from auricle.findings.trainings import Collapse
from auricle.report.figures.drawing import Drawing, Panel, panel
from auricle.report.figures.style import palette
from auricle.report.table import Table
from auricle.report.wording import Text, anchors, listing, protocol_title
from auricle.training.watch import MEANINGS

OF_ESC = ("esc10", "esc50")  # on clips of the first, which are also in the second, the built-in settings were chosen


@dataclass(frozen=True)
class Paragraph:
    """A paragraph."""

    text: Text


@dataclass(frozen=True)
class Bullets:
    """A list; each item may start with strong text."""

    items: tuple[Text, ...]


@dataclass(frozen=True)
class Callout:
    """A highlighted box."""

    title: str
    text: Text


@dataclass(frozen=True)
class KeyNumber:
    """A number in large type, and its description."""

    number: str
    text: str


@dataclass(frozen=True)
class Answer:
    """The box on the first page: the answer, and the numbers that carry it."""

    text: Text
    numbers: tuple[KeyNumber, ...]


@dataclass(frozen=True)
class Figure:
    """A numbered figure of one panel or several side by side; its name and caption come from where it is placed."""

    panels: tuple[Panel, ...]
    name: str = ""
    caption: Text = ()


def parts(
    name: str, models: Sequence[str], most: int, draw: Callable[[Sequence[str]], Drawing], alt: str
) -> dict[str, Figure]:
    """Return a figure of many models as figures of `most` of them: figure-NAME, figure-NAME-2, ..."""
    found = {}
    for number, start in enumerate(range(0, len(models), most), 1):
        some, own = models[start : start + most], f"{name}{part(number)}"
        found[f"figure-{own}"] = Figure((panel(draw(some), own, f"{alt} {listing(some)}"),))
    return found


def part(number: int) -> str:
    """Return the suffix of the name of one part of a figure or table that needs several pages."""
    return f"-{number}" if number > 1 else ""


@dataclass(frozen=True)
class Pair:
    """Two blocks side by side where there is room."""

    left: Exhibit
    right: Exhibit


@dataclass(frozen=True)
class Command:
    """A command to type."""

    text: str


Exhibit = Figure | Table
Block = Paragraph | Bullets | Callout | Answer | Figure | Table | Pair | Command


@dataclass(frozen=True)
class Section:
    """A heading and the content below it."""

    name: str
    title: str
    blocks: tuple[Block, ...]
    sections: tuple[Section, ...] = ()


@dataclass(frozen=True)
class Document:
    """The whole report; the first section comes before the contents and has no number, the appendix has letters."""

    title: str
    subtitle: str
    running_head: str
    sections: tuple[Section, ...]
    byline: str = ""
    link: str = ""
    appendix: tuple[Section, ...] = ()

    @property
    def every(self) -> tuple[Section, ...]:
        """The sections, and those of the appendix after them."""
        return (*self.sections, *self.appendix)

    def tables(self) -> Iterator[Table]:
        """Yield every table, in order."""
        return (block for block in blocks_of(self.every) if isinstance(block, Table))

    def panels(self) -> Iterator[Panel]:
        """Yield every panel of every figure, in order."""
        figures = (block for block in blocks_of(self.every) if isinstance(block, Figure))
        return (panel for figure in figures for panel in figure.panels)


def blocks_of(sections: Sequence[Section]) -> Iterator[Block]:
    """Yield the blocks of sections in reading order, both parts of a pair in its position."""
    for section in sections:
        for block in section.blocks:
            yield from (block.left, block.right) if isinstance(block, Pair) else (block,)
        yield from blocks_of(section.sections)


@dataclass(frozen=True)
class Chapter:
    """What a chapter's template works with."""

    values: Mapping[str, Any] = field(default_factory=dict)  # available in the template
    exhibits: Mapping[str, Exhibit] = field(default_factory=dict)  # figures and tables for the template, by name


@dataclass(frozen=True, eq=False)
class Report:
    """What every chapter is made from."""

    study: Study
    findings: Findings
    await_errors_page: Callable[[], object] = lambda: None  # returns once the page of mistakes is written

    @cached_property
    def colours(self) -> dict[str, str]:
        """Return the colour of each model, the same in every figure."""
        return palette(tuple(self.study.presets))

    @cached_property
    def anchors(self) -> dict[str, str]:
        """Return each model's name for files and links."""
        return anchors(self.study.presets)

    def title_of(self, protocol: str) -> str:
        """Return the name of a protocol, marked where it leaks."""
        return protocol_title(protocol, leaky=self.study.is_leaky(protocol))

    @property
    def chosen_here(self) -> bool:
        """Return whether the settings of the built-in models were chosen on clips of this dataset."""
        return self.study.dataset.source in OF_ESC

    @cached_property
    def phrases(self) -> dict[str, Any]:
        """Return the values that the shared phrases need."""
        study, findings, num = self.study, self.findings, len(self.findings.main.ranking)
        published = ((protocol, published_best(study, protocol)) for protocol in study.protocols)
        collapsed: dict[tuple[str, str], list[Collapse]] = {}
        for one in findings.collapses:
            collapsed.setdefault((one.cell.model, one.cell.protocol), []).append(one)
        return {
            "study": study,
            "findings": findings,
            "main": findings.main,
            # what a caption adds where `Comparison.foremost` leaves models out
            "of_many": f", the {MOST_SHOWN} most accurate of {num} models" if num > MOST_SHOWN else "",
            "on_common_clips": on_common_clips,
            "stamped": self.title_of,
            "published": {protocol: best for protocol, best in published if best},
            "chance": {protocol: study.answers[protocol].majority for protocol in study.protocols},
            "meanings": MEANINGS,
            "chosen_here": self.chosen_here,
            "leaky": list(filter(study.is_leaky, study.protocols)),
            "base_first": [model for model in study.models if study.presets[model].training.base_share],
            "is_map": any(study.presets[model].base.layout == "map" for model in study.models),
            "collapsed_groups": [(*names, fallen, len(study.of(*names))) for names, fallen in collapsed.items()],
        }
