"""Calibration: reliability, temperature, thresholds, false alarms."""

from collections.abc import Iterator, Sequence

import numpy as np

from auricle.findings.calibration import ModelCalibration
from auricle.report.document import Chapter, Figure, Report
from auricle.report.figures.calibration import reliability_diagram
from auricle.report.figures.drawing import Panel, panel
from auricle.report.figures.style import drawable
from auricle.report.table import Row, Table, columns
from auricle.report.wording import spoken

NUM_DRAWN = 6  # models with a diagram: the most accurate ones
MOST_ROWS = 36  # of the table of classes, which has as many models as fit, but one at least


def calibration(report: Report) -> Chapter:
    """Return the chapter on the probabilities, of the protocol that answers the question."""
    found = report.findings.calibrations
    ranked = sorted(found, key=lambda one: report.findings.main.ranked.index(one.model))
    values = report.phrases | {
        "ranked": ranked,
        "drawn": ranked[:NUM_DRAWN],
        "clips_each": len(report.study.of(ranked[0].model, report.findings.main_protocol)[0].clips.clips),
        "hit_rate": lambda one: float(np.nanmean(one.hit_rates)),
    }
    return Chapter(values, {
        "table-calibration": Table(columns("calibration"), {"": list(map(_model_row, found))}),
        "figure-reliability": Figure(tuple(_diagrams(report, ranked[:NUM_DRAWN]))),
        "table-thresholds": _thresholds(report, ranked),
    })  # fmt: skip


def _model_row(one: ModelCalibration) -> Row:
    if one.gain is None:
        return one.model, None, one.error, None, one.lucky_error, one.loss, None, None, "not fitted"
    verdict = "no difference" if not one.gain.shown else "better" if one.gain.mean > 0 else "worse"
    return (
        one.model, float(np.mean(one.temperatures)), one.error, one.tempered_error, one.lucky_error, one.loss,
        one.tempered_loss, one.gain.p_adjusted, verdict,
    )  # fmt: skip


def _diagrams(report: Report, models: Sequence[ModelCalibration]) -> Iterator[Panel]:
    for index, one in enumerate(models):
        after = one.tempered_bins if one.is_fitted else None
        title = drawable(one.model, index, 30)
        drawn = reliability_diagram(one.bins, after, len(one.temperatures), report.colours[one.model], title)
        tempered = f", tempered {one.tempered_error:.3f}" if one.is_fitted else ""
        alt = f"Reliability of {one.model}: calibration error {one.error:.3f}{tempered}"
        yield panel(drawn, f"reliability-{report.anchors[one.model]}", alt)


def _thresholds(report: Report, ranked: Sequence[ModelCalibration]) -> Table:
    categories = report.study.dataset.categories
    groups = {
        one.model: [
            (spoken(category), *(None if np.isnan(value) else float(value) for value in values))
            for category, *values in zip(categories, one.thresholds, one.hit_rates, one.alarm_rates, strict=True)
        ]
        for one in ranked[: max(1, MOST_ROWS // len(categories))]
    }
    return Table(columns("thresholds"), groups)
