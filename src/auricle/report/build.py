"""The report of a study: evidence, chapters, and one HTML and one PDF file from them. No torch."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path

from auricle import files
from auricle.errors import AuricleError
from auricle.report.chapter_architectures import architectures_chapter
from auricle.report.chapter_calibration import calibration_chapter
from auricle.report.chapter_closing import assumptions_chapter, missing_chapter, reproduce_chapter, resources_chapter
from auricle.report.chapter_comparison import comparison_chapter
from auricle.report.chapter_dataset import dataset_chapter
from auricle.report.chapter_listening import listening_chapter
from auricle.report.chapter_methods import methods_chapter
from auricle.report.chapter_people import people_chapter
from auricle.report.chapter_reported import reported_chapter
from auricle.report.chapter_results import results_chapter
from auricle.report.chapter_summary import summary
from auricle.report.chapter_training import training_chapter
from auricle.report.chapter_tuning import tuning_chapter
from auricle.report.chapter_why import why_chapter
from auricle.report.comparisons import compare, main_protocol
from auricle.report.document import Document
from auricle.report.evidence import Study, load_study
from auricle.report.figures import style
from auricle.report.numbering import numbered
from auricle.report.render import to_html, to_pdf
from auricle.report.tables import comparative_rows
from auricle.report.tabular import write_csv
from auricle.report.wording import count, listing
from auricle.runs import StudyFolder


def build_report(study_folder: Path, *, on_progress: Callable[[str], None] | None = None) -> dict[str, Path]:
    """Write STUDY/report from what is on disk: report.html, report.pdf, figures/ and tables/.

    The same folder gives the same bytes.

    Args:
        study_folder: written by a study, which may be unfinished.
        on_progress: told in a few words what comes next.

    Returns:
        The paths of the report under "html" and "pdf".

    Raises:
        RefusedError: the folder holds no study, or a damaged one.
        AuricleError: no cell is finished.
        MachineError: the disk refuses.
    """
    tell = on_progress or (lambda words: None)
    tell("reading the study")
    study = load_study(study_folder)
    if not study.cells:
        raise AuricleError(
            f"no cell of {study_folder} is finished, so there is nothing to report; run the study again to go on"
        )
    tell("drawing the figures")
    document = compose(study)
    content = numbered(document)
    folder = StudyFolder(study.folder).report
    figures = {f"{panel.name}.svg": panel.svg for panel in document.panels()}
    for name, svg in figures.items():
        files.write_text(folder / "figures" / name, svg)
    for table in document.tables():
        write_csv(folder / "tables" / f"{table.name}.csv", table)
    _keep_only(folder / "figures", figures)
    _keep_only(folder / "tables", (f"{table.name}.csv" for table in document.tables()))
    tell("writing report.html")
    files.write_text(folder / "report.html", to_html(content, figures))
    tell("writing report.pdf")
    files.write_bytes(folder / "report.pdf", to_pdf(content, figures))
    return {"html": folder / "report.html", "pdf": folder / "report.pdf"}


def compose(study: Study) -> Document:
    """Return the whole report of a study that has a finished cell."""
    rows = comparative_rows(study)
    protocol = main_protocol(rows)
    comparisons = {name: compare(study, rows, name) for name in study.protocols}
    with style():
        sections = (
            summary(study, rows, comparisons, protocol),
            dataset_chapter(study),
            methods_chapter(study),
            architectures_chapter(study),
            training_chapter(study),
            *tuning_chapter(study, rows),
            results_chapter(study, rows),
            comparison_chapter(study, rows, comparisons, protocol),
            calibration_chapter(study, rows, protocol),
            why_chapter(study, rows, protocol),
            *people_chapter(study, rows, protocol),
            *listening_chapter(study),
            *reported_chapter(study),
            assumptions_chapter(study),
            resources_chapter(study),
            reproduce_chapter(study),
            *missing_chapter(study),
        )
    return Document(_title(study), _subtitle(study), f"Study {study.config.name} on {study.dataset.name}", sections)


def _title(study: Study) -> str:
    data = study.dataset.name
    if len(study.models) == 1:
        return f"How well does {study.models[0]} classify {data}?"
    return f"Which of {len(study.models)} models classifies {data} best?"


def _subtitle(study: Study) -> str:
    classes = count(len(study.dataset.categories), "class", "classes")
    epochs = sorted({study.presets[model].training.epochs for model in study.models})
    return (
        f"Study {study.config.name}: {count(len(study.cells), 'cell')} of {listing(map(str, epochs))} epochs "
        f"under {listing(study.protocols)}, {count(study.dataset.num_clips, 'clip')} of {classes}"
    )


def _keep_only(folder: Path, names: Iterable[str]) -> None:
    """Remove what an earlier report left behind."""
    kept = set(names)
    for path in folder.glob("*"):
        if path.name not in kept and path.suffix in (".svg", ".csv"):
            with contextlib.suppress(OSError):
                path.unlink()
