"""The ranking of models, with ties drawn as ties."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from auricle.findings.comparison import Rank
from auricle.report.figures.drawing import drawing
from auricle.report.figures.style import HALF_IN, INK, MUTED, canvas, drawable
from auricle.report.wording import span

BAR_STEP = 3.4  # distance of two bars, in percent of the axis


@drawing
def ranking_bars(
    ranking: Sequence[Rank], ties: Sequence[tuple[int, int]], colours: Mapping[str, str], title: str
) -> Figure:
    """Draw models in order, the ranks that are open to each, and a bar beside those that cannot be told apart.

    Args:
        ranking: best first.
        ties: as `findings.comparison.ties` gives them.
        colours: model to colour.
        title: of the panel.
    """
    figure, axes = canvas(HALF_IN, 0.8 + 0.3 * len(ranking))
    left = min(100 * item.row.accuracy_low for item in ranking)
    right = max(100 * item.row.accuracy_high for item in ranking)
    beside = right + 0.06 * (right - left)
    step = BAR_STEP / 100 * (right - left)
    end = beside + step * (len(ties) + 1)
    for place, item in enumerate(ranking):
        row, colour = item.row, colours[item.row.model]
        axes.hlines(place, 100 * row.accuracy_low, 100 * row.accuracy_high, color=colour, lw=5, alpha=0.25)
        axes.plot(100 * row.accuracy, place, "D", ms=4.5, color=colour, mew=0)
        axes.text(end, place, span(item.first, item.last), va="center", ha="left", weight="bold")
    for number, (first, last) in enumerate(ties):
        axes.vlines(beside + step * number, first - 0.25, last + 0.25, color=INK, lw=2)
    axes.text(end, -0.62, "rank", ha="left", va="bottom", fontsize=6.3, color=MUTED)
    names = [drawable(item.row.model, place, 24) for place, item in enumerate(ranking)]
    axes.set_yticks(range(len(ranking)), names)
    axes.set(
        xlim=(left - (beside - right), (right + beside) / 2), ylim=(len(ranking) - 0.4, -0.6), xlabel="test accuracy, %"
    )
    axes.set_title(title, pad=12)
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    for artist in (*axes.collections, *axes.texts):
        artist.set_clip_on(False)
    return figure
