import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from auricle.data.audio import header_duration_s, read_mono, stream_mono
from auricle.data.lame import _crc16, mp3_contradiction
from auricle.data.mpeg import _frame_bytes, read_mp3
from auricle.errors import RefusedError

RATE_HZ = 48_000
QUIET_THEN_LOUD = np.concatenate([np.zeros(4 * RATE_HZ), np.random.default_rng(0).normal(0, 0.1, 4 * RATE_HZ)])
FRAME_S = 1_152 / RATE_HZ
ID3 = b"ID3\x04\x00\x00\x00\x00\x01\x00" + bytes(128)


def encoded(sound: np.ndarray, rate_hz: int = RATE_HZ, mode: str = "VARIABLE") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, sound, rate_hz, format="MP3", subtype="MPEG_LAYER_III", bitrate_mode=mode)
    return file.getvalue()


def without_table(content: bytes) -> bytes:
    assert b"Info" in content[:200] or b"Xing" in content[:200]
    return content[content.index(content[:2], 4) :]


def with_table_of(content: bytes, num_frames: int) -> bytes:
    place = max(content.find(mark) for mark in (b"Xing", b"Info")) + 8
    return content[:place] + num_frames.to_bytes(4, "big") + content[place + 4 :]


@pytest.fixture(scope="module")
def variable() -> bytes:
    return encoded(QUIET_THEN_LOUD)


@pytest.fixture
def heard_s(tmp_path: Path) -> Callable[[bytes], float]:
    """Seconds that training, streams and headers agree on."""

    def heard_s(content: bytes) -> float:
        path = tmp_path / "a.mp3"
        path.write_bytes(content)
        whole, rate_hz = read_mono(path)
        np.testing.assert_array_equal(np.concatenate([block for _, block in stream_mono(path)]), whole)
        assert header_duration_s(path) == pytest.approx(len(whole) / rate_hz, abs=FRAME_S)
        return len(whole) / rate_hz

    return heard_s


@pytest.fixture
def why_refused(tmp_path: Path) -> Callable[[bytes], str]:
    def why_refused(content: bytes) -> str:
        (tmp_path / "a.mp3").write_bytes(content)
        with pytest.raises(RefusedError) as caught:
            read_mono(tmp_path / "a.mp3")
        return str(caught.value)

    return why_refused


def test_an_mp3_without_a_true_table_is_heard_to_its_last_frame(
    variable: bytes, heard_s: Callable[[bytes], float]
) -> None:
    assert heard_s(variable) == 8.0
    assert heard_s(without_table(variable)) == pytest.approx(8.0, abs=2 * FRAME_S)
    for num_frames in (0, 1, 100):
        assert heard_s(with_table_of(variable, num_frames)) == pytest.approx(8.0, abs=2 * FRAME_S)


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 22_050, 44_100])
@pytest.mark.parametrize("channels", [1, 2])
def test_frames_of_every_version_and_number_of_channels_are_counted(
    rate_hz: int, channels: int, heard_s: Callable[[bytes], float]
) -> None:
    sound = np.stack([QUIET_THEN_LOUD] * channels, axis=1)[3 * RATE_HZ : 5 * RATE_HZ]
    duration_s = len(sound) / rate_hz
    assert heard_s(without_table(encoded(sound, rate_hz))) == pytest.approx(duration_s, abs=2_500 / rate_hz)


@pytest.mark.parametrize("bitrate", [32, 128])
def test_the_layers_before_the_third_are_heard_whole(bitrate: int, heard_s: Callable[[bytes], float]) -> None:
    av = pytest.importorskip("av", reason="needs the extra media")
    file = io.BytesIO()
    with av.open(file, "w", format="mp2") as container:
        stream = container.add_stream("mp2", rate=RATE_HZ, layout="mono")
        stream.bit_rate = 1_000 * bitrate
        resampler = av.AudioResampler("s16", "mono", RATE_HZ, frame_size=1_152)
        frame = av.AudioFrame.from_ndarray(QUIET_THEN_LOUD[None].astype(np.float32), "fltp", "mono")
        frame.sample_rate = RATE_HZ
        for part in (*resampler.resample(frame), *resampler.resample(None)):
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    content = file.getvalue()
    assert heard_s(content) == pytest.approx(8.0, abs=FRAME_S)
    assert heard_s(content + ID3 + content) == pytest.approx(16.0, abs=2 * FRAME_S)


