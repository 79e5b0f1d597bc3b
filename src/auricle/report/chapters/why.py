"""Why: where the models differ, how their curves read, and what they use."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from auricle.findings import trainings
from auricle.findings.classes import hardest, leads, num_missed_by_most
from auricle.findings.comparison import MOST_SHOWN
from auricle.findings.human_labels import PEOPLE, read_human_labels
from auricle.findings.trainings import CurveReading
from auricle.findings.uses import ModelUses, PartsUse
from auricle.report.document import Chapter, Exhibit, Figure, Report
from auricle.report.figures import why as draw
from auricle.report.figures.drawing import Panel, panel
from auricle.report.figures.style import MUTED, drawable
from auricle.report.table import Range, Row, Table, columns
from auricle.report.wording import count, decimal, listing, percent, points, shortened, spoken, visible
from auricle.scoring.difference import Difference, by_verdict

MOST_ROWS = 28  # clips that are drawn
NUM_NAMED = 4  # clips and classes of a lead
MOST_DRAWN = 4  # models whose attention is drawn
TITLES = {
    "reversed": "Clip reversed in time",
    "positions-shuffled": "Positions shuffled",
    "even-attention": "Attention made uniform",
    "encoder-skipped": "Encoder skipped",
}


def why(report: Report) -> Chapter:
    """Return the chapter that says what the ranking rests on."""
    parts = [part(report) for part in (_differences, _readings, _uses)]
    return Chapter(
        report.phrases | {name: value for part in parts for name, value in part.values.items()},
        {name: exhibit for part in parts for name, exhibit in part.exhibits.items()},
    )


def _differences(report: Report) -> Chapter:
    """Return which clips are missed, and in which classes one model is ahead of another."""
    main, found = report.findings.main, report.findings.class_differences
    answers = report.study.answers[main.protocol]
    models = [model for model in report.study.models if model in main.ranked]
    clips = hardest(answers, models)
    values: dict[str, Any] = {
        "models": models,
        "num_missed": len(clips),
        "num_clips": len(answers.clips),
        "num_missed_by_most": num_missed_by_most(answers, models),
    }
    if not clips:
        return Chapter(values)
    values |= {"num_drawn": min(len(clips), MOST_ROWS), "some": report.of_many, "num_named": NUM_NAMED,
               "class_differences": found, "class_shown": [one for one in found if one.difference.shown]}  # fmt: skip
    figure, values["has_people"] = _missed(report, clips[:MOST_ROWS])
    rows = [
        (lead.ahead, lead.behind, _named(f"{spoken(name)} {decimal(100 * share, 1)}" for name, share in lead.classes),
         _named(map(clip_name, lead.clips)))
        for lead in leads(found)
    ]  # fmt: skip
    table = Table(columns("differences"), {"": rows}, shown={"": 2 * MOST_SHOWN})
    return Chapter(values, {"figure-missed": figure, "table-differences": table})


def _named(names: Iterable[str]) -> str:
    """Name some and count the rest.

    >>> _named(["a.wav", "b.wav"])
    'a.wav, b.wav'
    """
    some = list(names)
    rest = len(some) - NUM_NAMED
    return f"{', '.join(some[:NUM_NAMED])} and {rest} more" if rest > 0 else ", ".join(some) or "–"


def clip_name(clip: str) -> str:
    """Return the name of a clip as a person reads it: visible and short."""
    return shortened(visible(clip), 40)


def _missed(report: Report, clips: Sequence[str]) -> tuple[Figure, bool]:
    """Draw who misses some clips, and return whether that is known of people."""
    study, protocol = report.study, report.findings.main_protocol
    answers = study.answers[protocol]
    columns = [answers.clips.index(clip) for clip in clips]
    missed = {
        model: (1 - answers.shares[answers.models.index(model), columns], report.colours[model])
        for model in report.findings.main.foremost(study.models)
    }
    if (people := read_human_labels(study, answers)) is not None:
        right = dict(zip(people.answers.clips, people.right.tolist(), strict=True))
        missed[PEOPLE] = (np.array([1 - right.get(clip, np.nan) for clip in clips]), MUTED)
    categories = {clip: answers.categories[answers.labels[at]] for clip, at in zip(clips, columns, strict=True)}
    names = [f"{spoken(categories[clip])}  {drawable(clip_name(clip), row, 30)}" for row, clip in enumerate(clips)]
    shares, colours = zip(*missed.values(), strict=True)
    drawn = draw.missed(np.array(shares).T, names, list(missed), colours)
    return Figure((panel(drawn, "missed", "Clips that are missed, by model"),)), people is not None


def _readings(report: Report) -> Chapter:
    """Return the learning curves, read; nothing where there is no validation set."""
    found = report.findings.curves
    names = ("SMOOTHED", "FITS", "GAP", "PAST", "EARLY", "FALLING")
    limits = {name.lower(): getattr(trainings, name) for name in names}
    has_intervals = any(one.interval for one in found.values())
    shown = tuple(column for column in columns("readings") if has_intervals or column.key != "interval")
    rows: list[Row] = []
    for model, one in found.items():
        interval = (Range(*one.interval) if one.interval else None,) if has_intervals else ()
        rows.append((model, one.train, one.validation, one.gap, *interval, one.lowest, reads_as(one)))
    return Chapter({"curves": found, "limits": limits}, {"table-readings": Table(shown, {"": rows})} if found else {})


def reads_as(one: CurveReading) -> str:
    """Return what a model's curves come to, in a cell of a table."""
    found = [f"{one.collapsed} of {one.cells} collapsed"] if one.collapsed else []
    if one.underfits:
        found.append(f"underfits: {percent(one.train)} of its own training clips")
    if one.has_gap:
        found.append("overfits" if one.interval else f"a gap of {points(one.gap)}, from one cell")
    if one.past_best:
        found.append(f"past its best: the loss has risen by {decimal(100 * (one.rise - 1), 0)} %")
    else:
        found.append("its loss still falls at the end" if one.still_falls else "its loss has plateaued")
    return "; ".join(found)


