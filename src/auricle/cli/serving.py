"""The verbs of a trained model: `export`, `predict`, `listen`."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from auricle.cli.options import Quiet, Verbose, say, verbosity
from auricle.errors import RefusedError, UsageError, choices

if TYPE_CHECKING:
    from auricle.serving.classifier import Classifier
    from auricle.serving.formats import Recording
    from auricle.serving.stretches import Pooling

FORMAT_NAMES = ("table", "csv", "jsonl", "audacity", "raven")
BY_SUFFIX = {".csv": "csv", ".jsonl": "jsonl", ".json": "jsonl"}
LONG_BYTES = 20_000_000  # of a recording from which on progress is shown

BundleFolder = Annotated[Path, typer.Argument(metavar="BUNDLE", help="The folder that auricle export made.")]
Hop = Annotated[
    float | None,
    typer.Option(min=0.01, metavar="S", help="Seconds between windows. [default: as the model was scored]"),
]
Threshold = Annotated[
    float | None,
    typer.Option(min=0.0, max=1.0, metavar="P", help="Least probability, for every class. [default: the bundle's own]"),
]
Threads = Annotated[int, typer.Option(min=1, help="Threads of the network; decoding has one of its own.")]


def export(
    context: typer.Context,
    cell: Annotated[Path, typer.Argument(metavar="CELL|STUDY", help="A finished cell's folder, or a study's.")],
    to: Annotated[Path, typer.Option(metavar="DIR", help="Where the bundle goes.")],
    model: Annotated[str | None, typer.Option(metavar="NAME", help="Which model of a study.")] = None,
    int8: Annotated[bool, typer.Option("--int8", help="Quantise to eight bits, and measure what that costs.")] = False,
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the study's recordings lie, for --int8.")
    ] = None,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Make a bundle of a trained model: ONNX, weights, calibration, model card; checked against PyTorch."""
    level = verbosity(context, quiet, verbose)
    from auricle.serving.export import export_cell

    bundle = export_cell(cell, to, model=model, int8=int8, data=data, on_progress=say if level >= 0 else None)
    print(f"{to}  {bundle.num_bytes / 1e6:.2f} MB, checked: PyTorch and ONNX Runtime agree")
    if (cost := bundle.description.int8) is not None:
        assert cost.accuracy_float is not None
        assert cost.accuracy_int8 is not None
        print(
            f"eight bits: {100 * cost.accuracy_int8:.1f} % of {cost.num_clips} test clips right, "
            f"{100 * cost.accuracy_float:.1f} % before"
        )


def predict(
    context: typer.Context,
    bundle: BundleFolder,
    recordings: Annotated[list[Path], typer.Argument(metavar="FILE|FOLDER...", help="Recordings, of any length.")],
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE|DIR", help="Write here instead of to the terminal; with --each a folder."),
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(metavar="|".join(FORMAT_NAMES), help="[default: by the ending of --out, else a table]"),
    ] = None,
    each: Annotated[
        bool, typer.Option("--each", help="One output file for each recording, in the folder --out.")
    ] = False,
    hop: Hop = None,
    threshold: Threshold = None,
    top: Annotated[int, typer.Option(min=1, help="Name so many classes for each stretch.")] = 1,
    merge: Annotated[
        float, typer.Option(min=0.0, metavar="S", help="Join stretches of a class with gaps up to this.")
    ] = 0.0,
    min_duration: Annotated[float, typer.Option(min=0.0, metavar="S", help="Leave out shorter stretches.")] = 0.0,
    whole: Annotated[bool, typer.Option("--whole", help="One answer for each recording as a whole.")] = False,
    threads: Threads = 1,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Say what is heard in recordings, and when.

    A run that was stopped goes on where it stood, if it writes to --out. A file that cannot be read is named, and
    the rest goes on.
    """
    level = verbosity(context, quiet, verbose)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy's own threads take the cores from decoding and network
    kind = _kind(format, out, each, len(recordings))
    from auricle.serving.batch import collect
    from auricle.serving.classifier import Classifier
    from auricle.serving.stretches import Pooling

    files = collect(recordings)
    if kind == "audacity" and len(files) > 1 and not each:
        raise UsageError(f"an Audacity label track belongs to one recording, not {len(files)}; add --each --out DIR")
    classifier = Classifier.load(bundle, threads=threads)
    thresholds = (threshold,) * len(classifier.categories) if threshold is not None else tuple(classifier.thresholds)
    pooling = Pooling(
        classifier.categories, thresholds, classifier.window_s, hop or classifier.windowing.hop_s,
        merge_s=merge, min_duration_s=min_duration, top=min(top, len(classifier.categories)), whole=whole,
    )  # fmt: skip
    _hear(classifier, files, pooling, kind, out, each, level, recordings)


def listen(
    context: typer.Context,
    bundle: BundleFolder,
    device: Annotated[str | None, typer.Option(help="A sound device's name or number.")] = None,
    hop: Hop = None,
    threshold: Threshold = None,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Say live what the microphone hears, one line a window, until Ctrl-C."""
    level = verbosity(context, quiet, verbose)
    from auricle.serving.classifier import Classifier
    from auricle.serving.live import listen as hear

    classifier = Classifier.load(bundle)
    if level >= 0:
        say(f"listening, {classifier.window_s:g} s at a time; Ctrl-C ends it")
    for seconds, prediction in hear(classifier, device=device, hop_s=hop):
        highest = float(prediction.probabilities.max())
        silent = highest < threshold if threshold is not None else prediction.none_of_these
        bar = "█" * round(20 * highest)
        print(
            f"{_time(seconds):>8}  {'none of these' if silent else prediction.label:24.24} {highest:4.0%} {bar}",
            flush=True,
        )


