"""The header and checksum of a FLAC file, and whether its last frame is complete. RFC 9639."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from io import BufferedReader
from typing import Any

import numpy as np

from auricle.data.containers import Damage
from auricle.data.signatures import before_tags, find_ahead, read_at
from auricle.data.spliced import Piece

_STREAMS = (b"fLaC\0\0\0\x22", b"fLaC\x80\0\0\x22")  # of a stream; \x80: with no block after STREAMINFO
_INFO_BYTES = 42  # the signature, the header of the first block, and STREAMINFO
_MOST_FRAME_BYTES = 2**20
_MOST_BLOCKS = 1_000
_FRAME_RATES_HZ = (0, 88_200, 176_400, 192_000, 8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000)


@dataclass(frozen=True)
class Flac:
    """A FLAC stream before it is decoded.

    The decoder reads `pieces` without a declared length, so that it does not stop if more follows than was declared.
    """

    num_frames: int | None  # declared by the header; None if it is unknown
    checksum: FlacChecksum | None
    pieces: tuple[Piece, ...]
    frame_bytes: int  # maximum, from the header
    block_frames: int
    start: int
    end: int

    def damage(self, file: BufferedReader, num_read: int, failure: str | None) -> Damage | None:
        """Return the damage of a stream of which `num_read` frames could be read, or None."""
        declared = self.num_frames
        if declared is not None and num_read > declared:
            return Damage(f"damaged: contains more than the {declared} frames that it declares")
        if declared == num_read:  # what follows and made the decoder fail is not a frame
            if failure and (offset := find_ahead(file, self.start + 4, *_STREAMS)) is not None:
                return Damage(f"contains another FLAC at byte {offset}, which decoders ignore; split the file")
            wrong = self.checksum and not self.checksum.agrees()
            return Damage("damaged: its samples do not match their checksum") if wrong else None
        last = self._last_frame(file)
        of = "" if declared is None else f" of {declared}"
        complete = last is not None and (
            declared is None or self.block_frames == 0 or last == (declared - 1) // self.block_frames
        )
        if not complete:
            return Damage(f"cut off: {num_read}{of} frames could be decoded", True)
        if failure is None and declared is None:
            return None
        return Damage(f"damaged: {num_read}{of} frames could be decoded{f' ({failure})' if failure else ''}")

    def _last_frame(self, file: BufferedReader) -> int | None:
        """Return the number in the header of the frame that ends at the end of the file; None if no frame does."""
        start = max(0, self.end - min(self.frame_bytes or _MOST_FRAME_BYTES, _MOST_FRAME_BYTES) - 16)
        content = read_at(file, start, self.end - start)
        offset = content.rfind(b"\xff")
        while offset >= 0:
            if (number := _frame_number(content[offset : offset + 16])) is not None and _crc(
                content[offset:], 16, 0x8005
            ) == 0:
                return number
            offset = content.rfind(b"\xff", 0, offset)
        return None


def read_flac(file: BufferedReader, start: int) -> Flac | None:
    """Read the header of a FLAC stream from an offset; None if its first block is not STREAMINFO.

    Raises:
        ValueError: the sample rates of header and first frame differ.
    """
    head = read_at(file, start, _INFO_BYTES)
    if len(head) < _INFO_BYTES or not head.startswith(b"fLaC") or head[4] & 0x7F:
        return None
    info = head[8:]
    least, most = (int.from_bytes(info[at : at + 2], "big") for at in (0, 2))
    num_frames = int.from_bytes(info[13:18], "big") & 2**36 - 1
    unknown = head[:21] + bytes([head[21] & 0xF0]) + bytes(4) + head[26:]
    end = before_tags(file)
    rate_hz = int.from_bytes(info[10:13], "big") >> 4
    frame = _first_frame_head(file, start)
    if frame and (other_hz := _frame_rate_hz(frame)) not in (0, rate_hz):
        raise ValueError(f"its header says {rate_hz} Hz, but its first frame {other_hz} Hz")
    return Flac(
        num_frames or None,
        FlacChecksum.read(head),
        (unknown, (start + _INFO_BYTES, end)),
        int.from_bytes(info[7:10], "big"),
        most if least == most else 0,
        start,
        end,
    )


@dataclass(frozen=True)
class FlacChecksum:
    """The MD5 of the samples stored in a FLAC file, and that of the samples read. RFC 9639, section 8.2."""

    bits: int
    md5: bytes
    _hasher: Any = field(default_factory=lambda: hashlib.md5(usedforsecurity=False))  # against accidents, not attacks

    @classmethod
    def read(cls, head: bytes) -> FlacChecksum | None:
        """Read it from the first 42 bytes; None if there is none, or the samples have too many bits for float32."""
        info = head[8:_INFO_BYTES]
        if not any(info[18:]):
            return None
        bits = ((info[12] & 1) << 4 | info[13] >> 4) + 1
        return cls(bits, info[18:34]) if bits <= 24 else None

    def add(self, frames: np.ndarray) -> None:
        """Add float32 samples, (T, channels), in the hashed form: little-endian integers, interleaved channels."""
        whole = np.rint(frames * 2.0 ** (self.bits - 1)).astype("<i4")
        num_bytes = -(-self.bits // 8)
        self._hasher.update(np.ascontiguousarray(whole[..., None].view("u1")[..., :num_bytes]))

    def agrees(self) -> bool:
        """Whether the added samples match the stored MD5."""
        return bool(self._hasher.digest() == self.md5)


def _frame_number(head: bytes) -> int | None:
    """Return the number of a frame (of its first sample, if blocks vary in length); None if it is not a header."""
    if len(head) < 6 or head[0] != 0xFF or head[1] & 0xFE != 0xF8:
        return None
    num_more = _num_more(head)
    size_code, rate_code = head[2] >> 4, head[2] & 15
    length = 5 + num_more + {6: 1, 7: 2}.get(size_code, 0) + {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
    if len(head) <= length or _crc(head[: length + 1], 8, 0x07):
        return None
    number = head[4] & (0x7F >> num_more)
    for byte in head[5 : 5 + num_more]:
        number = number << 6 | byte & 0x3F
    return number


def _num_more(head: bytes) -> int:
    """Return the number of bytes, after the first, of the number in a frame header, which is coded like UTF-8."""
    return max(0, 8 - (head[4] ^ 0xFF).bit_length() - 1)


def _first_frame_head(file: BufferedReader, start: int) -> bytes:
    """Return the first bytes of the first frame, after all metadata blocks; empty if there is none."""
    offset = start + 4
    for _ in range(_MOST_BLOCKS):
        head = read_at(file, offset, 4)
        if len(head) < 4:
            break
        offset += 4 + int.from_bytes(head[1:], "big")
        if head[0] & 0x80:  # the last block
            frame = read_at(file, offset, 16)
            return frame if _frame_number(frame) is not None else b""
    return b""


def _frame_rate_hz(head: bytes) -> int:
    """Return the sample rate in a frame header; 0 if it is that of the stream."""
    code = head[2] & 15
    if code < len(_FRAME_RATES_HZ):
        return _FRAME_RATES_HZ[code]
    if code == 15:
        return 0
    offset = 5 + _num_more(head) + {6: 1, 7: 2}.get(head[2] >> 4, 0)
    number = int.from_bytes(head[offset : offset + (1 if code == 12 else 2)], "big")
    return number * {12: 1_000, 13: 1, 14: 10}[code]


def _crc(content: bytes, bits: int, polynomial: int) -> int:
    """Return the CRC of bytes, most significant bit first; 0 if they end with their own CRC."""
    table = []
    for byte in range(256):
        register = byte << bits - 8
        for _ in range(8):
            register = (register << 1 ^ polynomial if register >> bits - 1 else register << 1) & (1 << bits) - 1
        table.append(register)
    register = 0
    for byte in content:
        register = (register << 8 & (1 << bits) - 1) ^ table[register >> bits - 8 ^ byte]
    return register