def _uses(report: Report) -> Chapter:
    """Return what the models use; nothing where no cell was probed."""
    uses = report.findings.uses
    if not uses:
        return Chapter({"uses": uses})
    costs: dict[str, dict[str, Difference]] = {}
    for model, of_model in uses.items():
        for change, one in of_model.costs.items():
            costs.setdefault(change, {})[model] = one
    cost_rows = {
        title(change): [
            (model, one.num_clips, one.mean, Range(one.low, one.high), one.p_adjusted,
             "no difference" if not one.shown else "a loss" if one.mean > 0 else "a gain")
            for model, one in row.items()
        ]
        for change, row in costs.items()
    }  # fmt: skip
    lower = [change for change in costs if change.startswith("low-pass-")][1:]
    first = next(iter(uses.values()))
    alike = {  # in the parts that were blanked, so that they can be drawn on one axis
        model: one
        for model, one in uses.items()
        if np.array_equal(one.bands.edges, first.bands.edges) and len(one.moments.drops) == len(first.moments.drops)
    }
    best = _best_of_each(report)
    readers = {model: one for model, one in uses.items() if one.blocks}
    values = {
        "uses": uses,
        "cells_each": listing(dict.fromkeys(count(len(one.cells), "cell") for one in uses.values()), "or"),
        "most_clips": max(one.num_clips for one in uses.values()),
        "changes": costs,
        "described": [
            (title(change), *by_verdict(row.values())) for change, row in costs.items() if change not in lower
        ],
        "skips_blocks": any(change.startswith("block-") for change in costs),
        "num_bands": len(first.bands.drops),
        "num_moments": len(first.moments.drops),
        "moment_s": f"{first.moments.edges[1] - first.moments.edges[0]:.2g}",
        "unlike": [model for model in uses if model not in alike],
        "best_of_each": best,
        "readers": readers,
    }
    exhibits: dict[str, Exhibit] = {
        "figure-costs": _costs_figure(report, costs),
        "table-costs": Table(columns("costs"), cost_rows),
        "figure-blanked": _blanked(report, alike),
        "figure-blanked-classes": _blanked_by_class(report, best),
    }
    if readers:
        exhibits["table-heads"] = Table(columns("heads"), {"": _head_rows(readers)})
    of_time = [one for one in report.findings.main.ranked if one in readers and readers[one].attention is not None]
    if drawn := [model for model in report.study.presets if model in of_time[:MOST_DRAWN]]:
        exhibits["figure-attention"] = Figure(tuple(_attention(report, model) for model in drawn))
        values["drawn_cells"] = listing(dict.fromkeys(str(uses[one].cells[0]).split("/")[1] for one in drawn), "or")
    return Chapter(values | {"attention_drawn": drawn, "num_of_time": len(of_time)}, exhibits)


