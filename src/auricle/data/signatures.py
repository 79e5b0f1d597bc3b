"""Recognise the format of a file from its first bytes, which are more reliable than the suffix."""

from io import BufferedReader

HEAD_BYTES = 400  # up to the third sync byte of an MPEG transport stream
_MANY_TAGS = 100
_STARTS = (
    (b"fLaC", "flac"), (b"OggS", "ogg"), (b".snd", "au"), (b"caff", "caf"), (b"riff\x2e\x91\xcf\x11", "w64"),
    (b"Creative Voice File", "voc"), (b"NIST_1A", "nist"), (b"\x1aE\xdf\xa3", "matroska"), (b"ID3", "mp3"),
    (b"#!AMR", "amr"), (b"FLV\x01", "flv"), (b"\0\0\x01\xba", "mpeg"), (b"0&\xb2u\x8ef\xcf\x11\xa6\xd9", "asf"),
)  # fmt: skip


def format_of(head: bytes) -> str | None:
    """Return the format that begins with these bytes, or None.

    >>> format_of(b"RIFF....WAVEfmt "), format_of(b"<html>")
    ('wav', None)
    """
    if head[:4] in (b"RIFF", b"RIFX", b"RF64") and head[8:12] == b"WAVE":
        return "wav"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return "aiff"
    if head[4:8] == b"ftyp":
        return "mp4"
    if len(head) > 2 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        return "adts"
    if len(head) > 2 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and head[1] & 0x06 and head[2] >> 4 != 15:
        return "mp3"
    if len(head) > 376 and head[0] == head[188] == head[376] == 0x47:
        return "mpegts"
    return next((name for start, name in _STARTS if head.startswith(start)), None)


def first_bytes(file: BufferedReader) -> tuple[int, bytes]:
    """Return the offset of a recording, after ID3v2 tags, which may precede any format, and its first bytes.

    If no known format follows the tags, offset and bytes are those of the file.
    """
    whole = read_at(file, 0, HEAD_BYTES)
    start = 0
    for _ in range(_MANY_TAGS):
        end = after_id3(file, start)
        if end == start:
            break
        start = end
    head = read_at(file, start, HEAD_BYTES) if start else whole
    return (start, head) if format_of(head) else (0, whole)


def after_id3(file: BufferedReader, offset: int) -> int:
    """Return the end of an ID3v2 tag at an offset; the offset itself if there is no tag."""
    tag = read_at(file, offset, 10)
    if len(tag) < 10 or not tag.startswith(b"ID3"):
        return offset
    footer = 10 * bool(tag[5] & 0x10)
    size = sum((byte & 0x7F) << shift for byte, shift in zip(tag[6:], (21, 14, 7, 0), strict=True))
    return offset + 10 + footer + size


def before_tags(file: BufferedReader) -> int:
    """Return the end of a recording: before tags (ID3v1, APE) at the end of its file."""
    end = file.seek(0, 2)
    for _ in range(_MANY_TAGS):
        if read_at(file, max(0, end - 128), 3) == b"TAG":
            end -= 128
        elif (foot := read_at(file, max(0, end - 32), 32)).startswith(b"APETAGEX"):
            header = 32 * bool(foot[23] & 0x80)
            end -= int.from_bytes(foot[12:16], "little") + header
        else:
            break
    return max(0, end)


def find_ahead(file: BufferedReader, offset: int, *marks: bytes) -> int | None:
    """Return the offset of the first of these marks, which are equally long, at or after an offset, or None."""
    content, kept = b"", len(marks[0]) - 1
    file.seek(offset)
    while more := file.read(2**20):
        content += more
        if ats := [at for mark in marks if (at := content.find(mark)) >= 0]:
            return offset + min(ats)
        offset += len(content[:-kept])
        content = content[-kept:]
    return None


def read_at(file: BufferedReader, offset: int, num_bytes: int) -> bytes:
    """Return `num_bytes` bytes at an offset; fewer at the end of the file."""
    file.seek(offset)
    return file.read(num_bytes)