def _kind(asked: str | None, out: Path | None, each: bool, num: int) -> str:
    """Return the output format, or refuse what does not fit together."""
    if asked is not None and asked not in FORMAT_NAMES:
        raise choices("format", asked, list(FORMAT_NAMES))
    if each and out is None:
        raise UsageError("--each writes one file a recording; name their folder with --out DIR")
    kind = asked or (BY_SUFFIX.get(out.suffix.lower(), "csv") if out is not None else "table")
    if kind == "table" and out is not None:
        raise UsageError("a table is for the terminal; with --out, --format is csv, jsonl, audacity or raven")
    if each and out is not None and out.is_file():
        raise UsageError(f"--each writes into a folder, and {out} is a file")
    if out is not None and not each and out.is_dir():
        raise UsageError(f"{out} is a folder; name a file, or add --each for one file a recording")
    return kind


def _hear(
    classifier: Classifier,
    files: list[Path],
    pooling: Pooling,
    kind: str,
    out: Path | None,
    each: bool,
    level: int,
    roots: list[Path],
) -> None:
    """Hear every file and write what was heard; exit code 3 if nothing could be."""
    from dataclasses import asdict

    from auricle.serving.batch import Journal, hear_all

    digest = classifier.bundle.description.files["network.onnx"].sha256
    settings = {"network": digest, "kind": kind if each else "", **asdict(pooling)}
    journal = Journal(_journal_path(out, each), settings)
    refused: list[tuple[Path, str]] = []

    def refuse(path: Path, reason: str) -> None:
        refused.append((path, reason))
        say(f"auricle: {path}: {reason}")

    if journal.known and level >= 0:
        say(f"going on: {len(journal.known)} of {len(files)} recordings are done already")
    heard: list[Recording] = []
    with _progress(files, level) as on_progress:
        for recording in hear_all(
            classifier, files, pooling, journal=journal, on_refused=refuse, on_progress=on_progress
        ):
            heard.append(recording)
            if each:
                _write(_place(recording.path, out, roots, kind), [recording], kind, pooling.top)
    if not heard:
        raise RefusedError(f"none of {len(files)} recordings could be read" if len(files) > 1 else _only(refused))
    if out is None:
        _show(heard, kind, pooling.top)
    elif not each:
        _write(out, heard, kind, pooling.top)
    journal.finish()
    if refused or (out is not None and level >= 0):
        say(f"{len(heard)} of {len(files)} recordings heard" + (f", {len(refused)} refused" if refused else ""))


def _only(refused: list[tuple[Path, str]]) -> str:
    return f"{refused[0][0]} could not be read, and there is no other"


def _journal_path(out: Path | None, each: bool) -> Path | None:
    if out is None:
        return None
    return out / ".auricle-predict.part" if each else out.with_name(f".{out.name}.part")


def _place(path: Path, out: Path | None, roots: list[Path], kind: str) -> Path:
    """Return where one recording's output goes: below --out as the recording lies below its folder."""
    from auricle.serving.formats import SUFFIXES

    assert out is not None
    inside = next((path.relative_to(root) for root in roots if root != path and path.is_relative_to(root)), None)
    relative = inside or Path(path.name)
    return out / relative.with_name(relative.name + SUFFIXES[kind])


def _write(path: Path, heard: list[Recording], kind: str, top: int) -> None:
    from auricle.files import write_atomically
    from auricle.serving.formats import FORMATS

    content = FORMATS[kind](heard, top=top).encode("utf-8", "surrogatepass")  # file names need not be UTF-8
    write_atomically(path, lambda file: file.write(content))


def _show(heard: list[Recording], kind: str, top: int) -> None:
    """Print what was heard."""
    if kind != "table":
        from auricle.serving.formats import FORMATS

        sys.stdout.write(FORMATS[kind](heard, top=top))
        return
    from auricle.serving.stretches import clock_of, clock_text

    for place, recording in enumerate(heard):
        if len(heard) > 1:
            print(f"{chr(10) * (place > 0)}{recording.path}")
        began = clock_of(recording.path)
        for stretch in recording.stretches:
            clock = clock_text(began, stretch.start_s)[11:19]
            span = f"{_time(stretch.start_s):>8} – {_time(stretch.end_s):>8}"
            others = "   ".join(f"{name} {value:.0%}" for name, value in stretch.top[1:])
            line = f"{clock + '  ' if clock else ''}{span}  {stretch.label:20} {stretch.probability:4.0%}  {others}"
            print(line.rstrip())


def _time(seconds: float) -> str:
    """Write a time in a recording.

    >>> _time(5.0), _time(75.5), _time(7325.0)
    ('0:05.0', '1:15.5', '2:02:05')
    """
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    if minutes >= 60:
        return f"{minutes // 60}:{minutes % 60:02}:{rest // 10:02}"
    return f"{minutes}:{rest // 10:02}.{rest % 10}"


@contextlib.contextmanager
def _progress(files: list[Path], level: int) -> Iterator[Callable[[int, float], Any] | None]:
    """Give a function that shows how far it is: a bar on a terminal, nothing elsewhere or for one short file."""
    if level < 0 or not sys.stderr.isatty() or (len(files) == 1 and not _long(files[0])):
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("hearing", total=len(files))

        def show(num_done: int, seconds: float) -> None:
            progress.update(
                task, completed=num_done, description=f"heard {_time(seconds)} of {files[num_done].name[:24]}"
            )

        yield show


def _long(path: Path) -> bool:
    try:
        return path.stat().st_size > LONG_BYTES
    except (OSError, ValueError):
        return False
