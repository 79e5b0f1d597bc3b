"""Models against each other: paired tests, classes, and what else the numbers say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from auricle.report import figures_results
from auricle.report.analysis import leaders, standing, uncertainty, verdict
from auricle.report.baselines import beside_baselines, beside_best
from auricle.report.chapter_summary import stamped
from auricle.report.comparisons import Comparison
from auricle.report.document import Block, Bullets, Figure, Paragraph, Section
from auricle.report.evidence import Study
from auricle.report.figures import palette, panel
from auricle.report.observations import class_f1, observations
from auricle.report.tables import ComparativeRow
from auricle.report.tabular import Column, Range, Table, Value
from auricle.report.wording import Ref, Strong, Text, joined

_PAIRS = (
    Column("first", "Model", "code"),
    Column("second", "against", "code"),
    Column("difference", "Difference", "points"),
    Column("interval", "95 % interval", "points"),
    Column("wins", "Clips won", "count"),
    Column("losses", "lost", "count"),
    Column("p", "p", "p"),
    Column("p_adjusted", "adjusted", "p"),
    Column("verdict", "These data show", grows=True),
)


def comparison_chapter(
    study: Study, rows: Sequence[ComparativeRow], comparisons: Mapping[str, Sequence[Comparison]], protocol: str
) -> Section:
    """Return the chapter that compares the models.

    Args:
        study: the evidence.
        rows: its comparative rows.
        comparisons: of the models, by protocol.
        protocol: the one that answers the question.
    """
    answers = []
    for name in study.protocols:
        of_protocol = [row for row in rows if row.protocol == name]
        best = leaders(of_protocol)[0]
        words = [verdict(of_protocol, comparisons[name]), uncertainty(best), standing(study, best)]
        told = joined([*words, *beside_baselines(study, of_protocol)])
        answers.append((Strong(stamped(study, name)), ": ", *told))
    blocks: list[Block] = [Bullets(tuple(answers))]
    if any(comparisons.values()):
        blocks += [Paragraph(_how_tested()), _pairs(study, comparisons)]
    blocks += _baselines(study, rows)
    blocks.append(_f1_by_model(study, protocol))
    seen = tuple((Strong(item.title), ". ", *item.text) for item in observations(study, rows, protocol))
    head = f"Unless another protocol is named, these are of {stamped(study, protocol)}."
    observed = Section("observations", "Observations", (Paragraph((head,)), Bullets(seen)))
    return Section("comparison", "Which model is best", tuple(blocks), (observed,))


def _how_tested() -> Text:
    return (
        "Models are compared on the same clips. ", Ref("table-pairs"), " gives the difference of their accuracies with "
        "a 95 % bootstrap interval (10,000 draws of whole groups, as clips of one group are alike), and an exact "
        "sign test of the clips that one model gets right more often than the other; where each clip is scored once, "
        "this is McNemar's test. p-values are adjusted for the number of comparisons under a protocol (Holm). A "
        "difference counts as shown when the adjusted p is below 0.05 and the interval excludes zero. The tests are "
        "about these trained networks and other clips like these, not about what another training would give.",
    )  # fmt: skip


def _pairs(study: Study, comparisons: Mapping[str, Sequence[Comparison]]) -> Table:
    groups = {
        stamped(study, protocol): [_pair(pair) for pair in pairs] for protocol, pairs in comparisons.items() if pairs
    }
    caption = (
        "Every two models on the same test clips; differences are in percentage points. Clips won are those that the "
        "first model gets right more often than the second; lost, the reverse.",
    )
    return Table("table-pairs", caption, _PAIRS, groups)


def _baselines(study: Study, rows: Sequence[ComparativeRow]) -> list[Block]:
    """Return every network against the best baseline of its protocol; nothing where there are none."""
    found = {protocol: beside_best(study, rows, protocol) for protocol in study.protocols}
    groups = {stamped(study, protocol): [_pair(pair) for pair in pairs] for protocol, pairs in found.items() if pairs}
    if not groups:
        return []
    words = (
        "Free baselines need no network: the commonest class of the training clips, and statistics of MFCCs (mean and "
        "standard deviation of 20 coefficients, standard deviation of their changes) with logistic regression or with "
        "a random forest of 300 trees; nothing is tuned, and they are fitted and tested on the same clips. ",
        Ref("table-baselines"), " compares each network with the best of them as above.",
    )  # fmt: skip
    caption = ("Every network against the best free baseline of its protocol.",)
    return [Paragraph(words), Table("table-baselines", caption, _PAIRS, groups)]


def _pair(pair: Comparison) -> tuple[Value, ...]:
    shown = "no difference"
    if pair.shown:
        shown = f"{pair.first if pair.difference > 0 else pair.second} is better"
    interval = Range(pair.low, pair.high)
    return (
        pair.first, pair.second, pair.difference, interval, pair.wins, pair.losses, pair.p, pair.p_adjusted, shown
    )  # fmt: skip


def _f1_by_model(study: Study, protocol: str) -> Figure:
    categories = study.dataset.categories
    means = {
        model: [float(np.mean(class_f1(cells, category) or [0.0])) for category in categories]
        for model in study.models
        if (cells := study.of(model, protocol))
    }
    drawn = figures_results.f1_by_model(means, categories, palette(tuple(study.presets)))
    caption = (
        f"F1 of each class and model under {stamped(study, protocol)}. Where the marks of a class lie together, it is "
        "as hard or as easy for every model; where they lie apart, the models differ.",
    )
    return Figure("figure-f1-models", (panel(drawn, "f1-models", "F1 of each class, one mark a model"),), caption)
