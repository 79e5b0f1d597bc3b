"""Build a report from a study's folder: the analysis of its models, the page of mistakes, and the report itself."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from auricle.errors import MachineError, RefusedError, UsageError
from auricle.findings.study import Study, load_study
from auricle.probes.probe import probe_study
from auricle.report.build import build_report
from auricle.report.errors_page import build_errors_page, takes_long
from auricle.runs import StudyFolder
from auricle.runs.record import keep_human_labels
from auricle.runs.reopen import find_recordings
from auricle.study.configure import data_of
from auricle.work.workers import running_beside


def write_report(
    study: Path,
    *,
    data: str | None = None,
    root: Path | None = None,
    probes: bool = True,
    front: Mapping[str, str | None] | None = None,
    on_progress: Callable[..., None],
) -> tuple[dict[str, Path], list[str]]:
    """Analyse the models of a study, and write the report and the page of mistakes.

    Args:
        study: the folder of the study.
        data: the recordings, by a name or path that the user gives, where they must be found. None: where they were.
        root: as for `load_manifest`.
        probes: whether to analyse what the models rely on, unless that was done before.
        front: as for `build_report`; what is None is left out.
        on_progress: called with a short description of each step and, where known, how much of it is done and of how
            much.

    Returns:
        The files by kind ("html", "pdf", "errors"), and sentences about what could not be done.

    Raises:
        UsageError: a link that is not an address; other errors as in `build_report`.
    """
    given = {name: text for name, text in (front or {}).items() if text is not None}
    if (link := given.get("link")) and not link.startswith(("https://", "http://")):
        raise UsageError(f"--link takes an address such as https://example.org/notebook, not {link[:100]!r}")
    folder, notes, source = StudyFolder(study), list[str](), None
    if data is not None:
        source, root = data_of(study, data)
        find_recordings(folder, source=source, root=root)
    if probes:
        human = keep_human_labels(folder, source=source, root=root)
        notes = [*([human] if human else []), *probe_study(study, source=source, root=root, on_progress=on_progress)]
    on_progress("reading the study")
    evidence = load_study(study)
    with _errors_page(evidence, notes, on_progress, source=source, root=root) as page:
        files = build_report(evidence, given, on_progress=on_progress, await_errors_page=page)
    return files | ({"errors": errors} if (errors := page()) else {}), notes


@contextlib.contextmanager
def _errors_page(
    evidence: Study, notes: list[str], on_progress: Callable[..., None], **where: Any
) -> Iterator[Callable[[], Path | None]]:
    """Write the page of mistakes, in a process beside this one if it takes long; the yielded function waits for it.

    It returns the page; or None, with a note, where it cannot be written.
    """
    make = functools.partial(build_errors_page, evidence, **where)
    beside = takes_long(evidence)

    @functools.cache
    def page() -> Path | None:
        try:
            return result() if beside else make(on_progress=on_progress)
        except (RefusedError, UsageError) as error:
            notes.append(f"the page of mistakes was not written: {error}")
        except EOFError:
            raise MachineError("the process that writes the page of mistakes was killed; is memory short?") from None
        return None

    with running_beside(make) if beside else contextlib.nullcontext(make) as result:
        if not beside:
            page()
        yield page
