"""The commands `predict` and `listen`: detect classes in recordings, or live from the microphone."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from auricle.cli.options import Quiet, Verbose, refuse_to_overwrite, say, verbosity
from auricle.display.bar import bar
from auricle.errors import RefusedError, UsageError, choices, count
from auricle.extras import require
from auricle.files import remove_leftovers
from auricle.text import visible

if TYPE_CHECKING:
    from auricle.predict.classifier import Classifier
    from auricle.predict.formats import LabelledRecording
    from auricle.predict.stretches import Pooling

FORMAT_NAMES = ("table", "csv", "jsonl", "audacity", "raven")
BY_SUFFIX = {".csv": "csv", ".jsonl": "jsonl", ".json": "jsonl"}
LONG_BYTES = 20_000_000  # size of a recording from which on progress is shown

BundleFolder = Annotated[Path, typer.Argument(metavar="BUNDLE", help="The folder that auricle export made.")]
Hop = Annotated[
    float | None,
    typer.Option(
        min=0.01, max=86_400.0, metavar="S", help="Seconds between windows. [default: as in the model's test]"
    ),
]
Threshold = Annotated[
    float | None,
    typer.Option(min=0.0, max=1.0, metavar="P", help="Minimum probability of every class. [default: the bundle's]"),
]


def predict(
    context: typer.Context,
    bundle: BundleFolder,
    recordings: Annotated[list[Path], typer.Argument(metavar="FILE|FOLDER...", help="Recordings, of any length.")],
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE|DIR", help="Output file; with --each, output folder. [default: the terminal]"),
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(FORMAT_NAMES), help="Output format. [default: by the suffix of --out, else table]"
        ),
    ] = None,
    each: Annotated[
        bool, typer.Option("--each", help="Write one output file per recording, in the folder --out.")
    ] = False,
    hop: Hop = None,
    threshold: Threshold = None,
    top: Annotated[int, typer.Option(min=1, metavar="N", help="Top classes per segment.")] = 1,
    merge: Annotated[
        float, typer.Option(min=0.0, metavar="S", help="Merge segments of a class that are at most this far apart.")
    ] = 0.0,
    min_duration: Annotated[float, typer.Option(min=0.0, metavar="S", help="Drop shorter segments.")] = 0.0,
    whole: Annotated[
        bool,
        typer.Option("--whole", help="Classify each recording as a whole, as if it were one training clip."),
    ] = False,
    threads: Annotated[
        int, typer.Option(min=1, metavar="N", help="Threads of the network; decoding uses one more.")
    ] = 1,
    json: Annotated[bool, typer.Option("--json", help="Same as --format jsonl: one line of JSON per segment.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Detect classes in recordings, with start and end times.

    With --out, a run that was stopped resumes where it stopped. Files that are missing or cannot be read are reported
    and skipped; the exit code is then 3. A truncated file is processed up to where it ends.
    """
    level = verbosity(context, quiet, verbose)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy's own threads would compete with the network's
    if json and format not in (None, "jsonl"):
        raise UsageError(f"--json means --format jsonl, not {format}; give one of them")
    output = Output(_format("jsonl" if json else format, out, each), out, each)
    if top > 1 and output.format in ("audacity", "raven"):
        raise UsageError(f"--top {top} has no effect on {output.format}, which has one class per segment")
    if whole and merge:
        raise UsageError("--merge has no effect with --whole, which gives a recording one segment")
    from auricle.predict.batch import list_recordings
    from auricle.predict.classifier import Classifier
    from auricle.predict.stretches import pooling_of

    listing = list_recordings(recordings)
    num = len(listing.recordings)
    if output.format == "audacity" and num > 1 and not each:
        raise UsageError(f"an Audacity label track is for one recording, not {num}; add --each --out DIR")
    if not each:
        refuse_to_overwrite("--out", out, listing.recordings)
    classifier = Classifier.load(bundle, threads=threads)
    pooling = pooling_of(
        classifier,
        hop_s=hop,
        threshold=threshold,
        merge_s=merge,
        min_duration_s=min_duration,
        top=top,
        whole=whole,
    )
    for path, reason in listing.refused.items():
        say(f"auricle: {path}: {reason}")
    num_done = _predict_all(classifier, listing.recordings, recordings, pooling, output, level)
    num_refused = num + len(listing.refused) - num_done
    if not num_done and num_refused > 1:
        raise RefusedError(f"none of {num_refused} recordings could be read")
    if num_done and (num_refused or (out is not None and level >= 0)):
        ending = f", {num_refused} could not be read" if num_refused else ""
        say(f"{num_done} of {count(num_done + num_refused, 'recording')} processed{ending}")
    if num_refused:
        raise typer.Exit(RefusedError.exit_code)


