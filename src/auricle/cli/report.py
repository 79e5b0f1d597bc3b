"""The verb `report`: a study's report again, from what stands on disk."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from auricle.cli.bar import bar
from auricle.cli.options import Data, Json, Quiet, Threads, Verbose, data_of, print_line, say, verbosity
from auricle.errors import UsageError
from auricle.text import json_text

if TYPE_CHECKING:
    from auricle.runs import StudyFolder


def report(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="STUDY", help="A study's folder, or its name for runs/NAME.")],
    results: Annotated[
        Path | None, typer.Option(metavar="RESULTS.md", help="Also write the study's section of this page.")
    ] = None,
    data: Data = None,
    no_probes: Annotated[
        bool,
        typer.Option("--no-probes", help="Do not measure what the models use; what is known is shown all the same."),
    ] = False,
    hand_in: Annotated[
        Path | None,
        typer.Option("--hand-in", metavar="NAME", help="Also write NAME.pdf, and the study as one program, NAME.py."),
    ] = None,
    author: Annotated[str | None, typer.Option(metavar="NAMES", help="Who wrote it; kept for the next report.")] = None,
    title: Annotated[str | None, typer.Option(metavar="TITLE", help="In place of the report's own.")] = None,
    link: Annotated[
        str | None, typer.Option(metavar="URL", help="Of the notebook or repository, under the title.")
    ] = None,
    threads: Threads = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Build report.html, report.pdf and errors.html (the mistakes, to be heard) again, without training anything.

    What the finished models use is measured once, where their weights and the recordings are found, and kept.
    """
    level = verbosity(context, quiet, verbose)
    study = folder if folder.exists() or not (Path("runs") / folder).is_dir() else Path("runs") / folder
    if hand_in is not None:
        from auricle.handin.hand_in import check_name

        check_name(hand_in)  # before the work
    if link and not link.startswith(("https://", "http://")):
        raise UsageError(f"--link takes an address such as https://example.org/notebook, not {link[:100]!r}")
    given = {"author": author, "title": title, "link": link}
    front = {name: words for name, words in given.items() if words is not None}
    files = build(study, level, data=data, probes=not no_probes, front=front)
    if hand_in is not None:
        from auricle.handin.hand_in import write_hand_in

        files |= write_hand_in(study, files["pdf"], hand_in)
    if results is not None:
        from auricle.report.results_page import write_results_section

        write_results_section(study, results)
        files |= {"results": results}
    if json:
        print(json_text({kind: str(path) for kind, path in files.items()}, indent=1))
    else:
        for path in files.values():
            print_line(path)


def build(
    study: Path,
    level: int,
    *,
    data: str | None = None,
    root: Path | None = None,
    probes: bool = True,
    front: Mapping[str, str] | None = None,
) -> dict[str, Path]:
    """Look into the models and build the report and the page of mistakes, saying on standard error what is being done.

    `data` is where a person says that the recordings lie: then they must lie there. `root` is as for `load_manifest`.
    With `probes`, what the models use is found out where that is not known yet. `front` is as for `build_report`.
    """
    from auricle.errors import RefusedError
    from auricle.probes.probe import probe_study
    from auricle.report.build import build_report
    from auricle.report.errors_page import build_errors_page
    from auricle.runs import StudyFolder
    from auricle.runs.record import keep_human_labels

    folder, notes, page = StudyFolder(study), list[str](), None
    with _told(level) as tell:
        source = None
        if data is not None:
            source, root = _there(folder, data)
        if probes:
            human = keep_human_labels(folder, source=source, root=root)
            notes = [*([human] if human else []), *probe_study(study, source=source, root=root, on_progress=tell)]
        try:
            page = build_errors_page(study, source=source, root=root, on_progress=tell)
        except (RefusedError, UsageError) as error:
            notes.append(f"no page to hear the mistakes on: {error}")
        files = build_report(study, front, on_progress=tell) | ({"errors": page} if page else {})
    for note in notes if level >= 0 else ():
        say(f"auricle: {note}")
    return files


def _there(study: StudyFolder, data: str) -> tuple[str | None, Path | None]:
    """Return the source that `--data` means, and the folder of named datasets if it means that; refuse other data."""
    from auricle.runs.reopen import find_recordings

    source, root = data_of(study.folder, data)
    find_recordings(study, source=source, root=root)
    return source, root


@contextlib.contextmanager
def _told(level: int) -> Iterator[Callable[..., None]]:
    """Give what says in a few words what comes next, and how much of it is done: a bar, lines elsewhere, or nothing."""
    if level < 0:
        yield lambda words, done=0, total=None: None
    elif not sys.stderr.isatty():
        yield lambda words, done=0, total=None: say(f"{words} ({done + 1} of {total})" if total else words)
    else:
        with bar("{task.completed}/{task.total}") as draw:
            yield lambda words, done=0, total=None: draw(words, done, total)
