"""Check that every page of an Ogg file is intact; WAV, FLAC and MP3 have their own modules.

The decoders skip a damaged page or frame without an error, and stop at the end of the bytes.
"""

import zlib
from io import BufferedReader
from typing import NamedTuple

from auricle.data.signatures import find_ahead

_OGG_HEADER_BYTES = 27
_FIRST, _LAST = 2, 4  # flags of a page
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class Damage(NamedTuple):
    """Why a recording is not intact, and whether only its end is missing."""

    reason: str
    is_cut: bool = False


def ogg_damage(file: BufferedReader, start: int = 0) -> Damage | None:
    """Return the damage of the pages of an Ogg file (RFC 3533), or None; bytes after the last page are ignored.

    Every page must be complete and match its checksum, none may be missing, and the last one must have its flag.
    """
    offset, expected, serial, ended = file.seek(start), 0, b"", False
    while not ended:
        head = file.read(_OGG_HEADER_BYTES)
        if not head:
            return Damage("cut off: the Ogg stream has no end", True)
        if not head.startswith(b"OggS"[: len(head)]):
            return Damage(f"damaged: no Ogg page at byte {offset}, where one must begin")
        segments = file.read(head[26]) if len(head) == _OGG_HEADER_BYTES else b""
        body = file.read(sum(segments))
        if len(head) < _OGG_HEADER_BYTES or len(segments) < head[26] or len(body) < sum(segments):
            return Damage(f"cut off: the Ogg page at byte {offset} is incomplete", True)
        if _ogg_checksum(head[:22] + bytes(4) + head[26:] + segments + body) != head[22:26]:
            return Damage(f"damaged: the Ogg page at byte {offset} does not match its checksum")
        if serial and head[14:18] != serial and head[5] & _FIRST:
            return Damage("contains several streams, like a video; export only its sound")
        if int.from_bytes(head[18:22], "little") != expected or (serial and head[14:18] != serial):
            return Damage(f"damaged: an Ogg page is missing before byte {offset}")
        serial, expected, ended = head[14:18], expected + 1, bool(head[5] & _LAST)
        offset += len(head) + len(segments) + len(body)
    if (other := find_ahead(file, offset, b"OggS\0")) is not None:  # with any bytes between
        return Damage(f"contains another Ogg stream at byte {other}, which decoders ignore; split the file")
    return None


def _ogg_checksum(page: bytes) -> bytes:
    """Return the CRC-32 of a page: zlib's polynomial with reversed bit order and no inversion."""
    register = zlib.crc32(page.translate(_REVERSED), 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    return int(f"{register:032b}"[::-1], 2).to_bytes(4, "little")
