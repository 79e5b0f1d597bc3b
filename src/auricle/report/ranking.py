"""Models in order, with ties drawn as ties: the places that the data leave open to each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from auricle.report.comparisons import Comparison
from auricle.report.tables import ComparativeRow
from auricle.report.wording import Text, listing


@dataclass(frozen=True)
class Place:
    """A model in the ranking of a protocol.

    Attributes:
        row: its scores.
        first: the best place that the data leave open to it: one more than the models shown to be better.
        last: the worst: as many as there are models, less those shown to be worse.
    """

    row: ComparativeRow
    first: int
    last: int

    @property
    def words(self) -> str:
        """Return the place or the places in words, such as `2–4`."""
        return f"{self.first}" if self.first == self.last else f"{self.first}–{self.last}"


def places(rows: Sequence[ComparativeRow], comparisons: Sequence[Comparison]) -> list[Place]:
    """Return the models of a protocol, the most accurate first, with the places that the data leave open.

    Args:
        rows: those of the protocol.
        comparisons: of its models; two that were not compared are not told apart.
    """
    won, lost = [pair.better for pair in comparisons], [pair.worse for pair in comparisons]
    ranked = sorted(rows, key=lambda row: -row.accuracy)
    return [Place(row, 1 + lost.count(row.model), len(rows) - won.count(row.model)) for row in ranked]


def ties(ranked: Sequence[Place], comparisons: Sequence[Comparison]) -> list[tuple[int, int]]:
    """Return the longest stretches of the ranking, of two models at least, in which no two are told apart.

    Args:
        ranked: from `places`.
        comparisons: as for it.

    Returns:
        For each stretch the places of its first and last model in `ranked`, from 0. Stretches may overlap: a model
        may be told apart neither from a better nor from a worse one, which are told apart from each other.
    """
    apart = {frozenset((pair.first, pair.second)) for pair in comparisons if pair.shown}
    models = [place.row.model for place in ranked]
    stretches: list[tuple[int, int]] = []
    for first in range(len(models)):
        last = first
        while last + 1 < len(models) and not any(
            frozenset((model, models[last + 1])) in apart for model in models[first : last + 1]
        ):
            last += 1
        if last > first and (not stretches or last > stretches[-1][1]):
            stretches.append((first, last))
    return stretches


def ranking_in_words(ranked: Sequence[Place], comparisons: Sequence[Comparison]) -> Text:
    """Say which models the data cannot tell apart, and which place is sure; nothing for one model."""
    if len(ranked) < 2:
        return ()
    models = [place.row.model for place in ranked]
    tied = ties(ranked, comparisons)
    if tied == [(0, len(models) - 1)]:
        few = "Neither place is sure" if len(models) == 2 else "No two models can be told apart"
        return (f"{few}: each may stand anywhere from place 1 to {len(models)}.",)
    groups = [listing(models[first : last + 1]) for first, last in tied]
    told = [f"These data cannot tell apart: {'; nor '.join(groups)}."] if groups else []
    if sure := [f"{place.row.model} ({place.first})" for place in ranked if place.first == place.last]:
        told.append(f"Sure {'is the place' if len(sure) == 1 else 'are the places'} of {listing(sure)}.")
    return (" ".join(told),)
