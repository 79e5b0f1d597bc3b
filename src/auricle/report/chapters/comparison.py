"""Models against each other: the order and its ties, paired tests, baselines, heads, and what else the numbers say."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any

import numpy as np

from auricle.findings.classes import class_f1, confused_pairs
from auricle.findings.comparison import MOST_SHOWN
from auricle.findings.head_count import head_counts, published_head_claim
from auricle.findings.trainings import commonest_answer, diverged
from auricle.report.document import Chapter, Exhibit, Figure, Report
from auricle.report.figures.drawing import panel
from auricle.report.figures.results import f1_by_model, ranking_bars
from auricle.report.table import Range, Table, columns
from auricle.report.wording import MOST_NAMED, decimal, listing, points, span
from auricle.scoring.difference import Difference
from auricle.scoring.statistics import wilson_interval

NUM_NAMED = 3
SHORTEST_STEM = 3  # letters that names must begin with alike to be called by them


def comparison(report: Report) -> Chapter:
    """Return the chapter that compares the models."""
    study, findings = report.study, report.findings
    comparisons = list(findings.comparisons.values())
    found = head_counts(study, findings.comparisons)
    several = len({family_name(one.family) for one in found}) > 1
    heads = [(f"{family_name(one.family)}, " if several else "", one) for one in found]
    validated = [one for one in comparisons if one.validation_pairs]
    values = report.phrases | _observed(report) | {
        "comparisons": comparisons,
        "has_ranking": any(len(one.ranking) > 1 for one in comparisons),
        "has_pairs": any(one.pairs for one in comparisons),
        "has_baselines": any(one.against_baseline for one in comparisons),
        "validation": validated[0] if validated else None,
        "pairs_head": "Every two models" if len(study.models) <= MOST_SHOWN
        else "The most accurate model and each other one",
        "some": report.of_many,
        "families": heads,
        "claim": published_head_claim(study),
    }  # fmt: skip
    exhibits: dict[str, Exhibit] = {
        "figure-ranking": _ranking(report),
        "table-spread": _spreads(report),
        "table-pairs": _pairs(report, {one.protocol: one.pairs for one in comparisons}),
        "table-validation-pairs": _pairs(report, {one.protocol: one.validation_pairs for one in validated}),
        "table-baselines": _pairs(report, {one.protocol: one.against_baseline for one in comparisons}, all_rows=True),
        "figure-f1-models": _f1_by_model(report),
    }
    return Chapter(values, exhibits)


def family_name(family: Mapping[int, str]) -> str:
    """Return what the names of a family have in common, `…` for the rest; all of them where that is little.

    >>> family_name({1: "small-h1-slow", 4: "small-h4-slow"}), family_name({1: "one", 4: "four"})
    ('small-h…-slow', 'one and four')
    """
    names = list(family.values())
    head = _alike(names)
    tail = _alike([name[len(head) :][::-1] for name in names])[::-1]
    return f"{head}…{tail}" if len(head) >= SHORTEST_STEM else listing(names)


def _alike(names: Sequence[str]) -> str:
    """Return the letters with which all names begin."""
    same = takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))
    return "".join(letters[0] for letters in same)


def _ranking(report: Report) -> Figure:
    """Draw the ranking under each protocol with several models."""
    panels = []
    for protocol, one in report.findings.comparisons.items():
        if len(one.ranking) > 1:
            drawn = ranking_bars(one.ranking, one.ties, report.colours, report.title_of(protocol))
            alt = "; ".join(f"{rank.row.model} {span(rank.first, rank.last)}" for rank in one.ranking)
            panels.append(panel(drawn, f"ranking-{protocol}", f"Ranks under {protocol}: {alt}"))
    return Figure(tuple(panels))


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


def _pairs(report: Report, pairs: Mapping[str, Sequence[Difference]], *, all_rows: bool = False) -> Table:
    """Return comparisons by protocol; of very many models the report shows those of the most accurate one."""
    groups = {
        report.title_of(protocol): [
            (pair.first, pair.second, pair.mean, Range(pair.low, pair.high), pair.wins, pair.losses,
             f"{pair.trainings_won} of {pair.trainings}", pair.p_groups, pair.p_trainings, pair.p_adjusted,
             "yes" if pair.shown else "no")
            for pair in own
        ]
        for protocol, own in pairs.items()
        if own
    }  # fmt: skip
    shown: dict[str, int] = {}
    if len(report.study.models) > MOST_SHOWN and not all_rows:
        shown = {title: sum(row[0] == rows[0][0] for row in rows) for title, rows in groups.items()}
    return Table(columns("pairs"), groups, shown=shown)


def _f1_by_model(report: Report) -> Figure:
    categories, protocol = report.study.dataset.categories, report.findings.main_protocol
    means = {
        model: [
            float(np.mean(class_f1(report.study.of(model, protocol), category) or [0.0])) for category in categories
        ]
        for model in report.findings.main.foremost(report.study.models)
    }
    drawn = f1_by_model(means, categories, report.colours)
    return Figure((panel(drawn, "f1-models", "F1 of each class, one mark a model"),))


def _observed(report: Report) -> dict[str, Any]:
    """Return what the observations say: spreads, classes, confusions, overfitting, validation and windows."""
    study, main = report.study, report.findings.main
    cells = [cell for cell in study.cells if cell.name.protocol == main.protocol]
    several = [row for row in main.rows if row.cells > 1]
    accuracies = [row.accuracy for row in main.rows]
    rows = [row for one in report.findings.comparisons.values() for row in one.rows]
    validated = [row for row in rows if row.validation_accuracy is not None]
    means = {category: class_f1(cells, category) for category in study.dataset.categories}
    gains = [row.accuracy - row.window_accuracy for row in main.rows]
    gain_span = [points(min(gains), signed=True), points(max(gains), signed=True)]
    validation = test = same_interval = None
    few = min((row.test_clips for row in validated), default=0)
    if validated:
        validation = float(np.mean([row.validation_accuracy for row in validated]))
        test = float(np.mean([row.accuracy for row in validated]))
        low, high = wilson_interval(test, few)
        same_interval = (low, high) if low <= validation <= high else None
    gaps = [(model, *found) for model in study.models if (found := _last_accuracies(report, model)) is not None]
    return {
        "widest": max(several, key=lambda row: row.accuracy_max - row.accuracy_min, default=None),
        "spread_of_means": max(accuracies) - min(accuracies),
        "class_order": sorted((float(np.mean(found)), category) for category, found in means.items() if found),
        "fewest_clips": min(Counter(study.answers[main.protocol].labels.tolist()).values()),
        "confusions": confused_pairs(cells, study.dataset.categories),
        "gaps": sorted(gaps, key=lambda gap: gap[2] - gap[1])[:NUM_NAMED] if len(gaps) > MOST_NAMED else gaps,
        "num_gaps": len(gaps),
        "validation_mean": validation,
        "test_mean": test,
        "fewest_test_clips": few,
        "same_interval": same_interval,
        "window_gain": " to ".join(dict.fromkeys(gain_span)),
        "commonest_share": max(commonest_answer(cell)[1] for cell in study.cells),
        "diverged": diverged(study),
    }


def _last_accuracies(report: Report, model: str) -> tuple[float, float] | None:
    """Return training and validation accuracy at the last epoch, means over cells; None without validation."""
    cells = report.study.of(model, report.findings.main_protocol)
    ends = [cell.history[-1] for cell in cells if cell.history and "validation_accuracy" in cell.history[-1]]
    if not ends:
        return None
    train, validation = np.mean([(end["train_accuracy"], end["validation_accuracy"]) for end in ends], axis=0).tolist()
    return train, validation
