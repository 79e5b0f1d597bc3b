"""The models against people: what each mistakes for what, and which clips each misses."""

from auricle.findings.human_labels import HumanComparison
from auricle.report.document import Chapter, Figure, Report
from auricle.report.figures.drawing import panel
from auricle.report.figures.results import confusion
from auricle.report.figures.style import MUTED
from auricle.report.table import Column, Table, columns
from auricle.report.wording import clip_name, spoken
from auricle.scoring.difference import by_verdict

MOST_CLIPS = 12  # that are missed by the same
MISSED_BY = {"both": "people and models", "models": "the models only", "people": "people only"}


def human_labels(report: Report) -> Chapter | None:
    """Return the chapter; None where nobody was asked about the test clips."""
    if (found := report.findings.human_labels) is None:
        return None
    main = report.findings.main
    values = report.phrases | {
        "found": found,
        "verdicts": dict(zip(("ahead", "behind", "open"), by_verdict(found.differences), strict=True)),
        "missed": [(len(clips), MISSED_BY[whom]) for whom, clips in found.missed.items()],
        "most_clips": MOST_CLIPS,
    }
    return Chapter(values, {
        "figure-people": _confusions(report, found, main.ranked[0]),
        "table-people-classes": _by_class(found, main.foremost(tuple(found.models))),
        "table-people-clips": _missed(found),
    })  # fmt: skip


def _confusions(report: Report, found: HumanComparison, best: str) -> Figure:
    """Draw what people and the best model take for what, side by side."""
    categories = report.study.dataset.categories
    of_people = confusion(found.confusion, categories, MUTED, "people", "named")
    of_best = confusion(found.model_confusions[best], categories, report.colours[best], best)
    return Figure((
        panel(of_people, "confusion-people", "Confusion matrix of people"),
        panel(of_best, "confusion-beside-people", f"Confusion matrix of {best} on the clips that people labelled"),
    ))  # fmt: skip


def _by_class(found: HumanComparison, models: list[str]) -> Table:
    """List how often people and models are right and agree, class by class."""
    titles = {"Right answers, %": "right", "Same answer as a person, %": "agreement"}
    groups = {
        title: [
            ("all clips" if one.category is None else spoken(one.category), one.num_clips, getattr(one, what),
             *(getattr(one, f"models_{what}")[model] for model in models))
            for one in found.classes
        ]
        for title, what in titles.items()
    }  # fmt: skip
    of_models = (Column(model, model, "percent") for model in models)
    return Table((*columns("people-classes"), *of_models), groups, totals=True)


def _missed(found: HumanComparison) -> Table:
    """List the clips that people, the models or both miss."""
    groups = {
        f"Missed by {MISSED_BY[whom]} ({len(clips)})": [
            (clip_name(one.clip), spoken(one.category), one.right, one.num_labels,
             one.named_instead and spoken(one.named_instead), one.models_right,
             one.answered_instead and spoken(one.answered_instead))
            for one in clips[:MOST_CLIPS]
        ]
        for whom, clips in found.missed.items()
        if clips
    }  # fmt: skip
    return Table(columns("people-clips"), groups)
