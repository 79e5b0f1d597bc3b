"""Why: where the models differ, how their curves read, and what they use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from auricle.report.chapter_summary import stamped
from auricle.report.chapter_uses import uses_section
from auricle.report.comparisons import MOST_SHOWN, foremost, foremost_in_words, ranking
from auricle.report.curve_readings import EARLY, FALLING, FITS, GAP, PAST, SMOOTHED, read_curves
from auricle.report.differences import (
    NUM_NAMED,
    category_of,
    class_differences,
    clip_name,
    hardest,
    leads,
    named,
    shares_right,
    where_shown,
)
from auricle.report.document import Block, Figure, Paragraph, Section
from auricle.report.evidence import Study
from auricle.report.figures import why
from auricle.report.figures.style import drawable, palette, panel
from auricle.report.people import people_of
from auricle.report.table import Column, Range, Table, Value
from auricle.report.tables import ComparativeRow
from auricle.report.wording import Ref, Text, count, percent, points, spoken

MOST_ROWS = 28
PEOPLE = "people"
_DIFFERENCES = (
    Column("ahead", "Model", "code"),
    Column("behind", "ahead of", "code"),
    Column("classes", "in classes, by points", grows=True),
    Column("clips", "by clips", grows=True),
)
_READINGS = (
    Column("model", "Model", "code"),
    Column("train", "Training, %", "percent"),
    Column("validation", "Validation, %", "percent"),
    Column("gap", "Gap", "points"),
    Column("interval", "95 % interval", "points"),
    Column("lowest", "Loss lowest at epoch", "count"),
    Column("reads", "Reads as", grows=True),
)


def why_chapter(study: Study, rows: Sequence[ComparativeRow], protocol: str) -> Section:
    """Return the chapter that says what the ranking rests on.

    Args:
        study: the evidence.
        rows: its comparative rows.
        protocol: the one that answers the question.
    """
    ranked = ranking(rows, protocol)
    text = f"All of this chapter is of the test clips under {stamped(study, protocol)}, unless it says otherwise."
    sections = (
        _differences(study, rows, protocol),
        *_readings(study, protocol),
        uses_section(study, protocol, ranked),
    )
    return Section("why", "Why", (Paragraph((text,)),), sections)


def _differences(study: Study, rows: Sequence[ComparativeRow], protocol: str) -> Section:
    """Return which clips are missed, and in which classes one model is ahead of another."""
    ranked = ranking(rows, protocol)
    right = {model: shares_right(study, model, protocol) for model in study.models if model in ranked}
    clips = hardest(right, MOST_ROWS)
    if not clips:
        return Section("differences", "Clips that are missed", (Paragraph(("No cell misses a clip.",)),))
    every = {clip for of_model in right.values() for clip in of_model}
    num_missed = len(hardest(right, len(every)))
    by_all = sum(all(of.get(clip, 1.0) < 0.5 for of in right.values()) for clip in every)
    text: Text = (
        f"{count(num_missed, 'clip')} of {len(every):,} are missed by a cell at least; {by_all:,} by most cells of ",
        "every model" if len(right) > 1 else "the model", ". ", Ref("figure-missed"), " shows them.",
    )  # fmt: skip
    shown = {model: right[model] for model in foremost(right, rows, protocol)}
    some = foremost_in_words(rows, protocol)
    blocks: list[Block] = [Paragraph(text), _missed(study, protocol, shown, clips, num_missed, some)]
    found = class_differences(study, protocol, ranked)
    if found:
        table_rows: list[tuple[Value, ...]] = [
            (lead.ahead, lead.behind, lead.classes, named(lead.clips)) for lead in leads(found)
        ]
        words = (
            f"{where_shown(found)} ", Ref("table-differences"), " lists the classes and clips on which two models "
            "part: few clips of a class decide, and chance alone parts two trainings of one network.",
        )  # fmt: skip
        caption = (
            "What each model is ahead of another in: classes, with the difference in points, and the clips that it "
            f"gets right in more of its cells; the clearest first, {NUM_NAMED} named at most.",
        )
        table = Table("table-differences", caption, _DIFFERENCES, {"": table_rows}, shown={"": 2 * MOST_SHOWN})
        blocks += [Paragraph(words), table]
    return Section("differences", "Where the models differ", tuple(blocks))


def _missed(
    study: Study,
    protocol: str,
    right: Mapping[str, Mapping[str, float]],
    clips: Sequence[str],
    num_missed: int,
    some: str,
) -> Figure:
    colours, categories = palette(tuple(study.presets)), category_of(study, protocol)
    columns = {model: ([1 - of.get(clip, np.nan) for clip in clips], colours[model]) for model, of in right.items()}
    judged = ""
    if (people := people_of(study, protocol)) is not None:
        heard = dict(zip(people.clips, people.right.tolist(), strict=True))
        columns[PEOPLE] = ([1 - heard.get(clip, np.nan) for clip in clips], why.MUTED)
        judged = " The last column: of the people who heard the clip; a dot where nobody was asked."
    labels = [f"{spoken(categories[clip])}  {drawable(clip_name(clip), place, 30)}" for place, clip in enumerate(clips)]
    drawn = why.missed(
        np.array([values for values, _ in columns.values()]).T,
        labels,
        list(columns),
        [c for _, c in columns.values()],
        "·",
    )
    head = f"The {len(clips)} most missed of {num_missed:,} test clips" if len(clips) < num_missed else "Test clips"
    caption = (
        f"{head} that a cell misses: the share of each model's cells that are wrong, in percent{some}.{judged} "
        "Rows that are dark throughout are hard for every model; the others are where the models part.",
    )
    return Figure("figure-missed", (panel(drawn, "missed", "Clips that are missed, by model"),), caption)


def _readings(study: Study, protocol: str) -> tuple[Section, ...]:
    """Return the learning curves, read; nothing where there is no validation set."""
    readings = {model: reading for model in study.models if (reading := read_curves(study.of(model, protocol)))}
    if not readings:
        return ()
    table_rows: list[tuple[Value, ...]] = [
        (
            model,
            one.train,
            one.validation,
            one.gap,
            Range(*one.interval) if one.interval else None,
            one.lowest,
            one.words,
        )
        for model, one in readings.items()
    ]
    if all(one.interval is None for one in readings.values()):
        columns = tuple(column for column in _READINGS if column.key != "interval")
        table_rows = [row[:4] + row[5:] for row in table_rows]
    else:
        columns = _READINGS
    caption = (
        "Learning curves at the last epoch, on one window a clip: the gap is training less validation accuracy, its "
        "interval is over cells (Student's t); validation loss is averaged over "
        f"{SMOOTHED} epochs before its lowest is looked for. Underfits: less than {percent(FITS, 0)} of the training "
        f"clips right. Overfits: a gap of {points(GAP)} or more whose interval excludes zero. Past its best: the "
        f"loss ends {100 * (PAST - 1):.0f} % above a lowest one in the first {percent(EARLY, 0)} of the epochs. Still "
        f"falling: by {100 * (1 - FALLING):.0f} % or more in the last tenth.",
    )
    text = (Ref("table-readings"), " reads the curves of ", Ref(f"figure-curves-{protocol}"), ".")
    table = Table("table-readings", caption, columns, {"": table_rows})
    return (Section("readings", "How the curves read", (Paragraph(text), table)),)
