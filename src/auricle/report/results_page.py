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
from auricle.report.chapter_reported import NO_BREAK_HYPHEN, reported_table
from auricle.report.evidence import Study, load_study
from auricle.report.reported import concerned
from auricle.report.seeds import SeedRow, seed_rows
from auricle.report.tables import ComparativeRow, comparative_rows, with_baselines
from auricle.report.table import show
from auricle.report.wording import NO_BREAK, anchors, count, visible

_HEADER = ("model", "protocol", "cells", "test accuracy, %", "lowest to highest", "macro F1", "AUC", "parameters",
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
    """Return heading, table and circumstances, in Markdown."""
    table = _table(_HEADER, [_row(row) for row in with_baselines(study, comparative_rows(study))])
    dataset = study.dataset
    about = (
        f"{count(dataset.num_clips, 'clip')} of {count(len(dataset.categories), 'class', 'classes')} from "
        f"{_plain(dataset.source)}; test accuracy is of clips, mean ± standard deviation over cells; train loss is of "
        "training clips after the last epoch, in nats; GB is the most memory that a process held."
    )
    if any(study.baselines):
        about += " Rows in italics are free baselines: no network, nothing tuned, the same folds."
    if study.dataset.ungrouped:
        about += " No groups are known: clips of one recording may stand on both sides of a split."
    if study.dataset.split_groups:
        groups = count(study.dataset.split_groups, "group")
        about += f" **Leaky**: the folds split {groups}, so clips of one group stand in training and in test."
    missing = f"\n\n{count(len(study.missing), 'planned cell')} without results." if study.missing else ""
    tables = [table + missing, *_over_seeds(study), *(_beside_reported(study) if concerned(study) else ())]
    parts = [f"## {_plain(study.config.name)}", about, *tables, _circumstances(study)]
    return "\n\n".join(parts)


def _beside_reported(study: Study) -> list[str]:
    """Return what published reports say of the models beside what was measured."""
    table = reported_table(study)
    rows = [
        [_bare(group), *(_bare(show(value, column.kind)) for column, value in zip(table.columns, row, strict=True))]
        for group, rows in table.groups.items()
        for row in rows
    ]
    header = ("Report", *(column.title for column in table.columns))
    return [_bare("".join(map(str, table.caption))), _table(header, rows)]


def _bare(words: str) -> str:
    """Return words of the report without the marks that keep its lines whole."""
    return _plain(words.replace(NO_BREAK, " ").replace(NO_BREAK_HYPHEN, "-"))


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table whose first two columns are words and whose others are numbers."""
    lines = (header, ["---"] * 2 + ["---:"] * (len(header) - 2), *rows)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _over_seeds(study: Study) -> list[str]:
    """Return a second table and its explanation where the study has several seeds."""
    if len(study.config.seeds) < 2:
        return []
    first = _plain(study.models[0])
    header = ("model", "protocol", "seeds", "accuracy, %", "sd over seeds", "95 % interval", "ensemble, %",
              f"less {first}", "95 % interval", "CPU s a cell")  # fmt: skip
    words = (
        f"Over seeds: mean over folds and seeds; standard deviation over seeds of the mean over folds; 95 % interval "
        f"by bootstrap over source recordings; difference from {first} on the same clips, folds and seeds, likewise "
        "and widened by the spread over trainings. The ensemble answers with the mean over seeds of the probabilities."
    )
    return [words, _table(header, [_seed_row(row) for row in seed_rows(study)])]


def _seed_row(row: SeedRow) -> list[str]:
    sd = "–" if row.sd is None else f"{100 * row.sd:.1f}"
    difference, interval = "", ""
    if row.against is not None:
        difference = f"{100 * row.against.difference:+.1f}"
        interval = f"{100 * row.against.low:+.1f} to {100 * row.against.high:+.1f}"
    return [
        _plain(row.model), row.protocol, str(len(row.seeds)), f"{100 * row.accuracy:.1f}", sd,
        f"{100 * row.low:.1f} to {100 * row.high:.1f}", f"{100 * row.together:.1f}",
        difference, interval, f"{row.cpu_seconds:.0f}",
    ]  # fmt: skip


def _row(row: ComparativeRow) -> list[str]:
    accuracy = f"{100 * row.accuracy:.1f}"
    if row.accuracy_sd is not None:
        accuracy += f" ± {100 * row.accuracy_sd:.1f}"
    cells = f"{row.cells}" if row.cells == row.cells_planned else f"{row.cells} of {row.cells_planned}"
    name = f"*{_plain(row.model)}*" if row.baseline else _plain(row.model)
    return [
        name, f"{row.protocol} (leaky)" if row.leaky else row.protocol, cells, accuracy,
        f"{100 * row.accuracy_min:.1f} to {100 * row.accuracy_max:.1f}", f"{row.macro_f1:.3f}",
        _known(row.macro_auc, ".3f"), "–" if row.baseline else f"{row.parameters:,}", _known(row.train_loss, ".2f"),
        f"{row.minutes:.1f}", _known(row.step_s, ".3g"), _known(row.memory_gb, ".1f"),
    ]  # fmt: skip


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
