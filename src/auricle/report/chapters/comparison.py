"""Comparison of models: ranking with ties, paired tests, baselines, numbers of heads, and observations."""

from collections import Counter
from collections.abc import Iterator, Mapping
from os.path import commonprefix
from typing import Any

import numpy as np

from auricle.errors import MOST_NAMED
from auricle.findings.classes import class_f1, confused_pairs
from auricle.findings.comparison import MOST_SHOWN, Comparison, head_counts
from auricle.findings.scores import cell_weights
from auricle.findings.trainings import commonest_answer, diverged
from auricle.report.document import Chapter, Figure, Report
from auricle.report.figures.drawing import Panel, panel
from auricle.report.figures.results import f1_by_model, ranking_bars
from auricle.report.table import Range, Table, columns
from auricle.report.wording import decimal, listing, signed, span

NUM_NAMED = 3
SHORTEST_STEM = 3  # letters that names must begin with alike to be called by them


def comparison(report: Report) -> Chapter:
    """Return the chapter that compares the models."""
    study, findings = report.study, report.findings
    found = head_counts(study, findings.comparisons)
    several = len({family_name(one.family) for one in found}) > 1
    values = report.phrases | _observed(report) | {
        "validation": validated(report),
        "families": [(f"{family_name(one.family)}, " if several else "", one) for one in found],
    }  # fmt: skip
    return Chapter(values, {
        "figure-ranking": Figure(tuple(_ranking(report))), "figure-f1-models": _f1_by_model(report),
    })  # fmt: skip


def details(report: Report) -> Chapter:
    """Return the tests behind the comparison."""
    values = {"validation": validated(report), "all_pairs": len(report.study.models) <= MOST_SHOWN}
    return Chapter(report.phrases | values, {
        "table-spread": _spreads(report),
        "table-pairs": _pairs(report, "pairs"),
        "table-validation-pairs": _pairs(report, "validation_pairs"),
        "table-baselines": _pairs(report, "against_baseline", all_rows=True),
    })  # fmt: skip


def validated(report: Report) -> Comparison | None:
    """Return the comparison that has pairs on validation clips; None where no protocol has."""
    return next((one for one in report.findings.comparisons.values() if one.validation_pairs), None)


def family_name(family: Mapping[int, str]) -> str:
    """Return the common part of the names of a family, with `…` for the rest; all names if it is too short.

    >>> family_name({1: "small-h1-slow", 4: "small-h4-slow"}), family_name({1: "one", 4: "four"})
    ('small-h…-slow', 'one and four')
    """
    names = list(family.values())
    head = commonprefix(names)  # noqa: RUF071 - letters, not folders
    tail = commonprefix([name[len(head) :][::-1] for name in names])[::-1]  # noqa: RUF071
    return f"{head}…{tail}" if len(head) >= SHORTEST_STEM else listing(names)


def _ranking(report: Report) -> Iterator[Panel]:
    """Draw the ranking under each protocol with several models."""
    for protocol, one in report.findings.comparisons.items():
        if len(one.ranking) > 1:
            drawn = ranking_bars(one.ranking, one.ties, report.colours, report.title_of(protocol))
            alt = "; ".join(f"{rank.row.model} {span(rank.first, rank.last)}" for rank in one.ranking)
            yield panel(drawn, f"ranking-{protocol}", f"Ranks under {protocol}: {alt}")


def _spreads(report: Report) -> Table:
    """Return accuracy, its interval, and its spread over folds and seeds."""
    groups = {
        report.title_of(protocol): [
            (row.model, row.cells, row.accuracy, row.fold_sd, row.seed_sd, row.test_clips, row.test_groups,
             f"{decimal(100 * row.accuracy_low, 1)} to {decimal(100 * row.accuracy_high, 1)}")
            for row in one.rows
        ]
        for protocol, one in report.findings.comparisons.items()
    }  # fmt: skip
    return Table(columns("spread"), groups)


