import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auricle.data import audio
from auricle.data.audio import header_duration_s, load_waveform, read_mono, stream_channels
from auricle.errors import RefusedError

FORMATS = {
    "wav": ("WAV", "PCM_16"),
    "float.wav": ("WAV", "FLOAT"),
    "adpcm.wav": ("WAV", "IMA_ADPCM"),
    "aiff": ("AIFF", "PCM_16"),
    "au": ("AU", "PCM_16"),
    "caf": ("CAF", "PCM_16"),
    "w64": ("W64", "PCM_16"),
    "rf64": ("RF64", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
}


def encode(folder: Path, name: str, sound: np.ndarray, rate_hz: int = 48_000) -> Path:
    format_, subtype = FORMATS[name]
    path = folder / f"sound.{name}"
    soundfile.write(path, sound, rate_hz, format=format_, subtype=subtype)
    return path


def tone(pitch_hz: float, duration_s: float, rate_hz: int) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * pitch_hz * np.arange(round(duration_s * rate_hz)) / rate_hz)


def refusal(path: Path) -> str:
    with pytest.raises(RefusedError) as caught:
        load_waveform(path, sample_rate_hz=16_000, duration_s=None)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


# What it does with sound


@pytest.mark.parametrize("rate_hz", [8_000, 22_050, 44_100, 96_000])
@pytest.mark.parametrize("pitch_hz", [220.0, 1_000.0, 3_000.0])
def test_a_tone_through_the_resampler_stays_that_tone(tmp_path: Path, rate_hz: int, pitch_hz: float) -> None:
    soundfile.write(tmp_path / "a.wav", tone(pitch_hz, 1.0, rate_hz), rate_hz, subtype="FLOAT")
    waveform = load_waveform(tmp_path / "a.wav", sample_rate_hz=16_000, duration_s=1.0)
    middle = slice(1_600, 14_400)  # the filter rings at the ends
    np.testing.assert_allclose(waveform[middle], tone(pitch_hz, 1.0, 16_000)[middle], atol=1e-3)


def test_what_lies_above_half_the_new_rate_is_filtered_out(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(10_000, 1.0, 44_100), 44_100, subtype="FLOAT")
    waveform = load_waveform(tmp_path / "a.wav", sample_rate_hz=16_000, duration_s=1.0)
    assert np.abs(waveform[1_600:14_400]).max() < 1e-4


def test_channels_are_averaged(tmp_path: Path) -> None:
    channels = np.array([[0.5, -0.25, 0.25], [1.0, 0.0, 0.5]] * 50, np.float32)
    soundfile.write(tmp_path / "a.wav", channels, 16_000, subtype="FLOAT")
    waveform = load_waveform(tmp_path / "a.wav", sample_rate_hz=16_000, duration_s=None)
    np.testing.assert_allclose(waveform, channels.mean(axis=1), atol=1e-7)


def test_a_short_clip_is_padded_and_a_long_one_cut_at_the_end(tmp_path: Path) -> None:
    ramp = np.arange(1, 101) / 200
    soundfile.write(tmp_path / "a.wav", ramp, 1_000, subtype="FLOAT")
    short = load_waveform(tmp_path / "a.wav", sample_rate_hz=1_000, duration_s=0.15)
    np.testing.assert_allclose(short, np.concatenate([ramp, np.zeros(50)]), atol=1e-7)
    cut = load_waveform(tmp_path / "a.wav", sample_rate_hz=1_000, duration_s=0.04)
    np.testing.assert_allclose(cut, ramp[:40], atol=1e-7)
    assert cut.dtype == np.float32


def test_cutting_while_reading_changes_nothing(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 8 * 44_100)
    path = encode(tmp_path, "flac", noise, 44_100)
    whole = load_waveform(path, sample_rate_hz=16_000, duration_s=None)
    np.testing.assert_array_equal(load_waveform(path, sample_rate_hz=16_000, duration_s=2.0), whole[:32_000])


