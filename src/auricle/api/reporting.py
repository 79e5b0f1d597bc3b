"""All that a report is, from a study's folder: what the models use, the page of mistakes, and the report itself."""

from collections.abc import Callable, Mapping
from pathlib import Path

from auricle.errors import RefusedError, UsageError
from auricle.probes.probe import probe_study
from auricle.report.build import build_report
from auricle.report.errors_page import build_errors_page
from auricle.runs import StudyFolder
from auricle.runs.record import keep_human_labels
from auricle.runs.reopen import find_recordings
from auricle.study.asking import data_of


def write_report(
    study: Path,
    *,
    data: str | None = None,
    root: Path | None = None,
    probes: bool = True,
    front: Mapping[str, str] | None = None,
    on_progress: Callable[..., None],
) -> tuple[dict[str, Path], list[str]]:
    """Look into the models and write the report and the page of mistakes.

    Args:
        study: the folder.
        data: where a person says that the recordings lie: then they must lie there. None: where they lay.
        root: as for `load_manifest`.
        probes: whether to find out what the models use, where that is not known yet.
        front: as for `build_report`.
        on_progress: told in a few words what comes next, and how much of how much of it is done.

    Returns:
        The files by kind, "html", "pdf" and "errors"; and sentences about what could not be done.

    Raises:
        UsageError: a link that is no address; other errors as in `build_report`.
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
    try:
        page = build_errors_page(study, source=source, root=root, on_progress=on_progress)
    except (RefusedError, UsageError) as error:
        notes.append(f"no page to hear the mistakes on: {error}")
    files = build_report(study, front, on_progress=on_progress) | ({"errors": page} if page else {})
    return files, notes
