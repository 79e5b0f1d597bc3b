"""What each model uses, measured on finished networks: changed sound, changed networks, blanked parts, attention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from auricle.insight.record import Insight
from auricle.report.chapter_attention import attention_blocks
from auricle.report.document import Block, Bullets, Figure, Paragraph, Section
from auricle.report.effects import Effect, cost
from auricle.report.evidence import Study
from auricle.report.figures import why
from auricle.report.figures.style import drawable, palette, panel
from auricle.report.insights import ModelInsight, costs, insights_of
from auricle.report.table import Column, Range, Table, Value
from auricle.report.wording import Code, Ref, Strong, Text, anchors, count, listing

_TITLES = {
    "reversed": "Clip reversed in time",
    "positions-shuffled": "Positions shuffled",
    "even-attention": "Attention made even",
    "encoder-skipped": "Encoder skipped",
}
_COSTS = (
    Column("model", "Model", "code"),
    Column("clips", "Clips", "count"),
    Column("lost", "Points lost", "points"),
    Column("interval", "95 % interval", "points"),
    Column("p_adjusted", "p, adjusted", "p"),
    Column("verdict", "These data show", grows=True),
)


def uses_section(study: Study, protocol: str, ranked: Sequence[str]) -> Section:
    """Return what the models use; where that was not measured, how to.

    Args:
        study: the evidence.
        protocol: whose cells were looked into.
        ranked: models, the most accurate first.
    """
    known = insights_of(study, protocol)
    if not known:
        words: Text = (
            "This was not measured. It takes the weights of the cells and the recordings: ",
            Code("auricle report STUDY --data DIR"), " measures it.",
        )  # fmt: skip
        return Section("uses", "What the models use", (Paragraph(words),))
    changes = list(dict.fromkeys(change for one in known.values() for i in one.insights for change in i.changes))
    table = costs(known, study.dataset.groups, changes)
    blocks: list[Block] = [
        Paragraph(_how(known)),
        _costs_figure(study, table),
        Bullets(tuple((Strong(f"{title(change)}. "), cost(row)) for change, row in _told(table).items())),
        Paragraph(_what_follows(table)),
        _costs_table(table),
        _blanked(study, known),
        _blanked_by_class(study, known, ranked),
        *attention_blocks(study, known, ranked),
    ]
    return Section("uses", "What the models use", tuple(blocks))


def title(change: str) -> str:
    """Return what to call a change.

    >>> title("low-pass-4000"), title("block-2-skipped")
    ('Only below 4 kHz', 'Block 2 skipped')
    """
    if change.startswith("low-pass-"):
        return f"Only below {int(change.rsplit('-', 1)[1]) / 1000:g} kHz"
    return _TITLES.get(change, change.replace("-", " ").capitalize())


def _told(table: Mapping[str, Mapping[str, Effect]]) -> dict[str, Mapping[str, Effect]]:
    """Return what is told in words: every change, but of the low-pass filters the highest alone."""
    lower = [change for change in table if change.startswith("low-pass-")][1:]
    return {change: row for change, row in table.items() if change not in lower}


def _how(known: Mapping[str, ModelInsight]) -> Text:
    cells = listing(dict.fromkeys(count(len(one.cells), "cell") for one in known.values()), "or")
    clips = max(len(one.clips) for one in known.values())
    return (
        f"The finished networks were asked again about their test clips ({cells} a model, {count(clips, 'clip')}), "
        "each time with one thing changed, and nothing was trained. ", Ref("figure-costs"), " shows what each change "
        "costs. A change also makes a sound or a network that training never met, so a loss says that the answer rests "
        "on what was changed, or that the network cannot do with what came in its place; no loss says that it can do "
        "without. ",
        Ref("table-costs"), " has the numbers: intervals from 10,000 draws of whole groups, p from an exact sign test "
        "over clips, adjusted for all of its rows.",
    )  # fmt: skip


def _what_follows(table: Mapping[str, Mapping[str, Effect]]) -> Text:
    """Say what the changes are, those that were made."""
    told = {
        "reversed": "Reversed, a sound keeps its spectrum and loses its order in time.",
        "positions-shuffled": (
            "Shuffled positions give each token but <cls> the position of another, in one random order a cell: "
            "where that costs nothing, answers do not rest on the order of tokens."
        ),
        "even-attention": "Even attention lets each token read the same from all: what it costs, choosing is worth.",
        "encoder-skipped": "With the whole encoder skipped, <cls> has read nothing and gives every clip one answer.",
    }
    sentences = [words for change, words in told.items() if change in table]
    if any(change.startswith("block-") for change in table):
        sentences.insert(-1, "A skipped block hands its tokens on unchanged.")
    return (" ".join(sentences),)


def _costs_figure(study: Study, table: Mapping[str, Mapping[str, Effect]]) -> Figure:
    models = {model for row in table.values() for model in row}
    colours = {model: colour for model, colour in palette(tuple(study.presets)).items() if model in models}
    drawn = why.costs(table, {change: title(change) for change in table}, colours)
    caption = (
        "What a change costs: points of test accuracy lost, with 95 % intervals. Filled marks: these data show a "
        "difference; hollow ones: they do not.",
    )
    return Figure("figure-costs", (panel(drawn, "costs", "Accuracy lost by change and model"),), caption)


def _costs_table(table: Mapping[str, Mapping[str, Effect]]) -> Table:
    groups = {title(change): [_cost_row(model, one) for model, one in row.items()] for change, row in table.items()}
    caption = ("What each change costs, in points of test accuracy; below zero, it gains.",)
    return Table("table-costs", caption, _COSTS, groups)


def _cost_row(model: str, one: Effect) -> tuple[Value, ...]:
    verdict = "no difference" if not one.shown else "a loss" if one.mean > 0 else "a gain"
    return model, one.clips, one.mean, Range(one.low, one.high), one.p, verdict


def _blanked(study: Study, known: Mapping[str, ModelInsight]) -> Figure:
    """Draw what blanking a band, or the n-th loudest moment, costs."""
    groups, colours = study.dataset.groups, palette(tuple(study.presets))
    first = next(iter(known.values())).insights[0]
    alike = {model: one for model, one in known.items() if _same_parts(one.insights[0], first)}
    bands = {
        model: [one.drop(lambda i, part=part: i.bands.parts[part], groups) for part in range(len(first.bands.parts))]  # type: ignore[misc]
        for model, one in alike.items()
    }
    moments = {model: [one.drop(pick, groups) for pick in one.by_loudness()] for model, one in alike.items()}
    ranks = [str(rank) for rank in range(1, len(first.moments.parts) + 1)]
    words, band_names = "moment blanked, by loudness (1: the loudest)", _band_names(first.bands.edges)
    panels = (
        panel(
            why.blanked(bands, band_names, colours, "A band blanked", "band blanked, from kHz"),
            "blanked-bands", "Probability of the true class lost when a band is blanked, by model",
        ),
        panel(
            why.blanked(moments, ranks, colours, "A moment blanked", words),
            "blanked-moments", "Probability of the true class lost when a moment is blanked, by model",
        ),
    )  # fmt: skip
    others = [model for model in known if model not in alike]
    left_out = f" Not drawn, as their parts are others: {listing(others)}." if others else ""
    length_s = float(first.moments.edges[1] - first.moments.edges[0])
    caption = (
        f"By how much the probability of the true class falls when one part is blanked: left, one of "
        f"{len(first.bands.parts)} bands; right, one of {len(ranks)} moments of {length_s:.2g} s, ordered by how loud "
        f"they are in their clip. Pale: 95 % intervals.{left_out}",
    )
    return Figure("figure-blanked", panels, caption)


def _same_parts(one: Insight, other: Insight) -> bool:
    """Return whether two networks had the same parts blanked, so that they can be drawn on one axis."""
    return np.array_equal(one.bands.edges, other.bands.edges) and len(one.moments.parts) == len(other.moments.parts)


def _band_names(edges_hz: np.ndarray) -> list[str]:
    return [f"{hz / 1000:.2g}" for hz in edges_hz[:-1]]


def _blanked_by_class(study: Study, known: Mapping[str, ModelInsight], ranked: Sequence[str]) -> Figure:
    """Draw, class by class, what bands and moments are worth to the best model of each architecture."""
    best = [model for model in ranked if model in known]
    kinds = {study.presets[model].encoder is None: model for model in reversed(best)}
    categories, colours = study.dataset.categories, palette(tuple(study.presets))
    names = anchors(study.presets)
    drops = {
        (model, kind): known[model].drop_by_class(lambda i, kind=kind: getattr(i, kind), len(categories))  # type: ignore[misc]
        for model in sorted(kinds.values(), key=list(study.presets).index)
        for kind in ("bands", "moments")
    }
    top = max(0.3, max(float(np.nanmax(drop)) for drop in drops.values()))
    panels = []
    for (model, kind), drop in drops.items():
        blanked = getattr(known[model].insights[0], kind)
        parts = _band_names(blanked.edges) if kind == "bands" else [f"{s:.2g}" for s in blanked.edges[:-1]]
        words = "band blanked, from kHz" if kind == "bands" else "moment blanked, from s"
        drawn = why.blanked_by_class(drop, categories, parts, colours[model], top, drawable(model, 0, 30), words)
        alt = f"Probability of the true class lost by class when one of the {kind} is blanked, {model}"
        panels.append(panel(drawn, f"blanked-{kind}-{names[model]}", alt))
    which = "the best model of each architecture" if len(kinds) > 1 else "the best model"
    caption = (
        f"The same for each class, {which}: which bands and which moments of the clip its answers rest on. Numbers: "
        "the loss of probability where it is 0.1 or more; means over the clips of a class, few of them.",
    )
    return Figure("figure-blanked-classes", tuple(panels), caption)
