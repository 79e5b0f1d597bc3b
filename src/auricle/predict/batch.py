"""Classify many recordings with one model: which files, which are done already, and which were refused."""

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from auricle import files
from auricle.data.audio import (
    MAX_STREAM_BYTES,
    MAX_STREAM_S,
    SUFFIXES,
    header_duration_s,
    open_recording,
    refusal_reason,
)
from auricle.data.decoders import MEDIA_FORMATS
from auricle.data.folders import READ_BEFORE, Walk
from auricle.errors import ModelRefusedError, RefusedError
from auricle.predict.classifier import Classifier
from auricle.predict.clock import clock_of
from auricle.predict.formats import LabelledRecording
from auricle.predict.stream import SilentError, predict_windows
from auricle.predict.stretches import Pooling, Stretch


class Journal:
    """A journal of finished files, one line each, so that a stopped run continues; a changed file is done again.

    With None as the path, nothing is stored. A journal that cannot be written or deleted raises a `MachineError`.
    """

    def __init__(self, path: Path | None, settings: dict[str, Any]) -> None:
        self.path = path
        self.entries: dict[str, dict[str, Any]] = {}
        if path is None:
            return
        lines: list[str] = []
        with contextlib.suppress(OSError, UnicodeDecodeError):
            lines = path.read_text(encoding="utf-8").splitlines()
        header = json.dumps({"settings": settings}, sort_keys=True)
        if lines[:1] != [header]:
            files.write_text(path, header + "\n")
            return
        for line in lines[1:]:
            with contextlib.suppress(ValueError, KeyError):  # a line cut short when the process was killed
                entry = json.loads(line)
                self.entries[entry["file"]] = entry

    def recall(self, path: Path) -> LabelledRecording | None:
        """Return the stored result of a file, if the file has not changed."""
        entry = self.entries.get(str(path))
        if entry is None or entry["stamp"] != _size_and_time(path):
            return None
        stretches = [Stretch(**{**stretch, "top": tuple(map(tuple, stretch["top"]))}) for stretch in entry["stretches"]]
        return LabelledRecording(
            path, entry["duration_s"], tuple(stretches), clock_of(path), cut_off=entry.get("cut_off", "")
        )

    def add(self, recording: LabelledRecording, stamp: list[int]) -> None:
        """Store the result of a file; `stamp` is its size and time before it was read, as it may still grow."""
        if self.path is None:
            return
        entry = {
            "file": str(recording.path),
            "stamp": stamp,
            "duration_s": recording.duration_s,
            "cut_off": recording.cut_off,
            "stretches": [asdict(stretch) for stretch in recording.stretches],
        }
        line = f"\n{json.dumps(entry)}\n"  # on a new line, even after one that was cut short
        with files.machine_errors(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(line)

    def finish(self) -> None:
        """Delete the journal, once the results are written to their own file."""
        if self.path is not None:
            with files.machine_errors(self.path, "delete"):
                self.path.unlink(missing_ok=True)


def _size_and_time(path: Path) -> list[int]:
    try:
        status = path.stat()
    except (OSError, ValueError):
        return [0, 0]
    return [status.st_size, status.st_mtime_ns]


@dataclass
class Listing:
    """The recordings found in the given files and folders."""

    recordings: list[Path]  # each once, in order
    refused: dict[Path, str]  # folders and links without recordings, with the reason


def list_recordings(paths: Sequence[Path]) -> Listing:
    """Find all recordings: files, and folders with everything below them, following links, each file once."""
    found: dict[Path, None] = {}
    refused: dict[Path, str] = {}
    walk = Walk()
    for path in paths:
        if not os.path.isdir(path):  # noqa: PTH112 - unlike a Path's own, no error for a name that cannot be
            found[path] = None
            continue
        inside: list[Path] = []
        num_read = walk.ignored[READ_BEFORE]
        pending = [path]
        while pending:
            folder = pending.pop()
            try:
                folders, recordings = walk.enter(folder)
            except RefusedError as error:
                refused[folder] = refusal_reason(folder, error)
                continue
            pending += folders
            inside += recordings
        found |= dict.fromkeys(sorted(inside))
        if not inside and path not in refused and walk.ignored[READ_BEFORE] == num_read:
            refused[path] = f"no recordings in this folder; supported: {', '.join(SUFFIXES)}"
    return Listing(list(found), refused | dict.fromkeys(walk.dangling, "a broken link"))


def predict_files(
    classifier: Classifier,
    paths: Sequence[Path],
    pooling: Pooling,
    *,
    journal: Journal,
    on_progress: Callable[[int, float], object] | None = None,
) -> Iterator[LabelledRecording]:
    """Yield the result of each file, in order; `refused` has the reason where it cannot be read.

    `on_progress` is called with the number of files done and the seconds processed of the current one.
    """
    for num_done, path in enumerate(paths):
        on_seconds = partial(on_progress, num_done) if on_progress else None
        if on_seconds:
            on_seconds(0.0)
        recording = journal.recall(path)
        if recording is None:
            stamp = _size_and_time(path)
            reasons: list[str] = []
            try:
                windows = predict_windows(
                    classifier,
                    path,
                    hop_s=pooling.hop_s,
                    whole_s=pooling.whole_s,
                    on_progress=on_seconds,
                    on_cut_off=reasons.append,
                )
            except ModelRefusedError:  # it would fail for every other recording, too
                raise
            except RefusedError as error:
                duration_s = error.duration_s if isinstance(error, SilentError) else None
                yield LabelledRecording(path, duration_s, (), refused=refusal_reason(path, error))
                continue
            stretches = tuple(pooling.stretches(windows))
            recording = LabelledRecording(
                path, windows.duration_s, stretches, clock_of(path), cut_off=" and ".join(reasons)
            )
            journal.add(recording, stamp)
        yield recording


def playable_s(path: Path) -> float | None:
    """Return the duration that a player gives a refused recording: 0 if it cannot be played, None if unknown."""
    with contextlib.suppress(RefusedError):
        return header_duration_s(path)
    import soundfile

    try:
        with open_recording(path, max_bytes=MAX_STREAM_BYTES) as file, soundfile.SoundFile(file) as sound:
            duration_s = float(sound.frames / sound.samplerate)
            return duration_s if duration_s <= MAX_STREAM_S else None
    except RefusedError:
        return 0.0
    except soundfile.SoundFileError:
        return None if path.suffix.lower() in MEDIA_FORMATS else 0.0
