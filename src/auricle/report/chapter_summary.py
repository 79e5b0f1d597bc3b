"""The first page: the answer, how sure it is, and every configuration in one figure and one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from auricle.report import figures_results
from auricle.report.analysis import leaders, references, standing, uncertainty, verdict
from auricle.report.collapses import MARK, MEANING, told
from auricle.report.comparisons import Comparison
from auricle.report.document import Answer, Block, Callout, Figure, KeyNumber, Section
from auricle.report.evidence import Study
from auricle.report.figures import palette, panel
from auricle.report.tables import ComparativeRow
from auricle.report.tabular import Column, Marked, Spread, Table
from auricle.report.wording import Ref, Text, count, decimal, joined, listing, percent, points


def summary(
    study: Study, rows: Sequence[ComparativeRow], comparisons: Mapping[str, Sequence[Comparison]], protocol: str
) -> Section:
    """Return the first page.

    Args:
        study: the evidence.
        rows: its comparative rows.
        comparisons: of the models, by protocol.
        protocol: the one that answers the question.
    """
    of_protocol = [row for row in rows if row.protocol == protocol]
    best = leaders(of_protocol)[0]
    told = joined([verdict(of_protocol, comparisons[protocol]), uncertainty(best), standing(study, best)])
    blocks: list[Block] = [Answer(told, _key_numbers(study, best)), *_warnings(study)]
    blocks += [_accuracies(study, rows), comparative_table(rows)]
    return Section("summary", "The answer", tuple(blocks))


def _key_numbers(study: Study, best: ComparativeRow) -> tuple[KeyNumber, ...]:
    numbers = [
        KeyNumber(percent(best.accuracy), f"mean test accuracy of {best.model}"),
        KeyNumber(f"{decimal(100 * best.accuracy_low, 1)} – {percent(best.accuracy_high)}", "95 % interval"),
    ]
    if best.accuracy_sd is not None:
        numbers.insert(1, KeyNumber(f"± {points(best.accuracy_sd)}", f"standard deviation of {best.cells} cells"))
    return (
        *numbers,
        *(KeyNumber(percent(share, 0), words) for words, share in references(study, best.protocol).items()),
    )


def _warnings(study: Study) -> list[Block]:
    """Return what a reader must know before trusting a number."""
    blocks: list[Block] = []
    if leaky := [protocol for protocol in study.protocols if study.is_leaky(protocol)]:
        words = (
            f"Under {listing(leaky)}, clips of one group (one source recording) stand in training and in test. Scores "
            "there are too high for recordings that are new, and serve only to compare with results made in this way."
        )
        blocks.append(Callout("Leaky protocol", (words,)))
    if study.missing:
        planned = len(study.cells) + len(study.missing)
        words = f"{len(study.missing)} of {count(planned, 'planned cell')} have no results; they are listed in "
        blocks.append(Callout("Incomplete", (words, Ref("missing"), ". All means here are over the others.")))
    if fallen := told(study):
        blocks.append(Callout("Collapse", (fallen, " Causes and cures are in ", Ref("results"), ".")))
    if study.dataset.skipped:
        words = f"{count(len(study.dataset.skipped), 'file')} could not be used and were left out: see "
        blocks.append(Callout("Files left out", (words, Ref("table-skipped"), ".")))
    return blocks


def stamped(study: Study, protocol: str) -> str:
    """Return the name of a protocol, stamped where it leaks."""
    return f"{protocol} (leaky)" if study.is_leaky(protocol) else protocol


def _accuracies(study: Study, rows: Sequence[ComparativeRow]) -> Figure:
    colours = palette(tuple(study.presets))
    panels = []
    for protocol in study.protocols:
        of_protocol = [row for row in rows if row.protocol == protocol]
        cells = {
            row.model: [cell.test["clip"]["accuracy"] for cell in study.of(row.model, protocol)] for row in of_protocol
        }
        drawn = figures_results.accuracies(
            of_protocol, cells, colours, references(study, protocol), stamped(study, protocol)
        )
        alt = "; ".join(f"{row.model} {percent(row.accuracy)}" for row in of_protocol)
        panels.append(panel(drawn, f"accuracies-{protocol}", f"Test accuracy under {protocol}: {alt}"))
    caption: Text = (
        "Test accuracy of every model. Diamonds are means, upright ticks single cells; the pale bar is the 95 % "
        "interval that the number of test clips leaves.",
    )
    return Figure("figure-accuracies", tuple(panels), caption)


def comparative_table(rows: Sequence[ComparativeRow]) -> Table:
    """Return the table of all configurations: one row a model, grouped by protocol."""
    columns = (
        Column("model", "Model", "code"),
        Column("cells", "Cells", "count"),
        Column("clip_accuracy", "Clips right, %", "percent", "high"),
        Column("window_accuracy", "Windows right, %", "percent", "high"),
        Column("macro_precision", "Precision", "ratio", "high"),
        Column("macro_recall", "Recall", "ratio", "high"),
        Column("macro_f1", "F1", "ratio", "high"),
        Column("macro_auc", "AUC", "ratio", "high"),
        Column("loss", "Loss", "ratio", "low"),
        Column("calibration_error", "Calibr. error", "ratio", "low"),
        Column("parameters", "Parameters", "count"),
        Column("multiply_adds", "Mult.-adds, M", "millions"),
        Column("minutes", "Min. each", "minutes"),
    )
    groups: dict[str, list[tuple]] = {}
    for row in rows:
        group = groups.setdefault(f"{row.protocol} (leaky)" if row.leaky else row.protocol, [])
        group.append(
            (Marked(row.model, MARK, MEANING) if row.collapsed else row.model, row.cells,
             Spread(row.accuracy, row.accuracy_sd), row.window_accuracy, row.macro_precision, row.macro_recall,
             row.macro_f1, row.macro_auc, row.loss, row.calibration_error, row.parameters, row.multiply_adds,
             row.minutes)
        )  # fmt: skip
    caption: Text = (
        "All configurations on the test clips. A cell is one training: one model, one fold, one seed; values are means "
        "over cells, ± their standard deviation. Precision, recall, F1 and AUC are macro means over classes. The best "
        "of a protocol is bold, which does not say that it is better than the next: for that see ",
        Ref("table-pairs") if _has_pairs(rows) else "the intervals", ".", *_mark(rows),
    )  # fmt: skip
    return Table("table-comparative", caption, columns, groups)


def _mark(rows: Sequence[ComparativeRow]) -> Text:
    return (f" {MARK}: a training {MEANING}.",) if any(row.collapsed for row in rows) else ()


def _has_pairs(rows: Sequence[ComparativeRow]) -> bool:
    return any(a.protocol == b.protocol and a.model != b.model for a in rows for b in rows)
