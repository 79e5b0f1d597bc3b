"""The cache of decoded recordings: an entry is an array and its description.

    CACHE/recordings/KEY.f32   float32, little-endian, one row per readable clip; KEY.f16: float16
    CACHE/recordings/KEY.json  numbers of rows and samples, checksums, refused clips; written last
    CACHE/cut/HASH/            pieces of an annotated recording

When the folder exceeds `LIMIT_BYTES`, the least recently used entries are deleted, but none used within a day.
"""

import contextlib
import os
import shutil
import time
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np

from auricle.errors import MachineError, RefusedError
from auricle.files import DAY_S, read_sealed, remove_leftovers, write_atomically, write_sealed
from auricle.system import expanded

LIMIT_BYTES = 20 * 10**9
PIECE_BYTES = 2**25  # of a file that another machine copies, at once

ReadPiece = Callable[[Path, int], bytes]  # returns the bytes of a file from a position, at most `PIECE_BYTES`


@dataclass(frozen=True)
class CacheEntry:
    """The entry of a key: rows, (N, T), read-only; and the refused clips, index to reason."""

    waveforms: np.ndarray
    refused: dict[int, str]


def cache_folder() -> Path:
    """Return `$AURICLE_CACHE`, or auricle's folder in the user's cache."""
    if folder := os.environ.get("AURICLE_CACHE"):
        return expanded(folder)
    import platformdirs

    return Path(platformdirs.user_cache_dir("auricle"))


def cut_folder() -> Path:
    """Return the folder of the pieces of annotated recordings, one folder per recording (`annotations.py`)."""
    return cache_folder() / "cut"


def find_entry(key: str, dtype: str = "f4") -> CacheEntry | None:
    """Memory-map an entry with correct checksums, and mark it as used; None if there is none.

    Leftovers of killed processes are deleted first. CRC-32 detects accidental damage, and checks 1 GB in 0.5 s.
    """
    remove_leftovers(_entries_folder())
    description = _entries_folder() / f"{key}.json"
    try:
        content = read_sealed(description)
        shape = (content["num_rows"], content["num_samples"])
        rows, kind = rows_path(key, dtype), np.dtype(f"<{dtype}")
        if rows.stat().st_size != kind.itemsize * shape[0] * shape[1]:
            return None
        waveforms = np.memmap(rows, kind, "r", shape=shape) if shape[0] else np.empty(shape, kind)
        refused = {int(index): str(reason) for index, reason in content["refused"].items()}
        if content["checksums"] != [zlib.crc32(row.data) for row in waveforms]:
            return None
    except (RefusedError, OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    with contextlib.suppress(OSError):  # a cache owned by another user
        os.utime(description)
    return CacheEntry(waveforms, refused)


def rows_path(key: str, dtype: str) -> Path:
    """Return the file of the rows of an entry, float32 ("f4") or float16 ("f2")."""
    return _entries_folder() / f"{key}.f{8 * int(dtype[1:])}"


def require_room(need_bytes: int) -> None:
    """Raise a `MachineError` if the disk of the cache has less free space than this, before decoding."""
    folder = next(path for path in (_entries_folder(), *_entries_folder().parents) if path.exists())
    if need_bytes > (free := shutil.disk_usage(folder).free):
        raise MachineError(
            f"the recordings need {need_bytes / 1e9:.1f} GB in {cache_folder()}, but only {free / 1e9:.1f} GB is free; "
            "free some space, set AURICLE_CACHE to a folder on another disk, or shorten the clips with --clip-s"
        )


def write_entry(
    key: str, rows: Iterable[np.ndarray | str], num_samples: int, *, dtype: str = "f4", most_rows: int | None = None
) -> CacheEntry:
    """Write rows, (T,), as they arrive; a string is the reason of a refusal. Several processes may write at once.

    `most_rows` is their maximum number, for the `MachineError` of a full disk, which leaves no files behind.
    """
    description = _entries_folder() / f"{key}.json"
    refused: dict[int, str] = {}
    checksums: list[int] = []

    def write_rows(file: IO[bytes]) -> None:
        for index, row in enumerate(rows):
            if isinstance(row, str):
                refused[index] = row
            else:
                content = np.ascontiguousarray(row, f"<{dtype}").ravel()
                checksums.append(zlib.crc32(content.data))
                file.write(content.data)

    need_bytes = None if most_rows is None else int(dtype[1:]) * most_rows * num_samples
    require_room(need_bytes or 0)
    write_atomically(rows_path(key, dtype), write_rows, need_bytes)
    shape = {"num_rows": len(checksums), "num_samples": num_samples}
    refusals = {str(index): reason for index, reason in refused.items()}
    write_sealed(description, {**shape, "checksums": checksums, "refused": refusals})
    entry = find_entry(key, dtype)
    if entry is None:
        raise MachineError(f"{description.parent}: an entry just written cannot be read back; check the disk")
    return entry


def copy_entry(path: Path, read: ReadPiece) -> None:
    """Copy an entry, given by the file of its rows, from the cache of another machine into that of this one.

    Raises:
        MachineError: the disk refuses, or the entry is damaged.
    """
    for name in (path.with_suffix(".json"), path):  # the rows last: where they are, nothing is copied
        write_atomically(copied(name), partial(_write_pieces, name, read))
    if find_entry(path.stem, f"f{int(path.suffix[2:]) // 8}") is None:
        copied(path).unlink(missing_ok=True)
        raise MachineError(f"{path.name} was damaged on its way into {_entries_folder()}; run the same command again")


def _write_pieces(path: Path, read: ReadPiece, file: IO[bytes]) -> None:
    while piece := read(path, file.tell()):
        file.write(piece)


def read_piece(path: Path, start: int) -> bytes:
    """Return the bytes of a file from a position, at most `PIECE_BYTES`; none at its end."""
    with path.open("rb") as file:
        file.seek(start)
        return file.read(PIECE_BYTES)


def copied(path: Path) -> Path:
    """Return where `copy_entry` puts a file of another machine's cache."""
    return _entries_folder() / path.name


def prune_entries(limit_bytes: int) -> None:
    """Delete the least recently used entries until the cache is within the limit.

    Pieces of annotated recordings are deleted a month after their last use, and leftovers of killed processes.

    Entries used within a day are kept, whatever the limit; and a process that has an entry mapped for longer can still
    read it, as POSIX keeps a deleted file until it is closed.
    """
    oldest_allowed = time.time() - DAY_S
    with contextlib.suppress(OSError):
        for pieces in cut_folder().iterdir():
            remove_leftovers(pieces)
            if pieces.stat().st_mtime < time.time() - 30 * DAY_S:
                shutil.rmtree(pieces, ignore_errors=True)
    folder = _entries_folder()
    with contextlib.suppress(OSError):
        entries = sorted((path.stat().st_mtime, path) for path in folder.glob("*.json"))
        excess = sum(path.stat().st_size for path in folder.glob("*.f??")) - limit_bytes
        for used, description in entries:
            if excess > 0 and used < oldest_allowed:
                rows = [*folder.glob(f"{description.stem}.f??")]
                excess -= sum(path.stat().st_size for path in rows)
                description.unlink(missing_ok=True)  # first: without it the rows are not an entry
                for path in rows:
                    path.unlink(missing_ok=True)


def _entries_folder() -> Path:
    return cache_folder() / "recordings"
