"""What the pages for people say: fenced blocks, code within sentences, headings."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [
    Path("README.md"),
    *sorted(
        path.relative_to(ROOT)
        for path in (ROOT / "docs").rglob("*.md")
        if path.parent.name != "decisions" and path.name != "licences.md"
    ),
]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language and its text."""

    language: str
    text: str


def page_text(page: Path) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: Path, *languages: str) -> list[Block]:
    """Return the fenced blocks of some languages, in the order of the page."""
    found = [Block(*match.groups()) for match in FENCE.finditer(page_text(page))]
    return [block for block in found if block.language in languages]


def commands(page: Path) -> list[str]:
    """Return the lines of all shell blocks."""
    return [line for block in blocks(page, "sh") for line in block.text.splitlines() if line.strip()]


def spans(page: Path) -> list[str]:
    """Return the code within sentences."""
    return re.findall(r"`([^`\n]+)`", FENCE.sub("", page_text(page)))
