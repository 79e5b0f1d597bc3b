"""How good the models are: the first page; scores by protocol, model and cell; calibration of the probabilities."""

import statistics
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from auricle.data.manifest import is_unequal
from auricle.findings.calibration import ModelCalibration
from auricle.findings.classes import total_confusion
from auricle.findings.dataset import Dataset
from auricle.findings.reference import published_best
from auricle.findings.scores import FEW_GROUPS, ComparativeRow, accuracy_of
from auricle.findings.study import CellEvidence, Study
from auricle.findings.trainings import Collapse
from auricle.report.document import Chapter, Exhibit, Figure, Report, parts
from auricle.report.figures.calibration import reliability_diagram
from auricle.report.figures.drawing import Drawing, Panel, panel
from auricle.report.figures.results import accuracies, confusion, roc
from auricle.report.figures.style import MANY, drawables
from auricle.report.table import BASELINE, COLLAPSED, Marked, Row, Spread, Table, Value, columns
from auricle.report.wording import percent, spoken
from auricle.scoring.answers import FalseAlarms
from auricle.scoring.difference import too_few_groups
from auricle.scoring.metrics import Curve, mean_curve, one_vs_rest

MOST_CURVES = 12  # models with ROC curves on a page
NUM_DRAWN = 6  # models with a diagram: the most accurate ones
ALL_GOOD = 0.97  # the macro AUC of every model above which the curves are drawn in their corner
MOST_ROWS = 36  # of the table of classes, which has as many models as fit, but one at least


def results(report: Report) -> Chapter:
    """Return the chapter with the scores of each model under each protocol."""
    exhibits: dict[str, Exhibit] = {}
    models: dict[str, list[tuple[str, ComparativeRow, list[Collapse]]]] = {}
    every = [one.macro_auc or 0.0 for comparison in report.findings.comparisons.values() for one in comparison.rows]
    corner = min(every) >= ALL_GOOD
    curves: dict[str, list[str]] = {}
    for protocol, comparison in report.findings.comparisons.items():
        models[protocol] = []
        for row in comparison.rows:
            name, cells = f"{protocol}-{report.anchors[row.model]}", report.study.of(row.model, protocol)
            fallen = [one for one in report.findings.collapses if one.cell in [cell.name for cell in cells]]
            models[protocol].append((name, row, fallen))
            exhibits |= _exhibits(report, name, row, cells)
        drawn = _curves(report, protocol, corner=corner)
        exhibits, curves[protocol] = {**exhibits, **drawn}, list(drawn)
    beside = len(report.study.dataset.categories) <= MANY  # of many classes, matrix and table are as wide as the page
    return Chapter(report.phrases | {"models": models, "curves": curves, "corner": corner, "beside": beside}, exhibits)


def cells(report: Report) -> Chapter:
    """Return the list of every finished cell."""
    num_shared = sum("same_as" in cell.costs for cell in report.study.cells)
    return Chapter(report.phrases | {"num_shared": num_shared}, {"table-cells": _cells(report)})


def _cells(report: Report) -> Table:
    collapsed = {one.cell for one in report.findings.collapses}
    groups: dict[str, list[Row]] = {}
    for cell in report.study.cells:
        clip, name = cell.test["clip"], cell.name
        test = accuracy_of(cell.test, report.study)
        validation = accuracy_of(cell.validation, report.study) if cell.validation else None
        model = Marked(name.model, *COLLAPSED) if name in collapsed else name.model
        groups.setdefault(report.title_of(name.protocol), []).append(
            (model, name.fold, name.seed, test, cell.test["window"]["accuracy"], validation,
             clip["macro_f1"], clip["macro_auc"], clip["loss"], cell.costs["seconds"] / 60)
        )  # fmt: skip
    return Table(columns("cells"), groups)


def _exhibits(report: Report, name: str, row: ComparativeRow, cells: Sequence[CellEvidence]) -> dict[str, Exhibit]:
    """Return the confusion matrix and the table of classes of one model under one protocol."""
    matrix = panel(confusion_of(report, row.model, row.protocol), f"confusion-{name}", f"Confusion matrix, {name}")
    return {
        f"figure-confusion-{name}": Figure((matrix,)),
        f"table-classes-{name}": _class_scores(report.study.dataset, cells, row),
    }


def _curves(report: Report, protocol: str, *, corner: bool) -> dict[str, Figure]:
    """Draw the ROC curves of the models under a protocol, or only their corner."""
    data = report.study.dataset
    labels = [data.categories.index(category) for category in data.classes]
    models = [row.model for row in report.findings.comparisons[protocol].rows]
    found = {model: mean_curves(report.study.of(model, protocol), labels) for model in models}

    def draw(some: Sequence[str]) -> Drawing:
        of_classes = {model: found[model] for model in some}
        means = {model: mean_curve(curves) for model, curves in of_classes.items()}
        return roc(of_classes, means, data.classes, corner=corner)

    return parts(f"roc-{protocol}", models, MOST_CURVES, draw, f"One-vs-rest ROC curves by class under {protocol}, of")


