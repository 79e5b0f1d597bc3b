"""Count the frames of an MP3: its true length, the bytes between frames, and where the sequence of frames breaks.

A frame header gives its length, and the next frame begins at its end. Its content has no checksum. Decoders trust the
length in a table in the first frame, guess if there is none, and stop at the beginning of another recording.
"""

from dataclasses import dataclass, field
from io import BufferedReader

from auricle.data.containers import Damage
from auricle.data.signatures import after_id3, read_at
from auricle.data.spliced import Piece

_SEARCH_BYTES = 2**16  # in which the first frame is searched
_HEAD_BYTES = 64  # of a frame, including the beginning of a table
_TELL_GAPS = (b"LAME", b"Lavf", b"Lavc")  # encoders that declare their padding before and after the sound
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


@dataclass
class Mp3:
    """The frames of an MP3 (or of layer I or II), without tags and tables.

    `runs` are the byte ranges of consecutive frames. `table` is the byte range of the first frame, if it is a table,
    and the number of frames it declares.
    """

    frame_samples: int = 0  # in each
    num_frames: int = 0
    runs: list[tuple[int, int]] = field(default_factory=list)
    table: tuple[int, int, int] | None = None  # start, end, frames
    num_missing: int = 0  # frames declared by the last table and not found yet
    damage: Damage | None = None

    def add(self, start: int, end: int, head: bytes) -> None:
        """Add the next frame: its byte range and its first bytes."""
        if (declared := _table_frames(head)) is None:
            self.num_frames += 1
            self.num_missing -= 1
            first = self.runs.pop()[0] if self.runs and self.runs[-1][1] == start else start
            self.runs.append((first, end))
            return
        if self.num_missing > 1:  # some tables count their own frame
            reason = f"{self.num_missing} MP3 frames are missing before byte {start}, where another recording begins"
            self.damage = Damage(f"damaged: {reason}")
        if not self.runs:
            self.table = (start, end, declared)
        self.num_missing = declared

    def pieces(self, file: BufferedReader) -> tuple[Piece, ...] | None:
        """Return the pieces to decode: a correct table, and all frames; None if there are no frames."""
        if not self.runs:
            return None
        head = read_at(file, self.runs[0][0], 4)
        if _layer(head) != 3:  # constant bitrate, no tables
            return tuple(self.runs)
        num_bytes = sum(end - start for start, end in self.runs)
        if self.table:
            start, end, declared = self.table
            table = _true_table(read_at(file, start, end - start), self.num_frames, num_bytes, declared)
        else:
            table = _new_table(head, self.num_frames)
        return (table, *self.runs)


def read_mp3(file: BufferedReader, start: int, end: int | None = None) -> Mp3:
    """Find the frames of an MP3 between two offsets. Tags, and zeros at the end, are not damage.

    Without frames (or with a free-format bitrate) the result is empty, and the decoder decides.
    """
    found = Mp3()
    size = end or file.seek(0, 2)
    offset = _first_frame(file, start)
    if offset is None:
        return found
    first = read_at(file, offset, 4)
    found.frame_samples = {1: 384, 2: 1_152, 3: 1_152 if first[1] >> 3 & 3 == 3 else 576}[_layer(first)]
    while offset < size and not found.damage:
        head = read_at(file, offset, _HEAD_BYTES)
        length = _frame_bytes(head)
        if not length or _frame_kind(head) != _frame_kind(first):
            offset = _after_other(file, offset, head, size, found)
        elif offset + length > size:
            found.damage = Damage(f"cut off: MP3 frame at byte {offset} has {size - offset} of {length} bytes", True)
        else:
            found.add(offset, offset + length, head)
            offset += length
    if found.num_missing > 1 and not found.damage:
        count = found.num_frames
        found.damage = Damage(f"cut off: {count} of {count + found.num_missing} MP3 frames found", True)
    return found


def _after_other(file: BufferedReader, offset: int, head: bytes, size: int, found: Mp3) -> int:
    """Skip bytes that are not a frame: a tag, or zeros at the end; anything else is damage."""
    after = _after_tag(file, offset, head)
    if after > offset:
        return after
    follows = read_at(file, offset + _frame_bytes(head), 4)
    if _frame_bytes(head) and _frame_bytes(follows) and _frame_kind(follows) == _frame_kind(head):
        found.damage = Damage(
            f"contains an MP3 of another sample rate or number of channels at byte {offset}, "
            "which decoders ignore; split the file"
        )
    elif _after_zeros(file, offset, size) < size:
        found.damage = Damage(f"damaged: no MP3 frame at byte {offset} of {size}, where one must begin")
    return size


def _after_tag(file: BufferedReader, offset: int, head: bytes) -> int:
    """Return the end of a tag at an offset; the offset itself if there is no tag."""
    if head.startswith(b"TAG"):
        return offset + 128
    if head.startswith(b"APETAGEX"):  # its size counts what follows the header
        return offset + 32 + (int.from_bytes(head[12:16], "little") if head[23] & 0x20 else 0)
    if head.startswith(b"3DI"):
        return offset + 10
    if head.startswith(b"LYRICSBEGIN"):
        content = read_at(file, offset, _SEARCH_BYTES)
        ends = [content.find(mark) for mark in (b"LYRICS200", b"LYRICSEND")]
        return offset + max(ends) + 9 if max(ends) > 0 else offset
    return after_id3(file, offset)


