"""Calibration: reliability, temperature, thresholds, false alarms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from auricle.findings.calibration import ModelCalibration
from auricle.report.chapters.summary import phrase_values
from auricle.report.document import Chapter, Exhibit, Figure, Report
from auricle.report.figures.calibration import reliability_diagram
from auricle.report.figures.drawing import panel
from auricle.report.figures.style import drawable
from auricle.report.table import Column, Table, Value
from auricle.report.wording import decimal, spoken

NUM_DRAWN = 6  # models with a diagram: the most accurate ones
MOST_ROWS = 36  # of the table of classes, which has as many models as fit, but one at least
MODELS = (
    Column("model", "Model", "code"),
    Column("temperature", "Temperature", "ratio"),
    Column("error", "Error as trained", "ratio"),
    Column("tempered_error", "tempered", "ratio"),
    Column("lucky_error", "by luck", "ratio"),
    Column("loss", "Loss as trained", "ratio"),
    Column("tempered_loss", "tempered", "ratio"),
    Column("p", "adjusted p", "p"),
    Column("verdict", "Tempered is", grows=True),
)
CLASSES = (
    Column("class", "Class"),
    Column("threshold", "Threshold", "ratio"),
    Column("hit_rate", "Named, %", "percent"),
    Column("alarm_rate", "False alarms an hour", "minutes"),
)


def calibration(report: Report) -> Chapter:
    """Return the chapter on the probabilities, of the protocol that answers the question."""
    found = report.findings.calibrations
    ranked = sorted(found, key=lambda one: report.findings.main.ranked.index(one.model))
    fitted = [one for one in ranked if one.gain]
    errors = [decimal(lucky([one.lucky_error for one in ranked]), 2) for lucky in (min, max)]
    clip_s, answers = report.study.dataset.clip_s, report.study.answers[report.findings.main_protocol]
    tests = (answers.of_model(ranked[0].model) >= 0).sum(axis=1)  # clips of each cell
    num_clips = int(tests[tests > 0][0])
    values = phrase_values(report) | {
        "ranked": ranked[:NUM_DRAWN],
        "more_models": len(ranked) > NUM_DRAWN,
        "fitted": fitted,
        "too_sure": [one for one in ranked if one.surplus.shown and one.surplus.mean > 0],
        "too_cautious": [one for one in ranked if one.surplus.shown and one.surplus.mean < 0],
        "sure_enough": [one.model for one in ranked if not one.surplus.shown],
        "lowered": [one for one in fitted if _verdict(one) == "better"],
        "raised": [one for one in fitted if _verdict(one) == "worse"],
        "unchanged": [one.model for one in fitted if _verdict(one) == "no difference"],
        "luck": " to ".join(dict.fromkeys(errors)),
        "clips_each": num_clips,
        "clip_s": f"{clip_s:g}",
        "minutes_each": num_clips * clip_s / 60,
        "hit_rate": lambda one: float(np.nanmean(one.hit_rates)),
    }
    exhibits: dict[str, Exhibit] = {
        "table-calibration": Table(MODELS, {"": [_model_row(one) for one in found]}),
        "figure-reliability": _diagrams(report, ranked[:NUM_DRAWN]),
        "table-thresholds": _thresholds(report, ranked),
    }
    return Chapter(values, exhibits)


def _verdict(one: ModelCalibration) -> str:
    """Return what the data show of the temperature, in a cell of a table."""
    if one.gain is None:
        return "not fitted"
    return "no difference" if not one.gain.shown else "better" if one.gain.mean > 0 else "worse"


def _model_row(one: ModelCalibration) -> tuple[Value, ...]:
    temperature, tempered_error, tempered_loss, p = (
        (float(np.mean(one.temperatures)), one.tempered_error, one.tempered_loss, one.gain.p_adjusted)
        if one.gain
        else (None,) * 4
    )
    return (
        one.model, temperature, one.error, tempered_error, one.lucky_error, one.loss, tempered_loss, p, _verdict(one),
    )  # fmt: skip


def _diagrams(report: Report, models: Sequence[ModelCalibration]) -> Figure:
    panels = []
    for index, one in enumerate(models):
        after = one.tempered_bins if one.is_fitted else None
        title = drawable(one.model, index, 30)
        drawn = reliability_diagram(one.bins, after, len(one.temperatures), report.colours[one.model], title)
        alt = f"Reliability of {one.model}: calibration error {one.error:.3f}"
        if one.is_fitted:
            alt += f", tempered {one.tempered_error:.3f}"
        panels.append(panel(drawn, f"reliability-{report.anchors[one.model]}", alt))
    return Figure(tuple(panels))


def _thresholds(report: Report, ranked: Sequence[ModelCalibration]) -> Table:
    categories = report.study.dataset.categories
    groups: dict[str, list[tuple[Value, ...]]] = {}
    for one in ranked[: max(1, MOST_ROWS // len(categories))]:
        columns = (one.thresholds, one.hit_rates, one.alarm_rates)
        groups[one.model] = [
            (spoken(category), *(None if np.isnan(value) else float(value) for value in values))
            for category, *values in zip(categories, *columns, strict=True)
        ]
    return Table(CLASSES, groups)
