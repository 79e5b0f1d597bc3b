"""Figures of scores: accuracies, confusion, F1, ROC."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from auricle.findings.scores import ComparativeRow
from auricle.report.figures.drawing import drawing
from auricle.report.figures.style import (
    GRID,
    HALF_IN,
    INK,
    MEDIUM_IN,
    MUTED,
    SERIES,
    SMALL_IN,
    canvas,
    dashes,
    drawable,
    squares,
)
from auricle.scoring.metrics import Curve

FLAT_IN = 2.5  # height of a panel of half the width, so that one and a half models fill a page
MANY = 12  # classes; above it, figures name only what stands out


@drawing
def accuracies(
    rows: Sequence[ComparativeRow],
    cells: Mapping[str, Sequence[float]],
    colours: Mapping[str, str],
    references: Mapping[str, float],
    title: str,
) -> Figure:
    """Draw each model's accuracy under one protocol: mean, cells, and what the number of clips leaves open.

    Args:
        rows: one a model.
        cells: model to the accuracy of each cell.
        colours: model to colour.
        references: words to accuracy, drawn as lines.
        title: of the panel.
    """
    figure, axes = canvas(HALF_IN, 0.95 + 0.34 * len(rows))
    for place, row in enumerate(rows):
        colour = colours[row.model]
        axes.hlines(place, 100 * row.accuracy_low, 100 * row.accuracy_high, color=colour, lw=5, alpha=0.25)
        axes.plot(100 * np.array(cells[row.model]), np.full(row.cells, place), "|", ms=11, color=colour, mew=0.9)
        axes.plot(100 * row.accuracy, place, "D", ms=4.5, color=colour, mew=0)
        axes.text(103, place, f"{100 * row.accuracy:.1f}", va="center", ha="left", weight="bold")
    for words, accuracy in references.items():
        axes.axvline(100 * accuracy, color=MUTED, lw=0.8, ls=(0, (3, 2)), zorder=1)
        axes.text(100 * accuracy, -0.62, words, ha="center", va="bottom", fontsize=6.3, color=MUTED)
    axes.set_yticks(range(len(rows)), [drawable(row.model, place, 24) for place, row in enumerate(rows)])
    axes.set(xlim=(0, 100), ylim=(len(rows) - 0.4, -0.6), xlabel="test accuracy, %")
    axes.set_title(title, pad=14 if references else 6)
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    return figure


@drawing
def confusion(
    matrix: np.ndarray, categories: Sequence[str], colour: str, title: str = "", given: str = "answer"
) -> Figure:
    """Draw a confusion matrix: rows are true classes, columns answers; depth is the share of the row.

    Args:
        matrix: counts, (K, K).
        categories: K names.
        colour: of the squares.
        title: of the panel.
        given: what an answer is called.
    """
    num = len(categories)
    width, height = (HALF_IN, FLAT_IN) if num <= MANY else (MEDIUM_IN, 0.98 * MEDIUM_IN)
    figure, axes = canvas(width, height)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    true, answer = np.nonzero(matrix)
    squares(axes, np.where(matrix > 0, 0.12 + 0.88 * shares, 0.0), [colour] * num)
    fontsize = min(7.0, 46 * width / num)  # points: what one row leaves
    if num <= 2 * MANY:
        for row, column in zip(true, answer, strict=True):
            ink = "#ffffff" if shares[row, column] > 0.55 else INK
            axes.text(
                float(column),
                float(row),
                str(matrix[row, column]),
                ha="center",
                va="center",
                color=ink,
                fontsize=fontsize * min(1.0, 2.3 / len(str(matrix[row, column]))),  # three digits fill a square
            )
    names = [drawable(name, place, 16) for place, name in enumerate(categories)]
    axes.set_xticks(range(num), names, rotation=90, fontsize=fontsize)
    axes.set_yticks(range(num), names, fontsize=fontsize)
    axes.set(
        xlim=(-0.5, num - 0.5), ylim=(num - 0.5, -0.5), xlabel=given, ylabel="true class", aspect="equal", title=title
    )
    _frame(axes)
    return figure


@drawing
def f1_bars(means: Sequence[float], cells: Sequence[Sequence[float]], categories: Sequence[str], colour: str) -> Figure:
    """Draw the F1 of each class: a bar for the mean over cells, a dot for each cell.

    Args:
        means: K of them.
        cells: for each class, its F1 in each cell.
        categories: K names.
        colour: of the model.
    """
    figure, axes = canvas(HALF_IN, 0.55 + _row_in(len(categories)) * len(categories))
    places = np.arange(len(categories))
    axes.barh(places, means, color=colour, alpha=0.75, height=0.68)
    for place, values in enumerate(cells):
        if len(values) > 1:
            axes.plot(values, np.full(len(values), place), "o", ms=2, color=INK, mew=0, alpha=0.7)
        axes.text(1.03, place, f"{means[place]:.2f}", va="center", fontsize=6.5)
    _class_rows(axes, categories)
    axes.set(xlim=(0, 1), xlabel="F1")
    return figure


@drawing
def f1_by_model(means: Mapping[str, Sequence[float]], categories: Sequence[str], colours: Mapping[str, str]) -> Figure:
    """Draw the F1 of each class for all models: one dot a model.

    Args:
        means: model to its K values of F1.
        categories: K names.
        colours: model to colour.
    """
    figure, axes = canvas(MEDIUM_IN, 0.8 + _row_in(len(categories)) * len(categories))
    matrix = np.array(list(means.values()))
    axes.hlines(np.arange(len(categories)), matrix.min(axis=0), matrix.max(axis=0), color=MUTED, lw=1, alpha=0.6)
    marks = "oDs^vPX"
    for place, (model, values) in enumerate(means.items()):
        axes.plot(values, np.arange(len(categories)), marks[place % len(marks)], ms=4.5, color=colours[model],
                  mew=0, alpha=0.9, label=drawable(model, place))  # fmt: skip
    _class_rows(axes, categories)
    axes.set(xlim=(0, 1.02), xlabel="F1, mean over cells")
    columns = 4 if max(map(len, means)) <= 16 else 3  # what the width of the figure holds of such names
    axes.legend(loc="lower center", bbox_to_anchor=(0.45, 1.0), ncols=min(columns, len(means)), columnspacing=1.2)
    return figure


@drawing
def roc(curves: Sequence[Curve | None], mean: Curve | None, categories: Sequence[str]) -> Figure:
    """Draw one-vs-rest ROC curves: all classes where they are few, else the five lowest; and the mean of all."""
    width, height = (HALF_IN, FLAT_IN) if len(categories) <= MANY else (SMALL_IN, 0.98 * SMALL_IN)
    figure, axes = canvas(width, height)
    axes.plot([0, 1], [0, 1], color=GRID, lw=1)
    known = [(place, curve) for place, curve in enumerate(curves) if curve is not None]
    lowest = [place for place, _ in sorted(known, key=lambda item: item[1][2])[:5]]
    named = [place for place, _ in known] if len(categories) <= MANY else lowest
    styles = dashes(list(map(str, range(len(categories)))))
    for place, (false_positive, true_positive, area) in known:
        if place in named:
            order = named.index(place)
            label = f"{drawable(categories[place], place, 18)}  {area:.2f}"
            axes.plot(
                false_positive,
                true_positive,
                color=SERIES[order % len(SERIES)],
                lw=1,
                ls=styles[str(order)],
                label=label,
            )
        else:
            axes.plot(false_positive, true_positive, color=MUTED, lw=0.5, alpha=0.35)
    if mean is not None:
        axes.plot(mean[0], mean[1], color=INK, lw=2, label=f"mean of all  {mean[2]:.2f}")
    axes.set(xlim=(-0.01, 1), ylim=(0, 1.01), xlabel="false positive rate", ylabel="true positive rate")
    beside: dict[str, Any] = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5)}
    legend = beside if len(categories) <= MANY else {"loc": "lower right"}
    axes.legend(**legend, fontsize=6.0, labelspacing=0.25, title="AUC", title_fontsize=6.3)
    return figure


def _row_in(num: int) -> float:
    """Return the height of a row with a class name, in inches."""
    return 0.17 if num <= MANY else 0.15


def _class_rows(axes: Axes, categories: Sequence[str]) -> None:
    """Label the rows with the classes, the first on top."""
    names = [drawable(name, place) for place, name in enumerate(categories)]
    axes.set_yticks(range(len(categories)), names, fontsize=7 if len(categories) <= MANY else 5.8)
    axes.set_ylim(len(categories) - 0.4, -0.6)
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _frame(axes: Axes) -> None:
    for spine in axes.spines.values():
        spine.set_visible(True)
        spine.set_color(GRID)
    axes.tick_params(length=0)
