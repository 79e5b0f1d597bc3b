"""Build a report from a study's folder: the analysis of its models, the page of mistakes, and the report itself."""

from collections.abc import Callable, Mapping
from pathlib import Path

from auricle.errors import RefusedError, UsageError
from auricle.findings.study import load_study
from auricle.probes.probe import probe_study
from auricle.report.build import build_report
from auricle.report.errors_page import build_errors_page
from auricle.runs import StudyFolder
from auricle.runs.record import keep_human_labels
from auricle.runs.reopen import find_recordings
from auricle.study.configure import data_of


def write_report(
    study: Path,
    *,
    data: str | None = None,
    root: Path | None = None,
    probes: bool = True,
    front: Mapping[str, str] | None = None,
    on_progress: Callable[..., None],
) -> tuple[dict[str, Path], list[str]]:
    """Analyse the models of a study, and write the report and the page of mistakes.

    Args:
        study: the folder of the study.
        data: the recordings, by a name or path that the user gives, where they must be found. None: where they were.
        root: as for `load_manifest`.
        probes: whether to analyse what the models rely on, unless that was done before.
        front: as for `build_report`.
        on_progress: called with a short description of each step and, where known, how much of it is done and of how
            much.

    Returns:
        The files by kind ("html", "pdf", "errors"), and sentences about what could not be done.

    Raises:
        UsageError: a link that is not an address; other errors as in `build_report`.
    """
    if (link := (front or {}).get("link")) and not link.startswith(("https://", "http://")):
        raise UsageError(f"--link takes an address such as https://example.org/notebook, not {link[:100]!r}")
    folder, notes, page, source = StudyFolder(study), list[str](), None, None
    if data is not None:
        source, root = data_of(study, data)
        find_recordings(folder, source=source, root=root)
    if probes:
        human = keep_human_labels(folder, source=source, root=root)
        notes = [*([human] if human else []), *probe_study(study, source=source, root=root, on_progress=on_progress)]
    on_progress("reading the study")
    evidence = load_study(study)
    try:
        page = build_errors_page(evidence, source=source, root=root, on_progress=on_progress)
    except (RefusedError, UsageError) as error:
        notes.append(f"the page of mistakes was not written: {error}")
    files = build_report(evidence, front, on_progress=on_progress) | ({"errors": page} if page else {})
    return files, notes
