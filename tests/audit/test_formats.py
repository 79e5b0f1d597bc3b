import pytest

from auricle.audit.formats import FORMAT_SUFFIXES
from auricle.data.signatures import format_of
from defects import encoded, good_sound

SOUND = good_sound(0)[1]


@pytest.mark.parametrize("form", ["wav", "flac", "ogg", "mp3", "aiff", "au", "caf", "w64", "voc"])
def test_a_format_is_known_by_its_first_bytes(form: str) -> None:
    assert format_of(encoded(SOUND, form)[:64]) == form
    assert f".{form}" in FORMAT_SUFFIXES[form]


@pytest.mark.parametrize("head", [b"", b"\xff", b"RIFF", b"hello", bytes(64), b"RIFF\0\0\0\0CDXA"])
def test_what_is_no_recording_has_no_format(head: bytes) -> None:
    assert format_of(head) is None
