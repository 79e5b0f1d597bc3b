"""The commands `check`, `data list` and `data get`, and how the findings of a check are printed."""

from __future__ import annotations

import sys
import textwrap
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from auricle.cli.options import (
    Data,
    GroupBy,
    Json,
    Label,
    complete_source,
    examples,
    print_line,
    refuse_to_overwrite,
    required,
    say,
)
from auricle.display.bar import bar
from auricle.errors import RefusedError, UsageError, count
from auricle.text import json_text, visible

if TYPE_CHECKING:
    from auricle.audit.audit import Audit
    from auricle.audit.finding_types import Finding, FindingType
    from auricle.display.terminal import Terminal

NUM_NAMED = 3  # findings of a type that are printed in full
MAX_FOLDS = 8  # more columns than these do not fit in 80 characters
STYLES = {"error": "red", "warning": "yellow", "note": "dim"}
app = typer.Typer(
    help="List and download datasets.",
    no_args_is_help=True,
    rich_markup_mode=None,
    epilog=examples("auricle data list"),
)


@app.command("list", short_help="List the datasets known by name.", epilog=examples("auricle data list"))
def list_(
    root: Annotated[Path | None, typer.Option("--in", metavar="DIR", help="Look for them in this folder.")] = None,
    json: Json = False,
) -> None:
    """List the datasets known by name, and where they are on this machine."""
    from auricle.data.datasets import SOURCES, find_dataset

    found = {name: None if name == "toy" else find_dataset(name, root) for name in SOURCES}
    if json:
        folders = {name: str(folder) if folder else None for name, folder in found.items()}
        rows = [{"name": name, "about": about, "folder": folders[name]} for name, about in SOURCES.items()]
        print(json_text(rows, indent=1))
        return
    for name, about in SOURCES.items():
        where = "built in" if name == "toy" else found[name] or f"not downloaded; run: auricle data get {name}"
        print(textwrap.fill(f"{name:14}{about}", 80, subsequent_indent=" " * 14))
        print_line(f"{'':14}{where}")


