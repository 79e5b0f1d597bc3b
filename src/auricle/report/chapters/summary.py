"""The first page: the answer, how sure it is, and every configuration in one figure and one table."""

from collections.abc import Iterator

from auricle.findings.reference import chance, published_best
from auricle.findings.scores import ComparativeRow
from auricle.report.document import Chapter, Figure, Report
from auricle.report.figures.drawing import Panel, panel
from auricle.report.figures.results import accuracies
from auricle.report.table import BASELINE, COLLAPSED, Marked, Spread, Table, columns
from auricle.report.wording import percent

FEW_GROUPS = 6  # of test clips, below which an interval over groups is a guess


def summary(report: Report) -> Chapter:
    """Return the first page."""
    study, findings = report.study, report.findings
    best = findings.main.leaders[0]
    leaders = [comparison.leaders[0] for comparison in findings.comparisons.values()]
    values = report.phrases | {
        "best": best,
        "references": _references(report, best),
        "leaky": list(filter(study.is_leaky, study.protocols)),
        "few_groups": [row.protocol for row in leaders if row.test_groups < FEW_GROUPS],
        "grouped": any(row.test_groups < row.test_clips for row in leaders),
    }
    return Chapter(
        values, {"figure-accuracies": Figure(tuple(_accuracies(report))), "table-comparative": _table(report)}
    )


def _references(report: Report, best: ComparativeRow) -> dict[str, float]:
    """Return what to measure the best accuracy against on the first page, by its name."""
    published, baseline = published_best(report.study, best.protocol), report.findings.main.best_baseline
    marks = {} if published is None else {"best published": published}
    if baseline:
        marks[f"best free baseline, {baseline.model}"] = baseline.accuracy
    elif published is not None:
        marks["chance"] = chance(report.study, best.protocol)
    return marks


def _accuracies(report: Report) -> Iterator[Panel]:
    for protocol, comparison in report.findings.comparisons.items():
        cells = {
            row.model: [cell.test["clip"]["accuracy"] for cell in report.study.of(row.model, protocol)]
            for row in comparison.rows
        }
        published = published_best(report.study, protocol)
        marks = {} if published is None else {"best published": published, "chance": chance(report.study, protocol)}
        drawn = accuracies(comparison.rows, cells, report.colours, marks, report.title_of(protocol))
        alt = "; ".join(f"{row.model} {percent(row.accuracy)}" for row in comparison.rows)
        yield panel(drawn, f"accuracies-{protocol}", f"Test accuracy under {protocol}: {alt}")


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
