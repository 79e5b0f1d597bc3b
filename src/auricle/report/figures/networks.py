"""Figures of the networks, drawn from their configuration: the layers, an encoder block, and 1D convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from auricle.config import EncoderConfig
from auricle.errors import count
from auricle.report.figures.drawing import drawing
from auricle.report.figures.style import GRID, INK, MEDIUM_IN, MUTED, PAGE_IN, SERIES, canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

Step = tuple[str, str, str]  # the name of a box, what it does, the shape of its output
STEP_IN = 1.62
FREQUENCY, TIME, PLAIN = SERIES[0], SERIES[1], MUTED


@drawing
def network(steps: Sequence[Step], in_base: int) -> Figure:
    """Draw a network as boxes in reading order; the first `in_base` after the input are the base of both."""
    across = int(PAGE_IN / STEP_IN)
    num_rows = -(-len(steps) // across)
    figure, axes = canvas(PAGE_IN, 0.98 * num_rows)
    for index, (name, detail, shape) in enumerate(steps):
        row, column = divmod(index, across)
        x, y = column * STEP_IN, -0.98 * row
        colour = FREQUENCY if 0 < index <= in_base else TIME if index > in_base else PLAIN
        _box(axes, x, y, 1.36, 0.5, f"{name}\n{detail}".strip(), colour)
        axes.text(x + 0.68, y - 0.36, shape, ha="center", va="center", fontsize=6, color=MUTED)
        if index + 1 < len(steps):
            if column + 1 < across:
                _arrow(axes, (x + 1.36, y), (x + STEP_IN, y))
            else:
                _arrow(axes, (x + 0.68, y - 0.43), (0.68, y - 0.98 + 0.25), bend=True)
    _frame(axes, (-0.05, across * STEP_IN - 0.2), (-0.98 * num_rows + 0.5, 0.3))
    return figure


@drawing
def encoder_block(config: EncoderConfig) -> Figure:
    """Draw a block of the encoder, left, and one head of its attention, right."""
    figure, axes = canvas(PAGE_IN, 2.9)
    D, H = config.width, max(config.heads)
    norm = {"pre": "layer norm", "post": "", "none": ""}[config.norm]
    mlp = f"{D} → {config.mlp_width} → {D}, {config.activation.upper()}" if config.mlp_width else f"{D} → {D}"
    attention = f"attention, {count(H, 'head')}"
    parts = [part for part in (norm, attention, "+", norm, f"MLP {mlp}", "+") if part]
    if config.norm == "post":
        parts = [attention, "+", "layer norm", f"MLP {mlp}", "+", "layer norm"]
    step = 2.4 / len(parts)
    left, middle, y = 0.25, 1.3, -0.2
    branch, sums = y - 0.13, [y]
    axes.text(middle, y, f"T tokens × {D}", ha="center", va="center", fontsize=6.5, color=MUTED)
    for part in parts:
        before, y = y, y - step
        _arrow(
            axes, (middle, before - (0.1 if before in sums else 0.125)), (middle, y + (0.1 if part == "+" else 0.125))
        )
        if part == "+":
            axes.plot([middle, left, left, middle - 0.1], [branch, branch, y, y], color=MUTED, lw=0.8)
            axes.text(middle, y, "+", ha="center", va="center", fontsize=9,
                      bbox={"boxstyle": "circle,pad=0.1", "fc": "none", "ec": INK, "lw": 0.8})  # fmt: skip
            branch = y - 0.13
            sums.append(y)
        else:
            colour = TIME if "attention" in part else FREQUENCY if "MLP" in part else PLAIN
            _box(axes, middle - 0.8, y, 1.6, 0.25, part, colour)
    width = -(-D // H)
    for name, x in (("query", 2.9), ("key", 4.1), ("value", 5.3)):
        _box(axes, x, -0.55, 0.95, 0.3, f"{name}\nlinear {D} → {width}", PLAIN)
        _arrow(axes, (4.575, -0.12), (x + 0.475, -0.4))
    axes.text(4.575, -0.05, f"tokens T × {D}", ha="center", va="center", fontsize=6.5, color=MUTED)
    _box(axes, 3.2, -1.15, 1.6, 0.3, f"softmax(Q K′ / √{width})\nT × T", TIME)
    _box(axes, 3.9, -1.75, 1.6, 0.3, f"A V\nT × {width}", TIME)
    _box(axes, 3.9, -2.35, 1.6, 0.3, f"{H} of these side by side,\nlinear {D} → {D}", PLAIN)
    for start, end in (((3.375, -0.7), (3.7, -1.0)), ((4.575, -0.7), (4.3, -1.0)), ((5.775, -0.7), (5.2, -1.6)),
                       ((4.0, -1.3), (4.4, -1.6)), ((4.7, -1.9), (4.7, -2.2))):  # fmt: skip
        _arrow(axes, start, end)
    axes.text(middle, 0.12, "one block", ha="center", weight="bold")
    axes.text(4.575, 0.12, "one head of attention", ha="center", weight="bold")
    _frame(axes, (0, PAGE_IN - 0.2), (-2.75, 0.25))
    return figure


@drawing
def one_dimension() -> Figure:
    """Draw the three inputs of one output value of a convolution along frequency, and of one along time."""
    figure, axes = canvas(MEDIUM_IN, 1.75)
    for left, name, is_time in ((0.0, "along frequency", False), (2.6, "along time", True)):
        for row in range(7):
            for column in range(9):
                inside = (row == 3 and abs(column - 4) <= 1) if is_time else (column == 4 and abs(row - 3) <= 1)
                colour = (TIME if is_time else FREQUENCY) if inside else GRID
                axes.add_patch(_square(left + 0.2 * column, -0.2 * row, colour, 0.85 if inside else 0.55))
        axes.text(left + 0.9, 0.33, name, ha="center", weight="bold")
        axes.text(left + 0.9, -1.5, "time", ha="center", va="center", fontsize=6.5, color=MUTED)
        axes.text(left - 0.12, -0.5, "frequency", ha="center", va="center", rotation=90, fontsize=6.5, color=MUTED)
    _frame(axes, (-0.25, 4.5), (-1.6, 0.5))
    return figure


def _square(x: float, y: float, colour: str, alpha: float) -> Patch:
    from matplotlib.patches import Rectangle

    return Rectangle((x, y), 0.18, 0.18, fc=colour, alpha=alpha, ec="none")


def _box(axes: Axes, x: float, y: float, width: float, height: float, text: str, colour: str) -> None:
    from matplotlib.patches import FancyBboxPatch

    shape = "round,pad=0,rounding_size=0.06"
    corner = (x, y - height / 2)
    axes.add_patch(FancyBboxPatch(corner, width, height, boxstyle=shape, fc=colour, ec="none", alpha=0.14))
    axes.add_patch(FancyBboxPatch(corner, width, height, boxstyle=shape, fc="none", ec=colour, lw=0.8))
    axes.text(x + width / 2, y, text, ha="center", va="center", fontsize=6, linespacing=1.35)


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], *, bend: bool = False) -> None:
    arrow_style = {"arrowstyle": "-|>", "color": MUTED, "lw": 0.8, "mutation_scale": 6, "shrinkA": 0, "shrinkB": 0}
    if bend:
        middle = (start[1] + end[1]) / 2
        axes.plot([start[0], start[0], end[0], end[0]], [start[1], middle, middle, middle], color=MUTED, lw=0.8)
        start = (end[0], middle)
    axes.annotate("", xy=end, xytext=start, arrowprops=arrow_style)


def _frame(axes: Axes, horizontal: tuple[float, float], vertical: tuple[float, float]) -> None:
    axes.set(xlim=horizontal, ylim=vertical)
    axes.set_axis_off()
    axes.figure.subplots_adjust(0, 0, 1, 1)
