"""Where models differ: classes and clips that one gets right more often than another, and clips that are missed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from auricle.report.effects import Effect, adjusted, effect
from auricle.report.evidence import Study
from auricle.report.wording import decimal, listing, shortened, spoken, visible

MOST_ALL_PAIRS = 4  # models; of more, each is set against the best alone
NUM_NAMED = 4


@dataclass(frozen=True)
class ClassDifference:
    """Two models on the clips of one class.

    Attributes:
        first: a model.
        second: the other.
        category: of the clips.
        effect: share that the first gets right, less that of the second.
        won: clips that the first gets right more often, the clearest first.
        lost: clips that the second does.
    """

    first: str
    second: str
    category: str
    effect: Effect
    won: tuple[str, ...]
    lost: tuple[str, ...]


def shares_right(study: Study, model: str, protocol: str) -> dict[str, float]:
    """Return clip to the share of a model's cells that get it right, of those that test it."""
    found: dict[str, list[bool]] = {}
    for cell in study.of(model, protocol):
        for clip, right in zip(cell.clips.clips, cell.clips.answers == cell.clips.labels, strict=True):
            found.setdefault(clip, []).append(bool(right))
    return {clip: float(np.mean(rights)) for clip, rights in found.items()}


def category_of(study: Study, protocol: str) -> dict[str, str]:
    """Return test clip to its category, over the cells of a protocol."""
    return {
        clip: study.dataset.categories[label]
        for cell in study.cells
        if cell.name.protocol == protocol
        for clip, label in zip(cell.clips.clips, cell.clips.labels.tolist(), strict=True)
    }


def class_differences(study: Study, protocol: str, ranked: Sequence[str]) -> list[ClassDifference]:
    """Return every class in which two models differ on a clip, tests adjusted for the number of all classes and pairs.

    Args:
        study: the evidence.
        protocol: its cells are used.
        ranked: models, the most accurate first.
    """
    right = {model: shares_right(study, model, protocol) for model in ranked}
    categories = category_of(study, protocol)
    pairs = [pair for pair in combinations(ranked, 2) if len(ranked) <= MOST_ALL_PAIRS or pair[0] == ranked[0]]
    raw: dict[tuple[str, str, str], dict[str, float]] = {}
    for first, second in pairs:
        for clip in sorted(right[first].keys() & right[second].keys()):
            key = (first, second, categories[clip])
            raw.setdefault(key, {})[clip] = right[first][clip] - right[second][clip]
    effects = adjusted({key: effect(values, study.dataset.groups) for key, values in raw.items()})
    found = []
    for (first, second, category), values in raw.items():
        ordered = sorted(values, key=lambda clip: (-abs(values[clip]), clip))
        won = tuple(clip for clip in ordered if values[clip] > 1e-9)
        lost = tuple(clip for clip in ordered if values[clip] < -1e-9)
        if won or lost:
            found.append(ClassDifference(first, second, category, effects[first, second, category], won, lost))
    return found


def named(clips: Sequence[str]) -> str:
    """Name some clips and count the rest.

    >>> named(["a.wav", "b.wav"])
    'a.wav, b.wav'
    """
    some = [clip_name(clip) for clip in clips[:NUM_NAMED]]
    rest = len(clips) - len(some)
    return f"{', '.join(some)} and {rest} more" if rest else ", ".join(some) or "–"


@dataclass(frozen=True)
class Lead:
    """What one model is ahead of another in.

    Attributes:
        ahead: a model.
        behind: the other.
        classes: those of which it gets more right, with the points of difference.
        clips: those that it gets right more often, the clearest first.
    """

    ahead: str
    behind: str
    classes: str
    clips: tuple[str, ...]


def leads(found: Sequence[ClassDifference]) -> list[Lead]:
    """Sum up the classes in which two models differ, two leads a pair."""
    pairs: dict[tuple[str, str], list[ClassDifference]] = {}
    for one in _clearest(found):
        pairs.setdefault((one.first, one.second), []).append(one)
    summed = []
    for first, second in dict.fromkeys((one.first, one.second) for one in found):
        of_pair = pairs[first, second]
        more, less = ([one for one in of_pair if sign * one.effect.mean > 0] for sign in (1, -1))
        summed.append(Lead(first, second, _classes(more), tuple(clip for one in of_pair for clip in one.won)))
        summed.append(Lead(second, first, _classes(less), tuple(clip for one in of_pair for clip in one.lost)))
    return summed


def _clearest(found: Sequence[ClassDifference]) -> list[ClassDifference]:
    return sorted(found, key=lambda one: (-abs(one.effect.mean), one.category))


def _classes(found: Sequence[ClassDifference]) -> str:
    """Name classes with their points of difference, the clearest first."""
    some = [f"{spoken(one.category)} {decimal(100 * abs(one.effect.mean), 1)}" for one in found[:NUM_NAMED]]
    rest = len(found) - len(some)
    return f"{', '.join(some)} and {rest} more" if rest else ", ".join(some) or "–"


def clip_name(clip: str) -> str:
    """Return the name of a clip as a person reads it: visible and short."""
    return shortened(visible(clip), 40)


def hardest(right: Mapping[str, Mapping[str, float]], most: int) -> list[str]:
    """Return the clips that any model misses in a cell, the most missed first.

    Args:
        right: model to clip to the share of cells that get it right.
        most: how many clips at most.
    """
    clips = sorted({clip for of_model in right.values() for clip in of_model})
    mean = {clip: float(np.mean([of[clip] for of in right.values() if clip in of])) for clip in clips}
    return sorted((clip for clip in clips if mean[clip] < 1), key=lambda clip: (mean[clip], clip))[:most]


def where_shown(found: Sequence[ClassDifference]) -> str:
    """Say in which classes the data show a difference."""
    shown = [one for one in found if one.effect.shown]
    if not shown:
        return "In no class can these data show a difference between two models."
    told = [
        f"{spoken(one.category)} ({one.first if one.effect.mean > 0 else one.second} over "
        f"{one.second if one.effect.mean > 0 else one.first}, {one.effect.words})"
        for one in shown
    ]
    return f"These data show a difference in {listing(told)}."
