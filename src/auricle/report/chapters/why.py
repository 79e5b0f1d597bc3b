"""The chapter "Why": where the models differ, their learning curves, and what they use."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from auricle.findings import trainings
from auricle.findings.classes import MOST_ALL_PAIRS, hardest, leads, num_missed_by_most
from auricle.findings.comparison import MOST_SHOWN
from auricle.findings.human_labels import PEOPLE, read_human_labels
from auricle.findings.trainings import CurveReading
from auricle.findings.uses import ModelUses, PartsUse
from auricle.report.document import Chapter, Exhibit, Figure, Report
from auricle.report.figures import why as draw
from auricle.report.figures.drawing import Panel, panel
from auricle.report.figures.style import MUTED, drawables
from auricle.report.table import Range, Table, columns
from auricle.report.wording import clip_name, count, decimal, percent, points, spoken
from auricle.scoring.answers import Answers
from auricle.scoring.difference import Difference, by_verdict

MOST_ROWS = 28  # clips that are drawn
NUM_NAMED = 4  # clips and classes of a lead
MOST_DRAWN = 4  # models whose attention is drawn
TITLES = {
    "reversed": "Clip reversed in time",
    "positions-shuffled": "Positions shuffled",
    "even-attention": "Uniform attention",
    "encoder-skipped": "Encoder skipped",
}
ATTENTION = ("positions-shuffled", "even-attention", "block-1-skipped", "block-2-skipped")


def why(report: Report) -> Chapter:
    """Return the chapter on possible reasons for the ranking."""
    uses = _uses(report)
    main = report.findings.main
    best, *others = main.ranking
    apart = {pair.worse for pair in main.pairs if pair.better == best.row.model}
    equal = [one.row for one in main.ranking if one.row.model not in apart]
    cheapest = min(equal, key=lambda row: row.multiply_adds or math.inf)
    curves, costs = report.findings.curves.values(), uses.values.get("costs", {})
    values = {
        "best": best.row,
        "equal": equal,
        "cheapest": cheapest if others and best.row.multiply_adds else None,
        "larger": [one.row.model for one in others if one.row.parameters > best.row.parameters],
        "joined": (
            joined := {model: one for model, one in report.findings.curves.items() if one.base_alone is not None}
        ),
        "raised": any(one.validation > one.base_alone for one in joined.values() if one.base_alone is not None),
        "fits": [one.train for one in curves],
        "gaps": [one.gap for one in curves],
        "attention": [(title(change), *by_verdict(costs[change].values())) for change in ATTENTION if change in costs],
        "limits": trainings,
    }
    return Chapter({**report.phrases, **_missed_counts(report), **uses.values, **values}, uses.exhibits)


def missed(report: Report) -> Chapter | None:
    """Return the clips that are missed, and how the learning curves read; None where there is neither."""
    clips = hardest(*_answers(report))
    if not clips and not report.findings.curves:
        return None
    rows = [
        (lead.ahead, lead.behind, _named(f"{spoken(name)} {decimal(100 * share, 1)}" for name, share in lead.classes),
         _named(map(clip_name, lead.clips)))
        for lead in leads(report.findings.class_differences)
    ]  # fmt: skip
    values = {
        **report.phrases,
        **_missed_counts(report),
        "num_drawn": min(len(clips), MOST_ROWS),
        "num_named": NUM_NAMED,
        "limits": trainings,
    }
    of_clips: dict[str, Exhibit] = {}
    if clips:
        table = Table(columns("differences"), {"": rows}, shown={"": 2 * MOST_SHOWN})
        of_clips = {"figure-missed": _missed(report, clips[:MOST_ROWS]), "table-differences": table}
    return Chapter(values, {**of_clips, "table-readings": _readings(report)})


def evidence(report: Report) -> Chapter | None:
    """Return the numbers on what the models use; None if that was not measured."""
    if not (uses := report.findings.uses):
        return None
    first = next(iter(uses.values()))
    alike = {  # in the parts that were blanked, so that they can be drawn on one axis
        model: one
        for model, one in uses.items()
        if np.array_equal(one.bands.edges, first.bands.edges) and len(one.moments.drops) == len(first.moments.drops)
    }
    best = _best_of_each(report)
    of_time = [model for model in report.findings.main.ranked if model in uses and uses[model].attention is not None]
    drawn = [model for model in report.study.presets if model in of_time[:MOST_DRAWN]]
    costs = _costs_by_change(uses)
    values = report.phrases | {
        "uses": uses,
        "unlike": [model for model in uses if model not in alike],
        "best_of_each": best,
        "attention_drawn": drawn,
        "drawn_cells": dict.fromkeys(str(uses[model].cells[0]).split("/")[1] for model in drawn),
        "num_of_time": len(of_time),
    }
    return Chapter(values, {
        "table-costs": _costs(costs),
        "figure-blanked": Figure(tuple(_blanked(alike, report.colours))),
        "figure-blanked-classes": Figure(tuple(_blanked_by_class(report, best))),
        "table-heads": _heads(uses),
        "figure-attention": Figure(tuple(_attention(report, drawn))),
    })  # fmt: skip


def _answers(report: Report) -> tuple[Answers, list[str]]:
    """Return the answers to the test clips of the main protocol, and whose they are."""
    main = report.findings.main
    return report.study.answers[main.protocol], [model for model in report.study.models if model in main.ranked]


def _missed_counts(report: Report) -> dict[str, int]:
    """Return how many clips are missed, by whom, and of how many; and up to how many models all pairs are compared."""
    answers, models = _answers(report)
    return {
        "most_all_pairs": MOST_ALL_PAIRS,
        "num_missed": len(hardest(answers, models)),
        "num_missed_by_most": num_missed_by_most(answers, models),
        "num_clips": len(answers.clips),
    }


def _named(names: Iterable[str]) -> str:
    """Name some and count the rest.

    >>> _named(["a.wav", "b.wav"])
    'a.wav, b.wav'
    """
    some = list(names)
    rest = len(some) - NUM_NAMED
    return f"{', '.join(some[:NUM_NAMED])} and {rest} more" if rest > 0 else ", ".join(some) or "–"


def _missed(report: Report, clips: Sequence[str]) -> Figure:
    """Draw who misclassifies some clips: the models, and people where they were asked."""
    answers = report.study.answers[report.findings.main_protocol]
    columns = [answers.clips.index(clip) for clip in clips]
    missed = {
        model: (1 - answers.shares[answers.models.index(model), columns], report.colours[model])
        for model in report.findings.main.foremost(report.study.models)
    }
    if (labelled := read_human_labels(report.study, answers)) is not None:
        right = dict(zip(labelled.answers.clips, labelled.right.tolist(), strict=True))
        missed[PEOPLE] = (np.array([1 - right.get(clip, np.nan) for clip in clips]), MUTED)
    labels = [int(answers.labels[at]) for at in columns]
    categories = drawables(answers.categories)
    names = [f"{categories[label]}  {clip}" for clip, label in zip(drawables(clips, 30), labels, strict=True)]
    shares, colours = zip(*missed.values(), strict=True)
    drawn = draw.missed(np.array(shares).T, names, list(missed), colours)
    return Figure((panel(drawn, "missed", "Misclassified clips by model"),))


def _readings(report: Report) -> Table:
    """Return what the learning curves show, by model."""
    found = report.findings.curves
    has_intervals = any(one.interval for one in found.values())
    shown = tuple(column for column in columns("readings") if has_intervals or column.key != "interval")
    rows = [
        (model, one.train, one.validation, one.gap,
         *([one.interval and Range(*one.interval)] if has_intervals else []), one.lowest, reads_as(one))
        for model, one in found.items()
    ]  # fmt: skip
    return Table(shown, {"": rows})


def reads_as(one: CurveReading) -> str:
    """Return the interpretation of a model's curves, for a cell of a table."""
    found = [f"{one.collapsed} of {one.cells} collapsed"] if one.collapsed else []
    if one.underfits:
        found.append(f"underfits: a training accuracy of {percent(one.train)}")
    if one.has_gap:
        found.append("overfits" if one.interval else f"a gap of {points(one.gap)}, from one cell")
    if one.past_best:
        found.append(f"past its best: the loss has risen by {decimal(100 * (one.rise - 1), 0)} %")
    else:
        found.append("its loss is still falling at the end" if one.still_falls else "its loss has plateaued")
    return "; ".join(found)


