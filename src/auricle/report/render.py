"""A document, numbered once, to HTML and PDF. Names from the data reach the templates as strings, never as markup."""

import json
import re
import string
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from auricle.errors import AuricleError
from auricle.files import machine_errors
from auricle.report.document import Block, Document, Figure, Section, blocks_of
from auricle.report.figures.inline import inlined
from auricle.report.pages import page, template
from auricle.report.table import Spread, Table, Value, show, show_sd
from auricle.report.wording import Beside, Ref, Text, count, visible

Json = dict[str, Any]


def numbered(document: Document) -> Json:
    """Number sections, figures and tables, resolve the links, and return plain values for the templates.

    Raises:
        ValueError: two blocks have the same name, or a link has no target.
    """
    write = _Writer(_labels(document))
    return {
        "title": visible(document.title),
        "subtitle": visible(document.subtitle),
        "running_head": visible(document.running_head),
        "byline": visible(document.byline),
        "link": visible(document.link),
        "sections": [write.section(section, level=1) for section in document.every],
    }


def _labels(document: Document) -> dict[str, str]:
    """Give every section, figure and table its label, by name."""
    labels = [*_section_labels("Section", document.sections, range(len(document.sections)))]
    labels += _section_labels("Appendix", document.appendix, string.ascii_uppercase)
    for kind in (Figure, Table):
        blocks = (block for block in blocks_of(document.every) if isinstance(block, kind))
        labels += ((block.name, f"{kind.__name__} {index}") for index, block in enumerate(blocks, 1))
    name, num = Counter(name for name, _ in labels).most_common(1)[0]
    if num > 1:
        raise ValueError(f"two parts of the report are called {name!r}")
    return dict(labels)


def _section_labels(kind: str, sections: Sequence[Section], numbers: Iterable[object]) -> Iterator[tuple[str, str]]:
    for number, section in zip(numbers, sections, strict=False):
        yield section.name, f"{kind} {number}" if number else ""
        inner = (f"{number}.{index}" for index, _ in enumerate(section.sections, 1))
        yield from _section_labels(kind, section.sections, inner)


@dataclass(frozen=True)
class _Writer:
    """Blocks to plain values, given the labels."""

    labels: Mapping[str, str]

    def section(self, section: Section, level: int) -> Json:
        return {
            "id": section.name,
            "level": level,
            "number": self.labels[section.name].rpartition(" ")[2],
            "title": visible(section.title),
            "blocks": [self.block(block) for block in section.blocks],
            "sections": [self.section(inner, level + 1) for inner in section.sections],
        }

    def block(self, block: Block) -> Json:
        if isinstance(block, Table):
            return {"kind": "table", **self._table(block)}
        if isinstance(block, Figure):
            panels = [{"name": one.name, "width_in": one.width_in, "alt": visible(one.alt)} for one in block.panels]
            return {"kind": "figure", **self._head(block.name, block.caption), "panels": panels}
        return dict(self._plain(block))

    def _plain(self, value: Any) -> Any:
        """Return a block, a piece of a text or a field of either as the templates have it."""
        if isinstance(value, Figure | Table):
            return self.block(value)
        if isinstance(value, Ref):
            if value.target not in self.labels:
                raise ValueError(f"the report links to {value.target!r}, which is not in it")
            return {"kind": "ref", "target": value.target, "text": self.labels[value.target]}
        if isinstance(value, tuple):
            return [{"kind": "plain", "text": visible(v)} if isinstance(v, str) else self._plain(v) for v in value]
        if isinstance(value, str):
            return visible(value)
        parts = {name: self._plain(part) for name, part in vars(value).items()}
        return {"kind": type(value).__name__.lower(), **parts}

    def _table(self, table: Table) -> Json:
        rows = [row for group in table.groups.values() for row in group]
        columns = [
            {
                "title": visible(column.title),
                "left": column.kind in ("text", "code"),
                "code": column.kind == "code",
                "grows": column.grows,
                "spread": any(show_sd(row[index], column.kind) for row in rows),
            }
            for index, column in enumerate(table.columns)
        ]
        groups = [
            {"title": visible(title), "rows": _cells(table, group)[: table.shown.get(title)]}
            for title, group in table.groups.items()
        ]
        caption, hidden = table.caption, len(rows) - sum(len(group["rows"]) for group in groups)
        if hidden:
            caption = (*caption, f" {count(hidden, 'more row')}: ", Beside(f"tables/{table.name}.csv"), ".")
        return {**self._head(table.name, caption), "columns": columns, "groups": groups, "totals": table.totals}

    def _head(self, name: str, caption: Text) -> Json:
        return {"id": name, "label": self.labels[name], "caption": self._plain(caption)}


def _cells(table: Table, rows: Sequence[Sequence[Value]]) -> list[list[Json]]:
    """Return the cells of the rows under one heading; all that are displayed like the best count as best."""
    columns = list(zip(*rows, strict=True)) or [()] * len(table.columns)
    written = []
    for column, values in zip(table.columns, columns, strict=True):
        means = [value.mean if isinstance(value, Spread) else value for value in values]
        numbers = [mean for mean in means if isinstance(mean, int | float)]
        best = None
        if column.best and numbers and len(values) > 1:
            best = show(max(numbers) if column.best == "high" else min(numbers), column.kind)
        texts = [(visible(show(value, column.kind)), show_sd(value, column.kind)) for value in values]
        written.append([{"text": text, "sd": sd, "best": text == best} for text, sd in texts])
    return [list(row) for row in zip(*written, strict=True)]


def to_html(content: Mapping[str, Any], figures: Mapping[str, str]) -> str:
    """Return the report as one HTML file: style and figures (file name to SVG) inside, no script, no network."""
    glyphs, pictures = inlined({name.removesuffix(".svg"): svg for name, svg in figures.items()})
    values = {
        "figures": {name: Markup(svg) for name, svg in pictures.items()},
        "glyphs": Markup(glyphs),
        "style": Markup(template("report.css")),
    }
    return page("report.html.j2", {**content, **values})


def to_pdf(content: Mapping[str, Any], figures: Mapping[str, str]) -> bytes:
    """Return the report as PDF, set by Typst with the fonts that it brings along.

    System fonts are used only for letters that the bundled ones lack.

    Raises:
        AuricleError: Typst fails.
        MachineError: temporary files cannot be written.
    """
    import typst

    text = json.dumps(content, ensure_ascii=False)
    with tempfile.TemporaryDirectory(prefix="auricle-") as name:
        folder = Path(name)
        with machine_errors(folder, need_bytes=len(text) + sum(map(len, figures.values()))):
            (folder / "report.typ").write_text(template("report.typ"), encoding="utf-8")
            (folder / "content.json").write_text(text, encoding="utf-8")
            for file_name, svg in figures.items():
                (folder / file_name).write_text(svg, encoding="utf-8")
        try:
            return typst.compile(folder / "report.typ", root=folder, ignore_system_fonts=not needs_system_fonts(text))
        except RuntimeError as error:
            raise AuricleError(f"Typst cannot set report.pdf: {' '.join(str(error).split())}") from error


def needs_system_fonts(text: str) -> bool:
    """Return whether a text has letters beyond Latin, Greek, Cyrillic and common signs."""
    return bool(re.search("[\u0530-\u1dff\u2e80-\U0010ffff]", text))
