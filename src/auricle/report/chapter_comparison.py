"""Models against each other: paired tests, classes, and what else the numbers say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from auricle.report.analysis import leaders, standing, uncertainty, verdict
from auricle.report.baselines import beside_baselines, beside_best
from auricle.report.chapter_ranking import heads_sections, ranking_figure, spread_table
from auricle.report.chapter_summary import stamped
from auricle.report.comparisons import MOST_SHOWN, Comparison, foremost, foremost_in_words
from auricle.report.document import Block, Bullets, Figure, Paragraph, Section
from auricle.report.evidence import Study
from auricle.report.figures import results
from auricle.report.figures.style import palette, panel
from auricle.report.observations import class_f1, observations
from auricle.report.ranking import places, ranking_in_words
from auricle.report.table import Column, Range, Table, Value
from auricle.report.tables import ComparativeRow
from auricle.report.wording import Ref, Strong, Text, joined

_PAIRS = (
    Column("first", "Model", "code"),
    Column("second", "against", "code"),
    Column("difference", "Difference", "points"),
    Column("interval", "95 % interval", "points"),
    Column("wins", "Clips won", "count"),
    Column("losses", "lost", "count"),
    Column("trainings", "Train."),
    Column("p_clips", "p clips", "p"),
    Column("p_trainings", "p train.", "p"),
    Column("p_adjusted", "adjusted", "p"),
    Column("shown", "Shown"),
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
        order = ranking_in_words(places(of_protocol, comparisons[name]), comparisons[name])
        words = [verdict(of_protocol, comparisons[name]), order, uncertainty(best), standing(study, best)]
        told = joined([*(text for text in words if text), *beside_baselines(study, of_protocol)])
        answers.append((Strong(stamped(study, name)), ": ", *told))
    blocks: list[Block] = [Bullets(tuple(answers))]
    if drawn := ranking_figure(study, rows, comparisons):
        pointer: Text = ("The order is in ", Ref("figure-ranking"), ", mean and spread in ", Ref("table-spread"), ".")
        blocks += [Paragraph(pointer), drawn]
    blocks.append(spread_table(study))
    if any(comparisons.values()):
        blocks += [Paragraph(_how_compared()), Bullets(_how_tested()), _pairs(study, comparisons)]
    blocks += _baselines(study, rows)
    blocks.append(_f1_by_model(study, rows, protocol))
    seen = tuple((Strong(item.title), ". ", *item.text) for item in observations(study, rows, protocol))
    head = f"Unless another protocol is named, these are of {stamped(study, protocol)}."
    observed = Section("observations", "Observations", (Paragraph((head,)), Bullets(seen)))
    sections = (*heads_sections(study, rows, comparisons), observed)
    return Section("comparison", "Which model is best", tuple(blocks), sections)


def _how_compared() -> Text:
    return (
        "Models are compared on the same clips, training by training: the cells of one fold and seed. ",
        Ref("table-pairs"), " gives the difference of their accuracies with a 95 % interval (paired bootstrap, 10,000 "
        "draws of whole groups, as clips of one group are alike; widened by the spread over trainings where there are "
        "several). A difference counts as shown when two tests and that interval speak for it:",
    )  # fmt: skip


def _how_tested() -> tuple[Text, ...]:
    clips = (
        ", p clips: an exact sign test of the groups of which one model gets more right than the other; where each "
        "clip is a group and scored once, this is McNemar's exact test. k-fold tests the same clips with every "
        "training, so a clip counts once, by its sum over trainings: more cells are no more clips."
    )
    trainings = (
        ", p train.: a test of the mean difference whose error counts the spread over groups and, beside it, the "
        "spread over trainings with the few degrees of freedom that they have. Trainings of one model differ by luck; "
        "without this test, that luck would pass for a difference of models. With one training of each model it cannot "
        "be made, and what is shown is of these trained networks alone."
    )
    many = (
        ": the larger of the two p-values is adjusted for the number of comparisons under a protocol (Holm) and has to "
        "be below 0.05. Where models are equal, at most one study in twenty then calls any two of them different. "
        "k-fold trainings share most of their training clips, so they vary less than trainings on other recordings "
        "would; that is not measured here."
    )
    return (Strong("Other clips"), clips), (Strong("Other trainings"), trainings), (Strong("Many comparisons"), many)


def _pairs(study: Study, comparisons: Mapping[str, Sequence[Comparison]]) -> Table:
    groups = {
        stamped(study, protocol): [_pair(pair) for pair in pairs] for protocol, pairs in comparisons.items() if pairs
    }
    shown: dict[str, int] = {}
    head = "Every two models"
    if len(study.models) > MOST_SHOWN:
        shown = {title: sum(row[0] == rows[0][0] for row in rows) for title, rows in groups.items()}
        head = "The most accurate model and each other one"
    caption = (
        f"{head} on the same test clips; differences are in percentage points. Clips won are those that the "
        "first model gets right more often than the second; lost, the reverse. Train.: the trainings in which it gets "
        "more clips right. Shown: whether the data show a difference.",
    )
    return Table("table-pairs", caption, _PAIRS, groups, shown=shown)


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
    return (
        pair.first, pair.second, pair.difference, Range(pair.low, pair.high), pair.wins, pair.losses,
        f"{pair.trainings_won} of {pair.trainings}", pair.p_clips, pair.p_trainings, pair.p_adjusted,
        "yes" if pair.shown else "no",
    )  # fmt: skip


def _f1_by_model(study: Study, rows: Sequence[ComparativeRow], protocol: str) -> Figure:
    categories = study.dataset.categories
    models = foremost(study.models, rows, protocol)
    means = {
        model: [float(np.mean(class_f1(cells, category) or [0.0])) for category in categories]
        for model in models
        if (cells := study.of(model, protocol))
    }
    drawn = results.f1_by_model(means, categories, palette(tuple(study.presets)))
    caption = (
        f"F1 of each class and model under {stamped(study, protocol)}{foremost_in_words(rows, protocol)}. Where the "
        "marks of a class lie together, it is as hard or as easy for every model; where they lie apart, the models may "
        "differ, or the luck of few clips.",
    )
    return Figure("figure-f1-models", (panel(drawn, "f1-models", "F1 of each class, one mark a model"),), caption)
