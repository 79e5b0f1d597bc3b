"""Name the output files of many recordings, one each, so that none overwrites another."""

import contextlib
import os
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from auricle.files import digest
from auricle.system import relative_path

MAX_NAME_BYTES = 225  # of the 255 that file systems allow; while a file is written, its name is longer


def output_names(recordings: Sequence[Path], roots: Sequence[Path], suffix: str) -> dict[Path, Path]:
    """Return a relative path for the output of each recording: its path below its root, with another suffix.

    If two outputs would have the same path, all keep their folders below the common parent of the roots, if there is
    one. Names that still collide (also on a case-insensitive file system) or are too long get a digest of the
    recording's path. `roots` are the given files and folders.

    >>> recordings = [Path("a/x.wav"), Path("b/x.wav")]
    >>> [str(name) for name in output_names(recordings, recordings, ".csv").values()]
    ['a/x.wav.csv', 'b/x.wav.csv']
    """
    names = {recording: _below_root(recording, roots) for recording in recordings}
    if _meeting(names):
        folders = [os.path.abspath(root if root.is_dir() else root.parent) for root in roots]  # noqa: PTH100
        with contextlib.suppress(ValueError):  # drives of Windows have no common parent
            common = Path(os.path.commonpath(folders))
            names = {path: relative_path(path, common) for path in recordings}
    names = {recording: name.with_name(name.name + suffix) for recording, name in names.items()}
    meeting = _meeting(names)
    return {
        recording: _distinct(name, recording, suffix)
        if recording in meeting or len(os.fsencode(name.name)) > MAX_NAME_BYTES
        else name
        for recording, name in names.items()
    }


def _below_root(recording: Path, roots: Sequence[Path]) -> Path:
    below = (recording.relative_to(root) for root in roots if root != recording and recording.is_relative_to(root))
    return next(below, Path(recording.name))


def _meeting(names: Mapping[Path, Path]) -> set[Path]:
    """Return the recordings whose outputs would be one file, or a folder of another's."""
    keys = {path: Path(_folded(str(name))) for path, name in names.items()}
    num = Counter(keys.values())
    folders = {folder for key in num for folder in key.parents}
    return {path for path, key in keys.items() if num[key] > 1 or key in folders}


def _folded(name: str) -> str:
    """Return a name as a file system may compare it: case-folded, in one Unicode form."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _distinct(name: Path, recording: Path, suffix: str) -> Path:
    ending = f"~{digest(os.fsencode(recording))[:8]}{suffix}"
    kept = os.fsencode(name.name.removesuffix(suffix))[: MAX_NAME_BYTES - len(ending)]
    return name.with_name(kept.decode("utf-8", "ignore") + ending)