def title(change: str) -> str:
    """Return what to call a change.

    >>> title("low-pass-4000"), title("block-2-skipped")
    ('Only below 4 kHz', 'Block 2 skipped')
    """
    if change.startswith("low-pass-"):
        return f"Only below {int(change.rsplit('-', 1)[1]) / 1000:g} kHz"
    return TITLES.get(change, change.replace("-", " ").capitalize())


def _costs_figure(report: Report, costs: Mapping[str, Mapping[str, Difference]]) -> Figure:
    colours = {model: colour for model, colour in report.colours.items() if model in report.findings.uses}
    drawn = draw.costs(costs, {change: title(change) for change in costs}, colours)
    return Figure((panel(drawn, "costs", "Accuracy lost by change and model"),))


def _blanked(report: Report, alike: Mapping[str, ModelUses]) -> Figure:
    """Draw what blanking a band, or the n-th loudest moment, costs."""
    first = next(iter(alike.values()))
    bands, moments = (
        {model: getattr(one, kind).drops for model, one in alike.items()} for kind in ("bands", "moments")
    )
    ranks = [str(rank) for rank in range(1, len(first.moments.drops) + 1)]
    panels = (
        panel(
            draw.blanked(bands, _part_names(first.bands, 1000), report.colours, "A band blanked",
                         "band blanked, from kHz"),
            "blanked-bands", "Probability of the true class lost when a band is blanked, by model",
        ),
        panel(
            draw.blanked(moments, ranks, report.colours, "A moment blanked",
                         "moment blanked, by loudness (1: the loudest)"),
            "blanked-moments", "Probability of the true class lost when a moment is blanked, by model",
        ),
    )  # fmt: skip
    return Figure(panels)


def _part_names(parts: PartsUse, unit: float) -> list[str]:
    return [f"{edge / unit:.2g}" for edge in parts.edges[:-1]]


def _best_of_each(report: Report) -> list[str]:
    """Return the best probed model of each architecture, in the order of the study."""
    presets, ranked = report.study.presets, report.findings.main.ranked
    best = {presets[model].encoder is None: model for model in reversed(ranked) if model in report.findings.uses}
    return [model for model in presets if model in best.values()]


def _blanked_by_class(report: Report, models: Sequence[str]) -> Figure:
    """Draw, class by class, what bands and moments are worth to some models."""
    parts = [
        (model, kind, getattr(report.findings.uses[model], kind)) for model in models for kind in ("bands", "moments")
    ]
    deepest = max(0.3, max(float(np.nanmax(of.by_class)) for _, _, of in parts))
    panels = []
    for model, kind, of in parts:
        names = _part_names(of, 1000 if kind == "bands" else 1)
        drawn = draw.blanked_by_class(
            of.by_class, report.study.dataset.categories, names, report.colours[model], deepest,
            drawable(model, 0, 30), "band blanked, from kHz" if kind == "bands" else "moment blanked, from s",
        )  # fmt: skip
        alt = f"Probability of the true class lost by class when one of the {kind} is blanked, {model}"
        panels.append(panel(drawn, f"blanked-{kind}-{report.anchors[model]}", alt))
    return Figure(tuple(panels))


def _head_rows(readers: Mapping[str, ModelUses]) -> list[Row]:
    return [
        (model, number, block.heads, block.tokens, block.read, block.fewest, block.most, block.own, block.overlap,
         block.loudness.mean if block.loudness else None,
         Range(block.loudness.low, block.loudness.high) if block.loudness else None)
        for model, one in readers.items()
        for number, block in enumerate(one.blocks, 1)
    ]  # fmt: skip


def _attention(report: Report, model: str) -> Panel:
    one = report.findings.uses[model]
    assert one.attention is not None
    drawn = draw.attention(
        one.attention, report.study.dataset.categories, one.window_s, report.colours[model], drawable(model, 0, 30)
    )
    return panel(drawn, f"attention-{report.anchors[model]}", f"Attention of <cls> over time, {model}")
