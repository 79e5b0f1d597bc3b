"""Figures of scores: accuracies, the ranking with ties drawn as ties, confusion, F1, ROC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from auricle.findings.comparison import Rank
from auricle.findings.scores import ComparativeRow
from auricle.report.figures import style
from auricle.report.figures.drawing import add_legend, drawing
from auricle.report.figures.style import (
    GRID,
    HALF_IN,
    INK,
    MANY,
    MARKS,
    MEDIUM_IN,
    MUTED,
    SERIES,
    canvas,
    drawables,
    small_multiples,
)
from auricle.report.wording import span
from auricle.scoring.metrics import Curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FLAT_IN = 2.3  # height of a panel of half the width, so that three models fill a page
CORNER = 0.4  # of each axis of the ROC curves, where all are good
BAR_STEP = 0.034  # distance of two bars beside a ranking, as a share of the axis


@drawing
def accuracies(
    rows: Sequence[ComparativeRow],
    cells: Mapping[str, Sequence[float]],
    colours: Mapping[str, str],
    references: Mapping[str, float],
    title: str,
) -> Figure:
    """Draw each model's accuracy under one protocol: mean, cells, and the 95 % interval.

    `rows` has one row per model, `cells` the accuracy of each cell; `references` are accuracies by the label of their
    line.
    """
    figure, axes = canvas(HALF_IN, 0.95 + 0.34 * len(rows))
    _intervals(axes, rows, colours)
    for index, row in enumerate(rows):
        each = 100 * np.array(cells[row.model])
        axes.plot(each, np.full(row.cells, index), "|", ms=11, color=colours[row.model], mew=0.9)
        axes.text(103, index, f"{100 * row.accuracy:.1f}", va="center", ha="left", weight="bold")
    for name, accuracy in references.items():
        axes.axvline(100 * accuracy, color=MUTED, lw=0.8, ls=(0, (3, 2)), zorder=1)
        axes.text(100 * accuracy, -0.62, name, ha="center", va="bottom", fontsize=6.3, color=MUTED)
    axes.set_xlim(0, 100)
    axes.set_title(title, pad=14 if references else 6)
    return figure


@drawing
def ranking_bars(
    ranking: Sequence[Rank], ties: Sequence[tuple[int, int]], colours: Mapping[str, str], title: str
) -> Figure:
    """Draw models, best first, the possible ranks of each, and a bar beside those that do not differ significantly.

    Those are the ties of `findings.comparison.ties`.
    """
    figure, axes = canvas(HALF_IN, 0.8 + 0.3 * len(ranking))
    rows = [item.row for item in ranking]
    _intervals(axes, rows, colours)
    left, right = 100 * min(row.accuracy_low for row in rows), 100 * max(row.accuracy_high for row in rows)
    beside = right + 0.06 * (right - left)
    step = BAR_STEP * (right - left)
    end = beside + step * (len(ties) + 1)
    for index, item in enumerate(ranking):
        axes.text(end, index, span(item.first, item.last), va="center", ha="left", weight="bold")
    for number, (first, last) in enumerate(ties):
        axes.vlines(beside + step * number, first - 0.25, last + 0.25, color=INK, lw=2)
    axes.text(end, -0.62, "rank", ha="left", va="bottom", fontsize=6.3, color=MUTED)
    axes.set_xlim(left - (beside - right), (right + beside) / 2)
    axes.set_title(title, pad=12)
    for artist in (*axes.collections, *axes.texts):
        artist.set_clip_on(False)
    return figure


def _intervals(axes: Axes, rows: Sequence[ComparativeRow], colours: Mapping[str, str]) -> None:
    """Draw the test accuracy of each model and its interval, the first on top."""
    for index, row in enumerate(rows):
        colour = colours[row.model]
        axes.hlines(index, 100 * row.accuracy_low, 100 * row.accuracy_high, color=colour, lw=5, alpha=0.25)
        axes.plot(100 * row.accuracy, index, "D", ms=4.5, color=colour, mew=0, zorder=2.1)  # above the cells
    style.name_rows(axes, drawables([row.model for row in rows], 24))
    axes.set_xlabel(f"test {rows[0].measure}, %")


@drawing
def confusion(
    matrix: np.ndarray,
    categories: Sequence[str],
    colour: str,
    title: str = "",
    given: str = "predicted class",
    *,
    apart: bool = False,
) -> Figure:
    """Draw a confusion matrix of counts, (K, K): true classes by classes `given`; the shade is the share.

    `apart`: the last class is background, and lines separate it from the others.
    """
    num = len(categories)
    width, height = (HALF_IN, FLAT_IN) if num <= MANY else (MEDIUM_IN, 0.98 * MEDIUM_IN)
    figure, axes = canvas(width, height)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    depths = np.where(matrix > 0, 0.12 + 0.88 * shares, 0.0)
    texts = {(row, column): str(matrix[row, column]) for row, column in np.argwhere(matrix > 0)}
    fontsize = min(7.0, 46 * width / num)  # points that fit in a row
    fits = min(1.0, 2.3 / max(map(len, texts.values()), default=1))  # three digits fill a square
    style.squares(axes, depths, [colour] * num, texts if num <= 2 * MANY else {}, fontsize=fits * fontsize, grid=False)
    if apart:
        axes.axhline(num - 1.5, color=INK, lw=0.8)
        axes.axvline(num - 1.5, color=INK, lw=0.8)
    names = drawables(categories, 16)
    axes.set_xticks(range(num), names, rotation=90, fontsize=fontsize)
    axes.set_yticks(range(num), names, fontsize=fontsize)
    axes.set(xlabel=given, ylabel="true class", aspect="equal", title=title)
    return figure


@drawing
def f1_by_model(means: Mapping[str, Sequence[float]], categories: Sequence[str], colours: Mapping[str, str]) -> Figure:
    """Draw the F1 of each class for all models: one dot a model, none where it is NaN."""
    figure, axes = canvas(MEDIUM_IN, 0.8 + style.class_row_in(len(categories)) * len(categories))
    matrix = 100 * np.array(list(means.values()))
    axes.hlines(
        np.arange(len(categories)), np.fmin.reduce(matrix), np.fmax.reduce(matrix), color=MUTED, lw=1, alpha=0.6
    )
    labels = drawables([*means])
    for index, (model, values) in enumerate(zip(means, matrix, strict=True)):
        axes.plot(values, np.arange(len(categories)), MARKS[index % len(MARKS)], ms=4.5, color=colours[model],
                  mew=0, alpha=0.9, label=labels[index])  # fmt: skip
    style.name_classes(axes, categories)
    axes.set(xlim=(0, 102), xlabel="F1, mean over cells, %")
    style.legend_above(axes, min(4, len(means)))
    return figure


@drawing
def roc(
    curves: Mapping[str, Sequence[Curve | None]],
    means: Mapping[str, Curve | None],
    categories: Sequence[str],
    *,
    corner: bool = False,
) -> Figure:
    """Draw one-vs-rest ROC curves, a panel a model: a line a class, in a colour of its own where they are few.

    The mean of the classes is black, and its area is in the title. `corner` draws only the upper left corner, if all
    curves of a study are there.
    """
    named = len(categories) <= MANY
    figure, panels = small_multiples(len(curves), 1.62, 0.5 if named else 0.25)
    right, bottom = (CORNER, 1 - CORNER) if corner else (1, 0)
    titles, labels = drawables([*curves], 20), drawables(categories, 18)
    for index, (axes, (model, of_classes)) in enumerate(zip(panels, curves.items(), strict=True)):
        axes.plot([0, 1], [0, 1], color=GRID, lw=1)
        for order, curve in enumerate(of_classes):
            line_style: dict[str, Any] = {"color": MUTED, "lw": 0.5, "alpha": 0.35}
            if named:
                line_style = {"color": SERIES[order % len(SERIES)], "lw": 1, "ls": style.DASHES[order // len(SERIES)]}
            false_positive, true_positive = curve[:2] if curve else (np.empty(0), np.empty(0))
            axes.plot(false_positive, true_positive, **line_style, label=labels[order])
        title = titles[index]
        if mean := means[model]:
            axes.plot(mean[0], mean[1], color=INK, lw=1.8, label="mean of all")
            title += f"  {mean[2]:.3f}"
        axes.set(xlim=(-0.01 * right, right), ylim=(bottom, 1 + 0.01 * right), xlabel="false positive rate")
        axes.set_title(title, fontsize=7)
        axes.xaxis.set_major_formatter("{x:g}")
    panels[0].set_ylabel("true positive rate")
    if named:
        handles, names = panels[0].get_legend_handles_labels()
        below = {"loc": "lower center", "columnspacing": 1.2, "borderaxespad": 0}
        add_legend(figure, 6, handles=handles, labels=names, fontsize=6.3, **below)
    return figure
