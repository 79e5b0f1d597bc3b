"""Scores of every model under every protocol: confusion, F1, ROC, classification report; and every cell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from auricle.report.figures import results
from auricle.report.chapter_summary import stamped
from auricle.report.collapses import MARK, MEANING, collapses, explained, marked
from auricle.report.document import Block, Callout, Figure, Pair, Paragraph, Section
from auricle.report.evidence import CellEvidence, Study
from auricle.report.figures.style import palette, panel
from auricle.report.observations import class_f1, total_confusion
from auricle.report.tables import ComparativeRow
from auricle.report.table import Column, Table, Value, spread
from auricle.report.wording import Ref, Text, anchors, count, percent, spoken
from auricle.scoring.metrics import Curve, mean_curve, one_vs_rest

_CELLS = (
    Column("model", "Model", "code"),
    Column("fold", "Fold", "count"),
    Column("seed", "Seed", "count"),
    Column("test_accuracy", "Test clips, %", "percent", "high"),
    Column("test_window_accuracy", "Test windows, %", "percent"),
    Column("validation_accuracy", "Validation clips, %", "percent"),
    Column("macro_f1", "F1", "ratio"),
    Column("macro_auc", "AUC", "ratio"),
    Column("loss", "Loss", "ratio"),
    Column("minutes", "Minutes", "minutes"),
)
_CLASSES = (
    Column("class", "Class", grows=True),
    Column("precision", "Precision", "ratio"),
    Column("recall", "Recall", "ratio"),
    Column("f1", "F1", "ratio"),
    Column("auc", "AUC", "ratio"),
    Column("clips", "Clips", "count"),
)


def results_chapter(study: Study, rows: Sequence[ComparativeRow]) -> Section:
    """Return the chapter with the scores of each model under each protocol."""
    text = (
        "All scores are of test clips; the probabilities of a clip are the mean over its windows. Where a model was "
        "trained several times, scores and curves are means over the cells, confusion matrices their sum. ",
        Ref("table-cells"), " lists every cell.",
    )  # fmt: skip
    sections = []
    for protocol in study.protocols:
        of_protocol = [row for row in rows if row.protocol == protocol]
        models = tuple(_configuration(study, row) for row in of_protocol)
        warning = Callout("Leaky", ("Clips of one group stand in training and in test: these scores flatter.",))
        blocks = (warning,) if study.is_leaky(protocol) else ()
        sections.append(Section(f"results-{protocol}", f"Protocol {stamped(study, protocol)}", blocks, models))
    sections.append(
        Section(
            "cells", "Every cell", (Paragraph((Ref("table-cells"), " has a row for every training.")), _cells(study))
        )
    )
    return Section("results", "Results", (Paragraph(text),), tuple(sections))


def _cells(study: Study) -> Table:
    """List every finished cell."""
    groups: dict[str, list[tuple[Value, ...]]] = {}
    for cell in study.cells:
        clip, name = cell.test["clip"], cell.name
        validation = cell.validation["clip"]["accuracy"] if cell.validation else None
        groups.setdefault(stamped(study, name.protocol), []).append(
            (marked(name.model, [cell]), name.fold, name.seed, clip["accuracy"], cell.test["window"]["accuracy"],
             validation, clip["macro_f1"], clip["macro_auc"], clip["loss"], cell.costs["seconds"] / 60)
        )  # fmt: skip
    caption: Text = ("Every cell. The fold is the validation fold, or the test fold where there is no validation set.",)
    if collapses(study.cells):
        caption = (*caption, f" {MARK}: {MEANING}.")
    return Table("table-cells", caption, _CELLS, groups)


def _configuration(study: Study, row: ComparativeRow) -> Section:
    """Return the section of one model under one protocol."""
    model, protocol = row.model, row.protocol
    cells = study.of(model, protocol)
    name = f"{protocol}-{anchors(study.presets)[model]}"
    colour = palette(tuple(study.presets))[model]
    text = (
        f"{percent(row.accuracy)} of {count(row.test_clips, 'test clip')} right "
        f"({count(row.cells, 'cell')}), macro F1 {row.macro_f1:.3f}. ",
        Ref(f"figure-confusion-{name}"), ", ", Ref(f"figure-f1-{name}"), " and ", Ref(f"table-classes-{name}"),
        " show where it is right and wrong.",
    )  # fmt: skip
    warning: tuple[Block, ...] = ()
    if words := explained(cells):
        warning = (Callout("Collapsed", words),)
    figure = _confusion_and_roc(study, cells, name, colour)
    pair = Pair(_f1_figure(study, cells, name, colour), _report(study, cells, name, row))
    blocks = (*warning, Paragraph(text), figure, pair)
    return Section(f"result-{name}", f"{model}, {stamped(study, protocol)}", blocks)


def _confusion_and_roc(study: Study, cells: Sequence[CellEvidence], name: str, colour: str) -> Figure:
    categories = study.dataset.categories
    matrix = total_confusion(cells)
    curves = mean_curves(cells, len(categories))
    alts = (f"Confusion matrix, {name}", f"One-vs-rest ROC curves by class, {name}")
    drawn = (
        results.confusion(matrix, categories, colour),
        results.roc(curves, mean_curve(curves), categories),
    )
    files = (f"confusion-{name}", f"roc-{name}")
    panels = tuple(panel(*parts) for parts in zip(drawn, files, alts, strict=True))
    of = "one cell" if len(cells) == 1 else f"{len(cells)} cells"
    pooled = "" if len(cells) == 1 else ", each the mean of the curves of the cells, not of pooled clips"
    caption = (
        f"Confusion matrix: clips of each true class (rows) by answer (columns), {of}; what leaves the diagonal is "
        f"wrong. ROC curves: each class against all others{pooled}; the number is the area under the curve.",
    )
    return Figure(f"figure-confusion-{name}", panels, caption)


def mean_curves(cells: Sequence[CellEvidence], num_classes: int) -> list[Curve | None]:
    """Return each class's ROC curve: the mean over the cells that have one."""
    by_cell = [one_vs_rest(cell.clips.probabilities, cell.clips.labels) for cell in cells]
    if len(by_cell) == 1:
        return by_cell[0]
    return [mean_curve([curves[place] for curves in by_cell]) for place in range(num_classes)]


