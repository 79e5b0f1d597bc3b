"""Figures of a search: its progress, the importance of parameters, and the combinations of values."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from auricle.report.figures.drawing import drawing
from auricle.report.figures.style import HALF_IN, INK, MUTED, PAGE_IN, SERIES, canvas, name_rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Entry = Mapping[str, Any]
Described = Mapping[str, Any]  # of a parameter: {choices} or {low, high, log, whole}


@drawing
def progress(done: Sequence[Entry], pruned: Sequence[Entry], num_trials: int) -> Figure:
    """Draw the validation loss of every trial that came to its end, in the order of the search, and the best so far.

    Those stopped early, `pruned`, are marks on the axis, which ends at `num_trials`.
    """
    from matplotlib.ticker import MaxNLocator, NullLocator

    figure, axes = canvas(HALF_IN, 2.1)
    ordered = sorted(done, key=lambda entry: entry["number"])
    numbers = np.array([entry["number"] for entry in ordered])
    losses = np.array([entry["loss"] for entry in ordered])
    axes.plot(numbers, losses, "o", ms=3, mew=0, color=SERIES[0], alpha=0.6, label="trial")
    axes.step(numbers, np.minimum.accumulate(losses), where="post", color=SERIES[1], lw=1.4, label="best so far")
    if pruned:
        positions = [entry["number"] for entry in pruned]
        axes.plot(positions, np.full(len(positions), 0.015), "|", ms=5, mew=0.8, color=MUTED, label="stopped early",
                  transform=axes.get_xaxis_transform())  # fmt: skip
    log = bool(losses.max() > 4 * losses.min() > 0)
    ends = losses.min(), losses.max()
    ticks = np.geomspace(*ends, 4) if log else MaxNLocator(4).tick_values(*ends) if ends[0] < ends[1] else ends[:1]
    axes.set_yscale("log" if log else "linear")
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_yticks(ticks, _distinct([*ticks]))
    bottom, top = axes.get_ylim()
    # room for the legend above all
    axes.set_ylim(bottom, top * (top / bottom) ** 0.22 if log else top + 0.22 * (top - bottom))
    axes.set(xlabel="trial", ylabel="validation loss", xlim=(-0.5, max(num_trials, numbers.max() + 1) - 0.5))
    axes.set_title("Validation loss of each trial")
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))
    axes.grid(axis="y")
    axes.legend(loc="upper right", ncols=3, columnspacing=1.0, handlelength=1.2, borderaxespad=0.1)
    return figure


def _distinct(numbers: Sequence[float]) -> list[str]:
    """Write different numbers with three digits, or with as many as tell them apart."""
    written = ([f"{number:.{digits}g}" for number in numbers] for digits in range(3, 17))
    return next(texts for texts in written if len(set(texts)) == len(texts))


@drawing
def importance_bars(shares: Mapping[str, float]) -> Figure:
    """Draw the importance of each parameter, the most important on top."""
    figure, axes = canvas(HALF_IN, max(2.1, 0.6 + 0.17 * len(shares)))
    positions = np.arange(len(shares))
    values = np.array(list(shares.values()))
    axes.barh(positions, 100 * values, color=SERIES[0], alpha=0.75, height=0.66)
    for row, value in enumerate(values):
        axes.text(100 * value + 1.5, row, f"{100 * value:.0f}", va="center", fontsize=6.5)
    name_rows(axes, list(shares), grid=False)
    axes.set(xlim=(0, 106 * values.max() + 6), xlabel="importance, %", title="Importance")
    return figure


@drawing
def parallel(parameters: Mapping[str, Described], done: Sequence[Entry]) -> Figure:
    """Draw each trial as a line through its values to its validation loss; the better, the darker, the best in colour.

    `parameters` has the possible values of each; the trials are the finished ones, best first.
    """
    figure, axes = canvas(PAGE_IN, 2.5)
    columns = [_Scale(each) for each in parameters.values()]
    losses = [entry["loss"] for entry in done]
    columns.append(_Scale({"low": min(losses), "high": max(losses), "log": False}))
    for rank, entry in reversed(list(enumerate(done))):
        values = [entry["values"].get(name, _Scale) for name in parameters] + [entry["loss"]]
        points = [
            (x, scale.height(value, rank, len(done)))
            for x, (scale, value) in enumerate(zip(columns, values, strict=True))
            if value is not _Scale
        ]
        quality = 1 - rank / max(1, len(done) - 1)
        colour, width, alpha = (SERIES[1], 2.0, 1.0) if rank == 0 else (SERIES[0], 0.8, 0.12 + 0.5 * quality**2)
        axes.plot(*zip(*points, strict=True), color=colour, lw=width, alpha=alpha)
    for x, scale in enumerate(columns):
        axes.axvline(x, color=MUTED, lw=0.6, zorder=1)
        for height, text in scale.ticks():
            axes.text(x + 0.03, height + 0.015, text, fontsize=6.2, va="bottom", ha="left", color=INK)
    names = [name.replace(" ", "\n") for name in (*short_names(parameters), "validation loss")]
    axes.set_xticks(range(len(columns)), names, fontsize=6.2 if len(names) > 8 else 7)
    axes.set_yticks([])
    axes.set(xlim=(-0.1, len(columns) - 0.55), ylim=(-0.06, 1.1))
    axes.tick_params(axis="x", length=0)
    axes.spines[["left", "bottom"]].set_visible(False)
    return figure


def short_names(names: Iterable[str]) -> list[str]:
    """Leave the section out of `section.field`, where no two fields have one name.

    >>> short_names(["head.dropout", "encoder.dropout", "encoder.num_heads"])
    ['head dropout', 'encoder dropout', 'num heads']
    """
    fields = {name: name.rpartition(".")[2] for name in names}
    counts = Counter(fields.values())
    return [
        f"{name.partition('.')[0] + ' ' if counts[field] > 1 else ''}{field}".replace("_", " ")
        for name, field in fields.items()
    ]


class _Scale:
    """The position of values on an axis, from 0 at the bottom to 1."""

    def __init__(self, described: Described) -> None:
        self.choices = list(described.get("choices", ()))
        self.low, self.high = described.get("low", 0.0), described.get("high", 1.0)
        self.log = bool(described.get("log"))

    def height(self, value: Any, rank: int, num: int) -> float:
        """Return the height of a value; lines through one choice are spread a little, so that all can be seen."""
        if self.choices:
            spread = 0.05 * (rank / max(1, num - 1) - 0.5)
            return self.choices.index(value) / max(1, len(self.choices) - 1) * 0.94 + 0.03 + spread
        low, high, value = (math.log(each) if self.log else each for each in (self.low, self.high, value))
        return (value - low) / (high - low) if high > low else 0.5

    def ticks(self) -> list[tuple[float, str]]:
        """Return the tick labels and their heights."""
        if self.choices:
            return [(self.height(choice, 1, 3), _short(choice)) for choice in self.choices]
        return [(0.0, _short(self.low)), (1.0, _short(self.high))]


def _short(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    return f"{value:.3g}" if isinstance(value, float) else str(value)
