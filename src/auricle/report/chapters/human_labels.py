"""The models against people: what each mistakes for what, and which clips each misses."""

from __future__ import annotations

from auricle.findings.human_labels import HumanComparison, LabelledClass, MissedClip
from auricle.report.chapters.comparison import foremost, foremost_of_many
from auricle.report.document import Chapter, Exhibit, Figure, Report
from auricle.report.figures.drawing import panel
from auricle.report.figures.results import confusion
from auricle.report.figures.style import MUTED
from auricle.report.table import Column, Table, Value
from auricle.report.wording import shortened, spoken, visible

MOST_CLIPS = 12  # that are missed by the same
CLIP_NAME_LENGTH = 40
CLIPS = (
    Column("clip", "Clip", "code"),
    Column("class", "Class"),
    Column("people_right", "People right, %", "percent"),
    Column("judgements", "of", "count"),
    Column("people_else", "otherwise named"),
    Column("models_right", "Cells right, %", "percent"),
    Column("models_else", "otherwise answered"),
)
MISSED_BY = {"both": "people and models", "models": "the models only", "people": "people only"}


def human_labels(report: Report) -> Chapter | None:
    """Return the chapter; None where nobody was asked about the test clips."""
    main = report.findings.main
    if (found := report.findings.human_labels) is None:
        return None
    best = main.ranked[0]
    verdicts = {
        "ahead": [one for one in found.differences if one.shown and one.mean > 0],
        "behind": [one for one in found.differences if one.shown and one.mean < 0],
        "open": [one for one in found.differences if not one.shown],
    }
    values = {
        "protocol": report.title_of(main.protocol),
        "found": found,
        "verdicts": verdicts,
        "best": best,
        "some": foremost_of_many(main),
        "missed": [(len(clips), MISSED_BY[whom]) for whom, clips in found.missed.items()],
        "most_clips": MOST_CLIPS if any(len(clips) > MOST_CLIPS for clips in found.missed.values()) else None,
    }
    exhibits: dict[str, Exhibit] = {
        "figure-people": _confusions(report, found, best),
        "table-people-classes": _by_class(found, foremost(tuple(found.models), main)),
        "table-people-clips": _missed(found),
    }
    return Chapter(values, exhibits)


def _confusions(report: Report, found: HumanComparison, best: str) -> Figure:
    """Draw what people and the best model take for what, side by side."""
    categories = report.study.dataset.categories
    of_people = confusion(found.confusion, categories, MUTED, "people", "named")
    of_best = confusion(found.model_confusions[best], categories, report.colours[best], best)
    panels = (
        panel(of_people, "confusion-people", "Confusion matrix of people"),
        panel(of_best, "confusion-beside-people", f"Confusion matrix of {best} on the clips that people labelled"),
    )
    return Figure(panels)


def _by_class(found: HumanComparison, models: list[str]) -> Table:
    """List how often people and models are right and agree, class by class."""
    columns = (
        Column("class", "Class", grows=True),
        Column("clips", "Clips", "count"),
        Column("people", "People", "percent"),
        *(Column(model, model, "percent") for model in models),
    )

    def class_row(one: LabelledClass, what: str) -> tuple[Value, ...]:
        name = "all clips" if one.category is None else spoken(one.category)
        of_models = getattr(one, f"models_{what}")
        return (name, one.num_clips, getattr(one, what), *(of_models[model] for model in models))

    titles = {"Right answers, %": "right", "Same answer as a person, %": "agreement"}
    groups = {title: [class_row(one, what) for one in found.classes] for title, what in titles.items()}
    return Table(columns, groups, totals=True)


def _missed(found: HumanComparison) -> Table:
    """List the clips that people, the models or both miss."""
    groups = {
        f"Missed by {MISSED_BY[whom]} ({len(clips)})": [_missed_row(one) for one in clips[:MOST_CLIPS]]
        for whom, clips in found.missed.items()
        if clips
    }
    return Table(CLIPS, groups)


def _missed_row(one: MissedClip) -> tuple[Value, ...]:
    named, answered = (name and spoken(name) for name in (one.named_instead, one.answered_instead))
    clip = shortened(visible(one.clip), CLIP_NAME_LENGTH)
    return clip, spoken(one.category), one.right, one.num_labels, named, one.models_right, answered
