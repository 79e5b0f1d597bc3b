"""What four published reports say of their models, beside what this study measured of the same ones."""

from __future__ import annotations

import re
from collections.abc import Sequence

from auricle.config import TrainingConfig
from auricle.report.chapter_summary import stamped
from auricle.report.collapses import MARK, MEANING, marked
from auricle.report.document import Block, Bullets, Paragraph, Section
from auricle.report.evidence import Study
from auricle.report.reported import (
    Claim,
    Measured,
    absence,
    claims,
    concerned,
    measured,
    model_of,
    reasons,
    standing,
    unclaimed,
)
from auricle.report.table import Column, Table, Value
from auricle.report.wording import NO_BREAK, Ref, Strong, Text, count, decimal, percent, points

_COLUMNS = (
    Column("model", "Model"),
    Column("protocol", "Protocol"),
    Column("optimiser", "Optimiser"),
    Column("reported_accuracy", "Rep. %", "percent"),
    Column("measured_accuracy", "Meas. %", "percent"),
    Column("interval", "95 % interval", "percent"),
    Column("reported_f1", "F1 rep.", "ratio"),
    Column("measured_f1", "F1", "ratio"),
    Column("reported_auc", "AUC rep.", "ratio"),
    Column("measured_auc", "AUC", "ratio"),
    Column("reported_parameters", "Param. rep.", "count"),
    Column("counted_parameters", "Param.", "count"),
    Column("standing", "Verdict"),
)
NO_BREAK_HYPHEN = "\N{NON-BREAKING HYPHEN}"
_NAMES = {"adam": "Adam", "adamw": "AdamW", "sgd": "SGD", "muon": "Muon"}


def reported_chapter(study: Study) -> Sequence[Section]:
    """Return the chapter; nothing for a study without models of the reports."""
    if not concerned(study):
        return ()
    compared = _compared(study)
    differences = [
        text for claim, model, found in compared if model and found for text in _difference(study, claim, model, found)
    ]
    blocks: list[Block] = [Paragraph(_introduction()), _table(study, compared)]
    if differences:
        blocks += [Paragraph(("Where measured and reported part:",)), Bullets(tuple(differences))]
    return (Section("reported", "Reported and measured", tuple(blocks)),)


def reported_table(study: Study) -> Table:
    """Return every figure of the reports beside what the study measured; then what it trained in ways that none has."""
    return _table(study, _compared(study))


def _compared(study: Study) -> list[tuple[Claim, str | None, Measured | None]]:
    """Return every claim, the study's model that it is about, and what was measured of that."""
    models = [(claim, model_of(study, claim)) for claim in claims()]
    return [(claim, model, _found(study, claim, model, claim.protocol) if model else None) for claim, model in models]


def _table(study: Study, compared: Sequence[tuple[Claim, str | None, Measured | None]]) -> Table:
    groups: dict[str, list[tuple[Value, ...]]] = {}
    for claim, model, found in compared:
        groups.setdefault(_heading(claim), []).append(_row(study, claim, model, claim.protocol, found))
    for claim, model, protocol in unclaimed(study):
        found = _found(study, claim, model, protocol)
        groups[_heading(claim)].append(_row(study, None, model, protocol, found))
    caption: Text = (
        "Test accuracy, macro F1, macro AUC and parameters, as the reports print them (rep.) and as measured here; the "
        "interval is that of Wilson for the number of test clips. “Agree”: the reported accuracy lies inside it. A "
        "dash: the report does not say. T: its transformer. After 100 epochs where no other number is "
        f"named. {MARK}: a training {MEANING}.",
    )
    return Table("table-reported", caption, _COLUMNS, groups)


def _found(study: Study, claim: Claim, model: str, protocol: str) -> Measured | None:
    return measured(study, model, protocol, by_window=claim.by_window)


def _introduction() -> Text:
    return (
        "Four published reports answered the same specification. Their models stand here as presets with the "
        "optimiser, rate, batch and epochs that they name; ", Ref("table-reported"), " sets their figures beside those "
        "measured here, per window where the report scored windows. A row that was not trained says so.",
    )  # fmt: skip


def _heading(claim: Claim) -> str:
    return f"Report {claim.report}, scored per {'window' if claim.by_window else 'clip'}"


def _row(
    study: Study, claim: Claim | None, model: str | None, protocol: str, found: Measured | None
) -> tuple[Value, ...]:
    """Return a row of the table; without a claim, of a configuration that no report has."""
    training = study.presets[model].training if model else None
    shown = _unbroken(_short(claim.model if claim else model or ""))
    if training and training.max_steps:
        shown += f", {_unbroken(count(training.max_steps, 'step'))}"
    elif training and training.epochs != TrainingConfig().epochs:
        shown += f", {_unbroken(count(training.epochs, 'epoch'))}"
    said = claim.said if claim else {}
    optimiser = training.optimizer if training else said.get("optimizer")
    rate = training.learning_rate if training else said.get("rate")
    word = "not reported"
    if claim or found is None:
        word = standing(claim, found) if claim and found else absence(study, model, protocol)
    return (
        marked(shown, found.cells) if found else shown,
        _unbroken(stamped(study, protocol)),
        f"{_NAMES[optimiser]}{NO_BREAK}{rate:g}" if optimiser and rate else None,
        claim.test if claim else None,
        found.accuracy if found else None,
        f"{decimal(100 * found.low, 1)}–{decimal(100 * found.high, 1)}" if found else None,
        claim.f1 if claim else None,
        found.macro_f1 if found else None,
        said.get("auc"),
        found.macro_auc if found else None,
        claim.parameters if claim else None,
        found.parameters if found else None,
        _unbroken(word),
    )


def _short(model: str) -> str:
    """Return which of its report's models one is.

    >>> _short("report-a-cnn-own-recipe"), _short("report-c-transformer-h2")
    ('CNN', 'T, 2 heads')
    """
    heads = re.search(r"transformer-h(\d)", model)
    return f"T, {count(int(heads[1]), 'head')}" if heads else "CNN"


def _unbroken(words: str) -> str:
    return words.replace(" ", NO_BREAK).replace("-", NO_BREAK_HYPHEN)


def _difference(study: Study, claim: Claim, model: str, found: Measured) -> list[Text]:
    """Return a sentence where measured and reported part; none where they agree."""
    word = standing(claim, found)
    leaky = study.is_leaky(claim.protocol)
    head = f"{model}, {stamped(study, claim.protocol)}"
    if word == "agree" and found.parameters == claim.parameters:
        return []
    why = "; ".join(reasons(claim, found, leaky=leaky, num_classes=len(study.dataset.categories)))
    text = {
        "agree": "the accuracies agree",
        "both collapsed": f"collapsed there and here: {why}",
    }.get(word)
    if text is None:
        gap = points(abs(found.accuracy - float(claim.test) / 100))
        text = f"{claim.test} % reported, {percent(found.accuracy)} measured, {gap} {word.split()[0]}: {why}"
    if found.parameters != claim.parameters:
        text += f"; {claim.parameters:,} parameters reported, {found.parameters:,} counted"
    return [(Strong(head), f". {text[0].upper()}{text[1:]}.")]
