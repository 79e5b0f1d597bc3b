"""The chunks of a CAF file (Apple's Core Audio Format, recorded by phones): whether its sound is complete."""

from dataclasses import dataclass
from io import BufferedReader

from auricle.data.containers import Damage
from auricle.data.signatures import read_at
from auricle.data.spliced import Piece

_UNTIL_THE_END = 2**64 - 1  # a size of -1
_MOST_CAF_CHUNKS = 1_000


@dataclass(frozen=True)
class Caf:
    """Damage of a CAF file, and the pieces to read instead of it: libsndfile refuses incorrect sizes."""

    damage: Damage | None
    pieces: tuple[Piece, ...]


def read_caf(file: BufferedReader, start: int) -> Caf | None:
    """Read the chunks of a CAF file from an offset; None if the size of its sound is correct, or it has none."""
    size, offset = file.seek(0, 2), start + 8
    for _ in range(_MOST_CAF_CHUNKS):
        head = read_at(file, offset, 12)
        declared, there = int.from_bytes(head[4:], "big"), size - offset - 12
        if len(head) < 12 or there <= 0:
            return None
        if head.startswith(b"data"):
            break
        offset = min(size, offset + 12 + declared)
    else:
        return None
    if declared <= there:
        return None
    cut = Damage(f"cut off: only {there} of {declared} bytes of sound", True)
    pieces = ((start, offset + 4), there.to_bytes(8, "big"), (offset + 12, size))
    return Caf(None if declared == _UNTIL_THE_END else cut, pieces)
