"""Several drawings on one figure of matplotlib, for a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from auricle.report.figures.drawing import Drawing, fit
from auricle.report.figures.style import drawn_on, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 150


def page(pictures: Sequence[Drawing], num_columns: int = 2) -> Figure:
    """Draw one picture or more on a white figure, row by row, each in its own size."""
    from matplotlib.figure import Figure

    num_columns = min(num_columns, len(pictures))
    with style():
        sizes = np.array([picture.draw().get_size_inches() for picture in pictures])
        widths = [sizes[column::num_columns, 0].max() for column in range(num_columns)]
        heights = [sizes[start : start + num_columns, 1].max() for start in range(0, len(sizes), num_columns)]
        figure = Figure(figsize=(sum(widths), sum(heights)), dpi=DPI, facecolor="white")
        parts = figure.subfigures(len(heights), num_columns, squeeze=False, width_ratios=widths, height_ratios=heights)
        for part, picture in zip(parts.flat, pictures, strict=False):
            with drawn_on(part):
                picture.draw()
            fit(part)
    return figure