@app.command(short_help="Download a dataset.", epilog=examples("auricle data get esc10 --yes"))
def get(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME", help="esc10, esc50 or urbansound8k.", show_default=False, autocompletion=complete_source
        ),
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="DIR", help="Destination folder. [default: the user's cache]")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Download a dataset, verify it and unpack it. An interrupted download resumes where it stopped."""
    from auricle.data.datasets import find_dataset
    from auricle.data.download import DOWNLOADABLE, archive_of
    from auricle.data.download import get as download

    source = required(name, "dataset", DOWNLOADABLE)
    archive = archive_of(source)
    if not find_dataset(source, to) and not yes:
        question = f"{source} is a download of {archive.size_mb:,} MB from {archive.url}"
        if not sys.stdin.isatty():
            raise UsageError(f"{question}; there is no terminal to confirm it, so add --yes")
        typer.confirm(f"{question}. Continue?", abort=True, err=True)
    with bar("{task.fields[size]}") as show:
        folder = download(source, to=to, on_progress=show)
    print_line(folder)


def check(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME|DIR|CSV",
            help="A dataset's name; or your own recordings: a folder, or a CSV.",
            show_default=False,
            autocompletion=complete_source,
        ),
    ] = None,
    data: Data = None,
    label: Label = None,
    group_by: GroupBy = None,
    json: Json = False,
    html: Annotated[
        Path | None, typer.Option(metavar="PAGE", help="Write a page with all findings and their spectrograms.")
    ] = None,
    fix: Annotated[
        Path | None,
        typer.Option(metavar="NEW.csv", help="Write a corrected table of clips; only safe fixes are applied."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Decoding processes. [default: one per core]")
    ] = None,
) -> None:
    """Decode every recording and report what the dataset contains, what is wrong with it and what to do.

    The exit code is 3 if anything must be fixed.
    """
    from auricle.audit.audit import audit
    from auricle.audit.mending import mend, require_new, write_manifest
    from auricle.data.annotations import is_piece
    from auricle.data.datasets import SOURCES, survey
    from auricle.study.configure import find_data

    name, root = find_data(data or required(source, "source", SOURCES), source or "")
    if data is not None and source not in (None, name):
        raise UsageError(f"{source} and --data {data} are different recordings; give one of them")
    if fix:
        require_new(fix)
    if fix and html and fix.resolve() == html.resolve():
        raise UsageError(f"--fix and --html would both write {fix}; name two files")
    described = survey(name, root=root, group_by=group_by, label=label)
    refuse_to_overwrite("--html", html, (Path(name), *(clip.path for clip in described.manifest.clips)))
    if fix and any(is_piece(clip.name) for clip in described.manifest.clips):
        raise UsageError(
            "--fix writes a table of files, and these recordings are annotated; correct the annotations themselves"
        )
    with bar("{task.completed}/{task.total}") as show:
        found = audit(described, workers=workers, on_progress=lambda done, total: show("decoding", done, total))
    if json:
        print(json_text(_document(found), indent=1))
    else:
        print_audit(found)
    if html:
        from auricle.report.check_page import write_check_page

        write_check_page(html, found)
        say(f"auricle: wrote the page {html}")
    if fix:
        mended = mend(found)
        if mended.warning:
            say(f"auricle: warning: {mended.warning}")
        write_manifest(fix, mended, has_folds=described.has_folds, has_groups=described.has_groups)
        changes = "; ".join(f"{num} {change}" for change, num in mended.done.items()) or "nothing had to be fixed"
        say(f"auricle: {fix} lists {count(len(mended.clips), 'clip')}: {changes}")
    if found.num_errors:
        raise RefusedError(f"{count(found.num_errors, 'finding')} must be fixed; {_remedy(found, fix)}")


app.command("check", hidden=True, epilog=examples("auricle check esc10"))(check)  # the former name of `auricle check`


def _remedy(found: Audit, fix: Path | None) -> str:
    """Return what to do about the errors; `fix` is the corrected table, if one was written."""
    if found.num_unfixed:
        which = "it" if found.num_errors == 1 else f"{found.num_unfixed} of them"
        return f"--fix cannot fix {which}: see what is advised with each"
    return f"train on {fix}" if fix else "--fix NEW.csv writes a table without the clips that can be left out"


def _document(found: Audit) -> dict[str, Any]:
    manifest = found.survey.manifest
    paths = {clip.name: str(clip.path) for clip in manifest.clips}
    return {
        "source": manifest.source,
        "clips": len(manifest.clips),
        "whole": len(found.facts),
        "notes": manifest.notes,
        "counts": found.counts,
        "errors": found.num_errors,
        "findings": [
            {
                **{"kind": kind.name, "severity": kind.severity, "title": kind.title, "fix": kind.fix},
                "cases": [
                    {"clips": finding.clips, "paths": [paths[name] for name in finding.clips], "reason": finding.reason}
                    for finding in findings
                ],
            }
            for kind, findings in found.by_kind.items()
        ],
        "shortcuts": asdict(found.shortcuts) if found.shortcuts else None,
    }


def print_audit(found: Audit) -> None:
    """Print how many clips there are, and each type of finding with its first cases and what to do."""
    from auricle.display.terminal import Terminal

    console = Terminal()
    console.print(_counts(found))
    for line in _facts(found):
        console.print(line, style="dim", markup=False)
    if not found.findings:
        console.print("No problems found.", markup=False)
    for kind, findings in found.by_kind.items():
        console.print()
        _print_kind(console, kind, findings)


def _counts(found: Audit) -> Any:
    from rich.text import Text

    from auricle.cli.results import plain_table

    table = plain_table()
    folds = sorted({fold for by_fold in found.counts.values() for fold in by_fold})
    shown = folds if found.survey.has_folds and len(folds) <= MAX_FOLDS else []
    table.add_column("clips per fold" if shown else "clips", overflow="fold")
    for title in (*shown, "all"):
        table.add_column(str(title), justify="right", no_wrap=True)
    for category, counts in found.counts.items():
        table.add_row(Text(visible(category)), *(str(counts[fold]) for fold in shown), str(sum(counts.values())))
    return table


def _facts(found: Audit) -> list[str]:
    """Describe the recordings in a few lines."""
    manifest, facts = found.survey.manifest, found.facts.values()
    sources = f" from {count(len(set(manifest.groups)), 'source')}" if found.survey.has_groups else ""
    lines = [f"{count(len(manifest.clips), 'clip')}{sources}; {len(facts):,} can be decoded completely."]
    if facts:
        rates = Counter(fact.rate_hz for fact in facts).most_common(4)
        formats = Counter(fact.format or "other" for fact in facts).most_common(4)
        lengths = sorted(fact.duration_s for fact in facts)
        lines.append(
            f"They last {lengths[0]:.2f} to {lengths[-1]:.2f} s, with a median of "
            f"{lengths[len(lengths) // 2]:.2f} s; "
            f"{', '.join(f'{num:,} at {rate_hz:,} Hz' for rate_hz, num in rates)}; "
            f"{', '.join(f'{num:,} {name.upper()}' for name, num in formats)}."
        )
    return [*lines, *map(visible, manifest.notes)]


def _print_kind(console: Terminal, kind: FindingType, findings: tuple[Finding, ...]) -> None:
    from rich.text import Text

    head = (kind.severity, STYLES[kind.severity]), f"  {kind.title}", (f"  {len(findings):,}", "bold")
    lines = [(_named(finding), 4, "") for finding in findings[:NUM_NAMED]]
    if len(findings) > NUM_NAMED:
        lines.append((f"and {len(findings) - NUM_NAMED:,} more", 4, "dim"))
    console.print(Text.assemble(*head))
    for content, indent, style in (*lines, (f"→ {kind.fix}", 2, "dim")):
        for line in Text(visible(content), style).wrap(console, console.width - indent):
            line.rstrip()
            console.print(Text(" " * indent) + line)


def _named(finding: Finding) -> str:
    more = f" and {len(finding.clips) - NUM_NAMED} more" if len(finding.clips) > NUM_NAMED else ""
    names = f"{', '.join(finding.clips[:NUM_NAMED])}{more}"
    return f"{names}: {finding.reason}" if names else finding.reason