def test_no_more_is_kept_than_was_asked_for_and_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = encode(tmp_path, "wav", tone(440, 3.0, 8_000), 8_000)
    monkeypatch.setattr(audio, "_BLOCK_SAMPLES", 1_000)
    assert len(read_mono(path, limit_s=0.55)[0]) == 12_400
    assert len(read_mono(path)[0]) == 24_000


def test_reading_in_blocks_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, (10_000, 2))
    path = encode(tmp_path, "ogg", noise)
    whole, _ = read_mono(path)
    monkeypatch.setattr(audio, "_BLOCK_SAMPLES", 1_000)
    np.testing.assert_array_equal(read_mono(path)[0], whole)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_that_libsndfile_writes_is_read(tmp_path: Path, name: str) -> None:
    sound = tone(440, 1.0, 48_000)
    path = encode(tmp_path, name, sound)
    waveform = load_waveform(path, sample_rate_hz=48_000, duration_s=1.0)
    assert np.corrcoef(waveform, sound)[0, 1] > 0.99
    assert header_duration_s(path) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("form", ["WAV", "FLAC", "AIFF", "CAF", "W64"])
def test_sixteen_bits_become_the_numbers_of_libsndfile(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"sound.{form.lower()}"
    codes = np.random.default_rng(0).integers(-(2**15), 2**15, (5_000, 2), np.int16)
    codes[:2] = [[-(2**15), 2**15 - 1], [0, 1]]
    soundfile.write(path, codes, 16_000, "PCM_16", format=form)
    expected, _ = soundfile.read(path, dtype="float32")
    read = np.concatenate([frames.copy() for _, frames in stream_channels(path)])
    np.testing.assert_array_equal(read, expected)


def test_names_with_spaces_accents_and_emoji_are_read(tmp_path: Path) -> None:
    path = tmp_path / "été 🐕 %s {x}.wav"
    soundfile.write(path, tone(440, 0.1, 16_000), 16_000)
    assert load_waveform(path, sample_rate_hz=16_000, duration_s=None).shape == (1_600,)


def test_a_wav_written_into_a_pipe_has_no_length_and_is_read(tmp_path: Path) -> None:
    path = encode(tmp_path, "wav", tone(440, 0.5, 48_000))
    content = bytearray(path.read_bytes())
    content[4:8] = content[40:44] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    assert load_waveform(path, sample_rate_hz=48_000, duration_s=None).shape == (24_000,)


# What it refuses


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_that_was_cut_in_half_is_refused(tmp_path: Path, name: str) -> None:
    path = encode(tmp_path, name, np.random.default_rng(0).normal(0, 0.1, 192_000))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert "cut off" in refusal(path) or "cannot be decoded" in refusal(path)


@pytest.mark.parametrize("name", sorted(FORMATS.keys() - {"caf"}))
def test_a_file_that_lacks_its_last_bytes_is_refused(tmp_path: Path, name: str) -> None:
    path = encode(tmp_path, name, np.random.default_rng(0).normal(0, 0.1, 96_000))
    path.write_bytes(path.read_bytes()[:-8])
    assert "cut off" in refusal(path) or "cannot be decoded" in refusal(path)


def test_an_ogg_that_was_cut_between_two_pages_is_refused(tmp_path: Path) -> None:
    path = encode(tmp_path, "ogg", np.random.default_rng(0).normal(0, 0.1, 96_000))
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex(b"OggS")])
    assert "the Ogg stream has no end" in refusal(path)


def test_a_flac_that_declares_a_forged_length_is_refused_without_allocating_it(tmp_path: Path) -> None:
    path = encode(tmp_path, "flac", tone(440, 0.5, 48_000))
    content = bytearray(path.read_bytes())
    content[21] |= 0x0F  # STREAMINFO: the 36 bits of the number of samples
    content[22:26] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    assert "declares 68719476735 frames" in refusal(path)
    content[21] &= 0xF0
    content[22:26] = (1_000_000).to_bytes(4, "big")
    path.write_bytes(content)
    assert "cut off" in refusal(path) or "cannot be decoded" in refusal(path)


