"""How many heads are best? The models of a study that differ in nothing else, and what a published report claims."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

from auricle.findings.comparison import Comparison
from auricle.findings.reference import PUBLISHED_SOURCE, claims
from auricle.findings.scores import ComparativeRow
from auricle.findings.study import Study
from auricle.scoring.difference import Difference
from auricle.scoring.statistics import wilson_interval

PUBLISHED_MODEL = "report-a-transformer-h"  # the one report whose heads differ, each trained once with this recipe:
PUBLISHED_RECIPE = {"optimizer": "adam", "rate": 0.001}
PUBLISHED_CLIPS = 80


@dataclass(frozen=True)
class HeadCount:
    """What a protocol shows about the number of heads of one network."""

    protocol: str
    family: Mapping[int, str]  # number of heads to model, ascending: of all models that differ in that alone
    rows: Mapping[int, ComparativeRow]  # number of heads to row, of those that the protocol trained; two at least
    pairs: tuple[Difference, ...]

    @property
    def widest(self) -> Difference | None:
        """Return, of the pairs that are not told apart, the one with the widest interval."""
        open_ = [pair for pair in self.pairs if not pair.shown]
        return max(open_, key=lambda pair: pair.high - pair.low, default=None)

    def heads_of(self, model: str) -> int:
        """Return the number of heads of a model of the family."""
        return next(heads for heads, name in self.family.items() if name == model)


@dataclass(frozen=True)
class HeadClaim:
    """What was published about the number of heads."""

    accuracies: Mapping[int, float]  # number of heads to the printed accuracy, 0..1
    num_clips: int
    low: float  # lower end of the 95 % interval (Wilson) of the best
    high: float

    @property
    def holds_all(self) -> bool:
        """Return whether the interval of the best holds the others, so that they do not carry the claim."""
        return min(self.accuracies.values()) >= self.low


def head_families(study: Study) -> list[dict[int, str]]:
    """Return the models that differ in the number of heads alone: for each family, heads to model, ascending."""
    found: dict[str, dict[int, str]] = {}
    for model in study.models:
        preset = study.presets[model]
        if preset.encoder is not None:
            encoder = preset.encoder.model_copy(update={"num_heads": 1})
            alike = preset.model_copy(update={"name": "", "about": "", "encoder": encoder})
            found.setdefault(alike.model_dump_json(), {})[preset.encoder.num_heads] = model
    return [dict(sorted(family.items())) for family in found.values() if len(family) > 1]


def head_counts(study: Study, comparisons: Mapping[str, Comparison]) -> list[HeadCount]:
    """Return what each protocol shows about each family of which it trained two numbers of heads."""
    found = []
    for family in head_families(study):
        for protocol, comparison in comparisons.items():
            of_model = {row.model: row for row in comparison.rows}
            rows = {heads: of_model[model] for heads, model in family.items() if model in of_model}
            pairs = [comparison.pair_of(family[a], family[b]) for a, b in combinations(rows, 2)]
            if len(rows) > 1:
                found.append(HeadCount(protocol, family, rows, tuple(pair for pair in pairs if pair)))
    return found


def published_head_claim(study: Study) -> HeadClaim | None:
    """Return what was published about heads, and how much carried it; None where it is of other recordings."""
    if study.dataset.source != PUBLISHED_SOURCE:
        return None
    accuracies = {
        int(claim.model.removeprefix(PUBLISHED_MODEL)): float(claim.test) / 100
        for claim in claims()
        if claim.model.startswith(PUBLISHED_MODEL) and claim.said.items() >= PUBLISHED_RECIPE.items()
    }
    return HeadClaim(accuracies, PUBLISHED_CLIPS, *wilson_interval(max(accuracies.values()), PUBLISHED_CLIPS))
