"""The report of a study: evidence, chapters, and one HTML and one PDF file from them. No torch."""

import contextlib
import json
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

from auricle import files
from auricle.errors import AuricleError
from auricle.findings.findings import find, write_findings
from auricle.findings.study import Study
from auricle.report.chapters.against_others import human_labels, reported
from auricle.report.chapters.closing import (
    assumptions,
    implementation,
    listening,
    missing,
    references,
    reproduce,
    resources,
)  # fmt: skip
from auricle.report.chapters.comparison import comparison, details
from auricle.report.chapters.methods import architectures, dataset, methods
from auricle.report.chapters.results import calibration, cells, results, summary
from auricle.report.chapters.training import training, tuning
from auricle.report.chapters.why import evidence, missed, why
from auricle.report.document import Chapter, Document, Report
from auricle.report.figures.drawing import drawn_in, keep
from auricle.report.figures.style import style
from auricle.report.pages import template
from auricle.report.prose import sections_of
from auricle.report.render import needs_system_fonts, numbered, to_html, to_pdf
from auricle.report.table import write_csv
from auricle.report.wording import count, listing
from auricle.runs import StudyFolder

# In the order of the report; each has the name of its template, and is left out if it has no content.
CHAPTERS: tuple[Callable[[Report], Chapter | None], ...] = (
    summary, dataset, methods, architectures, training, tuning, results, comparison, why, reported, assumptions,
    resources, references,
)  # fmt: skip
APPENDIX: tuple[Callable[[Report], Chapter | None], ...] = (
    implementation, details, cells, missed, evidence, calibration, human_labels, listening, reproduce, missing,
)  # fmt: skip


def build_report(
    study: Study,
    front: Mapping[str, str] | None = None,
    *,
    on_progress: Callable[[str], None] | None = None,
    await_errors_page: Callable[[], object] = lambda: None,
) -> dict[str, Path]:
    """Write STUDY/report from the files of the study: report.html, report.pdf, findings.json, figures/ and tables/.

    `front` gives author, title and link of the report; it is stored in the study's folder for later reports, and an
    empty text removes it. `await_errors_page` is called before the report looks for the page of mistakes. The same
    folder gives the same bytes. The paths are returned under "html" and "pdf".

    Raises:
        RefusedError: the record of its search is damaged.
        AuricleError: no cell is finished.
        MachineError: the disk refuses.
    """
    report_progress = on_progress or (lambda message: None)
    if not study.cells:
        raise AuricleError(
            f"no cell of {study.folder} is finished, so there is nothing to report; run the study again to continue"
        )
    report = Report(study, find(study, report_progress), await_errors_page)
    stored = StudyFolder(study.folder).front
    front = {**(files.read_sealed(stored) if stored.exists() else {}), **(front or {})}
    if front:
        files.write_sealed(stored, front)
    report_progress("drawing the figures")
    document = compose(report, front)
    content = numbered(document)
    folder = StudyFolder(study.folder).report
    write_findings(folder / "findings.json", report.findings)
    panels = tuple(document.panels())
    figures = {f"{panel.name}.svg": panel.svg for panel in panels}
    keep(folder / "figures", panels)
    for table in document.tables():
        write_csv(folder / "tables" / f"{table.name}.csv", table)
    _keep_only(folder / "figures", figures)
    _keep_only(folder / "tables", (f"{table.name}.csv" for table in document.tables()))
    report_progress("writing report.html")
    files.write_text(folder / "report.html", to_html(content, figures))
    report_progress("writing report.pdf")
    _write_pdf(folder, content, figures)
    return {"html": folder / "report.html", "pdf": folder / "report.pdf"}


def _write_pdf(folder: Path, content: Mapping[str, Any], figures: Mapping[str, str]) -> None:
    """Write report.pdf, unless an intact one with the same content exists; its hash is stored beside the figures."""
    source = json.dumps([content, figures, template("report.typ"), version("typst")], ensure_ascii=False)
    path, kept = folder / "report.pdf", folder / "figures" / "set.json"
    if not needs_system_fonts(source):  # those can change
        with contextlib.suppress(OSError, ValueError):
            set_before = json.loads(kept.read_text(encoding="utf-8"))
            if set_before == [files.digest(source.encode()), files.digest(path.read_bytes())]:
                return
    pdf = to_pdf(content, figures)
    files.write_bytes(path, pdf)
    files.write_json(kept, [files.digest(source.encode()), files.digest(pdf)])


def compose(report: Report, front: Mapping[str, str] = MappingProxyType({})) -> Document:
    """Return the whole report of a study that has a finished cell; `front` is as for `build_report`."""
    study = report.study
    with drawn_in(StudyFolder(study.folder).report / "figures", style):
        sections, appendix = (
            tuple(
                section
                for make in chapters
                if (chapter := make(report)) is not None
                for section in sections_of(make.__name__, chapter.values, chapter.exhibits)
            )
            for chapters in (CHAPTERS, APPENDIX)
        )
    names = dict.fromkeys((study.config.name, study.dataset.name))  # of the built-in studies, both are often the same
    running_head = f"Study {' on '.join(names)}"
    by = [front.get("author", ""), study.started[:10]] if front.get("author") else []
    return Document(
        front.get("title") or title_of(study),
        subtitle(study),
        running_head,
        sections,
        appendix=appendix,
        byline=", ".join(filter(None, by)),
        link=front.get("link", ""),
    )


def title_of(study: Study) -> str:
    """Return the question that the report answers; the user's own recordings are named by their classes."""
    data = study.dataset
    if data.name == data.source:
        only, several, what = "classify", "classifies", data.name
    else:
        only, several, what = "tell", "tells", f"{count(len(data.classes), 'class', 'classes')} of sound apart"
    if len(study.models) == 1:
        return f"How well does {study.models[0]} {only} {what}?"
    return f"Which of {len(study.models)} models {several} {what} best?"


def subtitle(study: Study) -> str:
    """Return the subtitle: the cells, epochs and protocols, and the clips."""
    classes = count(len(study.dataset.classes), "class", "classes")
    if study.dataset.background:
        classes += " and background"
    return (
        f"Study {study.config.name}: {count(len(study.cells), 'cell')} of {_length(study)} "
        f"under {listing(study.protocols)}, {count(study.dataset.num_clips, 'clip')} of {classes}"
    )


def _length(study: Study) -> str:
    """Return how long the cells were trained: epochs begun, and steps where these were limited."""
    recipes = {name: preset.training for name, preset in study.presets.items()}
    epochs = {int(cell.costs.get("epochs") or recipes[cell.name.model].epochs) for cell in study.cells}
    limited = [cell for cell in study.cells if recipes[cell.name.model].max_steps]
    steps = {sum(epoch.get("steps", 0) for epoch in cell.history) for cell in limited} - {0}
    length = f"{listing(map(str, sorted(epochs)))} {'epoch' if epochs == {1} else 'epochs'}"
    if not steps:
        return length
    where = "" if len(limited) == len(study.cells) else " where these are limited"
    return f"{length} ({listing(f'{number:,}' for number in sorted(steps))} steps{where})"


def _keep_only(folder: Path, names: Iterable[str]) -> None:
    """Remove files of an earlier report."""
    kept = set(names)
    for path in folder.glob("*"):
        if path.name not in kept and path.suffix in (".svg", ".csv"):
            with contextlib.suppress(OSError):
                path.unlink()
