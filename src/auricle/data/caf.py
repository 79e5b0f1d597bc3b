"""The chunks of a CAF (Apple's Core Audio Format), as phones record it: whether its sound is all there."""

from dataclasses import dataclass
from io import BufferedReader

from auricle.data.containers import Damage
from auricle.data.signatures import read_at
from auricle.data.spliced import Piece

_UNTIL_THE_END = 2**64 - 1  # a size of -1
_MOST_CAF_CHUNKS = 1_000


@dataclass(frozen=True)
class Caf:
    """What is wrong with a CAF, and what to read in its place: libsndfile refuses sizes that are not true."""

    damage: Damage | None
    pieces: tuple[Piece, ...]


def read_caf(file: BufferedReader, start: int) -> Caf | None:
    """Read the chunks of a CAF that begins at a place; None where the size of its sound is true, or it has none."""
    size, offset = file.seek(0, 2), start + 8
    for _ in range(_MOST_CAF_CHUNKS):
        head = read_at(file, offset, 12)
        declared, there = int.from_bytes(head[4:], "big"), size - offset - 12
        if len(head) < 12 or there <= 0:
            return None
        if head.startswith(b"data"):
            break
        offset += 12 + declared
    else:
        return None
    if declared <= there:
        return None
    cut = Damage(f"cut off: {there} of {declared} bytes of sound are there", True)
    pieces = ((start, offset + 4), there.to_bytes(8, "big"), (offset + 12, size))
    return Caf(None if declared == _UNTIL_THE_END else cut, pieces)
