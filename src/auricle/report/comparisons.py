"""Models against each other, on the same clips: what differs, and whether these data can show it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from auricle.data.folds import answering
from auricle.report.evidence import CellEvidence, Study
from auricle.report.tables import ComparativeRow
from auricle.scoring.statistics import bootstrap_interval, holm, mean_test, numbered, sign_test, training_reach

SIGNIFICANT = 0.05
MOST_SHOWN = 8  # models with a column, a mark or a row for each other model: what a page holds
BOOTSTRAP_SEED = 0


@dataclass(frozen=True)
class Comparison:
    """Two models under one protocol, over the cells that both finished.

    k-fold tests the same clips with every training, so its cells are no new clips: clips count by the mean over
    trainings, and whether another training would give the same is a second question with a test of its own.

    Attributes:
        first: the model with the higher accuracy, or the earlier one.
        second: the other.
        difference: of their accuracies, 0..1.
        low: lower end of its 95 % interval: paired bootstrap over groups, widened where there are several trainings by
            what they differ (`statistics.training_reach`; both reaches squared and added).
        high: upper end.
        wins: clips that the first gets right more often.
        losses: clips that the second does.
        trainings: pairs of cells, of one fold and seed each.
        trainings_won: those in which the first gets more clips right.
        p_clips: exact two-sided sign test over groups, by which model gets more of a group right: McNemar's exact
            test where each clip is its own group and scored once. Of these trainings; 1 where groups and clips
            disagree.
        p_trainings: that the difference is none for other clips and other trainings (`statistics.mean_test`); None
            where there is one training.
        p: the larger of the two: both have to speak for a difference.
        p_adjusted: p, adjusted for the number of comparisons under the protocol (Holm); 1 until that
            is done.
    """

    first: str
    second: str
    difference: float
    low: float
    high: float
    wins: int
    losses: int
    trainings: int
    trainings_won: int
    p_clips: float
    p_trainings: float | None
    p_adjusted: float = 1.0

    @property
    def p(self) -> float:
        """Return the larger p-value."""
        return max(self.p_clips, self.p_trainings or 0.0)

    @property
    def shown(self) -> bool:
        """Return whether the data show a difference: the tests and the interval have to."""
        return self.p_adjusted < SIGNIFICANT and (self.low > 0 or self.high < 0)

    @property
    def better(self) -> str | None:
        """Return the model that is shown to be better; None where neither is."""
        if not self.shown:
            return None
        return self.first if self.difference > 0 else self.second

    @property
    def worse(self) -> str | None:
        """Return the other one; None where neither is shown to be better."""
        return {self.first: self.second, self.second: self.first}.get(self.better or "")


def compare(study: Study, rows: Sequence[ComparativeRow], protocol: str) -> tuple[Comparison, ...]:
    """Compare every two models under a protocol, the most accurate ones first.

    Args:
        study: the evidence.
        rows: its comparative rows.
        protocol: those of this one are used.
    """
    raw = [compare_two(study, first, second, protocol) for first, second in combinations(ranking(rows, protocol), 2)]
    return tuple(adjusted([pair for pair in raw if pair is not None]))


def adjusted(pairs: Sequence[Comparison]) -> list[Comparison]:
    """Return comparisons with their p-values adjusted for how many they are."""
    p_values = holm([pair.p for pair in pairs])
    return [replace(pair, p_adjusted=p) for pair, p in zip(pairs, p_values, strict=True)]


def ranking(rows: Sequence[ComparativeRow], protocol: str) -> list[str]:
    """Return the models of a protocol, the most accurate first."""
    return [row.model for row in sorted(rows, key=lambda row: -row.accuracy) if row.protocol == protocol]


def foremost(models: Iterable[str], rows: Sequence[ComparativeRow], protocol: str) -> list[str]:
    """Return those models, in the order given, that are among the most accurate of a protocol, `MOST_SHOWN` at most."""
    best = set(ranking(rows, protocol)[:MOST_SHOWN])
    return [model for model in models if model in best]


def foremost_in_words(rows: Sequence[ComparativeRow], protocol: str) -> str:
    """Return what a caption adds where `foremost` leaves models out, after a comma; nothing where it does not."""
    num = len(ranking(rows, protocol))
    return f", the {MOST_SHOWN} most accurate of {num} models" if num > MOST_SHOWN else ""


def main_protocol(rows: Sequence[ComparativeRow]) -> str:
    """Return the protocol that answers the question, as `data.folds.answering` says."""
    num_cells = {row.protocol: sum(other.cells for other in rows if other.protocol == row.protocol) for row in rows}
    return answering(num_cells, {row.protocol for row in rows if row.leaky})


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
    """Compare the answers of pairs of cells to the clips that both tested."""
    names, trainings, differences = _differences(pairs)
    if not names:
        return None
    groups = [study.dataset.groups.get(clip, clip) for clip in names]
    sums = np.bincount(numbered(names), weights=differences)
    means = sums / np.bincount(numbered(names))
    group_of_clip = [study.dataset.groups.get(clip, clip) for clip in dict.fromkeys(names)]
    low, high = bootstrap_interval(means, group_of_clip, np.random.default_rng(BOOTSTRAP_SEED))
    mean, reach = float(means.mean()), training_reach(differences, trainings)
    of_group, of_training = (np.bincount(numbered(of), weights=differences) for of in (groups, trainings))
    groups_won, groups_lost = int((of_group > 0).sum()), int((of_group < 0).sum())
    agree = (groups_won - groups_lost) * mean > 0  # or a few large groups outweigh many small ones
    return Comparison(
        first=first,
        second=second,
        difference=mean,
        low=mean - math.hypot(mean - low, reach),
        high=mean + math.hypot(high - mean, reach),
        wins=int((sums > 0).sum()),
        losses=int((sums < 0).sum()),
        trainings=len(of_training),
        trainings_won=int((of_training > 0).sum()),
        p_clips=sign_test(groups_won, groups_lost) if agree else 1.0,
        p_trainings=mean_test(differences, groups, trainings) if len(of_training) > 1 else None,
    )


def _differences(pairs: Sequence[tuple[CellEvidence, CellEvidence]]) -> tuple[list[str], list[int], np.ndarray]:
    """Return for each clip and training that both tested its clip, its training, and which model is right.

    That is 1 where only the first is, -1 where only the second is, and 0 where both are or neither.
    """
    names, trainings, values = [], [], []
    for training, (cell, other) in enumerate(pairs):
        answers = dict(zip(other.clips.clips, other.clips.answers == other.clips.labels, strict=True))
        for clip, is_right in zip(cell.clips.clips, cell.clips.answers == cell.clips.labels, strict=True):
            if clip in answers:
                names.append(clip)
                trainings.append(training)
                values.append(int(is_right) - int(answers[clip]))
    return names, trainings, np.array(values)
