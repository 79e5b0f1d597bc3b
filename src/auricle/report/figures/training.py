"""Learning curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from auricle.report.figures.drawing import drawing
from auricle.report.figures.style import ABREAST, INK, MUTED, drawables, small_multiples

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

History = Sequence[Mapping[str, Any]]
DASHED = (0, (3, 1.5))


@drawing
def curves(
    histories: Mapping[str, Sequence[History]],
    colours: Mapping[str, str],
    top: float,
    marks: Mapping[str, Sequence[int]],
) -> Figure:
    """Draw accuracy above loss by epoch, one column per model: thin lines are cells, thick lines their mean.

    Training is dashed. The loss axis ends at `top`; at the epochs in `marks`, trainings were found to have collapsed.
    """
    figure, panels = small_multiples(len(histories), 0.95, 0.3, rows=2)
    titles = drawables([*histories])
    for index, (model, cells) in enumerate(histories.items()):
        above, below = panels[2 * index : 2 * index + 2]
        for axes, quantity, end in ((above, "accuracy", 1.0), (below, "loss", top)):
            _lines(axes, cells, quantity, colours[model])
            for epoch in sorted(set(marks.get(model, ()))):
                axes.axvline(epoch, color=INK, lw=0.8, ls=(0, (1, 1.4)))
            axes.set_ylim(0, end)
            axes.grid()
            if index % ABREAST == 0:
                axes.set_ylabel(quantity)
        above.set_title(titles[index])
        above.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.0f} %")
        below.set_xlabel("epoch")
    last = max((len(history) for cells in histories.values() for history in cells), default=1)
    panels[0].set_xlim(0, max(last, 2))  # so that the point of a single epoch is in the middle
    panels[0].locator_params(axis="x", integer=True, steps=[1, 2, 5, 10])
    styles: tuple[dict[str, Any], ...] = ({"color": MUTED, "ls": DASHED}, {"color": INK})
    figure.legend([panels[0].plot([], [], lw=1.6, **each)[0] for each in styles], ["training", "validation"],
                  loc="lower center", ncols=2, borderaxespad=0)  # fmt: skip
    return figure


def _lines(axes: Axes, cells: Sequence[History], quantity: str, colour: str) -> None:
    for set_name, ink, line in (("train", MUTED, DASHED), ("validation", colour, "solid")):
        key = f"{set_name}_{quantity}"
        lines = [np.array([(epoch["epoch"], epoch[key]) for epoch in history if key in epoch]) for history in cells]
        if not (lines := [line for line in lines if len(line)]):
            continue
        for points in lines if len(lines) > 1 else ():
            axes.plot(points[:, 0], points[:, 1], color=ink, lw=0.5, alpha=0.4)
        shared = min(len(points) for points in lines)
        mean = np.mean([points[:shared] for points in lines], axis=0)
        axes.plot(mean[:, 0], mean[:, 1], color=ink, ls=line, lw=1.6, marker="o" if shared == 1 else "")


def largest_loss(histories: Sequence[History]) -> float:
    """Return the upper limit of the loss axis: slightly above the 99 % quantile."""
    keys = ("train_loss", "validation_loss")
    losses = [epoch[key] for history in histories for epoch in history for key in keys if key in epoch]
    return 1.05 * float(np.quantile(losses, 0.99)) if losses else 1.0