def _after_zeros(file: BufferedReader, offset: int, size: int) -> int:
    """Return the end of the zeros that begin at an offset."""
    file.seek(offset)
    while content := file.read(_SEARCH_BYTES):
        if left := len(content.lstrip(b"\0")):
            return file.tell() - left
    return size


def _first_frame(file: BufferedReader, start: int) -> int | None:
    """Return the offset of the first frame followed by another of its kind, or by the end of the file; or None."""
    start = after_id3(file, start)
    content = read_at(file, start, _SEARCH_BYTES)
    offset = content.find(b"\xff")
    while offset >= 0:
        head = content[offset : offset + 4]
        if length := _frame_bytes(head):
            follows = read_at(file, start + offset + length, 4)
            if not follows and offset == 0:  # a single one
                return start
            if _frame_bytes(follows) and _frame_kind(follows) == _frame_kind(head):
                return start + offset
        offset = content.find(b"\xff", offset + 1)
    return None


def _frame_kind(head: bytes) -> tuple[int, int, int, bool]:
    """Return what all frames of a stream have in common: sync, version, layer, sample rate, and mono or not."""
    return (head[0], head[1] & 0xFE, head[2] & 0x0C, head[3] >> 6 == 3) if len(head) >= 4 else (0, 0, 0, False)


def _frame_bytes(head: bytes) -> int:
    """Return the length of a frame from its header; 0 if it is not a header, or has a free-format bitrate."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return 0
    version, layer = head[1] >> 3 & 3, _layer(head)
    bitrate, rate, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if version == 1 or layer == 4 or bitrate in (0, 15) or rate == 3:
        return 0
    family = 1 if version == 3 else 2
    bits_per_s = 1000 * _BITRATES[family, layer][bitrate - 1]
    if layer == 1:
        return (12 * bits_per_s // _RATES_HZ[version][rate] + padding) * 4
    factor = 72 if layer == 3 and family == 2 else 144
    return factor * bits_per_s // _RATES_HZ[version][rate] + padding


def _layer(head: bytes) -> int:
    """Return the layer of a frame, 1 to 3; 4 if invalid."""
    return 4 - (head[1] >> 1 & 3)


def has_own_bitrate(head: bytes) -> bool:
    """Whether a frame has a free-format bitrate, so that its length is unknown."""
    return len(head) > 2 and head[2] >> 4 == 0 and _frame_bytes(bytes([*head[:2], head[2] | 0x10, 0])) > 0


def _mark_offset(head: bytes) -> int:
    """Return the offset of the marker of a table in a frame of layer III: after the side information."""
    mono, first = head[3] >> 6 == 3, head[1] >> 3 & 3 == 3
    return 4 + ((17 if mono else 32) if first else (9 if mono else 17))


def _table_frames(head: bytes) -> int | None:
    """Return the number of frames that a table declares, 0 if it declares none; None if the frame is not a table."""
    offset = _mark_offset(head)
    if head[offset : offset + 4] in (b"Xing", b"Info"):
        return int.from_bytes(head[offset + 8 : offset + 12], "big") if head[offset + 7] & 1 else 0
    if head[36:40] == b"VBRI":
        return int.from_bytes(head[50:54], "big")
    return None


def _true_table(frame: bytes, num_frames: int, num_bytes: int, declared: int) -> bytes:
    """Return a table with the counted lengths; other entries of the encoder are kept if the lengths agree."""
    offset = _mark_offset(frame)
    if not declared or frame[offset : offset + 4] not in (b"Xing", b"Info"):
        return _new_table(frame, num_frames)
    table = bytearray(frame[:4] + bytes(offset - 4) + frame[offset:])
    table[offset + 8 : offset + 12] = num_frames.to_bytes(4, "big")
    flags = frame[offset + 7]
    if flags & 2:
        table[offset + 12 : offset + 16] = (num_bytes + len(frame)).to_bytes(4, "big")
    encoder = offset + 8 + sum(size for bit, size in ((1, 4), (2, 4), (4, 100), (8, 4)) if flags & bit)
    gaps = encoder + 21  # padding before and after the sound, 12 bits each
    if len(table) >= gaps + 3:
        if table[encoder : encoder + 4] not in _TELL_GAPS:
            table[gaps : gaps + 3] = bytes(3)
        elif declared not in (num_frames, num_frames + 1):  # the padding after the sound is that of another recording
            table[gaps + 1 : gaps + 3] = bytes([table[gaps + 1] & 0xF0, 0])
    return bytes(table)


def _new_table(head: bytes, num_frames: int) -> bytes:
    """Return a frame similar to that of a header, with a Xing table that declares the number of frames."""
    kind = bytes([0xFF, head[1] | 1, head[2] & 0x0C | 0x90, head[3]])  # no checksum, 80 to 128 kbit/s
    content = kind.ljust(_mark_offset(kind), b"\0") + b"Xing" + (1).to_bytes(4, "big") + num_frames.to_bytes(4, "big")
    return content.ljust(_frame_bytes(kind), b"\0")