def confusion_of(report: Report, model: str, protocol: str, title: str = "") -> Drawing:
    """Return the confusion matrix of a model: the clips of all its cells under a protocol, the background last."""
    data = report.study.dataset
    total, order = total_confusion(report.study.of(model, protocol)), background_last(data)
    names = [data.categories[index] for index in order]
    apart = data.background is not None
    return confusion(total[np.ix_(order, order)], names, report.colours[model], title, apart=apart)


def mean_curves(cells: Sequence[CellEvidence], labels: Sequence[int]) -> list[Curve | None]:
    """Return the ROC curve of each of some classes: the mean over the cells that have one."""
    by_cell = [one_vs_rest(cell.clips.probabilities, cell.clips.labels) for cell in cells]
    if len(by_cell) == 1:
        return [by_cell[0][label] for label in labels]
    return [mean_curve([curves[label] for curves in by_cell]) for label in labels]


def background_last(data: Dataset) -> list[int]:
    """Return the indices of the categories, the background last."""
    return sorted(range(len(data.categories)), key=lambda index: data.categories[index] == data.background)


def _class_scores(data: Dataset, cells: Sequence[CellEvidence], row: ComparativeRow) -> Table:
    """Return the classification report: precision, recall, F1 and AUC of each class, means over cells.

    The background is listed separately, below the means, which do not include it.
    """
    rows = [_class_row(category, cells) for category in data.classes]
    num_clips = sum(num for *_, num in rows)
    mean = "macro mean", row.macro_precision, row.macro_recall, row.macro_f1, row.macro_auc, num_clips
    apart = {"Not in the mean": [_class_row(data.background, cells)]} if data.background else {}
    return Table(columns("classes"), {"": [*rows, mean], **apart}, totals=True)


def _class_row(category: str, cells: Sequence[CellEvidence]) -> tuple[Any, ...]:
    scores = [cell.test["clip"]["per_class"][category] for cell in cells]
    present = [score for score in scores if score["support"]]
    known = [[one[key] for one in present if one[key] is not None] for key in ("precision", "recall", "f1", "auc")]
    means = [statistics.fmean(values) if values else None for values in known]
    return spoken(category), *means, sum(score["support"] for score in scores)


def summary(report: Report) -> Chapter:
    """Return the first page."""
    study, findings = report.study, report.findings
    best = findings.main.leaders[0]
    leaders = [comparison.leaders[0] for comparison in findings.comparisons.values()]
    values = report.phrases | {
        "best": best,
        "references": _references(report, best),
        "few_groups": [row for row in leaders if row.test_groups < FEW_GROUPS],
        "grouped": any(row.test_groups < row.test_clips for row in leaders),
        "drawn_evenly": _drawn_evenly(study),
    }
    return Chapter(
        values, {"figure-accuracies": Figure(tuple(_accuracies(report))), "table-comparative": _table(report)}
    )


def _drawn_evenly(study: Study) -> bool:
    """Return whether a training drew background no more often than a class, though there is more of it."""
    sizes = (sum(by_fold.values()) for by_fold in study.dataset.counts.values())
    return is_unequal(sizes) and any(preset.training.balance == "sampling" for preset in study.presets.values())


def _references(report: Report, best: ComparativeRow) -> dict[str, float]:
    """Return what to compare the best accuracy with on the first page, by its name."""
    published, baseline = published_best(report.study, best.protocol), report.findings.main.best_baseline
    marks = {f"best published result cited, {published.source}": published.accuracy} if published else {}
    if baseline:
        marks[f"best free baseline, {baseline.model}"] = baseline.accuracy
    elif published:
        marks["chance"] = report.study.answers[best.protocol].majority
    return marks


def _accuracies(report: Report) -> Iterator[Panel]:
    for protocol, comparison in report.findings.comparisons.items():
        alt = "; ".join(f"{row.model} {percent(row.accuracy)}" for row in comparison.rows)
        drawn = accuracies_of(report, protocol)
        yield panel(drawn, f"accuracies-{protocol}", f"Test accuracy under {protocol}: {alt}")


def accuracies_of(report: Report, protocol: str) -> Drawing:
    """Return the test accuracy of each model under a protocol, with published results."""
    study, rows = report.study, report.findings.comparisons[protocol].rows
    cells = {row.model: [accuracy_of(cell.test, study) for cell in study.of(row.model, protocol)] for row in rows}
    published = published_best(study, protocol)
    marks = {published.source: published.accuracy, "chance": study.answers[protocol].majority} if published else {}
    return accuracies(rows, cells, report.colours, marks, report.title_of(protocol))


