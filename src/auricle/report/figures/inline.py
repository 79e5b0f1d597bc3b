"""Figures inside an HTML page: colours as CSS variables, one set of glyphs for all, ids of their own."""

import re
from collections.abc import Mapping

from auricle.report.figures.style import GRID, INK, MUTED, SERIES

_VARIABLES = {INK: "ink", MUTED: "muted", GRID: "grid"} | {
    colour: f"series-{place}" for place, colour in enumerate(SERIES, 1)
}
_GLYPH = re.compile(r'<path id="(DejaVu[^"]+)"[^>]*/>\n?')


def inlined(figures: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """Prepare figures to stand together on one page.

    Args:
        figures: name to SVG, as `figures.panel` makes them.

    Returns:
        An SVG that holds the glyphs and shows nothing, and the figures that refer to it, by name.
    """
    glyphs: dict[str, str] = {}
    pages = {}
    for place, (name, svg) in enumerate(figures.items()):
        glyphs |= {glyph[1]: glyph[0] for glyph in _GLYPH.finditer(svg)}
        pages[name] = _with_variables(_with_own_ids(_GLYPH.sub("", svg).replace("<defs>\n</defs>\n", ""), f"f{place}-"))
    hidden = '<svg width="0" height="0" style="position: absolute" aria-hidden="true">'
    shared = f"{hidden}<defs>{''.join(glyphs.values())}</defs></svg>"
    return shared, pages


def _with_own_ids(svg: str, prefix: str) -> str:
    """Prefix the ids of a figure, but not the names of glyphs."""
    return re.sub(r'(\bid="|href="#|url\(#)(?!DejaVu)', rf"\g<1>{prefix}", svg)


def _with_variables(svg: str) -> str:
    """Write the report's colours as CSS variables, which a dark page changes."""
    return re.sub("|".join(_VARIABLES), lambda colour: f"var(--{_VARIABLES[colour[0]]},{colour[0]})", svg)
