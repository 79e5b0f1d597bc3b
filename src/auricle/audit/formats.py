"""What a file is called by its suffix, and what it is that is no recording."""

from auricle.data.decoders import SOUND_FORMATS, media_suffixes

# The suffixes that a recording may have, by the format that its first bytes begin.
FORMAT_SUFFIXES = SOUND_FORMATS | {
    "nist": (*SOUND_FORMATS["nist"], ".wav"),
    "mp4": (*media_suffixes("mov"), ".aac"),
    "matroska": media_suffixes("matroska"),
    "adts": media_suffixes("aac"),
    "mpegts": media_suffixes("mpegts"),
    **{name: media_suffixes(name) for name in ("asf", "avi", "flv", "amr", "mpeg")},
}
_STRANGERS = (
    (b"\xff\xd8\xff", "a JPEG picture"), (b"\x89PNG", "a PNG picture"), (b"GIF8", "a GIF picture"),
    (b"PK\x03\x04", "a ZIP archive"), (b"\x1f\x8b", "a gzip archive"), (b"%PDF", "a PDF document"),
    (b"Rar!", "a RAR archive"), (b"7z\xbc\xaf", "a 7-Zip archive"), (b"\x7fELF", "a program"),
    (b"version https://git-lfs", "a Git LFS pointer: run 'git lfs pull'"), (b"<!DOCTYPE", "a web page"),
    (b"<html", "a web page"), (b"<!doctype", "a web page"), (b"<?xml", "an XML document"), (b"{\"", "JSON"),
    (b"MThd", "a MIDI file, notes without sound"),
)  # fmt: skip


def stranger(head: bytes) -> str:
    """Say what a file is that is no recording, from its first bytes.

    >>> stranger(b"%PDF-1.7"), stranger(b"hello there"), stranger(bytes(9))
    ('a PDF document', 'text', 'zeros')
    """
    if not any(head):
        return "zeros"
    other = "text" if all(32 <= byte < 127 or byte in b"\t\r\n" for byte in head) else "no format that is known"
    return next((words for start, words in _STRANGERS if head.startswith(start)), other)
