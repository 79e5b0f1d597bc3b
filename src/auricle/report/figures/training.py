"""Learning curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from auricle.report.figures.drawing import drawing
from auricle.report.figures.style import HALF_IN, INK, MUTED, canvas

if TYPE_CHECKING:
    from matplotlib.figure import Figure

History = Sequence[Mapping[str, Any]]
Quantity = Literal["accuracy", "loss"]


@drawing
def curves(
    histories: Sequence[History], quantity: Quantity, *, colour: str, top: float, title: str, marks: Sequence[int] = ()
) -> Figure:
    """Draw accuracy or loss by epoch: thin lines are cells, thick ones their mean; training is dashed.

    The axis ends at `top`, the same for all models; at the epochs of `marks`, trainings were found to have collapsed.
    """
    from matplotlib.ticker import MaxNLocator

    figure, axes = canvas(HALF_IN, 1.3)
    for set_name, ink, line in (("training", MUTED, (0, (3, 1.5))), ("validation", colour, "solid")):
        key = f"{'train' if set_name == 'training' else set_name}_{quantity}"
        lines = [np.array([(epoch["epoch"], epoch[key]) for epoch in history if key in epoch]) for history in histories]
        lines = [line for line in lines if len(line)]
        if not lines:
            continue
        for points in lines if len(lines) > 1 else ():
            axes.plot(points[:, 0], points[:, 1], color=ink, lw=0.5, alpha=0.4)
        shared = min(len(points) for points in lines)
        mean = np.mean([points[:shared] for points in lines], axis=0)
        axes.plot(mean[:, 0], mean[:, 1], color=ink, ls=line, lw=1.6, label=set_name, marker="o" if shared == 1 else "")
    for epoch in sorted(set(marks)):
        axes.axvline(epoch, color=INK, lw=0.8, ls=(0, (1, 1.4)))
    if marks:
        first = (min(marks), 0.97 * top)
        axes.annotate("collapse", first, (3, 0), textcoords="offset points", va="top", fontsize=6.8)
    axes.set(xlabel="epoch", ylim=(0, top), title=title)
    last = max((len(history) for history in histories), default=1)
    axes.set_xlim(0, max(last, 2))  # a point of a single epoch stands in the middle
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))
    if quantity == "accuracy":
        axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.0f} %")
    axes.grid()
    axes.legend(loc="lower right" if quantity == "accuracy" else "upper right")
    return figure


def largest_loss(histories: Sequence[History]) -> float:
    """Return where the axis of losses ends: a little above all but the highest hundredth of them."""
    keys = ("train_loss", "validation_loss")
    losses = [epoch[key] for history in histories for epoch in history for key in keys if key in epoch]
    return 1.05 * float(np.quantile(losses, 0.99)) if losses else 1.0
