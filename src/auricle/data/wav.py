"""The chunks of a WAV file: begin and end of its sound, and contradictions in its header.

Recorders write sizes of 0 if they are switched off, and sizes of more than 32 bits wrap; decoders trust them. Here the
size of the file is used if the bytes after the declared sound are not chunks.
"""

from dataclasses import dataclass
from io import BufferedReader
from typing import Literal

import numpy as np

from auricle.data.containers import Damage
from auricle.data.signatures import after_id3, read_at
from auricle.data.spliced import Piece
from auricle.errors import count

_Order = Literal["big", "little"]  # of the bytes of a number
_WRAP = 2**32
_NEVER = 2**63  # a 64-bit size that was never written is larger
_MOST_CHUNKS = 10_000
_MIN_LOST_S = 0.1  # shorter trailing bytes are ignored
_SEVERAL = (b"RIFF", b"RIFX", b"RF64", b"data")
_USUAL_CHUNKS = (
    *(b"LIST", b"fact", b"cue ", b"bext", b"iXML", b"axml", b"id3 ", b"ID3 ", b"smpl", b"inst", b"PEAK", b"JUNK"),
    *(b"junk", b"PAD ", b"FLLR", b"afsp", b"LGWV", b"guan", b"wamd", b"minf", b"umid", b"plst", b"_PMX", b"acid"),
)
_TAG_STARTS = (b"TAG", b"ID3", b"3DI", b"APETAGEX")


@dataclass(frozen=True)
class Wav:
    """The sound in a WAV file.

    `pieces` are what a decoder should read instead of the file; None if the header is correct.
    """

    format: bytes  # content of the chunk `fmt `
    start: int
    end: int
    damage: Damage | None = None
    pieces: tuple[Piece, ...] | None = None

    @property
    def is_mp3(self) -> bool:
        """Whether the sound is an MP3."""
        return self.format[:2] == b"\x55\0"


def read_wav(file: BufferedReader, start: int = 0) -> Wav | None:
    """Read the chunks of a WAV file from an offset; None if they do not lead to sound."""
    size = file.seek(0, 2)
    head = read_at(file, start, 12)
    order: _Order = "big" if head.startswith(b"RIFX") else "little"
    offset, wide, fmt = start + 12, 0, b""
    for _ in range(_MOST_CHUNKS):
        name, declared = _chunk(file, offset, order)
        if name == b"data":
            break
        if name == b"ds64":
            wide = int.from_bytes(read_at(file, offset + 16, 8), "little")
        if name == b"fmt ":
            fmt = read_at(file, offset + 8, min(declared, 40))
        offset += 8 + declared + declared % 2
        if len(name) < 4 or offset >= size:
            return None
    else:
        return None
    sound = offset + 8
    if declared == _WRAP - 1 and head.startswith(b"RF64"):
        declared = wide if wide < _NEVER else 0
    if declared > size - sound:
        endless = _is_endless(declared) and not head.startswith(b"RF64")
        cut = None if endless else Damage(f"cut off: only {size - sound} of {declared} bytes of sound", True)
        return Wav(fmt, sound, size, cut)
    end = sound + declared
    if end >= size - 1:  # one padding byte if the size is odd
        return Wav(fmt, sound, end)
    if follower := _recording_after(file, end, size, order):
        return Wav(fmt, sound, end, follower)
    if size - end < _bytes_a_second(fmt, order) * _MIN_LOST_S or _are_chunks(file, end, size, order):
        return Wav(fmt, sound, end)
    while end + _WRAP <= size:
        end += _WRAP
    if not _are_chunks(file, end, size, order):
        end = size
    header = read_at(file, start, sound - start)
    return Wav(fmt, sound, end, None, (_with_size(header, end - sound, order), (sound, end)))


def _chunk(file: BufferedReader, offset: int, order: _Order) -> tuple[bytes, int]:
    head = read_at(file, offset, 8)
    return head[:4], int.from_bytes(head[4:], order)


def _is_endless(declared: int) -> bool:
    """Whether a size is one that programs write to a pipe, for "until the end"."""
    return declared >= _WRAP - 2**16 or abs(declared - 2**31) <= 2**16


