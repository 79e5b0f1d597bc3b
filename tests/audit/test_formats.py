import hashlib

import numpy as np
import pytest

from auricle.audit.formats import FlacChecksum, _crc16, format_of, mp3_contradiction, wav_contradiction
from defects import encoded, flipped, good_sound, patched

SOUND = good_sound(0)[1]


@pytest.mark.parametrize("form", ["wav", "flac", "ogg", "mp3", "aiff", "au", "caf", "w64", "voc"])
def test_a_format_is_known_by_its_first_bytes(form: str) -> None:
    assert format_of(encoded(SOUND, form)[:64]) == form


@pytest.mark.parametrize("head", [b"", b"\xff", b"RIFF", b"hello", bytes(64), b"RIFF\0\0\0\0AVI LIST"])
def test_what_is_no_recording_has_no_format(head: bytes) -> None:
    assert format_of(head) is None


def test_the_checksum_is_crc_16_arc() -> None:
    assert _crc16(b"123456789") == 0xBB3D  # the check value of the catalogue of CRCs
    assert _crc16(b"") == 0
    for num_bytes in (1, 2, 99, 1_000):
        content = np.random.default_rng(num_bytes).bytes(num_bytes)
        register = 0
        for byte in content:
            register ^= byte
            for _ in range(8):
                register = register >> 1 ^ (0xA001 if register & 1 else 0)
        assert _crc16(content) == register


@pytest.mark.parametrize("seed", range(5))
def test_flipped_bits_of_an_mp3_are_seen_and_a_whole_one_is_left_alone(seed: int) -> None:
    content = encoded(good_sound(seed)[1], "mp3")
    assert mp3_contradiction(content) is None
    assert mp3_contradiction(flipped(content, np.random.default_rng(seed))) is not None


def test_an_mp3_without_a_tag_proves_nothing() -> None:
    content = encoded(SOUND, "mp3")
    assert mp3_contradiction(content[content.index(content[:2], 4) :]) is None
    assert mp3_contradiction(b"") is None
    place = content.index(b"Xing") + 152  # the checksum of the frames; that of the tag no longer fits
    assert mp3_contradiction(patched(content, place, "<B", content[place] ^ 1)) is None


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
def test_the_checksum_of_a_flac_is_that_of_its_samples(subtype: str, tmp_path) -> None:
    import soundfile

    stereo = np.stack([SOUND, -SOUND / 2], axis=1)
    soundfile.write(tmp_path / "a.flac", stereo, 16_000, subtype=subtype)
    head = (tmp_path / "a.flac").read_bytes()[:64]
    checksum = FlacChecksum.read(head)
    assert checksum
    frames, _ = soundfile.read(tmp_path / "a.flac", dtype="float32")
    hashed = checksum.samples(frames[:777]) + checksum.samples(frames[777:])
    assert hashlib.md5(hashed).digest() == checksum.md5


@pytest.mark.parametrize(
    ("place", "layout", "value", "words"),
    [(24, "<I", 48_000, "48000 Hz"), (22, "<H", 2, "2 channels"), (34, "<H", 24, "24 bits"), (34, "<H", 0, "0 bits")],
)
def test_numbers_of_a_wav_header_that_contradict_each_other_are_seen(place, layout, value, words) -> None:
    content = encoded(SOUND, "wav")
    assert wav_contradiction(content[:64]) is None
    assert words in str(wav_contradiction(patched(content, place, layout, value)[:64]))