def _predict_all(
    classifier: Classifier, paths: list[Path], roots: list[Path], pooling: Pooling, output: Output, level: int
) -> int:
    """Predict every recording that is not done yet, write the detections, and return how many were processed."""
    from auricle.predict.batch import Journal, predict_files
    from auricle.predict.formats import SUFFIXES, short_time
    from auricle.predict.outputs import output_names

    network = classifier.model.bundle.description.files["network.onnx"].sha256
    settings = {"network": network, "kind": output.format if output.each else "", **asdict(pooling)}
    names = output_names(paths, roots, SUFFIXES[output.format]) if output.each else {}
    output.remove_leftovers(names.values())
    journal = Journal(output.journal, settings)
    num_before = sum(str(path) in journal.entries for path in paths)
    if num_before and level >= 0:
        say(f"resuming: {num_before} of {count(len(paths), 'recording')} already done")
    sequence = []
    is_quick = level < 0 or (len(paths) == 1 and not _is_long(paths[0]))
    with contextlib.nullcontext() if is_quick else bar("{task.completed}/{task.total}") as draw:

        def on_progress(num_done: int, seconds: float) -> None:
            if draw:
                draw(f"{paths[num_done].name[:24]} {short_time(seconds)}", num_done, len(paths))

        for recording in predict_files(classifier, paths, pooling, journal=journal, on_progress=on_progress):
            sequence.append(recording)
            if recording.refused:
                say(f"auricle: {recording.path}: {recording.refused}")
                continue
            if recording.cut_off:
                say(f"auricle: {recording.path} is truncated; processed up to where it ends: {recording.cut_off}")
            if output.each:
                output.write([recording], pooling.top, classifier.band_hz, names[recording.path])
    num_done = sum(not recording.refused for recording in sequence)
    if num_done and not output.each:
        if output.format == "raven":
            sequence = _timed(sequence, level)
        output.write(sequence, pooling.top, classifier.band_hz)
    journal.finish()
    return num_done


def _timed(sequence: list[LabelledRecording], level: int) -> list[LabelledRecording]:
    """Find the lengths of the unreadable recordings of a sequence, as Raven counts them, and warn about them."""
    from auricle.predict.batch import playable_s
    from auricle.predict.formats import is_sequence

    timed = [
        replace(recording, duration_s=playable_s(recording.path)) if recording.duration_s is None else recording
        for recording in sequence
    ]
    if not is_sequence(timed):
        unknown = next(recording.path for recording in timed if recording.duration_s is None)
        say(
            f"auricle: the length of {unknown} is unknown, so the table has no Begin Time and End Time; remove that "
            "file, or add --each --out DIR"
        )
    elif level >= 0:
        for recording in timed:
            if recording.duration_s == 0:
                say(f"{recording.path} counts as 0 s in the table; open the other recordings in Raven without it")
    return timed


@dataclass(frozen=True)
class Output:
    """Where results go: the terminal, a file or, with `each`, a folder with one file per recording."""

    format: str  # one of `FORMAT_NAMES`
    path: Path | None  # of the file or the folder; None: the terminal
    each: bool  # one file for each recording

    @property
    def journal(self) -> Path | None:
        """The file by which a stopped run resumes."""
        if self.path is None:
            return None
        return self.path / ".auricle-predict.part" if self.each else self.path.with_name(f".{self.path.name}.part")

    def write(
        self, recordings: list[LabelledRecording], top: int, band_hz: tuple[float, float], name: Path | None = None
    ) -> None:
        """Print or write the detections in recordings; with `each` in a single one, whose output has a `name`."""
        from auricle.predict.formats import as_text, write_text

        if self.path is None and sys.stdout.isatty():
            recordings = [replace(each, path=Path(visible(str(each.path)))) for each in recordings]
        text = as_text(recordings, self.format, top=top, band_hz=band_hz)
        if self.path is None:
            sys.stdout.write(text)
        else:
            write_text(self.path / name if name else self.path, text)

    def remove_leftovers(self, names: Iterable[Path]) -> None:
        """Delete the temporary files that killed runs left beside these outputs."""
        if self.path is not None:
            folder = self.path if self.each else self.path.parent
            for each in {folder, *((folder / name).parent for name in names)}:
                remove_leftovers(each)


def _format(asked: str | None, out: Path | None, each: bool) -> str:
    """Return the output format, or refuse options that contradict each other."""
    if asked is not None and asked not in FORMAT_NAMES:
        raise choices("format", asked, list(FORMAT_NAMES))
    if each and out is None:
        raise UsageError("--each writes one file per recording; name the folder with --out DIR")
    format = asked or (BY_SUFFIX.get(out.suffix.lower(), "csv") if out is not None else "table")
    if format == "table" and out is not None:
        raise UsageError("a table is for the terminal; with --out, use --format csv, jsonl, audacity or raven")
    if each and out is not None and out.is_file():
        raise UsageError(f"--each writes into a folder, but {out} is a file; name a folder with --out")
    if out is not None and not each and out.is_dir():
        raise UsageError(f"{out} is a folder; name a file, or add --each for one file per recording")
    return format


def _is_long(path: Path) -> bool:
    try:
        return path.stat().st_size > LONG_BYTES
    except (OSError, ValueError):
        return False


def listen(
    context: typer.Context,
    bundle: BundleFolder,
    device: Annotated[str | None, typer.Option(metavar="NAME|N", help="Name or number of the sound device.")] = None,
    hop: Hop = None,
    threshold: Threshold = None,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Detect classes live, from the microphone, with one line per window, until Ctrl-C."""
    level = verbosity(context, quiet, verbose)
    from auricle.predict import microphone
    from auricle.predict.classifier import NONE_OF_THESE, Classifier
    from auricle.predict.formats import short_time

    require("sounddevice")
    classifier = Classifier.load(bundle)
    if threshold is not None:
        classifier.thresholds = (threshold,) * len(classifier.categories)
    if level >= 0:
        say(f"listening, in windows of {classifier.window_s:g} s; Ctrl-C stops it")
    for seconds, prediction in microphone.listen(classifier, device=device, hop_s=hop):
        highest = float(prediction.probabilities.max())
        bar = "█" * round(20 * highest)
        label = NONE_OF_THESE if prediction.none_of_these else prediction.label
        print(f"{short_time(seconds):>8}  {visible(label):24.24} {highest:4.0%} {bar}", flush=True)
