"""Many recordings through one model: which files, what is done already, what was refused."""

from __future__ import annotations

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
from auricle.errors import RefusedError
from auricle.serving.classifier import Classifier
from auricle.serving.formats import Recording
from auricle.serving.stream import hear_file
from auricle.serving.stretches import Pooling, Stretch


class Journal:
    """What is done already, one line a file, so that a stopped run goes on; a changed file or setting starts anew.

    None as a path remembers nothing.
    """

    def __init__(self, path: Path | None, settings: dict[str, Any]) -> None:
        self.path = path
        self.known: dict[str, dict[str, Any]] = {}
        if path is None:
            return
        lines = self._lines(path)
        header = json.dumps({"settings": settings}, sort_keys=True)
        if lines and lines[0] == header:
            for line in lines[1:]:
                with contextlib.suppress(ValueError, KeyError):  # cut short by a kill
                    entry = json.loads(line)
                    self.known[entry["file"]] = entry
        else:
            files.write_text(path, header + "\n")

    @staticmethod
    def _lines(path: Path) -> list[str]:
        try:
            return path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            return []

    def recall(self, path: Path) -> Recording | None:
        """Return what was heard in a file, if it is the same file still."""
        entry = self.known.get(str(path))
        if entry is None or entry["stamp"] != _stamp(path):
            return None
        stretches = [
            Stretch(**{**stretch, "top": tuple((name, value) for name, value in stretch["top"])})
            for stretch in entry["stretches"]
        ]
        return Recording(path, entry["duration_s"], tuple(stretches))

    def add(self, recording: Recording) -> None:
        """Remember a file."""
        if self.path is None:
            return
        entry = {
            "file": str(recording.path),
            "stamp": _stamp(recording.path),
            "duration_s": recording.duration_s,
            "stretches": [asdict(stretch) for stretch in recording.stretches],
        }
        with files.machine_errors(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write("\n" * self._torn() + json.dumps(entry) + "\n")

    def _torn(self) -> bool:
        """Whether the last line lacks its end."""
        assert self.path is not None
        with self.path.open("rb") as file:
            if not file.seek(0, os.SEEK_END):
                return False
            file.seek(-1, os.SEEK_END)
            return file.read() != b"\n"

    def finish(self) -> None:
        """Forget everything, once the result stands in its own file."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def _stamp(path: Path) -> list[int]:
    try:
        status = path.stat()
    except (OSError, ValueError):
        return [0, 0]
    return [status.st_size, status.st_mtime_ns]


def collect(paths: Sequence[Path]) -> list[Path]:
    """Return the recordings that paths name: files as they are, folders with all sounds below them, each once.

    Raises:
        RefusedError: a folder holds none.
    """
    files: dict[Path, None] = {}
    for path in paths:
        if not _is_folder(path):
            files[path] = None
            continue
        inside = sorted(
            file
            for file in path.rglob("*")
            if file.suffix.lower() in SUFFIXES and not file.name.startswith(".") and file.is_file()
        )
        if not inside:
            raise RefusedError(f"{path}: no recordings in this folder; known are {', '.join(SUFFIXES)}")
        files |= dict.fromkeys(inside)
    return list(files)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def hear_all(
    classifier: Classifier,
    files: Sequence[Path],
    pooling: Pooling,
    *,
    journal: Journal,
    on_refused: Callable[[Path, str], object],
    on_progress: Callable[[int, float], object] | None = None,
) -> Iterator[Recording]:
    """Yield what is heard in each file, in order; one that is refused is told of and left out.

    Args:
        classifier: the model.
        files: the recordings.
        pooling: windows to stretches.
        journal: what is done already.
        on_refused: called with a file and the reason.
        on_progress: called with the number of files done and the seconds heard in the present one.
    """
    for place, path in enumerate(files):
        if on_progress:
            on_progress(place, 0.0)
        recording = journal.recall(path)
        if recording is None:
            try:
                heard = hear_file(
                    classifier,
                    path,
                    hop_s=pooling.hop_s,
                    on_progress=partial(on_progress, place) if on_progress else None,
                )
            except RefusedError as error:
                on_refused(path, str(error).removeprefix(f"{path}: "))
                continue
            recording = Recording(path, heard.duration_s, tuple(pooling.stretches(heard)))
            journal.add(recording)
        yield recording
