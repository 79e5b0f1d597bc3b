"""The style of all figures: colours, type, sizes; and export from matplotlib to a clean SVG.

Text is drawn as paths, so a figure looks the same everywhere. Colours come from the fixed sets below; in the HTML
report they become CSS variables, so that figures adapt to dark mode. Matplotlib is imported where it draws, so a
report whose panels are all up to date does not need it.
"""

from __future__ import annotations

import contextlib
import functools
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import numpy as np

from auricle.report.figures.drawing import add_legend
from auricle.report.wording import shortened, visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

HALF_IN, MEDIUM_IN, PAGE_IN = 3.25, 4.9, 6.6
ABREAST = 4  # small panels side by side on a page
INK, MUTED, GRID = "#1f2328", "#667080", "#dfe3e8"
# Okabe and Ito's set for all kinds of colour vision, without its yellow, which white paper swallows.
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a8f98")
DASHES = ("solid", (0, (4, 1.6)), (0, (1, 1.4)), (0, (6, 1.5, 1, 1.5)))
MARKS = "oDs^vPX*"  # one more than colours, so that a model with the colour of another has another mark
ON_DEEP = "#ffffff"  # ink on a deep colour; in dark mode, where that is bright, it is dark
ON_BRIGHT = "#000000"  # ink on a bright colour, also in dark mode, where ink is light
# What report.css makes of the colours in dark mode.
IN_DARK_MODE = {"#ffffff": "#14171a", INK: "#e4e7ea", MUTED: "#98a2ae"} | dict(
    zip(SERIES, ("#4fa9e0", "#ff8e45", "#35c498", "#e6a0c6", "#f2b945", "#8fd0f5", "#a6acb5"), strict=True)
)
MANY = 12  # classes; above it, rows are narrower, and figures label only notable values

_part: ContextVar[Any] = ContextVar("part", default=None)  # the part of a figure for the next drawing
_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans", "font.size": 7.5, "text.color": INK, "text.parse_math": False,
    "axes.edgecolor": MUTED, "axes.labelcolor": INK, "axes.linewidth": 0.6, "axes.titlesize": 8.5,
    "axes.titleweight": "bold", "axes.titlelocation": "left", "axes.titlepad": 6, "axes.titley": 1.0,
    "axes.labelsize": 7.5, "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True,
    "axes.unicode_minus": True, "axes.facecolor": "none", "figure.facecolor": "none", "savefig.facecolor": "none",
    "grid.color": GRID, "grid.linewidth": 0.6, "xtick.color": MUTED, "ytick.color": MUTED,
    "xtick.labelcolor": INK, "ytick.labelcolor": INK, "xtick.labelsize": 7, "ytick.labelsize": 7,
    "xtick.major.width": 0.6, "ytick.major.width": 0.6, "xtick.major.size": 2.5, "ytick.major.size": 2.5,
    "legend.fontsize": 6.8, "legend.frameon": False, "legend.handlelength": 1.8, "lines.linewidth": 1.4,
    "svg.fonttype": "path", "svg.hashsalt": "auricle", "path.simplify": True,
}  # fmt: skip


def palette(names: Sequence[str]) -> dict[str, str]:
    """Assign each name a colour by its position: the same in every figure of a study.

    >>> palette(["cnn", "transformer-h1"])
    {'cnn': '#0072b2', 'transformer-h1': '#d55e00'}
    """
    return {name: SERIES[index % len(SERIES)] for index, name in enumerate(names)}


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Draw in the report's style for as long as the block runs."""
    import matplotlib as mpl

    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def canvas(width_in: float, height_in: float) -> tuple[Figure, Axes]:
    """Return a figure with one pair of axes that fill it; inside `drawn_on`, the given part of a figure."""
    figure = _blank(width_in, height_in)
    return figure, figure.subplots()


def _blank(width_in: float, height_in: float) -> Any:
    from matplotlib.figure import Figure

    return _part.get() or Figure(figsize=(width_in, height_in))


