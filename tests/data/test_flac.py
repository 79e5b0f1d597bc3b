import io
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile

from auricle.audit.recording import examine
from auricle.data.audio import header_duration_s, read_mono, stream_mono
from auricle.data.flac import _crc, _frame_number, read_flac
from refusals import refusal_of

RATE_HZ = 48_000
NOISE = np.random.default_rng(0).normal(0, 0.1, 2 * RATE_HZ)
ID3 = b"ID3\x04\x00\x00\x00\x00\x01\x00" + bytes(128)


def encoded(sound: np.ndarray = NOISE, subtype: str = "PCM_16", rate_hz: int = RATE_HZ) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, sound, rate_hz, format="FLAC", subtype=subtype)
    return file.getvalue()


def of_length(content: bytes, num_frames: int, *, checksum: bool = True) -> bytes:
    """Declare another length, 0 for "not known", as an encoder into a pipe does; which leaves no checksum either."""
    changed = bytearray(content)
    changed[21] &= 0xF0
    changed[22:26] = num_frames.to_bytes(4, "big")
    if not checksum:
        changed[26:42] = bytes(16)
    return bytes(changed)


def frame_starts(content: bytes) -> list[int]:
    return [at for at in range(len(content) - 16) if _frame_number(content[at : at + 16]) is not None]


@pytest.fixture
def heard(tmp_path: Path) -> Callable[[bytes], np.ndarray]:
    """What training hears, which streams, headers and the check agree with."""

    def heard(content: bytes) -> np.ndarray:
        path = tmp_path / "a.flac"
        path.write_bytes(content)
        mono, rate_hz = read_mono(path)
        np.testing.assert_array_equal(np.concatenate([block for _, block in stream_mono(path)]), mono)
        assert header_duration_s(path) == len(mono) / rate_hz
        found = examine(path)
        assert found.problems == ()
        assert found.format == "flac"
        return mono

    return heard


@pytest.fixture
def why_refused(tmp_path: Path) -> Callable[[bytes], str]:
    """Why training refuses a file, which the check refuses too."""
    return partial(refusal_of, tmp_path / "a.flac")


@pytest.mark.parametrize("checksum", [False, True])
def test_a_flac_of_unknown_length_is_heard_whole(checksum: bool, heard: Callable[[bytes], np.ndarray]) -> None:
    np.testing.assert_array_equal(heard(of_length(encoded(), 0, checksum=checksum)), heard(encoded()))


def test_a_flac_of_unknown_length_that_was_cut_is_refused(why_refused: Callable[[bytes], str]) -> None:
    content = of_length(encoded(), 0, checksum=False)
    for end in (len(content) // 2, len(content) - 1):
        assert "cut off" in why_refused(content[:end])


def test_a_flac_that_was_cut_anywhere_is_called_cut_and_one_without_a_frame_damaged(
    why_refused: Callable[[bytes], str],
) -> None:
    content = encoded()
    starts = frame_starts(content)
    assert len(starts) > 10
    for end in (starts[5], starts[5] + 100, len(content) - 8):
        assert "cut off" in why_refused(content[:end])
    assert "damaged" in why_refused(content[: starts[5]] + content[starts[6] :])
    assert "damaged" in why_refused(content[: starts[6]] + content[starts[5] :])
    assert "damaged" in why_refused(content[: starts[5] + 50] + b"\0\1\2\3" + content[starts[5] + 54 :])


def test_two_flacs_joined_are_refused(why_refused: Callable[[bytes], str]) -> None:
    place = len(encoded())
    expected = f"contains another FLAC at byte {place}, which decoders ignore; split the file"
    assert expected in why_refused(encoded() + encoded())
    assert "damaged" in why_refused(of_length(encoded(), 0) + encoded())
    assert "damaged: contains more than the 90000 frames that it declares" in why_refused(of_length(encoded(), 90_000))


@pytest.mark.parametrize("tag", [ID3, ID3 + ID3])
def test_a_flac_behind_a_tag_is_a_flac(tag: bytes, heard: Callable[[bytes], np.ndarray]) -> None:
    np.testing.assert_array_equal(heard(tag + encoded()), heard(encoded()))


def test_tags_behind_a_flac_are_no_damage(heard: Callable[[bytes], np.ndarray]) -> None:
    ape = b"APETAGEX" + (2_000).to_bytes(4, "little") + (32).to_bytes(4, "little") + bytes(7) + b"\0" + bytes(8)
    for after in (b"TAG" + bytes(125), ape, ape + b"TAG" + bytes(125), bytes(3_000), b"anything else"):
        assert len(heard(encoded() + after)) == len(NOISE)


def test_a_rate_that_the_frames_contradict_is_refused(why_refused: Callable[[bytes], str]) -> None:
    content = bytearray(encoded())
    content[18] ^= 0x40
    assert "Hz, but its first frame 48000 Hz" in why_refused(bytes(content))


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 12_345, 44_100, 96_000, 250_000, 384_000])
def test_every_rate_stands_in_a_frame_as_in_the_header(rate_hz: int, heard: Callable[[bytes], np.ndarray]) -> None:
    file = io.BytesIO(encoded(NOISE[:9_000], rate_hz=rate_hz))
    assert read_flac(io.BufferedReader(file), 0)  # type: ignore[arg-type]


@pytest.mark.parametrize(("subtype", "channels"), [("PCM_S8", 1), ("PCM_16", 2), ("PCM_24", 2)])
def test_the_checksum_of_a_flac_is_that_of_its_samples(
    subtype: str, channels: int, heard: Callable[[bytes], np.ndarray], why_refused: Callable[[bytes], str]
) -> None:
    content = encoded(np.stack([NOISE, -NOISE / 2][:channels], axis=1), subtype)
    assert len(heard(content)) == len(NOISE)
    assert "its samples do not match their checksum" in why_refused(content[:26] + b"no sum of it all" + content[42:])


def test_the_checksums_of_frames_are_those_of_the_catalogue() -> None:
    assert _crc(b"123456789", 16, 0x8005) == 0xFEE8  # CRC-16/UMTS
    assert _crc(b"123456789", 8, 0x07) == 0xF4  # CRC-8/SMBUS
