"""The verb `report`: a study's report again, from what stands on disk."""

from __future__ import annotations

import contextlib
import json as json_format
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from auricle.cli.options import Json, Quiet, Verbose, say, verbosity

NoProbes = Annotated[
    bool, typer.Option("--no-probes", help="Do not measure what the models use; what is known is shown all the same.")
]


def report(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="STUDY", help="A study's folder, or its name for runs/NAME.")],
    results: Annotated[
        Path | None,
        typer.Option(metavar="RESULTS.md", help="Also write the study's section of this page."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The folder in which the study's dataset lies."),
    ] = None,
    no_probes: NoProbes = False,
    hand_in: Annotated[
        Path | None,
        typer.Option("--hand-in", metavar="NAME", help="Also write NAME.pdf, and the study as one program, NAME.py."),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Build report.html and report.pdf of a study again, without training anything.

    What the finished models use is measured once, where their weights and the recordings are found, and kept.
    """
    level = verbosity(context, quiet, verbose)
    study = folder if folder.exists() or not (Path("runs") / folder).is_dir() else Path("runs") / folder
    if hand_in is not None:
        from auricle.handin.hand_in import check_name

        check_name(hand_in)  # before the work
    files = build(study, level, root=data, probes=not no_probes)
    if hand_in is not None:
        from auricle.handin.hand_in import write_hand_in

        files |= write_hand_in(study, files["pdf"], hand_in)
    if results is not None:
        from auricle.report.results_page import write_results_section

        write_results_section(study, results)
        files |= {"results": results}
    if json:
        print(json_format.dumps({kind: str(path) for kind, path in files.items()}, indent=1))
    else:
        for path in files.values():
            print(path)


def build(study: Path, level: int, *, root: Path | None = None, probes: bool = True) -> dict[str, Path]:
    """Look into the models and build the report, saying on standard error what is being done.

    Args:
        study: its folder.
        level: of what is said.
        root: where the study's named dataset lies.
        probes: whether to find out what the models use, where that is not known yet.
    """
    from auricle.report.build import build_report

    notes: list[str] = []
    with _told(level) as tell:
        if probes:
            notes = _probe(study, root, tell)
        files = build_report(study, on_progress=tell)
    for note in notes if level >= 0 else ():
        say(f"auricle: {note}")
    return files


def _probe(study: Path, root: Path | None, tell: Callable[[str], None]) -> list[str]:
    """Find out what the models use and what people heard; return what could not be, and why."""
    from auricle.insight.insight import look_into
    from auricle.runs import StudyFolder
    from auricle.study.people import keep_judgements

    note = keep_judgements(StudyFolder(study), root=root)
    return [*([note] if note else []), *look_into(study, root=root, on_progress=tell)]


@contextlib.contextmanager
def _told(level: int) -> Iterator[Callable[[str], None]]:
    """Give what says in a few words what comes next: a status line on a terminal, lines elsewhere, or nothing."""
    if level < 0:
        yield lambda words: None
    elif not sys.stderr.isatty():
        yield say
    else:
        from rich.console import Console

        with Console(stderr=True).status("reading the study") as status:
            yield status.update
