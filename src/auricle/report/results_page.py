"""A study's section of RESULTS.md: written by a command, between markers, so that nobody writes it by hand.

<!-- auricle:NAME -->
## NAME
...
<!-- /auricle:NAME -->
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from auricle import files
from auricle.errors import AuricleError, UsageError
from auricle.findings.comparison import Comparison, compare
from auricle.findings.reference import ReferenceRow, beside_reports
from auricle.findings.scores import ComparativeRow
from auricle.findings.study import Study, load_study
from auricle.report.chapters.reported import NO_BREAK_HYPHEN, reported_of
from auricle.report.document import blocks_of
from auricle.report.prose import sections_of
from auricle.report.table import Table, show
from auricle.report.wording import NO_BREAK, anchors, count, protocol_title, visible

SCORES = ("model", "protocol", "cells", "test accuracy, %", "lowest to highest", "macro F1", "AUC", "parameters",
          "train loss", "minutes a cell", "s a step", "GB")  # fmt: skip


def write_results_section(study_folder: Path, results_md: Path) -> None:
    """Write the section of a study into RESULTS.md, in the place of the one that is there, else at the end.

    Raises:
        RefusedError: the folder holds no study.
        AuricleError: no cell is finished.
        UsageError: the file holds one marker of the section without the other.
        MachineError: the disk refuses.
    """
    study = load_study(study_folder)
    if not study.cells:
        raise AuricleError(f"no cell of {study_folder} is finished, so there is no result to write")
    name = anchors([study.config.name])[study.config.name]
    write_section(results_md, name, _section(study))


def write_section(results_md: Path, name: str, text: str) -> None:
    """Write a named section of a Markdown page, in the place of the one that is there, else at the end.

    Raises:
        UsageError: the file holds one marker of the section without the other.
        MachineError: the disk refuses.
    """
    start, end = f"<!-- auricle:{name} -->", f"<!-- /auricle:{name} -->"
    section = f"{start}\n{text}\n{end}"
    with files.machine_errors(results_md, "read"):
        page = results_md.read_text(encoding="utf-8") if results_md.exists() else "# Results\n"
    if (page.count(start), page.count(end)) not in ((0, 0), (1, 1)) or page.find(end) < page.find(start):
        raise UsageError(f"{results_md} needs {start} once, and then {end} once; mend or remove them")
    if start in page:
        page = page[: page.index(start)] + section + page[page.index(end) + len(end) :]
    else:
        page = f"{page.rstrip()}\n\n{section}\n"
    files.write_text(results_md, page)


def _section(study: Study) -> str:
    """Return heading, tables and circumstances, in Markdown."""
    comparisons = [compare(study, protocol) for protocol in study.protocols]
    networks = [row for comparison in comparisons for row in comparison.rows]
    rows = [row for comparison in comparisons for row in (*comparison.rows, *comparison.baselines)]
    dataset = study.dataset
    about = (
        f"{count(dataset.num_clips, 'clip')} of {count(len(dataset.categories), 'class', 'classes')} from "
        f"{_plain(dataset.source)}; test accuracy is the share of clips right, ± standard deviation over cells; train "
        "loss is of training clips after the last epoch, in nats; GB is the most memory that a process held."
    )
    if any(row.baseline for row in rows):
        about += " Rows in italics are free baselines: no network, nothing tuned, the same folds."
    if dataset.ungrouped:
        about += " No groups are known: clips of one recording may stand on both sides of a split."
    if dataset.split_groups:
        groups = count(dataset.split_groups, "group")
        about += f" **Leaky**: the folds split {groups}, so clips of one group stand in training and in test."
    missing = f"\n\n{count(len(study.missing), 'planned cell')} without results." if study.missing else ""
    parts = [f"## {_plain(study.config.name)}", about, _table(SCORES, list(map(_scores_line, rows))) + missing]
    if len(study.config.seeds) > 1:
        parts += _over_seeds(study, comparisons)
    if reference := beside_reports(study, networks):
        parts += _beside_reports(reference)
    return "\n\n".join([*parts, _circumstances(study)])


def _beside_reports(rows: Sequence[ReferenceRow]) -> list[str]:
    """Return what published reports say of the models beside what was measured."""
    chapter = reported_of(rows)
    sections = sections_of("reported", chapter.values, chapter.exhibits)
    table = next(block for block in blocks_of(sections) if isinstance(block, Table))
    lines = [
        [_bare(group), *(_bare(show(value, column.kind)) for column, value in zip(table.columns, row, strict=True))]
        for group, rows_of_group in table.groups.items()
        for row in rows_of_group
    ]
    header = ("Report", *(column.title for column in table.columns))
    return [_bare("".join(map(str, table.caption))), _table(header, lines)]


def _bare(words: str) -> str:
    """Return words of the report without the marks that keep its lines whole."""
    return _plain(words.replace(NO_BREAK, " ").replace(NO_BREAK_HYPHEN, "-"))


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table whose first two columns are words and whose others are numbers."""
    lines = (header, ["---"] * 2 + ["---:"] * (len(header) - 2), *rows)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _over_seeds(study: Study, comparisons: Sequence[Comparison]) -> list[str]:
    """Return a second table and its explanation, of a study with several seeds."""
    first = _plain(study.models[0])
    header = ("model", "protocol", "seeds", "accuracy, %", "sd over seeds", "95 % interval", "ensemble, %",
              f"less {first}", "95 % interval", "CPU s a cell")  # fmt: skip
    explained = (
        "Over seeds: share of clips right, the mean over seeds; standard deviation over seeds of the mean over folds; "
        "95 % interval for other clips, a BCa bootstrap over groups (source recordings) where clips share one, else "
        f"Wilson's; difference from {first} on the same clips, folds and seeds, its interval by bootstrap over groups "
        "and widened by the spread over trainings. The ensemble answers with the mean over seeds of the probabilities."
    )
    lines = [_seeds_line(row, comparison, study.models[0]) for comparison in comparisons for row in comparison.rows]
    return [explained, _table(header, lines)]