def _pairs(report: Report, which: str, *, all_rows: bool = False) -> Table:
    """Return comparisons by protocol; of very many models the report shows those of the most accurate one."""
    groups = {
        report.title_of(protocol): [
            (pair.first, pair.second, pair.mean, Range(pair.low, pair.high), pair.wins, pair.losses,
             f"{pair.trainings_won} of {pair.trainings}", pair.p_groups, pair.p_trainings, pair.p_adjusted,
             "yes" if pair.significant else "no")
            for pair in getattr(comparison, which)
        ]
        for protocol, comparison in report.findings.comparisons.items()
        if getattr(comparison, which)
    }  # fmt: skip
    shown: dict[str, int] = {}
    if len(report.study.models) > MOST_SHOWN and not all_rows:
        shown = {title: sum(row[0] == rows[0][0] for row in rows) for title, rows in groups.items()}
    return Table(columns("pairs"), groups, shown=shown)


def _f1_by_model(report: Report) -> Figure:
    categories, protocol = report.study.dataset.classes, report.findings.main_protocol
    means = {
        model: [float(np.mean(class_f1(report.study.of(model, protocol), name) or np.nan)) for name in categories]
        for model in report.findings.main.foremost(report.study.models)
    }
    drawn = f1_by_model(means, categories, report.colours)
    return Figure((panel(drawn, "f1-models", "F1 of each class, one mark a model"),))


def _observed(report: Report) -> dict[str, Any]:
    """Return the values of the observations: spreads, classes, confusions, overfitting, validation and windows."""
    study, main = report.study, report.findings.main
    cells = [cell for cell in study.cells if cell.name.protocol == main.protocol]
    several = [row for row in main.rows if row.cells > 1]
    validated = [row for row in main.rows if row.validation_accuracy is not None]
    means = {category: class_f1(cells, category) for category in study.dataset.classes}
    gains = []  # of both, plain accuracy, as windows have no balanced one
    for row in main.rows:
        own = study.of(row.model, main.protocol)
        each = [cell.test["clip"]["accuracy"] - cell.test["window"]["accuracy"] for cell in own]
        if any(cell.test["window"]["num"] > cell.test["clip"]["num"] for cell in own):
            gains.append(float(np.average(each, weights=cell_weights(own))))
    gaps = []  # model, training and validation accuracy at the last epoch, means over cells
    for model in study.models:
        last = [cell.history[-1] for cell in study.of(model, main.protocol) if cell.history]
        ends = [(end["train_accuracy"], end["validation_accuracy"]) for end in last if "validation_accuracy" in end]
        if ends:
            gaps.append((model, *np.mean(ends, axis=0).tolist()))
    validation = None
    if validated:
        few, test = min(row.test_clips for row in validated), float(np.mean([row.accuracy for row in validated]))
        mean = float(np.mean([row.validation_accuracy for row in validated]))
        interval = study.answers[main.protocol].interval(*(row.model for row in validated))
        validation = {"mean": mean, "test": test, "few": few, "interval": interval}
    return {
        "widest": max(several, key=lambda row: row.accuracy_max - row.accuracy_min, default=None),
        "class_order": sorted((float(np.mean(found)), category) for category, found in means.items() if found),
        "fewest_clips": min(Counter(study.answers[main.protocol].labels.tolist()).values()),
        "confusions": confused_pairs(cells, study.dataset.categories),
        "gaps": sorted(gaps, key=lambda gap: gap[2] - gap[1])[:NUM_NAMED] if len(gaps) > MOST_NAMED else gaps,
        "num_gaps": len(gaps),
        "validated": validation,
        "window_gain": " to ".join(dict.fromkeys(f"{signed(100 * gain)} points" for gain in (min(gains), max(gains))))
        if gains
        else None,
        "commonest_share": max(commonest_answer(cell)[1] for cell in study.cells),
        "diverged": diverged(study),
    }