def _bytes_a_second(fmt: bytes, order: _Order) -> int:
    if len(fmt) < 16:
        return 0
    channels, rate_hz, bits = (int.from_bytes(fmt[a:b], order) for a, b in ((2, 4), (4, 8), (14, 16)))
    return rate_hz * channels * -(-bits // 8)


def _recording_after(file: BufferedReader, end: int, size: int, order: _Order) -> Damage | None:
    """Return the damage if chunks lead from the end of the sound to more sound, which decoders ignore."""
    offset = end
    for _ in range(_MOST_CHUNKS):
        offset = after_id3(file, offset)
        offset += offset % 2 if read_at(file, offset, 4) not in (*_SEVERAL, *_USUAL_CHUNKS) else 0
        name, declared = _chunk(file, offset, order)
        if name in _SEVERAL and (name == b"data" or read_at(file, offset + 8, 4) == b"WAVE"):
            return Damage(f"contains another recording at byte {offset}, which decoders ignore; split the file")
        offset += 8 + declared
        if not _is_name(name) or offset >= size:
            break
    return None


def _are_chunks(file: BufferedReader, offset: int, size: int, order: _Order) -> bool:
    """Whether chunks or tags lead from an offset to the end of the file, or a known chunk begins there."""
    if read_at(file, offset, 8).startswith(_TAG_STARTS):
        return True
    for first in (offset, offset + 1):  # a chunk of odd size has a padding byte, which some programs omit
        at, name, known = first, b"", False
        for _ in range(_MOST_CHUNKS):
            name, declared = _chunk(file, at, order)
            known = known or name in _USUAL_CHUNKS
            if not _is_name(name) or at + 8 + declared > size:
                break
            at += 8 + declared + declared % 2
            if at >= size - 8:
                return True
        if known:
            return True
    return False


def _is_name(name: bytes) -> bool:
    return len(name) == 4 and all(32 <= byte < 127 for byte in name)


def _with_size(header: bytes, num_bytes: int, order: _Order) -> bytes:
    """Return a header for this number of bytes of sound; with 64 bits (RF64, EBU Tech 3306) if necessary."""
    header = header.replace(b"RF64", b"RIFF", 1).replace(b"ds64", b"JUNK", 1)  # whose sizes are also wrong
    total = len(header) - 8 + num_bytes
    if total < _WRAP - 2**16 or order == "big":
        sizes = [min(number, _WRAP - 1).to_bytes(4, order) for number in (total, num_bytes)]
        return header[:4] + sizes[0] + header[8:-4] + sizes[1]
    endless = b"\xff\xff\xff\xff"
    wide = b"".join(number.to_bytes(8, "little") for number in (total + 36, num_bytes, 0)) + bytes(4)
    return b"RF64" + endless + b"WAVEds64\x1c\0\0\0" + wide + header[12:-4] + endless


def wav_contradiction(fmt: bytes) -> tuple[str, bool] | None:
    """Return a contradiction between the numbers of a WAV header, and whether the decoded sound is wrong; or None.

    Only PCM and float are checked, which are determined by rate, channels and bits. Bytes per frame and per second
    follow from these: if the two agree with each other but not with the others, the others are wrong. `fmt` is the
    content of the chunk of that name, little-endian.
    """
    if len(fmt) < 16:
        return None
    fields = np.frombuffer(fmt[:16], "<u2")
    code, channels, frame_bytes, bits = (int(fields[at]) for at in (0, 1, 6, 7))
    rate_hz, rate_bytes = (int(number) for number in fields[2:6].view("<u4"))
    if code not in (1, 3):
        return None
    if not (channels and rate_hz and bits):
        return f"its header says {count(channels, 'channel')}, {rate_hz} Hz, {bits} bits", True
    expected = channels * -(-bits // 8)
    if frame_bytes != expected and rate_bytes == rate_hz * frame_bytes:
        return f"its header says {count(channels, 'channel')} of {bits} bits in {frame_bytes} bytes", True
    if frame_bytes != expected:
        return f"its header says {frame_bytes} bytes for {count(channels, 'channel')} of {bits} bits", False
    if rate_bytes != rate_hz * frame_bytes:
        return f"its header says {rate_hz} Hz of {frame_bytes} bytes, but {rate_bytes} bytes per second", False
    return None
