"""The first page: the answer, how sure it is, and every configuration in one figure and one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from auricle.report.analysis import leaders, references, standing, uncertainty, verdict
from auricle.report.baselines import BASELINE_MARK, beside_baselines, not_above
from auricle.report.collapses import MARK, MEANING, told
from auricle.report.comparisons import Comparison
from auricle.report.document import Answer, Block, Callout, Figure, KeyNumber, Section
from auricle.report.evidence import Study
from auricle.report.figures import results
from auricle.report.figures.style import palette, panel
from auricle.report.table import Column, Marked, Spread, Table
from auricle.report.tables import ComparativeRow, baseline_rows, with_baselines
from auricle.report.wording import Code, Ref, Text, count, decimal, joined, listing, percent, points


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
    words = [verdict(of_protocol, comparisons[protocol]), uncertainty(best), standing(study, best)]
    told = joined([*words, *beside_baselines(study, of_protocol)])
    blocks: list[Block] = [Answer(told, _key_numbers(study, best)), *_warnings(study), *_unbeaten(study, rows)]
    blocks += [_accuracies(study, rows), comparative_table(with_baselines(study, rows))]
    return Section("summary", "The answer", tuple(blocks))


def _key_numbers(study: Study, best: ComparativeRow) -> tuple[KeyNumber, ...]:
    numbers = [
        KeyNumber(percent(best.accuracy), f"mean test accuracy of {best.model}"),
        KeyNumber(f"{decimal(100 * best.accuracy_low, 1)} – {percent(best.accuracy_high)}", "95 % interval"),
    ]
    if best.accuracy_sd is not None:
        numbers.insert(1, KeyNumber(f"± {points(best.accuracy_sd)}", f"standard deviation of {best.cells} cells"))
    marks = references(study, best.protocol)
    if baselines := baseline_rows(study, best.protocol):
        marks.pop("chance", None)
        marks[f"best free baseline, {baselines[0].model}"] = baselines[0].accuracy
    return (*numbers, *(KeyNumber(percent(share, 0), words) for words, share in marks.items()))


def _unbeaten(study: Study, rows: Sequence[ComparativeRow]) -> list[Block]:
    """Say which networks a free baseline is as good as, under each protocol."""
    told = [words for protocol in study.protocols if (words := not_above(study, rows, protocol))]
    return [Callout("Not better than a free baseline", joined(told))] if told else []


def _warnings(study: Study) -> list[Block]:
    """Return what a reader must know before trusting a number."""
    blocks: list[Block] = []
    if leaky := [protocol for protocol in study.protocols if study.is_leaky(protocol)]:
        words = (
            f"{_split_groups(study)}Under {listing(leaky)}, clips of one group (one source recording) stand in "
            "training and in test. Scores there are too high for recordings that are new, and serve only to compare "
            "with results made in this way."
        )
        blocks.append(Callout("Leaky protocol", (words,)))
    if study.dataset.ungrouped:
        words = (
            "Nothing says which clips belong together, so each file is its own group. Where several were cut from one "
            "recording, or are of one speaker or place, they may stand on both sides of a split, and the scores here "
            "are too high for recordings that are new. To say it: a column group in a CSV, or "
        )
        blocks.append(Callout("No groups", (words, Code("--group-by '{source}-*'"), ".")))
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


def _split_groups(study: Study) -> str:
    num = study.dataset.split_groups
    return f"The folds split {count(num, 'group')}, which was allowed by --allow-split-groups. " if num else ""


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
        drawn = results.accuracies(of_protocol, cells, colours, references(study, protocol), stamped(study, protocol))
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
        Column("calibration_error", "Calibr. error", "ratio"),  # the majority class is calibrated, and useless
        Column("parameters", "Parameters", "count"),
        Column("multiply_adds", "Mult.-adds, M", "millions"),
        Column("minutes", "Min. each", "minutes"),
    )
    groups: dict[str, list[tuple]] = {}
    for row in rows:
        group = groups.setdefault(f"{row.protocol} (leaky)" if row.leaky else row.protocol, [])
        group.append(
            (_marked(row), row.cells,
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


def _marked(row: ComparativeRow) -> str | Marked:
    if row.baseline:
        return Marked(row.model, BASELINE_MARK, "free baseline")
    return Marked(row.model, MARK, MEANING) if row.collapsed else row.model


def _mark(rows: Sequence[ComparativeRow]) -> Text:
    words = (f" {MARK}: a training {MEANING}.",) if any(row.collapsed for row in rows) else ()
    return (*words, f" {BASELINE_MARK}: needs no network.") if any(row.baseline for row in rows) else words


def _has_pairs(rows: Sequence[ComparativeRow]) -> bool:
    networks = [row for row in rows if not row.baseline]
    return any(a.protocol == b.protocol and a.model != b.model for a in networks for b in networks)
