"""How every figure looks: colours, type, sizes; and from matplotlib to a clean SVG.

Text is drawn as paths, so a figure looks the same everywhere. Colours come from the fixed sets below; in the HTML
report they become CSS variables, which is how a figure follows a dark page.
"""

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.font_manager import get_font
from matplotlib.ft2font import FT2Font
from matplotlib.patches import Rectangle

from auricle.report.wording import shortened, visible

SMALL_IN, HALF_IN, MEDIUM_IN = 2.7, 3.25, 4.9
INK, MUTED, GRID = "#1f2328", "#667080", "#dfe3e8"
# Okabe and Ito's set for all kinds of colour vision, without its yellow, which white paper swallows.
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a8f98")
DASHES = ("solid", (0, (4, 1.6)), (0, (1, 1.4)), (0, (6, 1.5, 1, 1.5)))

_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans", "font.size": 7.5, "text.color": INK, "text.parse_math": False,
    "axes.edgecolor": MUTED, "axes.labelcolor": INK, "axes.linewidth": 0.6, "axes.titlesize": 8.5,
    "axes.titleweight": "bold", "axes.titlelocation": "left", "axes.titlepad": 6, "axes.labelsize": 7.5,
    "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True, "axes.unicode_minus": True,
    "axes.facecolor": "none", "figure.facecolor": "none", "savefig.facecolor": "none",
    "grid.color": GRID, "grid.linewidth": 0.6, "xtick.color": MUTED, "ytick.color": MUTED,
    "xtick.labelcolor": INK, "ytick.labelcolor": INK, "xtick.labelsize": 7, "ytick.labelsize": 7,
    "xtick.major.width": 0.6, "ytick.major.width": 0.6, "xtick.major.size": 2.5, "ytick.major.size": 2.5,
    "legend.fontsize": 6.8, "legend.frameon": False, "legend.handlelength": 1.8, "lines.linewidth": 1.4,
    "svg.fonttype": "path", "svg.hashsalt": "auricle", "path.simplify": True,
}  # fmt: skip


def palette(names: Sequence[str]) -> dict[str, str]:
    """Give each name its colour, by its place: the same for every figure of a study.

    >>> palette(["cnn", "transformer-h1"])
    {'cnn': '#0072b2', 'transformer-h1': '#d55e00'}
    """
    return {name: SERIES[place % len(SERIES)] for place, name in enumerate(names)}


def dashes(names: Sequence[str]) -> dict[str, str | tuple]:
    """Give each name a line style, a new one each time the colours begin again."""
    return {name: DASHES[place // len(SERIES) % len(DASHES)] for place, name in enumerate(names)}


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Draw in the report's style for as long as the block runs."""
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def canvas(width_in: float, height_in: float) -> tuple[Figure, Axes]:
    """Return a figure with one pair of axes that fill it."""
    figure = Figure(figsize=(width_in, height_in))
    return figure, figure.subplots()


def squares(axes: Axes, depths: np.ndarray, colours: Sequence[str]) -> None:
    """Fill a square for each depth above zero, shape (rows, columns), up to 1 for the full colour of its column."""
    places = np.argwhere(depths > 0)
    if not len(places):
        return
    axes.add_collection(
        PatchCollection(
            [Rectangle((column - 0.5, row - 0.5), 1, 1) for row, column in places],
            facecolor=[colours[column] for _, column in places],
            alpha=[min(1.0, float(depths[row, column])) for row, column in places],
            edgecolor="none",
        )
    )


def drawable(name: str, place: int, length: int = 22) -> str:
    """Return a category's name for a figure: short, and its number in the list of classes where no glyph exists.

    >>> drawable("crying_baby", 3)
    'crying baby'
    >>> drawable("狗", 4)
    '#5'
    """
    words = visible(name).replace("_", " ")
    known = "".join(mark for mark in words if _font().get_char_index(ord(mark)))
    if len(known) < len(words):
        known = f"#{place + 1} {known.strip()}".strip()
    return shortened(known, length)


def _font() -> FT2Font:
    return get_font(mpl.font_manager.findfont("DejaVu Sans"))
