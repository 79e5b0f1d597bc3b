import io
import struct
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile

from auricle.audit.finding_types import FINDING_TYPES
from auricle.audit.recording import examine
from auricle.data.audio import header_duration_s, read_mono, stream_mono
from auricle.data.wav import read_wav, wav_contradiction
from refusals import refusal_of

RATE_HZ = 8_000
NOISE = np.random.default_rng(0).normal(0, 0.1, 2 * RATE_HZ)
LIST = b"LIST\x0c\0\0\0INFOISFT\0\0\0\0"


def encoded(sound: np.ndarray = NOISE, subtype: str = "PCM_16", form: str = "WAV", rate_hz: int = RATE_HZ) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, sound, rate_hz, format=form, subtype=subtype)
    return file.getvalue()


def patched(content: bytes, **values: int) -> bytes:
    """Write numbers into a header of 44 bytes, by the names of its fields."""
    places = {"riff": 4, "channels": 22, "rate_bytes": 28, "frame_bytes": 32, "bits": 34, "data": 40}
    changed = bytearray(content)
    for name, value in values.items():
        struct.pack_into("<H" if name in ("channels", "frame_bytes", "bits") else "<I", changed, places[name], value)
    return bytes(changed)


@pytest.fixture
def heard(tmp_path: Path) -> Callable[[bytes], np.ndarray]:
    """What training hears, which streams, headers and the check agree with."""

    def heard(content: bytes) -> np.ndarray:
        path = tmp_path / "a.wav"
        path.write_bytes(content)
        mono, rate_hz = read_mono(path)
        np.testing.assert_array_equal(np.concatenate([block for _, block in stream_mono(path)]), mono)
        assert header_duration_s(path) == len(mono) / rate_hz
        problems = examine(path)
        assert problems.measures
        assert problems.measures.num_samples == len(mono)
        assert not [each for each in problems.problems if FINDING_TYPES[each.kind].severity == "error"]
        return mono

    return heard


@pytest.fixture
def why_refused(tmp_path: Path) -> Callable[[bytes], str]:
    """Why training refuses a file, which the check refuses too."""
    return partial(refusal_of, tmp_path / "a.wav")


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT", "IMA_ADPCM", "ULAW"])
@pytest.mark.parametrize("size", [0, 2**31 - 1, 2**32 - 1, 100])
def test_a_wav_whose_sizes_were_never_written_is_heard_whole(
    subtype: str, size: int, heard: Callable[[bytes], np.ndarray]
) -> None:
    content = encoded(subtype=subtype)
    place = content.index(b"data") + 4
    unwritten = (
        content[:4] + size.to_bytes(4, "little") + content[8:place] + size.to_bytes(4, "little") + content[place + 4 :]
    )
    np.testing.assert_array_equal(heard(unwritten), heard(content))


@pytest.mark.parametrize("after", [LIST, LIST[:-1], b"TAG" + bytes(125), bytes(700), b"id3 \x05\0\0\0ID3\x04\0", b"x"])
def test_chunks_and_tags_behind_the_sound_of_a_wav_are_not_heard(
    after: bytes, heard: Callable[[bytes], np.ndarray]
) -> None:
    assert len(heard(encoded() + after)) == len(NOISE)
    assert len(heard(encoded(NOISE[:999], "PCM_U8") + b"\0" + after)) == 999


def test_a_wav_without_sound_stays_one_though_a_chunk_follows(why_refused: Callable[[bytes], str]) -> None:
    assert "contains no sound" in why_refused(encoded(NOISE[:0]) + LIST)


@pytest.mark.parametrize("tail", [b"", LIST])
def test_a_wav_of_4_gb_whose_sizes_wrapped_is_sound_to_its_end(tmp_path: Path, tail: bytes) -> None:
    num_bytes = 2**32 + 2 * RATE_HZ * 20
    path = tmp_path / "a.wav"
    with path.open("wb") as file:
        file.write(patched(encoded(NOISE[:0]), riff=(num_bytes + 36) % 2**32, data=num_bytes % 2**32))
        file.truncate(44 + num_bytes)  # sparse
        file.seek(0, 2)
        file.write(tail)
    with path.open("rb") as file:
        wav = read_wav(file)
    assert wav
    assert wav.damage is None
    assert wav.pieces
    assert wav.pieces[1] == (44, 44 + num_bytes)
    tracemalloc.start()
    stream = stream_mono(path)
    num_read = sum(len(next(stream)[1]) for _ in range(5))
    assert num_read
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()


