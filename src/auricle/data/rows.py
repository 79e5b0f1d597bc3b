"""Rows of recordings that are fetched on demand: from the cache, or from the files themselves.

They are read, not memory-mapped: mapped pages, once read, count as memory of the process.
"""

import contextlib
import os
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np

from auricle.data.manifest import Clip
from auricle.errors import MachineError, RefusedError

NUM_OPEN = 256  # files open at once; systems limit their number
AGAIN = "run the same command again to recreate it"


class Rows:
    """N arrays of the same shape, indexed like one array: `rows[index]`, `rows[indices]`, `rows[start:stop]`."""

    num_rows: int
    row_shape: tuple[int, ...]

    def __len__(self) -> int:
        return self.num_rows

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of all rows together."""
        return self.num_rows, *self.row_shape

    def __getitem__(self, chosen: Any) -> np.ndarray:
        if isinstance(chosen, slice):
            chosen = range(*chosen.indices(self.num_rows))
        rows = self.fetch([int(index) for index in np.atleast_1d(chosen)])
        return rows if np.ndim(chosen) else rows[0]

    def fetch(self, indices: Sequence[int]) -> np.ndarray:
        """Return some rows, (n, *row_shape)."""
        raise NotImplementedError


@dataclass(frozen=True)
class StoredRows(Rows):
    """Rows of several cache entries (`store.py`), concatenated."""

    paths: tuple[Path, ...]
    ends: tuple[int, ...]  # number of rows up to the end of each file
    row_shape: tuple[int, ...]
    dtype: str

    @property
    def num_rows(self) -> int:  # type: ignore[override]
        """Number of rows in all files."""
        return self.ends[-1] if self.ends else 0

    def fetch(self, indices: Sequence[int]) -> np.ndarray:
        """Read some rows.

        Raises:
            MachineError: a file is missing or damaged.
        """
        rows = np.empty((len(indices), *self.row_shape), self.dtype)
        for row, index in zip(rows, indices, strict=True):
            number = bisect_right(self.ends, index)
            before = self.ends[number - 1] if number else 0
            self._read(self.paths[number], index - before, row)
        return rows

    def _read(self, path: Path, index: int, row: np.ndarray) -> None:
        try:
            file = _opened(path)
            file.seek(index * row.nbytes)
            num_bytes = file.readinto(row.data.cast("B"))  # type: ignore[attr-defined]
        except OSError as error:
            raise MachineError(f"cannot read {path}: {error.strerror}; {AGAIN}") from error
        if num_bytes != row.nbytes:
            raise MachineError(f"{path} is shorter than when it was written; {AGAIN}")

    def keep(self) -> None:
        """Note that they are in use, so that nobody deletes them within a day (`store.prune_entries`)."""
        for path in self.paths:
            with contextlib.suppress(OSError):  # a cache that others own
                os.utime(path.with_suffix(".json"))

    def missing(self) -> dict[Path, int]:
        """Return the files that are not on this machine, or have another size, and the size that each should have.

        A file of the cache is named by a hash of its content, so one of that name and size is the right one.
        """
        row_bytes = prod(self.row_shape) * np.dtype(self.dtype).itemsize
        sizes = [row_bytes * (end - start) for start, end in zip((0, *self.ends), self.ends, strict=False)]
        return {path: size for path, size in zip(self.paths, sizes, strict=True) if _num_bytes(path) != size}


def _num_bytes(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


@lru_cache(NUM_OPEN)
def _opened(path: Path) -> IO[bytes]:
    return path.open("rb", buffering=0)


@dataclass(frozen=True, eq=False)
class FileWaveforms(Rows):
    """Waveforms, float32 (T,), decoded each time they are needed, as there are too many to store."""

    clips: tuple[Clip, ...]
    num_samples: int
    load: Callable[[Sequence[Clip]], Iterator[np.ndarray | str]]  # row of each clip, or the reason of its refusal

    @property
    def num_rows(self) -> int:  # type: ignore[override]
        """Number of clips."""
        return len(self.clips)

    @property
    def row_shape(self) -> tuple[int, ...]:  # type: ignore[override]
        """Number of samples of each clip."""
        return (self.num_samples,)

    def fetch(self, indices: Sequence[int]) -> np.ndarray:
        """Decode some clips.

        Raises:
            RefusedError: a clip can no longer be decoded.
        """
        rows = np.empty((len(indices), self.num_samples), np.float32)
        clips = [self.clips[index] for index in indices]
        for row, clip, found in zip(rows, clips, self.load(clips), strict=True):
            if isinstance(found, str):
                raise RefusedError(f"{clip.path}: {found}")
            row[:] = found
        return rows
