"""Whether the container of a recording is whole: every page of an Ogg file, every frame of an MP3.

The decoders that we use pass over a damaged page or frame without a word, and end where the bytes end.
"""

import zlib
from io import BufferedReader

_OGG_HEADER_BYTES = 27
_CONTINUED, _FIRST, _LAST = 1, 2, 4  # flags of a page
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_SEARCH_BYTES = 2**16  # how far into an MP3 its first frame may stand
_TAGS = (b"TAG", b"APETAGEX", b"LYRICSBEGIN", b"ID3", b"3DI")
_LENGTH_MARKS = (b"Xing", b"Info", b"VBRI")  # of the table of lengths, in the first frame
# kbit/s by index, for the layers of MPEG 1 and of MPEG 2 and 2.5; ISO/IEC 11172-3 and 13818-3
_BITRATES = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES_HZ = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}


def ogg_damage(file: BufferedReader) -> str | None:
    """Say what is wrong with the pages of an Ogg file (RFC 3533), or None; what follows the last page is ignored.

    Every page must be whole and have its own checksum, none may be missing, and the last one must say so.
    """
    place, expected, serial, ended = file.seek(0), 0, b"", False
    while not ended:
        head = file.read(_OGG_HEADER_BYTES)
        if not head:
            return "cut off: the Ogg stream has no end"
        if not head.startswith(b"OggS"[: len(head)]):
            return f"damaged: no Ogg page where one must begin, at byte {place}"
        segments = file.read(head[26]) if len(head) == _OGG_HEADER_BYTES else b""
        body = file.read(sum(segments))
        if len(head) < _OGG_HEADER_BYTES or len(segments) < head[26] or len(body) < sum(segments):
            return f"cut off: the Ogg page at byte {place} is not whole"
        if _ogg_checksum(head[:22] + bytes(4) + head[26:] + segments + body) != head[22:26]:
            return f"damaged: the Ogg page at byte {place} does not match its checksum"
        if int.from_bytes(head[18:22], "little") != expected or (serial and head[14:18] != serial):
            return f"damaged: an Ogg page is missing before byte {place}"
        serial, expected, ended = head[14:18], expected + 1, bool(head[5] & _LAST)
        place += len(head) + len(segments) + len(body)
    if file.read(4) == b"OggS":
        return f"holds another Ogg stream from byte {place} on, which would not be heard; split the file"
    return None


def _ogg_checksum(page: bytes) -> bytes:
    """Return the CRC-32 of a page: zlib's polynomial with the bits in the other order and nothing inverted."""
    register = zlib.crc32(page.translate(_REVERSED), 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    return int(f"{register:032b}"[::-1], 2).to_bytes(4, "little")


def mp3_declares_length(file: BufferedReader) -> bool:
    """Whether the first frame is a table of lengths; without one the length that a decoder tells is a guess."""
    file.seek(_after_tag(file, 0))
    frame = file.read(256)
    return any(mark in frame for mark in _LENGTH_MARKS)


def mp3_damage(file: BufferedReader) -> str | None:
    """Say where the chain of MP3 frames breaks, or None; tags and zeros after the last frame are no damage.

    A frame says how long it is, and the next one begins where it ends. What is inside a frame has no checksum.
    """
    size = file.seek(0, 2)
    place = _first_frame(file)
    if place is None:
        return None  # a bitrate of its own, or no frames at all: the decoder's matter
    kind = _frame_kind(_at(file, place, 4))
    while place < size:
        head = _at(file, place, 12)
        length = _frame_bytes(head)
        if length and _frame_kind(head) == kind:
            if place + length > size:
                return f"cut off: the MP3 frame at byte {place} has {size - place} of {length} bytes"
            place += length
        elif head.startswith(b"ID3"):
            place = _after_tag(file, place)
        elif head.startswith(_TAGS) or not any(head):
            return None
        else:
            return f"damaged: no MP3 frame where one must begin, at byte {place} of {size}"
    return None


def _at(file: BufferedReader, place: int, num_bytes: int) -> bytes:
    file.seek(place)
    return file.read(num_bytes)


def _after_tag(file: BufferedReader, place: int) -> int:
    """Return where an ID3v2 tag ends that begins at a place; the place itself where none does."""
    tag = _at(file, place, 10)
    if len(tag) < 10 or not tag.startswith(b"ID3"):
        return place
    footer = 10 * bool(tag[5] & 0x10)
    return (
        place + 10 + footer + sum((byte & 0x7F) << shift for byte, shift in zip(tag[6:], (21, 14, 7, 0), strict=True))
    )


def _first_frame(file: BufferedReader) -> int | None:
    """Return where the first frame begins that another one of its kind follows."""
    start = _after_tag(file, 0)
    content = _at(file, start, _SEARCH_BYTES)
    place = content.find(b"\xff")
    while place >= 0:
        head = content[place : place + 4]
        if length := _frame_bytes(head):
            follows = _at(file, start + place + length, 4)
            if _frame_bytes(follows) and _frame_kind(follows) == _frame_kind(head):
                return start + place
        place = content.find(b"\xff", place + 1)
    return None


def _frame_kind(head: bytes) -> bytes:
    """Return what all frames of a stream have in common: sync, version, layer and sample rate."""
    return bytes([head[0], head[1] & 0xFE, head[2] & 0x0C]) if len(head) >= 3 else b""


def _frame_bytes(head: bytes) -> int:
    """Return how long a frame with this header is; 0 where it is no header, or has a bitrate of its own."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return 0
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    bitrate, rate, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if version == 1 or layer == 4 or bitrate in (0, 15) or rate == 3:
        return 0
    family = 1 if version == 3 else 2
    bits_per_s = 1000 * _BITRATES[family, layer][bitrate - 1]
    if layer == 1:
        return (12 * bits_per_s // _RATES_HZ[version][rate] + padding) * 4
    factor = 72 if layer == 3 and family == 2 else 144
    return factor * bits_per_s // _RATES_HZ[version][rate] + padding
