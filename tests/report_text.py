"""A chapter of a study's report as a reader gets it: its sections, their text, its tables."""

from collections.abc import Callable, Iterator
from pathlib import Path

from auricle.findings.findings import find
from auricle.findings.study import Study, load_study
from auricle.report.document import Chapter, Report, Section, blocks_of
from auricle.report.figures.style import style
from auricle.report.prose import sections_of
from auricle.report.table import Table
from auricle.report.wording import Text


def report_of(study: Path | Study) -> Report:
    study = load_study(study) if isinstance(study, Path) else study
    return Report(study, find(study))


def sections(make: Callable[[Report], Chapter | None], report: Report) -> tuple[Section, ...]:
    """Return the sections of a chapter; none where it has nothing to say."""
    with style():
        chapter = make(report)
    return sections_of(make.__name__, chapter.values, chapter.exhibits) if chapter else ()


def chapter_sections(study: Study, make: Callable[[Report], Chapter | None]) -> tuple[Section, ...]:
    return sections(make, report_of(study))


def plain(text: Text) -> str:
    """Return a text with common blanks and hyphens."""
    joined = "".join(piece if isinstance(piece, str) else getattr(piece, "text", "") for piece in text)
    return joined.replace("\xa0", " ").replace("\N{NON-BREAKING HYPHEN}", "-")


def texts(parts: tuple[Section, ...]) -> Iterator[str]:
    """Yield every paragraph, item, box, command and caption."""
    for block in blocks_of(parts):
        items = getattr(block, "items", None) or [getattr(block, "text", None) or getattr(block, "caption", ())]
        yield from map(plain, items)


def words_of(parts: tuple[Section, ...]) -> str:
    return "\n".join(texts(parts))


def tables(parts: tuple[Section, ...]) -> dict[str, Table]:
    return {block.name: block for block in blocks_of(parts) if isinstance(block, Table)}
