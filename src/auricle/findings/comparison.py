"""Comparison of models with each other and with baselines on the same clips, and of numbers of attention heads."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from auricle.data.folds import answering
from auricle.findings.scores import ComparativeRow, baseline_rows, network_rows
from auricle.findings.study import Study, baseline_key
from auricle.scoring.answers import Answers
from auricle.scoring.difference import ZERO_TOLERANCE, Difference, compare_all, detectable, too_few_groups

MOST_SHOWN = 8  # models with a column, a mark or a row for each other model; more do not fit on a page


@dataclass(frozen=True)
class Rank:
    """A model in the ranking of a protocol."""

    row: ComparativeRow
    first: int  # its best possible rank: one more than the number of significantly better models
    last: int  # its worst possible rank: the number of models minus the number of significantly worse models

    @property
    def is_sure(self) -> bool:
        """Return whether only one rank is possible."""
        return self.first == self.last


@dataclass(frozen=True)
class Comparison:
    """The comparison of the models of a study under one protocol.

    Under k-fold each clip is in the validation set of one training per seed: more clips than in the test set, and none
    used for that training. `detectable` is the smallest true difference of the two most accurate networks that would be
    significant in four studies of five; None where none would be that often, or with only one network.
    """

    protocol: str
    rows: tuple[ComparativeRow, ...]  # of the networks, in the order of the study
    baselines: tuple[ComparativeRow, ...]  # of the baselines without a network, the most accurate first
    pairs: tuple[Difference, ...]  # every two networks, the more accurate first; tests adjusted for their number
    against_baseline: tuple[Difference, ...]  # every network against the best baseline; adjusted in the same way
    validation_pairs: tuple[Difference, ...]  # every two networks on the validation clips of all trainings of both
    detectable: float | None
    ranking: tuple[Rank, ...]  # the networks in order, with the possible ranks of each
    ties: tuple[tuple[int, int], ...]  # first and last index in `ranking` of runs without a significant difference

    @property
    def leaders(self) -> list[ComparativeRow]:
        """Return the rows with the highest accuracy; more than one where they are equal."""
        highest = max(row.accuracy for row in self.rows)
        return [row for row in self.rows if row.accuracy == highest]

    @property
    def ranked(self) -> list[str]:
        """Return the networks, the most accurate first."""
        return [rank.row.model for rank in self.ranking]

    @property
    def best_baseline(self) -> ComparativeRow | None:
        """Return the most accurate baseline."""
        return next(iter(self.baselines), None)

    @property
    def unbeaten_baseline(self) -> list[ComparativeRow]:
        """Return the networks that are no more accurate than the best baseline."""
        return not_above_baseline(self.rows)

    @property
    def beaten(self) -> list[str]:
        """Return the networks that are significantly worse than every leader, in the order of the study."""
        shown = {(pair.better, pair.worse) for pair in self.pairs}
        return [row.model for row in self.rows if all((leader.model, row.model) in shown for leader in self.leaders)]

    @property
    def undecided(self) -> list[str]:
        """Return the networks below the leaders that are not significantly worse than all of them."""
        decided = {*self.beaten, *(leader.model for leader in self.leaders)}
        return [row.model for row in self.rows if row.model not in decided]

    @property
    def partly_beaten(self) -> list[str]:
        """Return those of the undecided that are significantly worse than one of several leaders."""
        beaten_by_some = {pair.worse for pair in self.pairs if pair.better in [row.model for row in self.leaders]}
        return [model for model in self.undecided if model in beaten_by_some]

    @property
    def ahead(self) -> list[Difference]:
        """Return the pairs in which a leader is significantly worse on the clips that both networks were tested on.

        There are none unless folds of one of them are missing: then accuracies are of different clips.
        """
        return [pair for pair in self.pairs if pair.worse in [row.model for row in self.leaders]]

    @property
    def num_trainings(self) -> int:
        """Return how many trainings the two most accurate networks are compared by: those that both have."""
        return self._first_pair.trainings if self._first_pair else 0

    @property
    def num_groups(self) -> int:
        """Return the number of groups of test clips that the two most accurate networks are compared by."""
        return self._first_pair.num_groups if self._first_pair else 0

    @property
    def _first_pair(self) -> Difference | None:
        return self.pair_of(*self.ranked[:2]) if len(self.ranked) > 1 else None

    def too_few(self, pairs: Sequence[Difference]) -> int | None:
        """Return `difference.too_few_groups` for the templates."""
        return too_few_groups(pairs)

    def foremost(self, models: Iterable[str]) -> list[str]:
        """Return those models, in the order given, that are among the most accurate, `MOST_SHOWN` at most."""
        best = set(self.ranked[:MOST_SHOWN])
        return [model for model in models if model in best]

    def pair_of(self, one: str, other: str) -> Difference | None:
        """Return the comparison of two networks, in whichever order."""
        return next((pair for pair in self.pairs if {pair.first, pair.second} == {one, other}), None)


def not_above_baseline(rows: Sequence[ComparativeRow]) -> list[ComparativeRow]:
    """Return the networks of a protocol that are no more accurate than its best baseline, on common clips."""
    return [row for row in rows if row.baseline_lead is not None and row.baseline_lead < ZERO_TOLERANCE]


def on_common_clips(rows: Iterable[ComparativeRow], best: ComparativeRow) -> str:
    """Return the end of a sentence on networks and the best baseline if their accuracies are of different clips."""
    return "" if {row.test_clips for row in rows} <= {best.test_clips} else " on the clips that both were tested on"


def compare(study: Study, protocol: str) -> Comparison:
    """Compare the networks of a protocol that has a finished cell."""
    rows, baselines = network_rows(study, protocol), baseline_rows(study, protocol)
    models = [row.model for row in sorted(rows, key=lambda row: -row.accuracy)]
    answers = study.answers[protocol]
    pairs = compare_models(answers, models)
    ahead = answers.lead(models[0], models[min(1, len(models) - 1)])
    beside = [
        (answers.lead(row.model, baseline_key(best.model)), row.model, best.model)
        for best in baselines[:1]
        for row in rows
    ]
    validated = study.validation_answers(protocol) if protocol == "k-fold" else None
    ranking = ranks(rows, pairs)
    return Comparison(
        protocol=protocol,
        rows=tuple(rows),
        baselines=tuple(baselines),
        pairs=tuple(pairs),
        against_baseline=tuple(compare_all(beside, answers.groups)),
        validation_pairs=tuple(compare_models(validated, models)) if validated else (),
        detectable=detectable(ahead, answers.groups, len(pairs)) if pairs and not np.isnan(ahead).all() else None,
        ranking=tuple(ranking),
        ties=tuple(ties(ranking, pairs)),
    )


def ranks(rows: Sequence[ComparativeRow], pairs: Sequence[Difference]) -> list[Rank]:
    """Return the models of a protocol, the most accurate first, with their possible ranks.

    Two models without a comparison in `pairs` count as not significantly different.
    """
    won, lost = [pair.better for pair in pairs], [pair.worse for pair in pairs]
    ordered = sorted(rows, key=lambda row: -row.accuracy)
    return [Rank(row, 1 + lost.count(row.model), len(rows) - won.count(row.model)) for row in ordered]


def ties(ranking: Sequence[Rank], pairs: Sequence[Difference]) -> list[tuple[int, int]]:
    """Return the longest runs of a ranking in which no two models differ significantly: first and last index.

    Each has at least two models. They may overlap: a model may differ significantly neither from a better nor from a
    worse one, although these differ from each other.
    """
    index_of = {rank.row.model: index for index, rank in enumerate(ranking)}
    apart = [sorted((index_of[pair.first], index_of[pair.second])) for pair in pairs if pair.significant]
    stretches = [(0, 0)]
    for first in range(len(ranking)):
        last = min((worse for better, worse in apart if better >= first), default=len(ranking)) - 1
        if last > max(first, stretches[-1][1]):
            stretches.append((first, last))
    return stretches[1:]


def compare_models(answers: Answers, models: Sequence[str]) -> list[Difference]:
    """Compare all pairs of models on the clips and trainings that both have; tests adjusted for the number of pairs."""
    known = [model for model in models if model in answers.models]
    return compare_all([(answers.lead(a, b), a, b) for a, b in combinations(known, 2)], answers.groups)


def main_protocol(study: Study) -> str:
    """Return the protocol that answers the question, as `data.folds.answering` says."""
    num_cells = Counter(cell.name.protocol for cell in study.cells)
    return answering(num_cells, study.dataset.leaky_protocols)


@dataclass(frozen=True)
class HeadCount:
    """The comparison of numbers of attention heads of one network under a protocol."""

    protocol: str
    family: Mapping[int, str]  # number of heads to model, ascending: all models that differ only in that
    rows: Mapping[int, ComparativeRow]  # number of heads to row, of those trained under the protocol; at least two
    pairs: tuple[Difference, ...]

    @property
    def widest(self) -> Difference | None:
        """Return, of the pairs without a significant difference, the one with the widest interval."""
        open_ = [pair for pair in self.pairs if not pair.significant]
        return max(open_, key=lambda pair: pair.high - pair.low, default=None)

    def heads_of(self, model: str) -> int:
        """Return the number of heads of a model of the family."""
        return next(heads for heads, name in self.family.items() if name == model)


def head_families(study: Study) -> list[dict[int, str]]:
    """Return the models that differ only in the number of heads: for each family, heads to model, ascending."""
    found: dict[str, dict[int, str]] = {}
    for model in study.models:
        encoder = study.presets[model].encoder
        if encoder and isinstance(encoder.num_heads, int):  # not a list, which differs between the blocks of one model
            one_head = {"name": "", "about": "", "encoder": encoder.model_copy(update={"num_heads": 1})}
            alike = study.presets[model].model_copy(update=one_head)
            found.setdefault(alike.model_dump_json(), {})[encoder.num_heads] = model
    return [dict(sorted(family.items())) for family in found.values() if len(family) > 1]


def head_counts(study: Study, comparisons: Mapping[str, Comparison]) -> list[HeadCount]:
    """Return the comparison under each protocol of each family with at least two numbers of heads."""
    found = []
    for family in head_families(study):
        for protocol, comparison in comparisons.items():
            of_model = {row.model: row for row in comparison.rows}
            rows = {heads: of_model[model] for heads, model in family.items() if model in of_model}
            pairs = [comparison.pair_of(family[a], family[b]) for a, b in combinations(rows, 2)]
            if len(rows) > 1:
                found.append(HeadCount(protocol, family, rows, tuple(pair for pair in pairs if pair)))
    return found
