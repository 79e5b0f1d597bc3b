"""Figures of the chapter "Why": misclassified clips, accuracy lost by changes, masked parts, attention of `<cls>`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from auricle.report.figures import style
from auricle.report.figures.drawing import add_legend, drawing
from auricle.report.figures.style import GRID, HALF_IN, MANY, MARKS, MEDIUM_IN, MUTED, canvas, drawables, squares
from auricle.scoring.difference import Difference

if TYPE_CHECKING:
    from matplotlib.figure import Figure

UNKNOWN = "·"


@drawing
def missed(shares: np.ndarray, row_names: Sequence[str], column_names: Sequence[str], colours: Sequence[str]) -> Figure:
    """Draw which clips are misclassified: one row per clip, one column per model or people, darker the more often.

    Shares are those of the cells that misclassify the clip, (rows, columns); NaN (unknown) is drawn as a dot.
    """
    figure, axes = canvas(MEDIUM_IN, 0.75 + 0.165 * len(row_names))
    texts = {
        index: UNKNOWN if np.isnan(share) else f"{100 * share:.0f}" for index, share in np.ndenumerate(shares) if share
    }
    squares(axes, np.nan_to_num(shares), colours, texts)
    axes.set_yticks(range(len(row_names)), list(row_names), fontsize=6.3)
    names = drawables(column_names, 16)
    axes.set_xticks(range(len(names)), names, fontsize=6.8, rotation=-25, ha="right")
    axes.xaxis.tick_top()
    return figure


@drawing
def costs(
    costs_of: Mapping[str, Mapping[str, Difference]], titles: Mapping[str, str], colours: Mapping[str, str]
) -> Figure:
    """Draw the accuracy lost by changes: one row per change, a mark with its 95 % interval for each model."""
    models = [model for model in colours if any(model in row for row in costs_of.values())]
    step = 0.72 / max(1, len(models))
    figure, axes = canvas(MEDIUM_IN, 0.75 + (0.1 + 0.06 * len(models)) * len(costs_of))
    for row, change in enumerate(costs_of):
        for order, model in enumerate(models):
            if (one := costs_of[change].get(model)) is None:
                continue
            y = row + (order - (len(models) - 1) / 2) * step
            axes.hlines(y, 100 * one.low, 100 * one.high, color=colours[model], lw=1.6, alpha=0.45)
            fill = colours[model] if one.significant else "none"
            axes.plot(100 * one.mean, y, MARKS[order % len(MARKS)], ms=3.2, mew=0.9, mec=colours[model], mfc=fill)
        if row:
            axes.axhline(row - 0.5, color=GRID, lw=0.6)
    for order, (model, label) in enumerate(zip(models, drawables(models), strict=True)):
        axes.plot([], [], MARKS[order % len(MARKS)], ms=4, color=colours[model], label=label)
    axes.axvline(0, color=MUTED, lw=0.8)
    style.name_rows(axes, [titles[change] for change in costs_of])
    axes.set_xlabel("test accuracy lost, percentage points")
    style.legend_above(axes, min(4, len(models)))
    return figure


@drawing
def blanked(
    drops: Mapping[str, Sequence[Difference]],
    part_names: Sequence[str],
    colours: Mapping[str, str],
    title: str,
    axis_label: str,
) -> Figure:
    """Draw the drop of the probability of the true class when a part is masked: one line per model."""
    figure, axes = canvas(HALF_IN, 2.0)
    x = np.arange(len(part_names))
    for order, (model, of_parts) in enumerate(drops.items()):
        means, low, high = (np.array([getattr(one, name) for one in of_parts]) for name in ("mean", "low", "high"))
        axes.fill_between(x, low, high, color=colours[model], alpha=0.10, lw=0)
        axes.plot(x, means, f"{MARKS[order % len(MARKS)]}-", ms=3, lw=1.1, color=colours[model])
    axes.axhline(0, color=MUTED, lw=0.8)
    axes.set_xticks(x, list(part_names), fontsize=6.2)
    axes.set(xlabel=axis_label, ylabel="drop in probability", title=title)
    axes.set_xlim(-0.3, len(part_names) - 0.7)
    axes.grid(axis="y")
    below = {"loc": "lower center", "columnspacing": 1.2, "borderaxespad": 0}
    add_legend(figure, len(drops), handles=axes.lines[: len(drops)], labels=drawables([*drops]), fontsize=6.2, **below)
    return figure


@drawing
def blanked_by_class(
    drops: np.ndarray,
    categories: Sequence[str],
    part_names: Sequence[str],
    colour: str,
    deepest: float,
    title: str,
    axis_label: str,
) -> Figure:
    """Draw the drop of the probability of the true class by class and masked part.

    Drops are (K, P), NaN where a class has no clips, negative values are drawn as zero, and values from `deepest` on in
    full colour.
    """
    num, few = len(categories), len(categories) <= 2 * MANY
    figure, axes = canvas(HALF_IN, 0.85 + (0.17 if num <= MANY else 0.1) * num)
    texts = {index: f"{drop:.1f}".removeprefix("0") for index, drop in np.ndenumerate(drops) if few and drop >= 0.1}
    depths = np.clip(np.nan_to_num(drops) / max(deepest, 1e-9), 0, 1)
    squares(axes, depths, [colour] * len(part_names), texts)
    names = drawables(categories, 16)
    axes.set_yticks(range(num), names, fontsize=6.5 if few else 4.6)
    axes.set_xticks(range(len(part_names)), list(part_names), fontsize=6.2)
    axes.set(xlabel=axis_label, title=title)
    return figure


@drawing
def attention(moments: np.ndarray, categories: Sequence[str], window_s: float, colour: str, title: str) -> Figure:
    """Draw the attention of `<cls>`: for each block and head, classes over the time of a window.

    `moments` is its attention over time, (L, H, K, S), with sums of 1 over S.
    """
    from matplotlib.figure import Figure

    L, H, K, S = moments.shape
    num_columns = min(4, L * H)
    num_rows = -(-L * H // num_columns)
    row_in = 0.1 if K <= MANY else 0.05
    figure = Figure(figsize=(2 * HALF_IN, 0.45 + num_rows * (0.3 + row_in * K)))
    grid = figure.subplots(num_rows, 4, squeeze=False, gridspec_kw={"wspace": 0.08, "hspace": 0.32})
    top = max(float(moments.max()), 2 / S)
    names = drawables(categories, 16)
    for index, axes in enumerate(grid.flat):
        if index >= L * H:
            axes.set_visible(False)
            continue
        layer, head = divmod(index, H)
        squares(axes, moments[layer, head] / top, [colour] * S)
        axes.set_title(f"block {layer + 1}, head {head + 1}", fontsize=6.6, weight="normal", pad=2.5)
        axes.set_xticks([-0.5, S - 0.5], ["0", f"{window_s:g} s"], fontsize=6)
        for label, side in zip(axes.get_xticklabels(), ("left", "right"), strict=True):
            label.set_horizontalalignment(side)
        named = names if K <= 60 and not index % 4 else []
        axes.set_yticks(range(len(named)), named, fontsize=5.8 if K <= MANY else 3.2)
    above = {"xycoords": "axes fraction", "textcoords": "offset points"}
    grid[0, 0].annotate(title, (0, 1), (0, 15), fontsize=8.5, weight="bold", **above)
    return figure