def test_what_was_counted_changes_no_sample(variable: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.mp3").write_bytes(variable)
    np.testing.assert_array_equal(read_mono(tmp_path / "a.mp3")[0], soundfile.read(tmp_path / "a.mp3", dtype="f4")[0])
    (tmp_path / "b.mp3").write_bytes(without_table(variable))
    bare, whole = read_mono(tmp_path / "b.mp3")[0], read_mono(tmp_path / "a.mp3")[0]
    shift = 576  # the delay of the encoder, which the table tells
    np.testing.assert_array_equal(bare[shift : shift + len(whole)], whole)


def test_gaps_are_cut_only_where_an_encoder_is_known_to_tell_them(
    variable: bytes, heard_s: Callable[[bytes], float]
) -> None:
    assert variable.count(b"LAME", 0, 300) == 1
    assert heard_s(variable.replace(b"LAME", b"\0\0\0\0", 1)) == pytest.approx(8.0 + 2 * FRAME_S, abs=2 * FRAME_S)
    forged = variable.replace(b"LAME", b"ODD!", 1)
    place = forged.index(b"ODD!") + 21
    assert heard_s(forged[:place] + b"\xff\xff\xff" + forged[place + 3 :]) > 8.0


@pytest.mark.parametrize("between", [b"", ID3, b"TAG" + bytes(125), ID3 + ID3])
def test_two_mp3s_joined_are_both_heard(variable: bytes, between: bytes, heard_s: Callable[[bytes], float]) -> None:
    assert heard_s(variable + between + variable) == pytest.approx(16.0, abs=4 * FRAME_S)
    assert heard_s(without_table(variable) + between + variable) == pytest.approx(16.0, abs=4 * FRAME_S)
    assert heard_s(variable + between + without_table(variable)) == pytest.approx(16.0, abs=4 * FRAME_S)


def test_joined_mp3s_of_two_kinds_are_refused_with_what_to_do(
    variable: bytes, why_refused: Callable[[bytes], str]
) -> None:
    stereo = encoded(np.stack([QUIET_THEN_LOUD] * 2, axis=1))
    for other in (stereo, encoded(QUIET_THEN_LOUD, 44_100), encoded(QUIET_THEN_LOUD, 22_050)):
        assert f"at byte {len(variable)}, which decoders ignore; split the file" in why_refused(variable + other)


def test_a_changed_header_is_damage_and_no_other_recording(
    variable: bytes, why_refused: Callable[[bytes], str]
) -> None:
    place = 0
    for _ in range(50):
        place += _frame_bytes(variable[place : place + 4])
    mono_no_more = bytearray(variable)
    mono_no_more[place + 3] ^= 0x80
    assert f"no MP3 frame at byte {place}" in why_refused(bytes(mono_no_more))


def test_an_mp3_that_was_cut_before_another_was_joined_is_damaged(
    variable: bytes, why_refused: Callable[[bytes], str]
) -> None:
    assert "damaged" in why_refused(variable[: len(variable) // 2] + variable)
    assert "frames are missing before byte" in why_refused(with_table_of(variable, 900) + variable)


def test_frames_that_the_table_counts_and_that_are_not_there_are_missed(
    variable: bytes, why_refused: Callable[[bytes], str]
) -> None:
    found = read_mp3(io.BufferedReader(io.BytesIO(variable)), 0)
    assert found.damage is None
    more = with_table_of(variable, found.num_frames + 50)
    assert f"cut off: {found.num_frames} of {found.num_frames + 50} MP3 frames found" in why_refused(more)


def test_zeros_end_an_mp3_and_are_a_hole_inside_it(
    variable: bytes, heard_s: Callable[[bytes], float], why_refused: Callable[[bytes], str]
) -> None:
    assert heard_s(variable + bytes(100_000)) == 8.0
    assert f"no MP3 frame at byte {len(variable)}" in why_refused(variable + bytes(5_000) + without_table(variable))


# The checksum that encoders leave


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


@pytest.mark.parametrize("seed", range(3))
def test_flipped_bits_of_an_mp3_are_refused(seed: int, variable: bytes, why_refused: Callable[[bytes], str]) -> None:
    assert mp3_contradiction(variable) is None
    place = int(np.random.default_rng(seed).integers(len(variable) // 4, len(variable)))
    flipped = variable[:place] + bytes([variable[place] ^ 16]) + variable[place + 1 :]
    assert mp3_contradiction(flipped)
    assert "damaged" in why_refused(flipped)


def test_an_mp3_without_a_tag_proves_nothing(variable: bytes) -> None:
    assert mp3_contradiction(without_table(variable)) is None
    assert mp3_contradiction(b"") is None
    changed = bytearray(variable)
    changed[variable.index(b"Xing") + 152] ^= 1  # the checksum of the frames; that of the tag no longer fits
    assert mp3_contradiction(bytes(changed)) is None
