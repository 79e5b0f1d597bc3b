"""The verbs `predict` and `listen`: recordings, or the microphone, through a trained model."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from auricle.cli.options import Quiet, Verbose, say, verbosity
from auricle.display.bar import bar
from auricle.errors import RefusedError, UsageError, choices
from auricle.files import remove_leftovers
from auricle.text import visible

if TYPE_CHECKING:
    from auricle.predict.classifier import Classifier
    from auricle.predict.formats import LabelledRecording
    from auricle.predict.stretches import Pooling

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
    typer.Option(min=0.0, max=1.0, metavar="P", help="Minimum probability of every class. [default: the bundle's]"),
]


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
    top: Annotated[int, typer.Option(min=1, metavar="N", help="Top classes per stretch.")] = 1,
    merge: Annotated[
        float, typer.Option(min=0.0, metavar="S", help="Join stretches of a class with gaps up to this.")
    ] = 0.0,
    min_duration: Annotated[float, typer.Option(min=0.0, metavar="S", help="Leave out shorter stretches.")] = 0.0,
    whole: Annotated[
        bool,
        typer.Option("--whole", help="One answer for each recording, as for those no longer than a training clip."),
    ] = False,
    threads: Annotated[
        int, typer.Option(min=1, metavar="N", help="Threads of the network; decoding has one of its own.")
    ] = 1,
    json: Annotated[bool, typer.Option("--json", help="--format jsonl: a line of JSON for each stretch.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Detect classes in recordings, with start and end times.

    A run that was stopped goes on where it stood, if it writes to --out. A file that is missing or cannot be read is
    named, and the rest goes on; the exit code is then 3. One that lacks its end is heard as far as it goes.
    """
    level = verbosity(context, quiet, verbose)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy's own threads take the cores from decoding and network
    if json and format not in (None, "jsonl"):
        raise UsageError(f"--json is --format jsonl, not {format}; give one of them")
    output = Output(_format("jsonl" if json else format, out, each), out, each)
    from auricle.predict.batch import list_recordings
    from auricle.predict.classifier import Classifier
    from auricle.predict.stretches import pooling_of

    listing = list_recordings(recordings)
    num = len(listing.recordings)
    if output.format == "audacity" and num > 1 and not each:
        raise UsageError(f"an Audacity label track belongs to one recording, not {num}; add --each --out DIR")
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
    for place, reason in listing.refused.items():
        say(f"auricle: {place}: {reason}")
    num_heard = _predict_all(classifier, listing.recordings, recordings, pooling, output, level)
    num_refused = num + len(listing.refused) - num_heard
    if not num_heard and num_refused > 1:
        raise RefusedError(f"none of {num_refused} recordings could be read")
    if num_heard and (num_refused or (out is not None and level >= 0)):
        ending = f", {num_refused} refused" if num_refused else ""
        say(f"{num_heard} of {num_heard + num_refused} recordings heard{ending}")
    if num_refused:
        raise typer.Exit(RefusedError.exit_code)


def _predict_all(
    classifier: Classifier, paths: list[Path], roots: list[Path], pooling: Pooling, output: Output, level: int
) -> int:
    """Predict every recording that is not done yet, write what was heard, and return how many were heard."""
    from auricle.predict.batch import Journal, predict_files
    from auricle.predict.formats import SUFFIXES, short_time
    from auricle.predict.outputs import output_names

    network = classifier.model.bundle.description.files["network.onnx"].sha256
    settings = {"network": network, "kind": output.format if output.each else "", **asdict(pooling)}
    names = output_names(paths, roots, SUFFIXES[output.format]) if output.each else {}
    output.remove_leftovers(names.values())
    journal = Journal(output.journal, settings)
    if journal.entries and level >= 0:
        say(f"going on: {len(journal.entries)} of {len(paths)} recordings are done already")
    sequence = []
    is_quick = level < 0 or (len(paths) == 1 and not _is_long(paths[0]))
    with contextlib.nullcontext() if is_quick else bar("{task.completed}/{task.total}") as draw:

        def on_progress(num_done: int, seconds: float) -> None:
            if draw:
                draw(f"heard {short_time(seconds)} of {paths[num_done].name[:24]}", num_done, len(paths))

        for recording in predict_files(classifier, paths, pooling, journal=journal, on_progress=on_progress):
            sequence.append(recording)
            if recording.refused:
                say(f"auricle: {recording.path}: {recording.refused}")
                continue
            if recording.cut_off:
                say(f"auricle: {recording.path}: heard as far as it goes: {recording.cut_off}")
            if output.each:
                output.write([recording], pooling.top, classifier.band_hz, names[recording.path])
    num_heard = sum(not recording.refused for recording in sequence)
    if num_heard and not output.each:
        if output.format == "raven":
            sequence = _timed(sequence, level)
        output.write(sequence, pooling.top, classifier.band_hz)
    journal.finish()
    return num_heard


