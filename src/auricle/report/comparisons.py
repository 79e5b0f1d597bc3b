"""Models against each other, on the same clips: what differs, and whether these data can show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from auricle.report.evidence import CellEvidence, Study
from auricle.report.tables import ComparativeRow
from auricle.scoring.statistics import bootstrap_interval, holm, sign_test

SIGNIFICANT = 0.05
BOOTSTRAP_SEED = 0


@dataclass(frozen=True)
class Comparison:
    """Two models under one protocol, over the cells that both finished.

    Attributes:
        first: the model with the higher accuracy, or the earlier one.
        second: the other.
        difference: of their accuracies, 0..1.
        low: lower end of its 95 % interval.
        high: upper end.
        wins: clips that the first gets right more often.
        losses: clips that the second does.
        p: exact two-sided sign test of wins and losses (McNemar's, where each clip is scored once).
        p_adjusted: p, adjusted for the number of comparisons under the protocol.
    """

    first: str
    second: str
    difference: float
    low: float
    high: float
    wins: int
    losses: int
    p: float
    p_adjusted: float

    @property
    def shown(self) -> bool:
        """Return whether the data show a difference: both the test and the interval have to."""
        return self.p_adjusted < SIGNIFICANT and (self.low > 0 or self.high < 0)


def compare(study: Study, rows: Sequence[ComparativeRow], protocol: str) -> tuple[Comparison, ...]:
    """Compare every two models under a protocol, the most accurate ones first.

    Args:
        study: the evidence.
        rows: its comparative rows.
        protocol: those of this one are used.
    """
    ranked = sorted((row for row in rows if row.protocol == protocol), key=lambda row: -row.accuracy)
    raw = [compare_two(study, first.model, second.model, protocol) for first, second in combinations(ranked, 2)]
    known = [pair for pair in raw if pair is not None]
    adjusted = holm([pair.p for pair in known])
    return tuple(Comparison(**{**vars(pair), "p_adjusted": p}) for pair, p in zip(known, adjusted, strict=True))


def main_protocol(rows: Sequence[ComparativeRow]) -> str:
    """Return the protocol that answers the question: not leaky, then the one with most cells, then the first."""
    protocols = list(dict.fromkeys(row.protocol for row in rows))

    def weight(protocol: str) -> tuple[bool, int]:
        of_protocol = [row for row in rows if row.protocol == protocol]
        return not of_protocol[0].leaky, sum(row.cells for row in of_protocol)

    return max(protocols, key=weight)


def compare_two(study: Study, first: str, second: str, protocol: str) -> Comparison | None:
    """Compare two models under a protocol; None where no cell of the same fold and seed is finished for both."""
    others = {(cell.name.fold, cell.name.seed): cell for cell in study.of(second, protocol)}
    pairs = [
        (cell, others[key]) for cell in study.of(first, protocol) if (key := (cell.name.fold, cell.name.seed)) in others
    ]
    return _compared(study, first, second, pairs)


def against_baseline(study: Study, model: str, baseline: str, protocol: str) -> Comparison | None:
    """Compare a model with a baseline under a protocol, every cell with the baseline of its fold."""
    others = {cell.name.fold: cell for cell in study.baselines_of(protocol).get(baseline, ())}
    cells = study.of(model, protocol)
    pairs = [(cell, others[cell.name.fold]) for cell in cells if cell.name.fold in others]
    return _compared(study, model, baseline, pairs)


def _compared(
    study: Study, first: str, second: str, pairs: Sequence[tuple[CellEvidence, CellEvidence]]
) -> Comparison | None:
    right: dict[str, list[tuple[bool, bool]]] = {}
    for cell, other_cell in pairs:
        clips, other = cell.clips, other_cell.clips
        answers = dict(zip(other.clips, other.answers == other.labels, strict=True))
        for clip, is_right in zip(clips.clips, clips.answers == clips.labels, strict=True):
            if clip in answers:
                right.setdefault(clip, []).append((bool(is_right), bool(answers[clip])))
    if not right:
        return None
    names = sorted(right)
    differences = np.array([np.mean([a - b for a, b in right[clip]]) for clip in names])
    groups = [study.dataset.groups.get(clip, clip) for clip in names]
    low, high = bootstrap_interval(differences, groups, np.random.default_rng(BOOTSTRAP_SEED))
    wins, losses = int((differences > 0).sum()), int((differences < 0).sum())
    p = sign_test(wins, losses)
    return Comparison(first, second, float(differences.mean()), low, high, wins, losses, p, p)