def _seeds_line(row: ComparativeRow, comparison: Comparison, first: str) -> list[str]:
    difference, interval = "", ""
    if row.model != first and (pair := comparison.pair_of(row.model, first)):
        mean, low, high = (
            (pair.mean, pair.low, pair.high) if pair.first == row.model else (-pair.mean, -pair.high, -pair.low)
        )
        difference, interval = _points(mean), f"{_points(low)} to {_points(high)}"
    return [
        _plain(row.model), row.protocol, str(len(row.seeds)), f"{100 * row.accuracy:.1f}",
        "–" if row.seed_sd is None else f"{100 * row.seed_sd:.1f}",
        f"{100 * row.accuracy_low:.1f} to {100 * row.accuracy_high:.1f}", f"{100 * row.ensemble_accuracy:.1f}",
        difference, interval, _known(row.cpu_seconds, ".0f"),
    ]  # fmt: skip


def _scores_line(row: ComparativeRow) -> list[str]:
    accuracy = f"{100 * row.accuracy:.1f}"
    if row.accuracy_sd is not None:
        accuracy += f" ± {100 * row.accuracy_sd:.1f}"
    cells = f"{row.cells}" if row.cells == row.cells_planned else f"{row.cells} of {row.cells_planned}"
    name = f"*{_plain(row.model)}*" if row.baseline else _plain(row.model)
    return [
        name, protocol_title(row.protocol, leaky=row.leaky), cells, accuracy,
        f"{100 * row.accuracy_min:.1f} to {100 * row.accuracy_max:.1f}", f"{row.macro_f1:.3f}",
        _known(row.macro_auc, ".3f"), "–" if row.baseline else f"{row.parameters:,}", _known(row.train_loss, ".2f"),
        f"{row.minutes:.1f}", _known(row.step_s, ".3g"), _known(row.memory_gb, ".1f"),
    ]  # fmt: skip


def _points(difference: float) -> str:
    return f"{round(100 * difference, 1) + 0.0:+.1f}"  # never -0.0


def _known(value: float | None, digits: str) -> str:
    return "–" if value is None else f"{value:{digits}}"


def _circumstances(study: Study) -> str:
    """Say on what, from what and when."""
    machine = study.machine
    facts = {
        "Machine": f"{machine.get('processor') or 'unknown'}, {machine.get('cores') or 'unknown'} cores, "
        f"device {machine.get('device') or 'unknown'}",
        "Commit": study.commit or f"installed auricle {study.versions.get('auricle', '')}".strip(),
        "Date": study.started[:10] or "unknown",
        "Seeds": ", ".join(map(str, study.config.seeds)),
        "Dataset digest": study.dataset.digest[:16],
        "Command": "; ".join(study.commands) or "unknown",
    }
    return "\n".join(f"- {name}: {_plain(value)}" for name, value in facts.items())


def _plain(words: str) -> str:
    """Return words that Markdown shows as they are."""
    return re.sub(r"([\\`*_{}\[\]<>#|])", r"\\\1", visible(words))
