"""Many recordings through one model: which files, what is done already, what was refused."""

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from auricle import files
from auricle.data.audio import SUFFIXES
from auricle.errors import ModelRefusedError, RefusedError
from auricle.predict.classifier import Classifier
from auricle.predict.formats import LabelledRecording
from auricle.predict.stream import predict_windows
from auricle.predict.stretches import Pooling, Stretch


class Journal:
    """What is done already, one line a file, so that a stopped run goes on; a changed file or setting starts anew.

    None as a path remembers nothing.
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
            with contextlib.suppress(ValueError, KeyError):  # cut short by a kill
                entry = json.loads(line)
                self.entries[entry["file"]] = entry

    def recall(self, path: Path) -> LabelledRecording | None:
        """Return what was heard in a file, if it is the same file still."""
        entry = self.entries.get(str(path))
        if entry is None or entry["stamp"] != _size_and_time(path):
            return None
        stretches = [Stretch(**{**stretch, "top": tuple(map(tuple, stretch["top"]))}) for stretch in entry["stretches"]]
        return LabelledRecording(path, entry["duration_s"], tuple(stretches))

    def add(self, recording: LabelledRecording) -> None:
        """Remember a file."""
        if self.path is None:
            return
        entry = {
            "file": str(recording.path),
            "stamp": _size_and_time(recording.path),
            "duration_s": recording.duration_s,
            "stretches": [asdict(stretch) for stretch in recording.stretches],
        }
        line = f"\n{json.dumps(entry)}\n"  # a line of its own, even after one that a kill cut short
        with files.machine_errors(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(line)

    def finish(self) -> None:
        """Forget everything, once the result stands in its own file."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def _size_and_time(path: Path) -> list[int]:
    try:
        status = path.stat()
    except (OSError, ValueError):
        return [0, 0]
    return [status.st_size, status.st_mtime_ns]


def list_recordings(paths: Sequence[Path]) -> list[Path]:
    """Return the recordings that paths name, each once: files, and folders with all sounds below them, one at least."""
    found: dict[Path, None] = {}
    for path in paths:
        if not os.path.isdir(path):  # noqa: PTH112 - unlike a Path's own, no error for a name that cannot be
            found[path] = None
            continue
        inside = sorted(
            file
            for file in path.rglob("*")
            if file.suffix.lower() in SUFFIXES and not file.name.startswith(".") and file.is_file()
        )
        if not inside:
            raise RefusedError(f"{path}: no recordings in this folder; known are {', '.join(SUFFIXES)}")
        found |= dict.fromkeys(inside)
    return list(found)


def predict_files(
    classifier: Classifier,
    paths: Sequence[Path],
    pooling: Pooling,
    *,
    journal: Journal,
    on_refused: Callable[[Path, str], object],
    on_progress: Callable[[int, float], object] | None = None,
) -> Iterator[LabelledRecording]:
    """Yield what is heard in each file, in order; one that is refused is told of, with the reason, and left out.

    `on_progress` is called with the number of files done and the seconds heard in the present one.
    """
    for num_done, path in enumerate(paths):
        on_seconds = partial(on_progress, num_done) if on_progress else None
        if on_seconds:
            on_seconds(0.0)
        recording = journal.recall(path)
        if recording is None:
            try:
                windows = predict_windows(classifier, path, hop_s=pooling.hop_s, on_progress=on_seconds)
            except ModelRefusedError:  # any other recording would fare no better
                raise
            except RefusedError as error:
                on_refused(path, str(error).removeprefix(f"{path}: "))
                continue
            recording = LabelledRecording(path, windows.duration_s, tuple(pooling.stretches(windows)))
            journal.add(recording)
        yield recording
