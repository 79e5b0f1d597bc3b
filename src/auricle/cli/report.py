"""The verb `report`: a study's report again, from what stands on disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from auricle.cli.options import Data, Json, Quiet, Threads, Verbose, print_line, say, verbosity
from auricle.display.watching import told
from auricle.text import json_text


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
    from auricle.study.asking import find_study

    level = verbosity(context, quiet, verbose)
    study = find_study(folder)
    if hand_in is not None:
        from auricle.handin.hand_in import check_name

        check_name(hand_in)  # before the work
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
    """Build all that a report is, saying on standard error what is being done; arguments as of `write_report`."""
    from auricle.api.reporting import write_report

    with told(level) as tell:
        files, notes = write_report(study, data=data, root=root, probes=probes, front=front, on_progress=tell)
    for note in notes if level >= 0 else ():
        say(f"auricle: {note}")
    return files