def _table(report: Report) -> Table:
    """Return the table of all configurations: one row per model and baseline, grouped by protocol."""
    data = report.study.dataset
    shown = columns("comparative", **({"clip_accuracy": "Balanced acc., %"} if data.imbalance else {}))
    shown = tuple(column for column in shown if column.key != "false_alarms" or data.background)
    groups = {
        report.title_of(protocol): [
            (_marked(row), row.cells, Spread(row.validation_accuracy, row.validation_accuracy_sd),
             Spread(row.accuracy, row.accuracy_sd), *(_shown(getattr(row, column.key)) for column in shown[4:]))
            for row in (*comparison.rows, *comparison.baselines)
        ]
        for protocol, comparison in report.findings.comparisons.items()
    }  # fmt: skip
    return Table(shown, groups)


def _shown(value: Any) -> Value:
    return value.an_hour if isinstance(value, FalseAlarms) else value


def _marked(row: ComparativeRow) -> str | Marked:
    if row.baseline:
        return Marked(row.model, *BASELINE)
    return Marked(row.model, *COLLAPSED) if row.collapsed else row.model


def calibration(report: Report) -> Chapter:
    """Return the chapter on the probabilities, of the protocol that answers the question."""
    found = report.findings.calibrations
    ranked = sorted(found, key=lambda one: report.findings.main.ranked.index(one.model))
    tested = report.study.background_answers.get(report.findings.main_protocol)
    alarmed = _num_alarmed(report)
    values = report.phrases | {
        "ranked": ranked,
        "drawn": ranked[:NUM_DRAWN],
        "too_few_groups": too_few_groups([one.surplus for one in found]),
        "num_listed": _num_listed(report),
        "clips_each": min(alarmed),
        "alike": min(alarmed) == max(alarmed),
        "on_background": bool(tested and tested.clips),
        "hit_rate": lambda one: float(np.nanmean(one.hit_rates)),
    }
    return Chapter(values, {
        "table-calibration": Table(columns("calibration"), {"": list(map(_model_row, found))}),
        "figure-reliability": Figure(tuple(_diagrams(report, ranked[:NUM_DRAWN]))),
        "table-thresholds": _thresholds(report, ranked),
    })  # fmt: skip


def _num_alarmed(report: Report) -> list[int]:
    """Return how many clips of each cell count for false alarms: those of background, where any cell tests some."""
    cells = report.study.of(report.findings.main.ranked[0], report.findings.main_protocol)
    background = {*report.study.dataset.categories} - {*report.study.dataset.classes}
    of_background = [num for cell in cells if (num := len(cell.clips.of_classes(background).clips))]
    return of_background or [len(cell.clips.clips) for cell in cells]


def _model_row(one: ModelCalibration) -> Row:
    if one.gain is None:
        return one.model, None, one.error, None, one.ideal_error, one.loss, None, None, "not fitted"
    verdict = "not significantly different" if not one.gain.significant else "lower" if one.gain.mean > 0 else "higher"
    return (
        one.model, float(np.mean(one.temperatures)), one.error, one.scaled_error, one.ideal_error, one.loss,
        one.scaled_loss, one.gain.p_adjusted, verdict,
    )  # fmt: skip


def _diagrams(report: Report, models: Sequence[ModelCalibration]) -> Iterator[Panel]:
    protocol = report.findings.main_protocol
    titles = drawables([one.model for one in models], 30)
    for one, title in zip(models, titles, strict=True):
        after = one.scaled_bins if one.is_fitted else None
        tested = [clip for cell in report.study.of(one.model, protocol) for clip in cell.clips.clips]
        times = len(tested) / len({*tested})  # that a clip is tested
        drawn = reliability_diagram(one.bins, after, times, report.colours[one.model], title)
        scaled = f", after temperature scaling {one.scaled_error:.3f}" if one.is_fitted else ""
        alt = f"Reliability of {one.model}: calibration error {one.error:.3f}{scaled}"
        yield panel(drawn, f"reliability-{report.anchors[one.model]}", alt)


def _num_listed(report: Report) -> int:
    """Return the number of models of which a table of all classes fits on a page."""
    return max(1, MOST_ROWS // len(report.study.dataset.categories))


def _thresholds(report: Report, ranked: Sequence[ModelCalibration]) -> Table:
    categories, background = report.study.dataset.categories, report.study.dataset.background
    groups = {
        one.model: [
            (spoken(category), *(None if np.isnan(value) else float(value) for value in values))
            for category, *values in zip(categories, one.thresholds, one.hit_rates, one.alarm_rates, strict=True)
            if category != background
        ]
        for one in ranked[: _num_listed(report)]
    }
    return Table(columns("thresholds"), groups)
