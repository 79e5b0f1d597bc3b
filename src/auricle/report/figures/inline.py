"""Figures inside an HTML page: colours as CSS variables, shared glyphs, unique ids."""

import re
from collections.abc import Mapping

from auricle.report.figures.style import GRID, INK, MUTED, ON_DEEP, SERIES

_VARIABLES = {INK: "ink", MUTED: "muted", GRID: "grid", ON_DEEP: "on-deep"} | {
    colour: f"series-{index}" for index, colour in enumerate(SERIES, 1)
}
_GLYPH = re.compile(r'<path id="(DejaVu[^"]+)"[^>]*/>\n?')


def inlined(figures: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """Prepare figures (name to SVG) for one page: an SVG with the glyphs, and the figures without them."""
    glyphs: dict[str, str] = {}
    pages = {}
    for index, (name, svg) in enumerate(figures.items()):
        glyphs |= {glyph[1]: glyph[0] for glyph in _GLYPH.finditer(svg)}
        svg = _GLYPH.sub("", svg).replace("<defs>\n</defs>\n", "")
        svg = re.sub(r'(\bid="|href="#|url\(#)(?!DejaVu)', rf"\g<1>f{index}-", svg)  # unique ids, except for glyphs
        pages[name] = re.sub("|".join(_VARIABLES), lambda colour: f"var(--{_VARIABLES[colour[0]]},{colour[0]})", svg)
    hidden = '<svg width="0" height="0" style="position: absolute" aria-hidden="true">'
    shared = f"{hidden}<defs>{''.join(glyphs.values())}</defs></svg>"
    return shared, pages
