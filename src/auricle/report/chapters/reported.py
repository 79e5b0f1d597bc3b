"""What four published reports say of their models, beside what this study measured of the same ones."""

import re
from collections.abc import Sequence

from auricle.config import TrainingConfig
from auricle.findings.reference import Reason, ReferenceRow, Verdict
from auricle.report.document import Chapter, Report
from auricle.report.table import COLLAPSED, Marked, Row, Table, columns
from auricle.report.wording import NO_BREAK, count, decimal, protocol_title

NO_BREAK_HYPHEN = "\N{NON-BREAKING HYPHEN}"
OPTIMIZERS = {"adam": "Adam", "adamw": "AdamW", "sgd": "SGD", "muon": "Muon"}


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
