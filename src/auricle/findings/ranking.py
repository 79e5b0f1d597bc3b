"""Models in order, with ties as ties: the ranks that the data leave open to each."""

from collections.abc import Sequence
from dataclasses import dataclass

from auricle.findings.scores import ComparativeRow
from auricle.scoring.difference import Difference


@dataclass(frozen=True)
class Rank:
    """A model in the ranking of a protocol."""

    row: ComparativeRow
    first: int  # the best rank that the data leave open to it: one more than the models shown to be better
    last: int  # the worst: as many as there are models, less those shown to be worse

    @property
    def is_sure(self) -> bool:
        """Return whether the data leave open one rank alone."""
        return self.first == self.last


def ranks(rows: Sequence[ComparativeRow], pairs: Sequence[Difference]) -> list[Rank]:
    """Return the models of a protocol, the most accurate first, with the ranks that the data leave open.

    Two models that were not compared (`pairs`) are not told apart.
    """
    won, lost = [pair.better for pair in pairs], [pair.worse for pair in pairs]
    ordered = sorted(rows, key=lambda row: -row.accuracy)
    return [Rank(row, 1 + lost.count(row.model), len(rows) - won.count(row.model)) for row in ordered]


def ties(ranking: Sequence[Rank], pairs: Sequence[Difference]) -> list[tuple[int, int]]:
    """Return the longest stretches of the ranking, of two models at least, in which no two are told apart.

    Returns:
        For each stretch the indices of its first and last model in `ranking`. Stretches may overlap: a model may be
        told apart neither from a better nor from a worse one, which are told apart from each other.
    """
    apart = {frozenset((pair.first, pair.second)) for pair in pairs if pair.shown}
    models = [rank.row.model for rank in ranking]
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
