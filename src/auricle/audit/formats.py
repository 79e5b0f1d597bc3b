"""What the bytes of a file say of themselves: their format, and whether checksums inside agree with the sound.

Only what no decoder tells: `data.audio` refuses what is cut off, and what its containers show to be damaged.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auricle.data.decoders import SOUND_FORMATS, media_suffixes

HEAD_BYTES = 64
# The suffixes that a recording may have, by the format that its first bytes begin.
FORMAT_SUFFIXES = SOUND_FORMATS | {
    "nist": (*SOUND_FORMATS["nist"], ".wav"),
    "mp4": (*media_suffixes("mov"), ".aac"),
    "matroska": media_suffixes("matroska"),
    "adts": media_suffixes("aac"),
}
_STARTS = (
    (b"fLaC", "flac"), (b"OggS", "ogg"), (b".snd", "au"), (b"caff", "caf"), (b"riff\x2e\x91\xcf\x11", "w64"),
    (b"Creative Voice File", "voc"), (b"NIST_1A", "nist"), (b"\x1aE\xdf\xa3", "matroska"), (b"ID3", "mp3"),
)  # fmt: skip
_STRANGERS = (
    (b"\xff\xd8\xff", "a JPEG picture"), (b"\x89PNG", "a PNG picture"), (b"GIF8", "a GIF picture"),
    (b"PK\x03\x04", "a ZIP archive"), (b"\x1f\x8b", "a gzip archive"), (b"%PDF", "a PDF document"),
    (b"Rar!", "a RAR archive"), (b"7z\xbc\xaf", "a 7-Zip archive"), (b"\x7fELF", "a program"),
    (b"version https://git-lfs", "a Git LFS pointer: run 'git lfs pull'"), (b"<!DOCTYPE", "a web page"),
    (b"<html", "a web page"), (b"<!doctype", "a web page"), (b"<?xml", "an XML document"), (b"{\"", "JSON"),
    (b"MThd", "a MIDI file, notes without sound"),
)  # fmt: skip


def format_of(head: bytes) -> str | None:
    """Return the format that a file's first bytes begin, or None.

    >>> format_of(b"RIFF....WAVEfmt "), format_of(b"<html>")
    ('wav', None)
    """
    if head[:4] in (b"RIFF", b"RIFX", b"RF64") and head[8:12] == b"WAVE":
        return "wav"
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return "aiff"
    if head[4:8] == b"ftyp":
        return "mp4"
    if len(head) > 2 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        return "adts"
    if len(head) > 2 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and head[1] & 0x06 and head[2] >> 4 != 15:
        return "mp3"
    return next((name for start, name in _STARTS if head.startswith(start)), None)


def stranger(head: bytes) -> str:
    """Say what a file is that is no recording, from its first bytes.

    >>> stranger(b"%PDF-1.7"), stranger(b"hello there"), stranger(bytes(9))
    ('a PDF document', 'text', 'zeros')
    """
    if not any(head):
        return "zeros"
    other = "text" if all(32 <= byte < 127 or byte in b"\t\r\n" for byte in head) else "no format that is known"
    return next((words for start, words in _STRANGERS if head.startswith(start)), other)


def wav_contradiction(head: bytes) -> str | None:
    """Say where the numbers of a WAV header contradict each other, or None; only plain PCM and float are judged."""
    place = head.find(b"fmt ", 12)
    if not head.startswith(b"RIFF") or place < 0 or len(head) < place + 24:
        return None
    fields = np.frombuffer(head[place + 8 : place + 24], "<u2")
    code, channels, frame_bytes, bits = (int(fields[at]) for at in (0, 1, 6, 7))
    rate_hz, rate_bytes = (int(number) for number in fields[2:6].view("<u4"))
    if code not in (1, 3):
        return None
    if not (channels and rate_hz and bits):
        return f"its header says {channels} channels, {rate_hz} Hz, {bits} bits"
    if frame_bytes != channels * -(-bits // 8):
        return f"its header says {channels} channels of {bits} bits in {frame_bytes} bytes"
    if rate_bytes != rate_hz * frame_bytes:
        return f"its header says {rate_hz} Hz of {frame_bytes} bytes, and {rate_bytes} bytes a second"
    return None


@dataclass(frozen=True)
class FlacChecksum:
    """What a FLAC file says of its samples: bits of each, and their MD5. RFC 9639, section 8.2."""

    bits: int
    md5: bytes

    @classmethod
    def read(cls, head: bytes) -> FlacChecksum | None:
        """Read it from the first 42 bytes; None where there is none, or the samples are too fine for float32."""
        info = head[8:42]
        if not head.startswith(b"fLaC") or head[4] & 0x7F or len(info) < 34 or not any(info[18:]):
            return None
        bits = ((info[12] & 1) << 4 | info[13] >> 4) + 1
        return cls(bits, info[18:34]) if bits <= 24 else None

    def samples(self, frames: np.ndarray) -> bytes:
        """Return float32 samples as the bytes that were hashed: whole numbers, low byte first, channel by channel."""
        whole = np.rint(frames * 2.0 ** (self.bits - 1)).astype("<i4")
        num_bytes = -(-self.bits // 8)
        return np.ascontiguousarray(whole[..., None].view("u1")[..., :num_bytes]).tobytes()


def mp3_contradiction(content: bytes) -> str | None:
    """Say that the frames of an MP3 do not match the checksum that its encoder left in the first frame, or None.

    LAME's tag stands 120 bytes after "Xing" or "Info", and ends with the number of bytes from its frame on, a CRC-16
    of the frames that follow, and one of itself (G. Bouvigne, "Mp3 Info Tag rev 1"); libav writes it too.
    """
    at = max(content.find(mark, 0, 2**16) for mark in (b"Xing", b"Info"))
    start = content.rfind(b"\xff", 0, at)
    tag = content[at + 120 : at + 156]
    if at < 0 or start < 0 or content[at + 4 : at + 8] != b"\0\0\0\x0f" or len(tag) < 36 or not tag[:4].isalpha():
        return None
    length, music_sum, tag_sum = (int.from_bytes(tag[a:b], "big") for a, b in ((28, 32), (32, 34), (34, 36)))
    if tag_sum not in (_crc16(content[start : at + 154]), _crc16(content[start : start + 190])):  # LAME's, libav's
        return None  # the tag was changed since, so it proves nothing
    music = content.find(content[start : start + 2], at + 156)
    if music < 0 or _crc16(content[music : start + length]) == music_sum:
        return None
    return "damaged: its frames do not match their checksum"


def _crc16(content: bytes) -> int:
    """Return the CRC-16 with the reflected polynomial 0xA001 that starts at 0, of rows of bytes at once.

    The register is linear in what went in: of bytes cut into rows it is that of each row, moved over the zeros that
    stand for the rows after it, all added without carry.
    """
    table = np.arange(256, dtype=np.uint16)
    for _ in range(8):
        table = np.where(table & 1, table >> 1 ^ 0xA001, table >> 1).astype(np.uint16)
    length = max(1, int(len(content) ** 0.5))
    padded = np.frombuffer(bytes(-len(content) % length) + content, np.uint8).reshape(-1, length)
    rows = np.zeros(len(padded), np.uint16)
    for column in padded.T:
        rows = rows >> 8 ^ table[(rows ^ column) & 0xFF]
    moved = np.uint16(1) << np.arange(16, dtype=np.uint16)  # where each bit of a register stands after a row of zeros
    for _ in range(length):
        moved = moved >> 8 ^ table[moved & 0xFF]
    register = 0
    for row in rows.tolist():
        register = int(np.bitwise_xor.reduce(moved[[bit for bit in range(16) if register >> bit & 1]], initial=0)) ^ row
    return register
