"""Where decoded recordings are kept: one array and its description an entry.

    CACHE/recordings/KEY.f32   float32, little-endian, one row a clip that could be read; KEY.f16: float16
    CACHE/recordings/KEY.json  how many rows of how many samples, their checksums, what was refused; written last
    CACHE/cut/HASH/            pieces of an annotated recording

When the folder outgrows `LIMIT_BYTES`, the entries used longest ago go, but none used within a day.
"""

import contextlib
import os
import shutil
import time
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from auricle.errors import MachineError, RefusedError
from auricle.files import DAY_S, read_sealed, remove_leftovers, write_atomically, write_sealed

LIMIT_BYTES = 20 * 10**9


@dataclass(frozen=True)
class CacheEntry:
    """What stands under a key: rows, (N, T), read-only; and what was refused, place to reason."""

    waveforms: np.ndarray
    refused: dict[int, str]


def cache_folder() -> Path:
    """Return `$AURICLE_CACHE`, or the folder of auricle in the user's cache."""
    if index := os.environ.get("AURICLE_CACHE"):
        return Path(index).expanduser()
    import pooch

    return Path(pooch.os_cache("auricle"))


def cut_folder() -> Path:
    """Return where pieces of annotated recordings are kept, a folder for each recording (`annotations.py`)."""
    return cache_folder() / "cut"


def find_entry(key: str, dtype: str = "f4") -> CacheEntry | None:
    """Map an entry whose rows fit their checksums, and note that it was used; None where there is none.

    What killed processes left of theirs is deleted first.
    CRC-32 is enough against accidents, and reads a gigabyte in half a second.
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
    with contextlib.suppress(OSError):  # a cache that others own
        os.utime(description)
    return CacheEntry(waveforms, refused)


def rows_path(key: str, dtype: str) -> Path:
    """Return where the rows of an entry are, float32 ("f4") or float16 ("f2")."""
    return _entries_folder() / f"{key}.f{8 * int(dtype[1:])}"


def require_room(need_bytes: int) -> None:
    """Raise a `MachineError` where the cache's disk has less room than that, before anything is decoded for it."""
    folder = next(path for path in (_entries_folder(), *_entries_folder().parents) if path.exists())
    if need_bytes > (free := shutil.disk_usage(folder).free):
        raise MachineError(
            f"the recordings need {need_bytes / 1e9:.1f} GB of {cache_folder()}, and {free / 1e9:.1f} GB are free; "
            "free some space, let AURICLE_CACHE name a folder on another disk, or shorten the clips with --clip-s"
        )


def write_entry(
    key: str, rows: Iterable[np.ndarray | str], num_samples: int, *, dtype: str = "f4", most_rows: int | None = None
) -> CacheEntry:
    """Write rows of (T,) as they come; a row that is a text is a refusal. Two processes may write at once.

    `most_rows` is how many there may be, for the `MachineError` of a disk that is full; nothing is left behind then.
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
        raise MachineError(f"{description.parent}: what was just written cannot be read back; check the disk")
    return entry


def prune_entries(limit_bytes: int) -> None:
    """Delete the entries used longest ago until the cache fits the limit.

    Pieces of annotated recordings go that were cut a month ago, and what killed processes left beside others.

    What was used within a day stays, whatever the limit; and a process that has an entry mapped for longer keeps
    reading it, as POSIX keeps a deleted file until it is closed.
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
                description.unlink(missing_ok=True)  # first: without it the rows are no entry
                for path in rows:
                    path.unlink(missing_ok=True)


def _entries_folder() -> Path:
    return cache_folder() / "recordings"