def _f1_figure(study: Study, cells: Sequence[CellEvidence], name: str, colour: str) -> Figure:
    categories = study.dataset.categories
    by_class = [class_f1(cells, category) for category in categories]
    means = [float(np.mean(values)) if values else 0.0 for values in by_class]
    drawn = results.f1_bars(means, by_class, categories, colour)
    dots = "; dots are cells" if len(cells) > 1 else ""
    return Figure(
        f"figure-f1-{name}", (panel(drawn, f"f1-{name}", f"F1 of each class, {name}"),), (f"F1 of each class{dots}.",)
    )


def _report(study: Study, cells: Sequence[CellEvidence], name: str, row: ComparativeRow) -> Table:
    """Return the classification report: precision, recall, F1 and AUC of each class, means over cells."""
    rows: list[tuple[Value, ...]] = []
    for category in study.dataset.categories:
        scores = [cell.test["clip"]["per_class"][category] for cell in cells]
        present = [score for score in scores if score["support"]]
        means = [spread([score[key] for score in present]).mean for key in ("precision", "recall", "f1", "auc")]
        rows.append((spoken(category), *means, sum(score["support"] for score in scores)))
    num = sum(cell.test["clip"]["num"] for cell in cells)
    rows.append(("macro mean", row.macro_precision, row.macro_recall, row.macro_f1, row.macro_auc, num))
    of = "" if len(cells) == 1 else f"; means over {len(cells)} cells, clips added up"
    return Table(f"table-classes-{name}", (f"Classification report{of}.",), _CLASSES, {"": rows}, totals=True)