def _uses(report: Report) -> Chapter:
    """Return what the models use; nothing where no cell was probed."""
    if not (uses := report.findings.uses):
        return Chapter()
    costs = _costs_by_change(uses)
    values = {
        "uses": uses,
        "cells_each": dict.fromkeys(count(len(one.cells), "cell") for one in uses.values()),
        "costs": costs,
    }
    colours = {model: colour for model, colour in report.colours.items() if model in uses}
    drawn_costs = draw.costs(costs, {change: title(change) for change in costs}, colours)
    figure = Figure((panel(drawn_costs, "costs", "Accuracy lost by change and model"),))
    return Chapter(values, {"figure-costs": figure})


def _costs_by_change(uses: Mapping[str, ModelUses]) -> dict[str, dict[str, Difference]]:
    changes = dict.fromkeys(change for one in uses.values() for change in one.costs)
    return {
        change: {model: one.costs[change] for model, one in uses.items() if change in one.costs} for change in changes
    }


def _costs(costs: Mapping[str, Mapping[str, Difference]]) -> Table:
    rows = {
        title(change): [
            (model, one.num_clips, one.mean, Range(one.low, one.high), one.p_adjusted,
             "no" if not one.significant else "a loss" if one.mean > 0 else "a gain")
            for model, one in row.items()
        ]
        for change, row in costs.items()
    }  # fmt: skip
    return Table(columns("costs"), rows)


