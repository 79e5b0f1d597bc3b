"""Pieces of a file presented as one file, for decoders that would misread the original."""

import io
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

Piece = bytes | tuple[int, int]  # inserted bytes; byte range in the file


def spliced(file: io.BufferedReader, pieces: Sequence[Piece]) -> io.BufferedReader:
    """Return pieces of a file, and inserted bytes, as one file to read; nothing is copied."""
    return io.BufferedReader(_Spliced(file, pieces), 2**16)


class _Spliced(io.RawIOBase):
    def __init__(self, file: io.BufferedReader, pieces: Sequence[Piece]) -> None:
        self._file = file
        self._pieces = [piece for piece in pieces if _length(piece) > 0]
        self._starts = list(accumulate(map(_length, self._pieces), initial=0))
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._position = max(0, offset + (0, self._position, self._starts[-1])[whence])
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Read from one piece, at most to its end; the next call reads from the next piece."""
        if self._position >= self._starts[-1]:
            return 0
        at = bisect_right(self._starts, self._position) - 1
        inside = self._position - self._starts[at]
        num_bytes = min(len(buffer), self._starts[at + 1] - self._position)
        piece = self._pieces[at]
        if isinstance(piece, bytes):
            content = piece[inside : inside + num_bytes]
        else:
            self._file.seek(piece[0] + inside)
            content = self._file.read(num_bytes)
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)


def _length(piece: Piece) -> int:
    return len(piece) if isinstance(piece, bytes) else piece[1] - piece[0]
