"""Reliability diagrams: confidence against accuracy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from auricle.report.figures.drawing import drawing
from auricle.report.figures.style import HALF_IN, MUTED, canvas
from auricle.scoring.calibration import Reliability
from auricle.scoring.statistics import wilson_interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LARGEST = 70.0  # area of the fullest bin's mark, square points


@drawing
def reliability_diagram(
    bins: Reliability, scaled: Reliability | None, times_tested: float, colour: str, title: str
) -> Figure:
    """Draw accuracy against confidence by bin, of the answers of all cells; a mark is as large as the bin is full.

    As trained, and scaled by the fitted temperatures where any were; the interval of a bin counts a clip once, though
    the bins count it `times_tested` times.
    """
    figure, axes = canvas(HALF_IN, HALF_IN * 0.74)
    axes.plot([0, 100], [0, 100], color=MUTED, lw=0.8, ls=(0, (3, 2)))
    if scaled is not None:
        axes.scatter(100 * bins.confidence, 100 * bins.accuracy, s=_areas(bins), facecolor="none", edgecolor=MUTED,
                     lw=0.9, label="as trained", zorder=2, clip_on=False)  # fmt: skip
    shown, label = (bins, "as trained") if scaled is None else (scaled, "after scaling")
    for x, y, num in zip(shown.confidence, shown.accuracy, shown.num, strict=True):
        if num:
            low, high = wilson_interval(float(y), max(1, round(num / times_tested)))
            axes.vlines(100 * x, 100 * low, 100 * high, color=colour, lw=2.5, alpha=0.22)
    axes.scatter(100 * shown.confidence, 100 * shown.accuracy, s=_areas(shown), color=colour, lw=0, label=label,
                 zorder=3, clip_on=False)  # fmt: skip
    axes.set(xlim=(-2, 102), ylim=(-2, 102), xlabel="confidence, %", ylabel="correct, %")
    axes.set_title(title)
    axes.grid()
    legend = axes.legend(loc="upper left", borderaxespad=0.2)
    for handle in legend.legend_handles:
        handle.set_sizes([20.0])  # type: ignore[union-attr]
    return figure


def _areas(bins: Reliability) -> np.ndarray:
    """Return the area of each bin's mark, square points."""
    return np.asarray(3.0 + LARGEST * bins.num / bins.num.max())
