"""A numbered document to HTML and to PDF. Names from the data reach the templates as strings, never as markup."""

import json
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from auricle.errors import AuricleError
from auricle.files import machine_errors
from auricle.report.figures.inline import inlined
from auricle.report.pages import page, template


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

    Fonts of the system are used only where the text has letters that those lack.

    Raises:
        AuricleError: Typst fails.
        MachineError: the disk for temporary files refuses.
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
