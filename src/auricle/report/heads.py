"""How many heads are best? What the study's models that differ in nothing else carry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, takewhile

from auricle.report.analysis import PUBLISHED_SOURCE
from auricle.report.comparisons import Comparison
from auricle.report.evidence import Study
from auricle.report.reported import claims
from auricle.report.tables import ComparativeRow
from auricle.report.wording import Text, count, listing, percent, points, probability
from auricle.scoring.statistics import wilson_interval

PUBLISHED_MODEL = "report-a-transformer-h"  # the one report whose heads differ, each trained once with this recipe:
PUBLISHED_RECIPE = {"optimizer": "adam", "rate": 0.001}
PUBLISHED_CLIPS = 80
SHORTEST_STEM = 3  # letters that names must begin with alike to be called by them


def families(study: Study) -> list[dict[int, str]]:
    """Return the models that differ in the number of heads alone: for each family, heads to model, ascending."""
    found: dict[str, dict[int, str]] = {}
    for model in study.models:
        preset = study.presets[model]
        if preset.encoder is not None:
            encoder = preset.encoder.model_copy(update={"num_heads": 1})
            alike = preset.model_copy(update={"name": "", "about": "", "encoder": encoder})
            found.setdefault(alike.model_dump_json(), {})[preset.encoder.num_heads] = model
    return [dict(sorted(family.items())) for family in found.values() if len(family) > 1]


def family_name(family: Mapping[int, str]) -> str:
    """Return what the names of a family have in common, `…` for the rest; all of them where that is little.

    >>> family_name({1: "small-h1-slow", 4: "small-h4-slow"}), family_name({1: "one", 4: "four"})
    ('small-h…-slow', 'one and four')
    """
    names = list(family.values())
    head = _alike(names)
    tail = _alike([name[len(head) :][::-1] for name in names])[::-1]
    return f"{head}…{tail}" if len(head) >= SHORTEST_STEM else listing(names)


def _alike(names: Sequence[str]) -> str:
    """Return the letters with which all names begin."""
    columns = takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))
    return "".join(letters[0] for letters in columns)


def heads_in_words(
    family: Mapping[int, str], rows: Sequence[ComparativeRow], comparisons: Sequence[Comparison]
) -> Text:
    """Say what a protocol shows about the number of heads of a family; nothing where one number was trained.

    Args:
        family: number of heads to model.
        rows: those of the protocol.
        comparisons: of its models.
    """
    of_model = {row.model: row for row in rows}
    trained = {heads: of_model[model] for heads, model in family.items() if model in of_model}
    if len(trained) < 2:
        return ()
    accuracies = listing(percent(row.accuracy) for row in trained.values())
    told = f"{listing(map(str, trained))} heads get {accuracies} of the test clips right."
    between = {frozenset((pair.first, pair.second)): pair for pair in comparisons}
    pairs = [
        between[key]
        for fewer, more in combinations(trained, 2)
        if (key := frozenset((family[fewer], family[more]))) in between
    ]
    if not pairs:
        return (told,)
    return (" ".join([told, _shown(family, pairs), *_left_open(pairs)]),)


def _shown(family: Mapping[int, str], pairs: Sequence[Comparison]) -> str:
    heads_of = {model: number for number, model in family.items()}
    shown = [
        f"{count(heads_of[pair.better], 'head')} better than {heads_of[pair.worse]}"
        for pair in pairs
        if pair.better and pair.worse
    ]
    if shown:
        rest = " and between the others no difference" if len(shown) < len(pairs) else ""
        return f"The data show {listing(shown)}{rest}."
    least = probability(min(pair.p_adjusted for pair in pairs))
    p = f"p {least}" if "<" in least else f"p = {least}"
    between = "two numbers of heads" if len(pairs) == 1 else "any two numbers of heads"
    return f"The data can show no difference between {between} (smallest adjusted {p})."


def _left_open(pairs: Sequence[Comparison]) -> list[str]:
    """Say how large a difference is left open, by the widest interval of two numbers that are not told apart."""
    undecided = [pair for pair in pairs if not pair.shown]
    if not undecided:
        return []
    widest = max(undecided, key=lambda pair: pair.high - pair.low)
    low = points(widest.low, signed=True).removesuffix(" points")
    high = points(widest.high, signed=True)
    return [f"The widest 95 % interval goes from {low} to {high}, for {widest.first} against {widest.second}."]


def published_claim(study: Study) -> Text:
    """Say what was published about heads, and how much carried it; nothing where it is of other recordings."""
    if study.dataset.source != PUBLISHED_SOURCE:
        return ()
    said = {
        int(claim.model.removeprefix(PUBLISHED_MODEL)): float(claim.test) / 100
        for claim in claims()
        if claim.model.startswith(PUBLISHED_MODEL) and claim.said.items() >= PUBLISHED_RECIPE.items()
    }
    best = max(said.values())
    low, high = wilson_interval(best, PUBLISHED_CLIPS)
    return (
        "Published answers to the same specification conclude that two heads are best, one being too few and four too "
        f"many. The figures behind it are {listing(percent(share) for share in said.values())} for "
        f"{listing(map(str, said))} heads, from {PUBLISHED_CLIPS} test clips and one training each. The 95 % interval "
        f"of the best goes from {percent(low, 0)} to {percent(high, 0)}"
        f"{' and holds them all: they do not carry the conclusion' * (min(said.values()) >= low)}.",
    )
