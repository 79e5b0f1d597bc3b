"""The suffixes of audio formats, and what a file is that is not a recording."""

from auricle.data.decoders import SOUND_FORMATS, media_suffixes

# The suffixes that a recording may have, by the format that its first bytes tell.
FORMAT_SUFFIXES = SOUND_FORMATS | {
    "nist": (*SOUND_FORMATS["nist"], ".wav"),
    "mp4": (*media_suffixes("mov"), ".aac"),
    "matroska": media_suffixes("matroska"),
    "adts": media_suffixes("aac"),
    "mpegts": media_suffixes("mpegts"),
    **{name: media_suffixes(name) for name in ("asf", "avi", "flv", "amr", "mpeg")},
}
_OTHER_FILES = (
    (b"\xff\xd8\xff", "a JPEG picture"), (b"\x89PNG", "a PNG picture"), (b"GIF8", "a GIF picture"),
    (b"PK\x03\x04", "a ZIP archive"), (b"\x1f\x8b", "a gzip archive"), (b"%PDF", "a PDF document"),
    (b"Rar!", "a RAR archive"), (b"7z\xbc\xaf", "a 7-Zip archive"), (b"\x7fELF", "a program"),
    (b"version https://git-lfs", "a Git LFS pointer: run 'git lfs pull'"), (b"<!DOCTYPE", "a web page"),
    (b"<html", "a web page"), (b"<!doctype", "a web page"), (b"<?xml", "an XML document"), (b"{\"", "JSON"),
    (b"MThd", "a MIDI file, which has notes but no audio"),
)  # fmt: skip


def describe_other_file(head: bytes) -> str:
    """Say what kind of file this is, from its first bytes, where it is not a recording.

    >>> describe_other_file(b"%PDF-1.7"), describe_other_file(b"hello there"), describe_other_file(bytes(9))
    ('a PDF document', 'text', 'only zero bytes')
    """
    if not any(head):
        return "only zero bytes"
    other = "text" if all(32 <= byte < 127 or byte in b"\t\r\n" for byte in head) else "an unknown format"
    return next((description for start, description in _OTHER_FILES if head.startswith(start)), other)
