"""A chapter's template to sections and blocks: Markdown with values in it.

    # Title {#name}                    a section; ## and ### below it
    A paragraph with **strong** text, `code`, a link to [](#table-pairs) or to a file [errors.html](errors.html).
    - an item of a list
    > **Title.** A highlighted box; titled Answer, it is the first page's, with a list of numbers.
    ![The caption of a figure or a table.](figure-ranking)      two in one paragraph are side by side
    ```                                commands to type, one per line

Values are inserted after the Markdown is read, so a name from the data is never markup, whatever it contains.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode
from markupsafe import Markup

from auricle.report import document, wording
from auricle.report.document import Block, Exhibit, Figure, Section
from auricle.report.pages import page_environment
from auricle.report.table import Table
from auricle.report.wording import Beside, Code, Piece, Ref, Strong, Text


def between(loop: Any, mark: str = "") -> str:
    """Return the separator before an item of a loop: nothing, then a mark, or as in `listing` a comma or `and`."""
    return "" if loop.first else mark or (" and " if loop.last else ", ")


SHOWN = (wording.count, wording.decimal, wording.percent, wording.points, wording.probability, wording.signed,
         wording.listing, wording.shortened, wording.spoken, between)  # fmt: skip
OPEN, CLOSE = "\ue000", "\ue001"  # of Unicode's private use; they enclose the number of a value
VALUE = re.compile(f"{OPEN}([0-9]+){CLOSE}")
BREAKS = ("softbreak", "hardbreak")  # lines of a template end where they are written
NAME = re.compile(r"\s*\{#(.+)\}$")


def sections_of(name: str, values: Mapping[str, Any], exhibits: Mapping[str, Exhibit]) -> tuple[Section, ...]:
    """Return the sections of report/chapters/NAME.md, which inserts values and places exhibits with captions.

    Raises:
        ValueError: the template breaks a rule of this module, or names an exhibit that does not exist.
    """
    inserted: list[str] = []

    def keep(value: Any) -> Markup:
        if isinstance(value, Markup):  # of a macro or a block of the template: text of ours, in one line
            return Markup(" ".join(value.split()))
        inserted.append(str(value))
        return Markup(f"{OPEN}{len(inserted) - 1}{CLOSE}")

    environment = page_environment("chapters", comment_start_string="<!--", comment_end_string="-->", finalize=keep)
    environment.filters |= {show.__name__: show for show in SHOWN}
    text = environment.get_template(f"{name}.md").render(values)
    markdown = MarkdownIt("commonmark", {"html": False})
    markdown.normalizeLink = lambda url: url  # type: ignore[method-assign]  # names of ours, with numbers of values
    markdown.validateLink = lambda url: True  # type: ignore[method-assign]
    nodes = SyntaxTreeNode(markdown.parse(text)).children
    return tuple(_Reader(inserted, exhibits).sections(list(nodes), level=1))


@dataclass(frozen=True)
class _Reader:
    """Nodes of Markdown to blocks."""

    inserted: Sequence[str]
    exhibits: Mapping[str, Exhibit]

    def sections(self, nodes: list[SyntaxTreeNode], level: int) -> Iterator[Section]:
        starts = [index for index, node in enumerate(nodes) if node.tag == f"h{level}"]
        if nodes and (not starts or starts[0] > 0):
            raise ValueError(f"a chapter begins with a heading of level {level}")
        for start, end in pairwise([*starts, len(nodes)]):
            heading, inside = nodes[start], nodes[start + 1 : end]
            inner = next((i for i, node in enumerate(inside) if node.type == "heading"), len(inside))
            title = heading.children[0].content
            if not (name := NAME.search(title)):
                raise ValueError(f"a heading ends with its name, as {{#summary}}: {title}")
            blocks = tuple(block for node in inside[:inner] for block in self.blocks(node))
            inner_sections = tuple(self.sections(inside[inner:], level + 1))
            yield Section(self.plain(name[1]), self.plain(title[: name.start()]), blocks, inner_sections)

    def plain(self, text: str) -> str:
        """Put the values into text."""
        return VALUE.sub(lambda number: self.inserted[int(number[1])], text)

    def blocks(self, node: SyntaxTreeNode) -> Iterator[Block]:
        if node.type == "paragraph":
            inline = [child for child in node.children[0].children if child.type not in BREAKS]
            if all(child.type == "image" for child in inline):
                placed = [self._exhibit(child) for child in inline]
                yield placed[0] if len(placed) == 1 else document.Pair(*placed)
            else:
                yield document.Paragraph(self._line(node))
        elif node.type == "bullet_list":
            yield document.Bullets(tuple(self._line(item.children[0]) for item in node.children))
        elif node.type == "blockquote":
            yield self._box(node)
        elif node.type == "fence":
            yield from (document.Command(self.plain(line)) for line in node.content.splitlines())
        else:
            raise ValueError(f"a template of the report cannot have a {node.type}")

    def _exhibit(self, image: SyntaxTreeNode) -> Figure | Table:
        name = self.plain(str(image.attrs["src"]))
        if name not in self.exhibits:
            raise ValueError(f"there is no figure or table {name!r}; there are: {', '.join(self.exhibits)}")
        return replace(self.exhibits[name], name=name, caption=self.text(image.children))

    def _box(self, node: SyntaxTreeNode) -> Block:
        title, *text = self._line(node.children[0])
        if not isinstance(title, Strong):
            raise ValueError(f"a box begins with its title in bold: {node.content}")
        name, rest = title.text.removesuffix("."), _merged(text)
        if name != "Answer":
            return document.Callout(name, rest)
        numbers = [self._line(item.children[0]) for item in node.children[1].children]
        keys = (document.KeyNumber(_plain(number), _plain(*about).strip()) for number, *about in numbers)
        return document.Answer(rest, tuple(keys))

    def _line(self, paragraph: SyntaxTreeNode) -> Text:
        return self.text(paragraph.children[0].children)

    def text(self, nodes: Sequence[SyntaxTreeNode]) -> Text:
        """Return inline nodes as pieces."""
        return _merged([piece for node in nodes for piece in self._pieces(node)])

    def _pieces(self, node: SyntaxTreeNode) -> Iterator[Piece]:
        if node.type == "text":
            yield self.plain(re.sub(" +", " ", node.content))
        elif node.type in BREAKS:
            yield " "
        elif node.type == "code_inline":
            yield Code(self.plain(node.content))
        elif node.type == "strong":
            yield Strong("".join(_plain(piece) for child in node.children for piece in self._pieces(child)))
        elif node.type == "link":
            href = self.plain(str(node.attrs["href"]))
            yield Ref(href[1:]) if href.startswith("#") else Beside(href)
        else:
            raise ValueError(f"a template of the report cannot have {node.type} in a line")


def _plain(*pieces: Piece) -> str:
    return "".join(piece if isinstance(piece, str) else getattr(piece, "text", "") for piece in pieces)


def _merged(pieces: Sequence[Piece]) -> Text:
    """Join adjacent plain strings, and strip both ends."""
    merged: list[Piece] = []
    for plain, run in groupby(pieces, key=lambda piece: isinstance(piece, str)):
        alike = list(run)
        merged += ["".join(map(str, alike))] if plain else alike
    if merged and isinstance(merged[0], str):
        merged[0] = merged[0].lstrip(" ")
    if merged and isinstance(merged[-1], str):
        merged[-1] = merged[-1].rstrip(" ")
    return tuple(piece for piece in merged if piece != "")