def small_multiples(num: int, height_in: float, below_in: float, rows: int = 1) -> tuple[Figure, list[Axes]]:
    """Return a figure with a pair of axes for each of `num` things, four in the width of the page, sharing scales.

    Each thing has `rows` axes, one below the other and adjacent in the list; `below_in` is room for a legend.
    """
    lines, columns = -(-num // ABREAST), min(num, ABREAST)
    height = (height_in + 0.3) * lines * rows + below_in + 0.15
    figure = _blank(PAGE_IN * min(1, (columns + 0.3) / ABREAST), height)  # 0.3 for the labels of a few
    grid = figure.subplots(lines * rows, columns, sharex=True, sharey="row" if rows > 1 else True, squeeze=False)
    figure.subplots_adjust(wspace=0.12, hspace=0.42 / height_in)
    found = [grid[rows * (index // ABREAST) + row, index % ABREAST] for index in range(num) for row in range(rows)]
    for axes in grid.flat:
        if axes not in found:
            axes.remove()
    return figure, found


@contextlib.contextmanager
def drawn_on(part: SubFigure) -> Iterator[None]:
    """Draw everything in the block on a part of a figure."""
    token = _part.set(part)
    try:
        yield
    finally:
        _part.reset(token)


def legend_above(axes: Axes, most_columns: int, **options: Any) -> None:
    """Add a legend above axes, in the middle of their figure."""
    from matplotlib.transforms import blended_transform_factory

    figure = axes.get_figure(root=False)
    assert figure is not None
    middle = blended_transform_factory(figure.transSubfigure, axes.transAxes)
    position = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "bbox_transform": middle}
    add_legend(axes, most_columns, **position, columnspacing=1.2, **options)


def name_rows(axes: Axes, names: Sequence[str], *, grid: bool = True, fontsize: float = 7) -> None:
    """Name the rows of a figure, the first on top; a grid goes down from the horizontal axis."""
    axes.set_yticks(range(len(names)), names, fontsize=fontsize)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(grid, axis="x")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def name_classes(axes: Axes, categories: Sequence[str], *, grid: bool = True) -> None:
    """Name the rows by classes; they are `class_row_in` high."""
    names = drawables(categories)
    name_rows(axes, names, grid=grid, fontsize=7 if len(names) <= MANY else 5.8)


def class_row_in(num: int) -> float:
    """Return the height of each of so many rows that classes name, in inches."""
    return 0.17 if num <= MANY else 0.15


def squares(
    axes: Axes,
    depths: np.ndarray,
    colours: Sequence[str],
    texts: Mapping[tuple[int, int], str] | None = None,
    *,
    fontsize: float = 6,
    grid: bool = True,
) -> None:
    """Fill the axes with squares, the first row on top, each as deep in the colour of its column as its value.

    Depths, (rows, columns), range from 0 (empty) to 1; texts are written into the squares at their (row, column).
    """
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    indices = np.argwhere(depths > 0)
    if len(indices):
        axes.add_collection(
            PatchCollection(
                [Rectangle((column - 0.5, row - 0.5), 1, 1) for row, column in indices],
                facecolor=[colours[column] for _, column in indices],
                alpha=[min(1.0, float(depths[row, column])) for row, column in indices],
                edgecolor="none",
            )
        )
    for (row, column), text in (texts or {}).items():
        ink = ink_on(colours[column], float(depths[row, column]))
        label = axes.text(float(column), float(row), text, ha="center", va="center", color=ink, fontsize=fontsize)
        label.set_in_layout(False)  # it is inside the axes, so `fit` need not measure it
    num_rows, num_columns = depths.shape
    axes.set(xlim=(-0.5, num_columns - 0.5), ylim=(num_rows - 0.5, -0.5))
    if grid:
        axes.hlines(np.arange(1, num_rows) - 0.5, -0.5, num_columns - 0.5, color=GRID, lw=0.4)
        axes.vlines(np.arange(1, num_columns) - 0.5, -0.5, num_rows - 0.5, color=GRID, lw=0.4)
    axes.spines[:].set(visible=True, color=GRID)
    axes.tick_params(length=0)


def ink_on(colour: str, depth: float) -> str:
    """Return the colour of text on a square that has the most contrast in the worse of light and dark mode."""
    return max((INK, ON_DEEP, ON_BRIGHT), key=lambda ink: contrast(ink, colour, depth)) if depth > 0 else MUTED


@functools.cache
def contrast(ink: str, colour: str, depth: float) -> float:
    """Return the contrast (WCAG 2.2) of text on `depth` of a colour over paper, in the worse of light and dark mode.

    >>> round(contrast("#1f2328", "#0072b2", 0.0), 1)
    14.5
    """

    def in_mode(ink: str, colour: str, paper: str) -> float:
        low, high = sorted((luminance(ink, 1.0), luminance(colour, depth, paper)))
        return (high + 0.05) / (low + 0.05)

    dark = (IN_DARK_MODE.get(one, one) for one in (ink, colour, "#ffffff"))
    return min(in_mode(ink, colour, "#ffffff"), in_mode(*dark))


def luminance(colour: str, depth: float, paper: str = "#ffffff") -> float:
    """Return the relative luminance (WCAG 2.2) of a colour, `depth` of it over paper, 0..1.

    >>> luminance("#000000", 1.0), luminance("#cc79a7", 0.0)
    (0.0, 1.0)
    """
    over, under = (np.array([int(one[at : at + 2], 16) for at in (1, 3, 5)]) / 255 for one in (colour, paper))
    parts = depth * over + (1 - depth) * under
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return round(float(linear @ (0.2126, 0.7152, 0.0722)), 6)


def drawables(names: Sequence[str], length: int = 22) -> list[str]:
    """Return short names for one figure, cut where that leaves them different, or else with their numbers.

    A name without glyphs is its number in the list.

    >>> drawables(["crying_baby", "狗"])
    ['crying baby', '#2']
    >>> drawables(["model-one-of-that-study", "model-two-of-that-study"], 12)
    ['model-o…tudy', 'model-t…tudy']
    >>> drawables(["a_b", "a b"])
    ['#1 a b', '#2 a b']
    """
    whole = [_with_glyphs(name, index) for index, name in enumerate(names)]
    for head in sorted(range(1, length - 1), key=lambda head: abs(head - length // 2)):
        labels = [shortened(label, length, head) for label in whole]
        if len(set(labels)) == len(set(names)):
            return labels
    return [f"#{index + 1} {shortened(label, length - 4)}" for index, label in enumerate(whole)]


def _with_glyphs(name: str, index: int) -> str:
    label = visible(name).replace("_", " ")
    if not label.isascii():  # of which every letter has a glyph
        from matplotlib.font_manager import findfont, get_font

        font = get_font(findfont("DejaVu Sans"))
        known = "".join(mark for mark in label if font.get_char_index(ord(mark)))
        if len(known) < len(label):
            label = f"#{index + 1} {known.strip()}".strip()
    return label
