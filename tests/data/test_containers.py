from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auricle.data.audio import read_mono
from auricle.data.containers import ogg_damage
from auricle.data.mpeg import read_mp3
from auricle.errors import RefusedError

NOISE = np.random.default_rng(0).normal(0, 0.1, 96_000)
MP3 = {"format": "MP3", "subtype": "MPEG_LAYER_III"}


@pytest.fixture(scope="module")
def ogg(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("ogg") / "a.ogg"
    soundfile.write(path, NOISE, 48_000)
    return path.read_bytes()


@pytest.fixture(scope="module")
def mp3(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Frames without the one that holds the table of lengths."""
    path = tmp_path_factory.mktemp("mp3") / "a.mp3"
    soundfile.write(path, NOISE, 48_000, **MP3)
    content = path.read_bytes()
    assert b"Info" in content[:200] or b"Xing" in content[:200]
    return content[content.index(content[:2], 4) :]


@pytest.fixture
def refusal(tmp_path: Path) -> Callable[[bytes, str], str]:
    """Why a recording with these bytes is refused; empty where it is read."""

    def refusal(content: bytes, name: str) -> str:
        (tmp_path / name).write_bytes(content)
        try:
            read_mono(tmp_path / name)
        except RefusedError as error:
            return str(error)
        return ""

    return refusal


def pages(ogg: bytes) -> list[bytes]:
    return [b"OggS" + page for page in ogg.split(b"OggS")[1:]]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_anywhere_in_an_ogg_is_seen(
    ogg: bytes, refusal: Callable[[bytes, str], str], place: float, bit: int
) -> None:
    content = bytearray(ogg)
    content[int(place * len(content))] ^= 1 << bit
    assert refusal(content, "a.ogg")


def test_missing_repeated_and_added_pages_of_an_ogg_are_named(ogg: bytes, refusal: Callable[[bytes, str], str]) -> None:
    whole = pages(ogg)
    assert len(whole) > 6
    assert refusal(ogg, "a.ogg") == ""
    assert "page is missing" in refusal(b"".join(whole[:3] + whole[4:]), "a.ogg")
    assert "page is missing" in refusal(b"".join(whole[:4] + whole[3:]), "a.ogg")
    assert "no end" in refusal(b"".join(whole[:-1]), "a.ogg")
    assert "is incomplete" in refusal(ogg[:-3], "a.ogg")
    assert "another Ogg stream" in refusal(ogg + ogg, "a.ogg")


def test_streams_side_by_side_are_named(tmp_path: Path, ogg: bytes, refusal: Callable[[bytes, str], str]) -> None:
    soundfile.write(tmp_path / "b.ogg", NOISE, 48_000)
    one, other = pages(ogg), pages((tmp_path / "b.ogg").read_bytes())
    assert one[0][14:18] != other[0][14:18]
    assert "contains several streams" in refusal(one[0] + other[0] + b"".join(one[1:] + other[1:]), "a.ogg")


def test_what_lies_between_two_ogg_streams_hides_none(ogg: bytes, refusal: Callable[[bytes, str], str]) -> None:
    assert f"another Ogg stream at byte {len(ogg) + 100_000}" in refusal(ogg + bytes(100_000) + ogg, "a.ogg")


def test_what_follows_the_last_page_of_an_ogg_is_no_damage(ogg: bytes, refusal: Callable[[bytes, str], str]) -> None:
    assert refusal(ogg + b"TAG" + bytes(125), "a.ogg") == ""


@pytest.mark.parametrize(("suffix", "subtype"), [("opus", "OPUS"), ("ogg", "VORBIS"), ("oga", "VORBIS")])
def test_the_oggs_that_libsndfile_writes_are_whole(tmp_path: Path, suffix: str, subtype: str) -> None:
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, NOISE, 48_000, format="OGG", subtype=subtype)
    with path.open("rb") as file:
        assert ogg_damage(file) is None


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100])
@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE", "AVERAGE"])
def test_the_mp3s_of_every_version_and_bitrate_are_whole(tmp_path: Path, rate_hz: int, mode: str) -> None:
    path = tmp_path / "a.mp3"
    soundfile.write(path, NOISE, rate_hz, bitrate_mode=mode, **MP3)
    with path.open("rb") as file:
        assert read_mp3(file, 0).damage is None


def test_an_mp3_without_a_table_that_was_cut_inside_a_frame_is_refused(
    mp3: bytes, refusal: Callable[[bytes, str], str]
) -> None:
    assert refusal(mp3, "a.mp3") == ""
    assert "cut off: MP3 frame at byte" in refusal(mp3[: len(mp3) // 2 + 7], "a.mp3")


def test_a_broken_header_and_a_hole_in_an_mp3_are_named_by_their_byte(
    mp3: bytes, refusal: Callable[[bytes, str], str]
) -> None:
    head = mp3[:2]
    third = mp3.index(head, mp3.index(head, 4) + 4)
    flipped = bytearray(mp3)
    flipped[third] ^= 0x10
    assert f"no MP3 frame at byte {third} of {len(mp3)}" in refusal(flipped, "a.mp3")
    assert "no MP3 frame at byte" in refusal(mp3[:5_000] + mp3[5_100:], "a.mp3")


def test_tags_before_between_and_after_the_frames_of_an_mp3_are_no_damage(
    mp3: bytes, refusal: Callable[[bytes, str], str]
) -> None:
    tag = b"ID3\x04\x00\x00\x00\x00\x01\x00" + bytes(128)
    assert refusal(tag + mp3, "a.mp3") == ""
    for end in (b"TAG" + bytes(125), b"APETAGEX" + bytes(24), bytes(500)):
        assert refusal(mp3 + end, "a.mp3") == ""
    assert "damaged" in refusal(mp3 + b"something else", "a.mp3")


def test_a_flac_with_a_flipped_bit_is_refused(tmp_path: Path, refusal: Callable[[bytes, str], str]) -> None:
    soundfile.write(tmp_path / "b.flac", NOISE, 48_000)
    content = bytearray((tmp_path / "b.flac").read_bytes())
    for place in range(200, len(content), len(content) // 20):
        content[place] ^= 4
        assert refusal(content, "a.flac")
        content[place] ^= 4
