"""The first page: the answer, how sure it is, and every configuration in one figure and one table."""

from typing import Any

import numpy as np

from auricle.findings.reference import published_best
from auricle.findings.scores import ComparativeRow
from auricle.findings.study import Study
from auricle.findings.trainings import Collapse
from auricle.report.document import Chapter, Figure, Report
from auricle.report.figures.drawing import panel
from auricle.report.figures.results import accuracies
from auricle.report.table import Marked, Spread, Table, columns
from auricle.report.wording import percent
from auricle.training.watch import MEANINGS

FEW_GROUPS = 6  # of test clips, below which an interval over groups is a guess
COLLAPSED, BASELINE = ("†", "collapsed"), ("‡", "free baseline")


def summary(report: Report) -> Chapter:
    """Return the first page."""
    study, findings = report.study, report.findings
    main = findings.main
    best = main.leaders[0]
    comparisons = list(findings.comparisons.values())
    leaders = [comparison.leaders[0] for comparison in comparisons]
    values = phrase_values(report) | {
        "best": best,
        "references": _references(report, best),
        "leaky": [protocol for protocol in study.protocols if study.is_leaky(protocol)],
        "few_groups": [row.protocol for row in leaders if row.test_groups < FEW_GROUPS],
        "grouped": any(row.test_groups < row.test_clips for row in leaders),
        "unbeaten": [comparison for comparison in comparisons if comparison.unbeaten_baseline],
    }
    return Chapter(values, {"figure-accuracies": _accuracies(report), "table-comparative": _table(report)})


def phrase_values(report: Report) -> dict[str, Any]:
    """Return what the phrases of several chapters need."""
    study, findings = report.study, report.findings
    published = {protocol: published_best(study, protocol) for protocol in study.protocols}
    collapsed: dict[tuple[str, str], list[Collapse]] = {}
    for one in findings.collapses:
        collapsed.setdefault((one.cell.model, one.cell.protocol), []).append(one)
    return {
        "study": study,
        "findings": findings,
        "main": findings.main,
        "stamped": report.title_of,
        "published": {protocol: share for protocol, share in published.items() if share is not None},
        "chance": {protocol: chance(study, protocol) for protocol in study.protocols},
        "meanings": MEANINGS,
        "collapsed_groups": [(*names, fallen, len(study.of(*names))) for names, fallen in collapsed.items()],
    }


def chance(study: Study, protocol: str) -> float:
    """Return the accuracy of always giving the class that is commonest among a protocol's test clips."""
    counts = np.bincount(study.answers[protocol].labels)
    return float(counts.max() / counts.sum())


def _references(report: Report, best: ComparativeRow) -> dict[str, float]:
    """Return what to measure the best accuracy against on the first page, by its name."""
    published, baseline = published_best(report.study, best.protocol), report.findings.main.best_baseline
    marks = {} if published is None else {"best published": published}
    if baseline:
        marks[f"best free baseline, {baseline.model}"] = baseline.accuracy
    elif published is not None:
        marks["chance"] = chance(report.study, best.protocol)
    return marks


def _accuracies(report: Report) -> Figure:
    panels = []
    for protocol, comparison in report.findings.comparisons.items():
        cells = {
            row.model: [cell.test["clip"]["accuracy"] for cell in report.study.of(row.model, protocol)]
            for row in comparison.rows
        }
        published = published_best(report.study, protocol)
        marks = {} if published is None else {"best published": published, "chance": chance(report.study, protocol)}
        drawn = accuracies(comparison.rows, cells, report.colours, marks, report.title_of(protocol))
        alt = "; ".join(f"{row.model} {percent(row.accuracy)}" for row in comparison.rows)
        panels.append(panel(drawn, f"accuracies-{protocol}", f"Test accuracy under {protocol}: {alt}"))
    return Figure(tuple(panels))


def _table(report: Report) -> Table:
    """Return the table of all configurations: one row a model and baseline, grouped by protocol."""
    shown = columns("comparative")
    groups = {
        report.title_of(protocol): [
            (_marked(row), row.cells, Spread(row.accuracy, row.accuracy_sd),
             *(getattr(row, column.key) for column in shown[3:]))
            for row in (*comparison.rows, *comparison.baselines)
        ]
        for protocol, comparison in report.findings.comparisons.items()
    }  # fmt: skip
    return Table(shown, groups)


def _marked(row: ComparativeRow) -> str | Marked:
    if row.baseline:
        return Marked(row.model, *BASELINE)
    return Marked(row.model, *COLLAPSED) if row.collapsed else row.model
