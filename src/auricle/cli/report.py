"""The command `report`: rebuild the report of a study from the files in its folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from auricle.cli.options import Data, Json, Quiet, Threads, Verbose, print_line, say, verbosity
from auricle.display.watching import progress_shown
from auricle.text import json_text


def report(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="STUDY", help="Folder of the study, or its name in runs/.")],
    results: Annotated[
        Path | None, typer.Option(metavar="RESULTS.md", help="Also update the study's section of this Markdown page.")
    ] = None,
    data: Data = None,
    no_probes: Annotated[
        bool,
        typer.Option("--no-probes", help="Do not analyse what the models rely on; earlier analyses are still shown."),
    ] = False,
    hand_in: Annotated[
        Path | None,
        typer.Option(
            "--hand-in", metavar="NAME", help="Also write the report as NAME.pdf and the study as one program, NAME.py."
        ),
    ] = None,
    author: Annotated[
        str | None, typer.Option(metavar="NAMES", help="Authors of the report; remembered for the next time.")
    ] = None,
    title: Annotated[
        str | None, typer.Option(metavar="TITLE", help="Title of the report, instead of the default one.")
    ] = None,
    link: Annotated[
        str | None, typer.Option(metavar="URL", help="Link to the notebook or repository, shown below the title.")
    ] = None,
    threads: Threads = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Rebuild report.html, report.pdf and errors.html (misclassified clips to listen to), without training anything.

    What the finished models rely on is analysed once, if their weights and the recordings are found, and kept.
    """
    from auricle.study.configure import find_study

    level = verbosity(context, quiet, verbose)
    study = find_study(folder)
    if hand_in is not None:
        from auricle.handin.hand_in import check_name

        check_name(hand_in)  # before the work
    front = {"author": author, "title": title, "link": link}
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
    front: Mapping[str, str | None] | None = None,
) -> dict[str, Path]:
    """Build a report and show progress on standard error; the arguments are those of `write_report`."""
    from auricle.api.reporting import write_report

    with progress_shown(level) as show:
        files, notes = write_report(study, data=data, root=root, probes=probes, front=front, on_progress=show)
    for note in notes if level >= 0 else ():
        say(f"auricle: {note}")
    return files