@pytest.mark.parametrize(("value", "words"), [(np.nan, "not finite"), (np.inf, "not finite"), (1e30, "reach 1e+30")])
def test_samples_that_no_network_can_bear_are_refused_wherever_they_stand(
    tmp_path: Path, value: float, words: str
) -> None:
    sound = np.zeros(16_000, np.float32)
    sound[-1] = value
    soundfile.write(tmp_path / "a.wav", sound, 16_000, subtype="FLOAT")
    assert words in refusal(tmp_path / "a.wav")
    with pytest.raises(RefusedError):
        load_waveform(tmp_path / "a.wav", sample_rate_hz=16_000, duration_s=0.1)


@pytest.mark.parametrize(
    ("rate_hz", "channels", "words"),
    [(10, 1, "sample rate 10 Hz"), (2_000_000, 1, "sample rate 2000000 Hz"), (16_000, 100, "100 channels")],
)
def test_absurd_headers_are_refused(tmp_path: Path, rate_hz: int, channels: int, words: str) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros((10, channels)), rate_hz)
    assert words in refusal(tmp_path / "a.wav")


def test_what_is_no_recording_is_refused_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("not a recording")
    (tmp_path / "empty.wav").touch()
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "broken.wav").symlink_to("nowhere")
    (tmp_path / "headerless.raw").write_bytes(bytes(1_000))
    (tmp_path / "zeros.mp3").write_bytes(bytes(100_000))
    soundfile.write(tmp_path / "silent.wav", np.zeros(0), 16_000)
    assert "cannot be decoded: Format not recognised" in refusal(tmp_path / "text.wav")
    assert "cannot be decoded: the file is damaged" in refusal(tmp_path / "zeros.mp3")
    assert "empty (0 bytes)" in refusal(tmp_path / "empty.wav")
    assert "a folder, not a file" in refusal(tmp_path / "folder.wav")
    assert "no such file" in refusal(tmp_path / "broken.wav")
    assert "no such file" in refusal(tmp_path / "absent.wav")
    assert "cannot be read" in refusal(tmp_path / "headerless.raw")
    assert "0 frames" in refusal(tmp_path / "silent.wav")
    assert "invalid file name" in refusal(Path("a\0b"))


def test_a_pipe_and_a_device_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "zero.wav").symlink_to("/dev/zero")
    assert "a pipe or a device" in refusal(tmp_path / "pipe.wav")
    assert "a pipe or a device" in refusal(tmp_path / "zero.wav")


def test_a_file_that_is_too_large_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "a.wav").open("wb") as file:
        file.truncate(audio.MAX_FILE_BYTES + 1)  # sparse
    assert "bytes; the limit" in refusal(tmp_path / "a.wav")


def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path, write_sound: Callable[..., Path]) -> None:
    path = write_sound(tmp_path / "a.wav")
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    assert "Permission denied" in refusal(path)


# Properties


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(sorted(FORMATS)),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=8),
    kept=st.floats(0, 1),
    header_only=st.booleans(),
)
def test_any_damage_gives_a_waveform_or_a_refusal(
    tmp_path: Path, name: str, changes: list[tuple[float, int]], kept: float, header_only: bool
) -> None:
    path = encode(tmp_path, name, tone(440, 0.1, 48_000))
    content = bytearray(path.read_bytes())
    for place, byte in changes:
        content[int(place * (min(len(content), 100) if header_only else len(content)))] = byte
    path.write_bytes(content[: max(1, int(kept * len(content)))])
    check_waveform_or_refusal(path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.binary(max_size=400),
    start=st.sampled_from([b"", b"RIFF", b"OggS", b"fLaC", b"ID3", b"FORM", b"\xff\xfb"]),
)
def test_any_bytes_give_a_waveform_or_a_refusal(tmp_path: Path, content: bytes, start: bytes) -> None:
    path = tmp_path / "any.mp3"
    path.write_bytes(start + content)
    check_waveform_or_refusal(path)


def check_waveform_or_refusal(path: Path) -> None:
    try:
        waveform = load_waveform(path, sample_rate_hz=16_000, duration_s=None)
    except RefusedError:
        return
    assert waveform.dtype == np.float32
    assert waveform.ndim == 1
    assert len(waveform)
    assert np.isfinite(waveform).all()
