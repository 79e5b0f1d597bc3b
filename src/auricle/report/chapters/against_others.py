"""The models against what others say: people about the same clips, four published reports about the same models."""

import re
from collections.abc import Sequence

from auricle.config import TrainingConfig
from auricle.findings.human_labels import HumanComparison
from auricle.findings.reference import Reason, ReferenceRow, Verdict
from auricle.report.document import Chapter, Figure, Report
from auricle.report.figures.drawing import panel
from auricle.report.figures.results import confusion
from auricle.report.figures.style import MUTED
from auricle.report.table import COLLAPSED, Column, Marked, Row, Table, columns
from auricle.report.wording import NO_BREAK, clip_name, count, decimal, protocol_title, spoken
from auricle.scoring.difference import by_verdict

MOST_CLIPS = 12  # that are missed by the same
MISSED_BY = {"both": "people and models", "models": "the models only", "people": "people only"}
NO_BREAK_HYPHEN = "\N{NON-BREAKING HYPHEN}"
OPTIMIZERS = {"adam": "Adam", "adamw": "AdamW", "sgd": "SGD", "muon": "Muon"}


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


def reported(report: Report) -> Chapter | None:
    """Return the chapter; None for a study without models of the reports."""
    return reported_of(report.findings.reference) if report.findings.reference else None


def reported_of(rows: Sequence[ReferenceRow]) -> Chapter:
    """Return the chapter of what was found; the section of RESULTS.md takes its table."""
    differing = [
        row
        for row in rows
        if row.claim and row.measured
        and not (row.verdict == Verdict.AGREE and row.measured.parameters == row.claim.parameters)
    ]  # fmt: skip
    values = {"differing": differing, "Reason": Reason, "Verdict": Verdict, "protocol_title": protocol_title}
    groups: dict[str, list[Row]] = {}
    for row in rows:
        heading = f"Report {row.report}, scored per {'window' if row.by_window else 'clip'}"
        groups.setdefault(heading, []).append(_reference_values(row))
    return Chapter(values, {"table-reported": Table(columns("reported"), groups)})


def _reference_values(row: ReferenceRow) -> Row:
    claim, found, recipe = row.claim, row.measured, row.recipe
    optimizer, rate = recipe["optimizer"], recipe["learning_rate"]
    return (
        _model(row),
        _unbroken(protocol_title(row.protocol, leaky=row.leaky)),
        f"{OPTIMIZERS[optimizer]}{NO_BREAK}{rate:g}" if optimizer and rate else None,
        claim.test if claim else None,
        found.accuracy if found else None,
        f"{decimal(100 * found.low, 1)}–{decimal(100 * found.high, 1)}" if found else None,
        claim.f1 if claim else None,
        found.macro_f1 if found else None,
        claim.said.get("auc") if claim else None,
        found.macro_auc if found else None,
        claim.parameters if claim else None,
        found.parameters if found else None,
        _unbroken(row.absence or row.verdict.value),
    )


def _model(row: ReferenceRow) -> str | Marked:
    """Return which of its report's models one is, with its epochs or steps where they are not the usual ones."""
    name = _unbroken(short_name(row.preset))
    if row.recipe.get("max_steps"):
        name += f", {_unbroken(count(row.recipe['max_steps'], 'step'))}"
    elif row.recipe.get("epochs", TrainingConfig().epochs) != TrainingConfig().epochs:
        name += f", {_unbroken(count(row.recipe['epochs'], 'epoch'))}"
    return Marked(name, *COLLAPSED) if row.measured and row.measured.collapsed else name


def short_name(model: str) -> str:
    """Return which of its report's models one is.

    >>> short_name("report-a-cnn-own-recipe"), short_name("report-c-transformer-h2")
    ('CNN', 'T, 2 heads')
    """
    heads = re.search(r"transformer-h(\d)", model)
    return f"T, {count(int(heads[1]), 'head')}" if heads else "CNN"


def _unbroken(text: str) -> str:
    return text.replace(" ", NO_BREAK).replace("-", NO_BREAK_HYPHEN)