def _heads(uses: Mapping[str, ModelUses]) -> Table:
    rows = [
        (model, number, block.heads, block.tokens, block.read, block.fewest, block.most, block.own, block.overlap,
         *((block.loudness.mean, Range(block.loudness.low, block.loudness.high)) if block.loudness else (None, None)))
        for model, one in uses.items()
        for number, block in enumerate(one.blocks, 1)
    ]  # fmt: skip
    return Table(columns("heads"), {"": rows})


def title(change: str) -> str:
    """Return the title of a change.

    >>> title("low-pass-4000"), title("block-2-skipped")
    ('Only below 4 kHz', 'Block 2 skipped')
    """
    if change.startswith("low-pass-"):
        return f"Only below {int(change.rsplit('-', 1)[1]) / 1000:g} kHz"
    return TITLES.get(change, change.replace("-", " ").capitalize())


def _blanked(alike: Mapping[str, ModelUses], colours: Mapping[str, str]) -> Iterator[Panel]:
    """Draw the drop in probability when a band, or the n-th loudest interval, is masked."""
    first = next(iter(alike.values()))
    ranks = [str(rank) for rank in range(1, len(first.moments.drops) + 1)]
    for kind, names, axis_label in (
        ("band", _part_names(first.bands, 1000), "lower edge of the masked band, kHz"),
        ("moment", ranks, "loudness rank of the masked interval (1: loudest)"),
    ):
        drops = {model: getattr(one, f"{kind}s").drops for model, one in alike.items()}
        what = {"band": "frequency band", "moment": "time interval"}[kind]
        drawn = draw.blanked(drops, names, colours, f"One {what} masked", axis_label)
        alt = f"Drop of the probability of the true class when one {what} is masked, by model"
        yield panel(drawn, f"blanked-{kind}s", alt)


def _part_names(parts: PartsUse, unit: float) -> list[str]:
    return [f"{edge / unit:.2g}" for edge in parts.edges[:-1]]


def _best_of_each(report: Report) -> list[str]:
    """Return the best probed model of each architecture, in the order of the study."""
    presets, ranked = report.study.presets, report.findings.main.ranked
    best = {presets[model].encoder is None: model for model in reversed(ranked) if model in report.findings.uses}
    return [model for model in presets if model in best.values()]


def _blanked_by_class(report: Report, models: Sequence[str]) -> Iterator[Panel]:
    """Draw the effect of masked bands and intervals by class for some models."""
    parts = [
        (model, title, kind, getattr(report.findings.uses[model], kind))
        for model, title in zip(models, drawables(models, 30), strict=True)
        for kind in ("bands", "moments")
    ]
    deepest = max(0.3, max(float(np.nanmax(of.by_class)) for *_, of in parts))
    for model, title, kind, of in parts:
        unit, axis_label = {"bands": (1000, "masked band, from kHz"), "moments": (1, "masked interval, from s")}[kind]
        drawn = draw.blanked_by_class(
            of.by_class, report.study.dataset.categories, _part_names(of, unit), report.colours[model], deepest,
            title, axis_label,
        )  # fmt: skip
        alt = f"Drop of the probability of the true class by class when one of the {kind} is masked, {model}"
        yield panel(drawn, f"blanked-{kind}-{report.anchors[model]}", alt)


def _attention(report: Report, models: Sequence[str]) -> Iterator[Panel]:
    for model, title in zip(models, drawables(models, 30), strict=True):
        one, colour = report.findings.uses[model], report.colours[model]
        assert one.attention is not None
        categories = report.study.dataset.categories
        drawn = draw.attention(one.attention, categories, one.window_s, colour, title)
        yield panel(drawn, f"attention-{report.anchors[model]}", f"Attention of <cls> over time, {model}")
