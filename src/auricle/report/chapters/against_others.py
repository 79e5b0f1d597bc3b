"""Models compared with others: with people on the same clips, and with published results of the same models."""

from collections.abc import Sequence

from auricle.config import ReferenceFigure
from auricle.config.reference import ABSENT
from auricle.findings.human_labels import HumanComparison
from auricle.findings.reference import ReferenceRow, Verdict
from auricle.findings.study import Study
from auricle.report.document import Chapter, Figure, Report
from auricle.report.figures.drawing import panel
from auricle.report.figures.results import confusion
from auricle.report.figures.style import MUTED
from auricle.report.table import COLLAPSED, Column, Marked, Row, Table, columns
from auricle.report.wording import clip_name, decimal, protocol_title, spoken
from auricle.scoring.difference import by_verdict

MOST_CLIPS = 12  # listed in a group of misclassified clips
MISSED_BY = {"both": "people and models", "models": "the models only", "people": "people only"}


def human_labels(report: Report) -> Chapter | None:
    """Return the chapter; None where nobody was asked about the test clips."""
    if (found := report.findings.human_labels) is None:
        return None
    main = report.findings.main
    best = next(model for model in main.ranked if model in found.models)  # others tested none of these clips
    values = report.phrases | {
        "found": found,
        "best": best,
        "verdicts": dict(zip(("ahead", "behind", "open"), by_verdict(found.differences), strict=True)),
        "missed": [(len(clips), MISSED_BY[whom]) for whom, clips in found.missed.items()],
        "most_clips": MOST_CLIPS,
    }
    return Chapter(values, {
        "figure-people": _confusions(report, found, best),
        "table-people-classes": _by_class(found, main.foremost(tuple(found.models))),
        "table-people-clips": _missed(found),
    })  # fmt: skip


def _confusions(report: Report, found: HumanComparison, best: str) -> Figure:
    """Draw the confusion matrices of people and of the best model side by side."""
    categories = report.study.dataset.categories
    of_people = confusion(found.confusion, categories, MUTED, "people", "class given by people")
    of_best = confusion(found.model_confusions[best], categories, report.colours[best], best)
    return Figure((
        panel(of_people, "confusion-people", "Confusion matrix of people"),
        panel(of_best, "confusion-beside-people", f"Confusion matrix of {best} on the clips that people labelled"),
    ))  # fmt: skip


def _by_class(found: HumanComparison, models: list[str]) -> Table:
    """List how often people and models are correct and agree, by class."""
    titles = {"Correct answers, %": "right", "Same answer as a person, %": "agreement"}
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
    """List the clips that people, the models or both misclassify."""
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


def reported(report: Report) -> Chapter | None:
    """Return the chapter; None for a study that cites nobody who reports of its models."""
    return reported_of(report.findings.reference, report.study) if report.findings.reference else None


def reported_of(rows: Sequence[ReferenceRow], study: Study) -> Chapter:
    """Return the chapter of what was found; the section of RESULTS.md takes its table."""
    sources = [(one.source, one.about) for one in study.config.reference if one.source in {row.source for row in rows}]
    differing = [row for row in rows if row.measured and row.verdict != Verdict.AGREE]
    values = {"sources": sources, "differing": differing, "Verdict": Verdict, "protocol_title": protocol_title}
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(f"{row.source}, {'windows' if row.by_window else 'clips'}", []).append(_reference_values(row))
    return Chapter(values, {"table-reported": Table(columns("reported"), groups)})


def _reference_values(row: ReferenceRow) -> Row:
    figure, found = row.figure, row.measured
    measured = (found.macro_f1, found.macro_auc, found.parameters) if found else (None, None, None)
    pairs = zip(
        (figure.macro_f1, figure.macro_auc, row.parameters), measured, ("{:.3f}", "{:.3f}", "{:,}"), strict=True
    )
    return (
        Marked(figure.model, *COLLAPSED) if found and found.collapsed else figure.model,
        protocol_title(figure.protocol, leaky=row.leaky),
        statistic(figure),
        f"{figure.accuracy:g}",
        found.accuracy if found else None,
        f"{decimal(100 * found.low, 1)}–{decimal(100 * found.high, 1)}" if found else None,
        *(_both(*pair) for pair in pairs),
        row.absence or row.verdict.value,
    )


def statistic(figure: ReferenceFigure) -> str:
    """Say over what a figure was made.

    >>> statistic(ReferenceFigure(model="cnn", protocol="k-fold", accuracy=60, statistic="best", trainings=4))
    'test, best of 4'
    """
    return f"{figure.of}, {figure.statistic} of {figure.trainings}" if figure.trainings > 1 else figure.of


def _both(reported: float | None, measured: float | None, form: str) -> str | None:
    """Write a reported number and the measured one; None where both are unknown."""
    if reported is None and measured is None:
        return None
    return " / ".join(form.format(number) if number is not None else ABSENT for number in (reported, measured))
