"""The checksum that LAME and FFmpeg write for the frames of an MP3."""

import numpy as np

from auricle.data.containers import Damage

CHECKED_BYTES = 2**26  # at the beginning of a file, in which the checksum is verified


def mp3_contradiction(content: bytes) -> Damage | None:
    """Return the damage if the frames of an MP3 do not match the checksum in its first frame, or None.

    LAME's tag is 120 bytes after "Xing" or "Info", and ends with the number of bytes including its frame, a CRC-16 of
    the frames after it, and one of itself (G. Bouvigne, "Mp3 Info Tag rev 1"); libav writes it too.
    """
    at = max(content.find(mark, 0, 2**16) for mark in (b"Xing", b"Info"))
    start = content.rfind(b"\xff", 0, at)
    tag = content[at + 120 : at + 156]
    if at < 0 or start < 0 or content[at + 4 : at + 8] != b"\0\0\0\x0f" or len(tag) < 36 or not tag[:4].isalpha():
        return None
    length, music_sum, tag_sum = (int.from_bytes(tag[a:b], "big") for a, b in ((28, 32), (32, 34), (34, 36)))
    if tag_sum not in (_crc16(content[start : at + 154]), _crc16(content[start : start + 190])):  # LAME's, libav's
        return None  # the tag was edited later, so it proves nothing
    music = content.find(content[start : start + 2], at + 156)
    if music < 0 or _crc16(content[music : start + length]) == music_sum:
        return None
    return Damage("damaged: its frames do not match their checksum")


def _crc16(content: bytes) -> int:
    """Return the CRC-16 with reflected polynomial 0xA001 and start value 0, vectorised over rows of bytes.

    A CRC is linear in its input: that of bytes cut into rows is the XOR of the CRCs of the rows, each shifted by the
    length of the rows after it.
    """
    table = np.arange(256, dtype=np.uint16)
    for _ in range(8):
        table = np.where(table & 1, table >> 1 ^ 0xA001, table >> 1).astype(np.uint16)
    length = max(1, int(len(content) ** 0.5))
    padded = np.frombuffer(bytes(-len(content) % length) + content, np.uint8).reshape(-1, length)
    rows = np.zeros(len(padded), np.uint16)
    for column in padded.T:
        rows = rows >> 8 ^ table[(rows ^ column) & 0xFF]
    moved = np.uint16(1) << np.arange(16, dtype=np.uint16)  # each bit of a register after a row of zeros
    for _ in range(length):
        moved = moved >> 8 ^ table[moved & 0xFF]
    register = 0
    for row in rows.tolist():
        register = int(np.bitwise_xor.reduce(moved[[bit for bit in range(16) if register >> bit & 1]], initial=0)) ^ row
    return register