def _timed(sequence: list[LabelledRecording], level: int) -> list[LabelledRecording]:
    """Find out how long the refused recordings of a sequence are, and warn where that is not as it may seem."""
    from auricle.predict.batch import playable_s
    from auricle.predict.formats import is_sequence

    timed = [
        replace(recording, duration_s=playable_s(recording.path)) if recording.duration_s is None else recording
        for recording in sequence
    ]
    if not is_sequence(timed):
        unknown = next(recording.path for recording in timed if recording.duration_s is None)
        say(
            f"auricle: nobody can know how long {unknown} plays, so the table has no Begin Time and End Time; move it "
            "away, or add --each --out DIR"
        )
    elif level >= 0:
        for recording in timed:
            if recording.duration_s == 0:
                say(f"{recording.path} counts as 0 s in the table; open the other recordings in Raven without it")
    return timed


@dataclass(frozen=True)
class Output:
    """Where results go: to the terminal, a file, or with `each` into a folder as the recordings lie in theirs."""

    format: str  # one of `FORMAT_NAMES`
    path: Path | None  # of the file or the folder; None: the terminal
    each: bool  # one file for each recording

    @property
    def journal(self) -> Path | None:
        """Where a stopped run is remembered."""
        if self.path is None:
            return None
        return self.path / ".auricle-predict.part" if self.each else self.path.with_name(f".{self.path.name}.part")

    def write(
        self, recordings: list[LabelledRecording], top: int, band_hz: tuple[float, float], name: Path | None = None
    ) -> None:
        """Print or write what was heard in recordings; with `each` in a single one, whose output has a `name`."""
        from auricle.predict.formats import as_text, write_text

        if self.path is None and sys.stdout.isatty():
            recordings = [replace(each, path=Path(visible(str(each.path)))) for each in recordings]
        text = as_text(recordings, self.format, top=top, band_hz=band_hz)
        if self.path is None:
            sys.stdout.write(text)
        else:
            write_text(self.path / name if name else self.path, text)

    def remove_leftovers(self, names: Iterable[Path]) -> None:
        """Delete what killed runs left beside the outputs of these names."""
        if self.path is not None:
            folder = self.path if self.each else self.path.parent
            for each in {folder, *((folder / name).parent for name in names)}:
                remove_leftovers(each)


def _format(asked: str | None, out: Path | None, each: bool) -> str:
    """Return the output format, or refuse what does not fit together."""
    if asked is not None and asked not in FORMAT_NAMES:
        raise choices("format", asked, list(FORMAT_NAMES))
    if each and out is None:
        raise UsageError("--each writes one file a recording; name their folder with --out DIR")
    format = asked or (BY_SUFFIX.get(out.suffix.lower(), "csv") if out is not None else "table")
    if format == "table" and out is not None:
        raise UsageError("a table is for the terminal; with --out, --format is csv, jsonl, audacity or raven")
    if each and out is not None and out.is_file():
        raise UsageError(f"--each writes into a folder, and {out} is a file")
    if out is not None and not each and out.is_dir():
        raise UsageError(f"{out} is a folder; name a file, or add --each for one file a recording")
    return format


def _is_long(path: Path) -> bool:
    try:
        return path.stat().st_size > LONG_BYTES
    except (OSError, ValueError):
        return False


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
    from auricle.predict import microphone
    from auricle.predict.classifier import NONE_OF_THESE, Classifier
    from auricle.predict.formats import short_time

    classifier = Classifier.load(bundle)
    if threshold is not None:
        classifier.thresholds = (threshold,) * len(classifier.categories)
    if level >= 0:
        say(f"listening, {classifier.window_s:g} s at a time; Ctrl-C ends it")
    for seconds, prediction in microphone.listen(classifier, device=device, hop_s=hop):
        highest = float(prediction.probabilities.max())
        bar = "█" * round(20 * highest)
        label = NONE_OF_THESE if prediction.none_of_these else prediction.label
        print(f"{short_time(seconds):>8}  {visible(label):24.24} {highest:4.0%} {bar}", flush=True)
