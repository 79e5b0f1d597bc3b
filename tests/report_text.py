"""The text of a chapter of a study's report, as a person reads it."""

from collections.abc import Callable, Iterator

from auricle.findings.findings import find
from auricle.findings.study import Study
from auricle.report.document import Answer, Bullets, Callout, Chapter, Paragraph, Report, Section, blocks_of
from auricle.report.figures.style import style
from auricle.report.prose import sections_of
from auricle.report.wording import Text


def plain(text: Text) -> str:
    """Return the words of a text, with common blanks."""
    words = (piece if isinstance(piece, str) else getattr(piece, "text", "") for piece in text)
    return "".join(words).replace("\xa0", " ")


def chapter_sections(study: Study, make: Callable[[Report], Chapter | None]) -> tuple[Section, ...]:
    """Return the sections of one chapter; none where it has nothing to say."""
    with style():
        chapter = make(Report(study, find(study)))
        return sections_of(make.__name__, chapter.values, chapter.exhibits) if chapter else ()


def texts(sections: tuple[Section, ...]) -> Iterator[str]:
    """Yield every paragraph, item, box and caption."""
    for block in blocks_of(sections):
        if isinstance(block, Bullets):
            yield from map(plain, block.items)
        elif isinstance(block, Paragraph | Callout | Answer):
            yield plain(block.text)
        elif hasattr(block, "caption"):
            yield plain(block.caption)
