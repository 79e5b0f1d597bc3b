"""A study's section of RESULTS.md: written by a command, between markers, so that nobody writes it by hand.

<!-- auricle:NAME -->
## NAME
...
<!-- /auricle:NAME -->
"""

import re
from pathlib import Path

from auricle import files
from auricle.config.reference import changed_field
from auricle.errors import AuricleError, UsageError
from auricle.findings.comparison import Comparison, compare
from auricle.findings.reference import Verdict, beside_references
from auricle.findings.study import Study, load_study
from auricle.findings.tuning import own_search
from auricle.report.chapters.against_others import reported_of
from auricle.report.chapters.training import trials_of
from auricle.report.document import blocks_of
from auricle.report.pages import page_environment
from auricle.report.prose import sections_of
from auricle.report.table import Kind, Table, Value, show, show_sd
from auricle.report.wording import NO_BREAK, anchors, count, visible


def write_results_section(study_folder: Path, results_md: Path) -> None:
    """Write the section of a study into RESULTS.md, replacing an existing one, else at the end.

    Raises:
        RefusedError: the folder is not a study.
        AuricleError: no cell is finished.
        UsageError: the file has one marker of the section without the other.
        MachineError: the file cannot be written.
    """
    study = load_study(study_folder)
    if not study.cells:
        raise AuricleError(f"no cell of {study_folder} is finished, so there are no results; run the study first")
    write_section(results_md, _marker(study.config.name), _section(study))


def _marker(name: str) -> str:
    """Return the name of a study's section: of letters, digits and hyphens, and different for different studies.

    >>> _marker("esc10"), _marker("birds_2024")
    ('esc10', 'birds-2024-7e74fd')
    """
    anchor = anchors([name])[name]
    return anchor if anchor == name else f"{anchor}-{files.digest(name.encode())[:6]}"


def write_section(results_md: Path, name: str, text: str) -> None:
    """Write a named section of a Markdown page, replacing an existing one, else at the end.

    Raises:
        UsageError: the file has one marker of the section without the other.
        MachineError: the file cannot be written.
    """
    start, end = f"<!-- auricle:{name} -->", f"<!-- /auricle:{name} -->"
    section = f"{start}\n{text}\n{end}"
    with files.machine_errors(results_md, "read"):
        page = results_md.read_text(encoding="utf-8") if results_md.exists() else "# Results\n"
    if (page.count(start), page.count(end)) not in ((0, 0), (1, 1)) or page.find(end) < page.find(start):
        raise UsageError(f"{results_md} needs {start} once, and then {end} once; fix or remove them")
    if start in page:
        page = page[: page.index(start)] + section + page[page.index(end) + len(end) :]
    else:
        page = f"{page.rstrip()}\n\n{section}\n"
    files.write_text(results_md, page)


def _section(study: Study) -> str:
    """Return heading, tables and circumstances, in Markdown."""
    comparisons = [compare(study, protocol) for protocol in study.protocols]
    reference = beside_references(study)
    chapter, first = reported_of(reference, study), study.models[0]  # the report's table of them stands here too
    blocks = blocks_of(sections_of("reported", chapter.values, chapter.exhibits) if reference else ())
    rows = [row for comparison in comparisons for row in (*comparison.rows, *comparison.baselines)]
    search = own_search(study, rows)
    environment = page_environment()
    environment.autoescape = False  # it is Markdown: `plain` escapes its marks
    environment.filters |= {"count": count, "plain": _plain, "bare": _bare, "shown": _shown}
    values = {
        "study": study,
        "dataset": study.dataset,
        "machine": {name: study.machine.get(name) for name in ("processor", "cores")},
        "rows": rows,
        "first": first,
        "against_first": [
            (row, _difference(comparison, row.model, first)) for comparison in comparisons for row in comparison.rows
        ],
        "explained": [row for row in reference if row.measured and row.verdict != Verdict.AGREE and row.figure.note],
        "search": search,
        "overrides": [changed_field(name, value) for name, value in search.overrides.items()] if search else [],
        "trials": search and trials_of(search, search.done),
        "reported": next((block for block in blocks if isinstance(block, Table)), None),
    }
    return environment.get_template("results.md.j2").render(values)


def _difference(comparison: Comparison, model: str, other: str) -> list[str] | None:
    """Return by how many points a model is ahead of another, and the interval; None where they are not compared."""
    if model == other or not (pair := comparison.pair_of(model, other)):
        return None
    ahead = (pair.mean, pair.low, pair.high) if pair.first == model else (-pair.mean, -pair.high, -pair.low)
    return [f"{round(100 * value, 1) + 0.0:+.1f}" for value in ahead]  # never -0.0


def _shown(value: Value, kind: Kind) -> str:
    """Return a value of a table, with its standard deviation if it has one."""
    return " ± ".join(filter(None, (show(value, kind), show_sd(value, kind))))


def _bare(text: str) -> str:
    """Return text of the report without the marks that keep its lines whole."""
    return _plain(text.replace(NO_BREAK, " "))


def _plain(text: str) -> str:
    """Return text that Markdown shows as they are."""
    return re.sub(r"([\\`*_{}\[\]<>#|&])", r"\\\1", visible(text))
