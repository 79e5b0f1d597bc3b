"""The answer in words: which model is best, how sure that is, and how it stands to what is known.

A sentence claims no more than its numbers do: where a paired test shows nothing, it says so.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from auricle.report.comparisons import Comparison
from auricle.report.evidence import Study
from auricle.report.tables import ComparativeRow
from auricle.report.wording import Strong, Text, count, joined, listing, percent, points

PUBLISHED_BEST = 0.60  # best of four published answers to the specification: a transformer with two heads, one split
PUBLISHED_SOURCE = "esc10"
PUBLISHED_PROTOCOLS = ("test-split", "k-fold")


def published_best(study: Study, protocol: str) -> float | None:
    """Return the best published accuracy on the same test clips; known for ESC-10 and its first fold only."""
    comparable = study.dataset.source == PUBLISHED_SOURCE and protocol in PUBLISHED_PROTOCOLS
    return PUBLISHED_BEST if comparable else None


def commonest_share(study: Study, protocol: str) -> float:
    """Return the accuracy of always giving the class that is commonest among a protocol's test clips."""
    counts = np.zeros(len(study.dataset.categories))
    for cell in study.cells:
        if cell.name.protocol == protocol:
            counts += np.bincount(cell.clips.labels, minlength=len(counts))
    return float(counts.max() / counts.sum())


def references(study: Study, protocol: str) -> dict[str, float]:
    """Return what to measure an accuracy against, by its name; known for ESC-10 only."""
    published = published_best(study, protocol)
    if published is None:
        return {}
    return {"best published": published, "chance": commonest_share(study, protocol)}


def leaders(rows: Sequence[ComparativeRow]) -> list[ComparativeRow]:
    """Return the rows with the highest accuracy; more than one where they are equal."""
    highest = max(row.accuracy for row in rows)
    return [row for row in rows if row.accuracy == highest]


def verdict(rows: Sequence[ComparativeRow], comparisons: Sequence[Comparison]) -> Text:
    """Say which model is best under a protocol, and which others the data set apart from it.

    Args:
        rows: those of the protocol, one at least.
        comparisons: of its models.
    """
    top = [row.model for row in leaders(rows)]
    amount = (Strong(percent(leaders(rows)[0].accuracy)), f" ({over(leaders(rows)[0])}).")
    if len(rows) == 1:
        return (Strong(top[0]), " reaches a mean test accuracy of ", *amount)
    beaten = {(pair.better, pair.worse) for pair in comparisons}
    others = [row.model for row in rows if row.model not in top]
    worse = [model for model in others if all((best, model) in beaten for best in top)]
    undecided = [model for model in others if model not in worse]
    verb = "has" if len(top) == 1 else "share"
    head: Text = (f"{listing(top)} {verb} the highest mean test accuracy, ", *amount)
    is_best = len(top) == 1 and not undecided
    answer = f"{top[0]} is best." if is_best else "These data name no best model."
    once = any(pair.trainings == 1 for pair in comparisons if pair.better)
    return joined([(Strong(answer),), head, (_set_apart(worse, undecided, several=len(top) > 1, once=once),)])


def _set_apart(worse: Sequence[str], undecided: Sequence[str], *, several: bool, once: bool) -> str:
    """Say which models the best ones are shown to beat, and which not.

    Args:
        worse: models that are shown to be.
        undecided: those that are not.
        several: whether more than one share the highest accuracy.
        once: whether each model was trained once.
    """
    it, them, is_ = ("they", "them", "are") if several else ("it", "it", "is")
    if not worse and not undecided:
        return "These data can show no difference between them."
    if not worse:
        return f"These data can show no difference between {them} and {listing(undecided, 'or')}."
    scope = ", as trained this once," if once else ""
    beaten = listing(worse) if undecided or len(worse) == 1 else f"each of the other {len(worse)} models"
    told = f"The data show that {it}{scope} {is_} better than {beaten}"
    if not undecided:
        return f"{told}; between {them}, they can show no difference." if several else f"{told}."
    return f"{told}; they can show no difference between {them} and {listing(undecided, 'or')}."


def over(row: ComparativeRow) -> str:
    """Say over how many cells a mean is taken, their spread, and on how many clips."""
    clips = count(row.test_clips, "test clip")
    if row.accuracy_sd is None:
        return f"{row.protocol}, one cell, {clips}"
    return f"{row.protocol}, mean of {row.cells} cells with a standard deviation of {points(row.accuracy_sd)}, {clips}"


def uncertainty(row: ComparativeRow) -> Text:
    """Say what the number of test clips leaves open."""
    return (
        f"{count(row.test_clips, 'test clip')} leave a 95 % interval from {percent(row.accuracy_low)} "
        f"to {percent(row.accuracy_high)} around it.",
    )


def standing(study: Study, row: ComparativeRow) -> Text:
    """Set an accuracy beside the published one and beside guessing; nothing where none is published."""
    published = published_best(study, row.protocol)
    if published is None:
        return ()
    place = "inside that interval"
    if row.accuracy_low > published:
        place = "below all of that interval"
    elif row.accuracy_high < published:
        place = "above all of that interval"
    guessing = percent(commonest_share(study, row.protocol), 0)
    return (
        f"The best published answer to the same specification has {percent(published, 0)}, {place}; "
        f"guessing has {guessing}.",
    )