def test_a_forged_size_of_4_gb_allocates_nothing(why_refused: Callable[[bytes], str]) -> None:
    assert "cut off: only 32000 of 4000000000 bytes of sound" in why_refused(patched(encoded(), data=4_000_000_000))


@pytest.mark.parametrize("form", ["W64", "RF64"])
def test_sizes_of_64_bits_are_believed(form: str, heard: Callable[[bytes], np.ndarray]) -> None:
    assert len(heard(encoded(form=form))) == len(NOISE)


@pytest.mark.parametrize("size", [0, 2**64 - 1])
def test_an_rf64_whose_sizes_were_never_written_is_heard_whole(size: int, heard: Callable[[bytes], np.ndarray]) -> None:
    content = encoded(form="RF64")
    place = content.index(b"ds64") + 8
    unwritten = content[:place] + size.to_bytes(8, "little") * 3 + content[place + 24 :]
    np.testing.assert_array_equal(heard(unwritten), heard(content))


def test_an_mp3_in_a_wav_is_heard_whole(heard: Callable[[bytes], np.ndarray]) -> None:
    mp3 = encoded(form="MP3", subtype="MPEG_LAYER_III")
    mp3 = mp3[mp3.index(mp3[:2], 4) :]
    fmt = struct.pack("<4sIHHIIHHHHIHHH", b"fmt ", 30, 0x55, 1, RATE_HZ, 4_000, 1, 0, 12, 1, 2, 288, 1, 0)
    riff = b"WAVE" + fmt + b"data" + struct.pack("<I", len(mp3)) + mp3
    content = b"RIFF" + struct.pack("<I", len(riff)) + riff
    assert len(heard(content)) == pytest.approx(len(NOISE), abs=2_000)
    assert len(heard(content + LIST)) == len(heard(content))


@pytest.mark.parametrize("between", [b"", b"ID3\x04\0\0\0\0\0\x05\0\0\0\0\0", LIST])
def test_two_wavs_joined_are_refused_with_what_to_do(between: bytes, why_refused: Callable[[bytes], str]) -> None:
    place = len(encoded()) + len(between)
    expected = f"contains another recording at byte {place}, which decoders ignore; split the file"
    assert expected in why_refused(encoded() + between + encoded())
    assert expected in why_refused(encoded() + between + encoded()[36:])  # a second chunk of sound


# Headers that contradict themselves


@pytest.mark.parametrize("values", [{"rate_bytes": 12_345}, {"frame_bytes": 0}, {"frame_bytes": 7}, {"rate_bytes": 0}])
def test_a_wrong_byte_rate_or_block_changes_no_sample_and_is_a_warning(
    values: dict[str, int], tmp_path: Path, heard: Callable[[bytes], np.ndarray]
) -> None:
    content = patched(encoded(), **values)
    np.testing.assert_array_equal(heard(content), heard(encoded()))
    (tmp_path / "a.wav").write_bytes(content)
    assert [problem.kind for problem in examine(tmp_path / "a.wav").problems] == ["odd-header"]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"channels": 2}, "2 channels"),
        ({"bits": 24}, "24 bits"),
        ({"bits": 0}, "0 bits"),
        ({"channels": 0}, "0 channels"),
    ],
)
def test_channels_and_bits_that_both_other_numbers_contradict_are_refused(
    values: dict[str, int], words: str, why_refused: Callable[[bytes], str]
) -> None:
    assert words in why_refused(patched(encoded(), **values))


def test_only_plain_samples_are_judged() -> None:
    assert wav_contradiction(b"") is None
    assert wav_contradiction(encoded(subtype="IMA_ADPCM")[20:40]) is None
    assert wav_contradiction(encoded()[20:36]) is None
