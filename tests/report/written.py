"""A chapter as a reader gets it: its sections, and their words."""

from collections.abc import Callable
from pathlib import Path

from auricle.findings.findings import find
from auricle.findings.study import load_study
from auricle.report.document import Chapter, Report, Section, blocks_of
from auricle.report.figures.style import style
from auricle.report.prose import sections_of
from auricle.report.table import Table
from auricle.report.wording import Text


def report_of(folder: Path) -> Report:
    study = load_study(folder)
    return Report(study, find(study))


def sections(make: Callable[[Report], Chapter | None], report: Report) -> tuple[Section, ...]:
    """Return the sections of a chapter; none where it has nothing to say."""
    with style():
        chapter = make(report)
    return sections_of(make.__name__, chapter.values, chapter.exhibits) if chapter else ()


def plain(text: Text) -> str:
    words = "".join(piece if isinstance(piece, str) else getattr(piece, "text", "") for piece in text)
    return words.replace("\xa0", " ").replace("\N{NON-BREAKING HYPHEN}", "-")


def words_of(parts: tuple[Section, ...]) -> str:
    """Return the paragraphs, items, boxes and captions, a line each."""
    lines = []
    for block in blocks_of(parts):
        texts = getattr(block, "items", None) or [getattr(block, "text", None) or getattr(block, "caption", ())]
        lines += map(plain, texts)
    return "\n".join(lines)


def tables(parts: tuple[Section, ...]) -> dict[str, Table]:
    return {block.name: block for block in blocks_of(parts) if isinstance(block, Table)}
