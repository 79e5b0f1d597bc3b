import io
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from auricle.audit.finding_types import FINDING_TYPES
from auricle.audit.recording import examine
from auricle.data import audio, decoders
from auricle.data.audio import header_duration_s, read_mono, stream_channels, stream_mono
from auricle.data.native_messages import without_decoder_messages
from auricle.errors import RefusedError

RATE_HZ = 48_000
NOISE = np.random.default_rng(0).normal(0, 0.1, 2 * RATE_HZ)
ID3 = b"ID3\x04\x00\x00\x00\x00\x01\x00" + bytes(128)


def encoded(form: str, sound: np.ndarray = NOISE, rate_hz: int = RATE_HZ) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, sound, rate_hz, format=form.upper())
    return file.getvalue()


def encoded_by_ffmpeg(form: str, codec: str, sound: np.ndarray = NOISE) -> bytes:
    av = pytest.importorskip("av", reason="needs the extra media")
    file = io.BytesIO()
    with av.open(file, "w", format=form) as container:
        stream = container.add_stream(codec, rate=RATE_HZ, layout="mono")
        stream.bit_rate = 128_000
        resampler = av.AudioResampler(stream.format.name, "mono", RATE_HZ, frame_size=stream.frame_size or 1024)
        whole = av.AudioFrame.from_ndarray(sound.astype(np.float32)[None], "fltp", "mono")
        whole.sample_rate = RATE_HZ
        for frame in (whole, None):
            for part in resampler.resample(frame):
                container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return file.getvalue()


def errors_of(path: Path) -> list[str]:
    return [each.kind for each in examine(path).problems if FINDING_TYPES[each.kind].severity == "error"]


# The first bytes choose


@pytest.mark.parametrize("suffix", [".mp3", ".wav", ".m4a", ".flac", ".mkv", ".x"])
@pytest.mark.parametrize("form", ["wav", "flac", "ogg", "mp3", "aiff", "caf"])
def test_a_recording_is_known_by_its_bytes_whatever_it_is_called(tmp_path: Path, form: str, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(encoded(form))
    assert len(read_mono(path)[0]) == len(NOISE)
    assert errors_of(path) == []


@pytest.mark.parametrize("form", ["wav", "flac", "ogg", "mp3", "aiff"])
def test_a_tag_before_a_recording_is_passed_over(tmp_path: Path, form: str) -> None:
    (tmp_path / "a.mp3").write_bytes(ID3 + ID3 + encoded(form))
    assert len(read_mono(tmp_path / "a.mp3")[0]) == len(NOISE)
    assert errors_of(tmp_path / "a.mp3") == []


@pytest.mark.parametrize(
    ("form", "codec", "suffix"),
    [
        ("caf", "adpcm_ima_qt", ".caf"),
        ("caf", "alac", ".caf"),
        ("wav", "mp2", ".wav"),
        ("adts", "aac", ".mp3"),
        ("adts", "aac", ".wav"),
        ("mp4", "aac", ".mp3"),
        ("matroska", "pcm_s16le", ".wav"),
        ("avi", "pcm_s16le", ".mp4"),
        ("mpegts", "aac", ".mp3"),
        ("asf", "wmav2", ".mp3"),
    ],
)
def test_what_libsndfile_cannot_decode_goes_to_ffmpeg(tmp_path: Path, form: str, codec: str, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(encoded_by_ffmpeg(form, codec))
    assert len(read_mono(path)[0]) / RATE_HZ == pytest.approx(2.0, abs=0.15)
    assert header_duration_s(path) == pytest.approx(2.0, abs=0.25)
    found = examine(path)
    assert errors_of(path) == []
    assert found.measures
    assert ("wrong-suffix" in [each.kind for each in found.problems]) == (suffix[1:] not in (form, "mp2"))


def test_without_the_extra_what_needs_it_is_refused_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.caf").write_bytes(encoded_by_ffmpeg("caf", "alac"))
    monkeypatch.setattr(decoders, "media_version", lambda: "")
    with pytest.raises(RefusedError, match="the extra media may read it: pip install 'auricle\\[media\\]'"):
        read_mono(tmp_path / "a.caf")


def test_half_a_caf_of_phones_is_refused(tmp_path: Path) -> None:
    content = encoded_by_ffmpeg("caf", "adpcm_ima_qt")
    (tmp_path / "a.caf").write_bytes(content[: len(content) // 2])
    with pytest.raises(RefusedError, match="cut off"):
        read_mono(tmp_path / "a.caf")
    assert errors_of(tmp_path / "a.caf") == ["truncated"]


@pytest.mark.parametrize(("codec", "tolerance_s"), [("pcm_s16le", 0.0), ("adpcm_ima_qt", 0.01)])
def test_a_caf_whose_size_is_until_the_end_is_heard_whole(tmp_path: Path, codec: str, tolerance_s: float) -> None:
    content = encoded_by_ffmpeg("caf", codec)
    place = content.index(b"data") + 4
    (tmp_path / "a.caf").write_bytes(content[:place] + b"\xff" * 8 + content[place + 8 :])
    assert len(read_mono(tmp_path / "a.caf")[0]) / RATE_HZ == pytest.approx(2.0, abs=tolerance_s)
    assert errors_of(tmp_path / "a.caf") == []


# What lacks its end


@pytest.mark.parametrize("form", ["wav", "flac", "ogg", "mp3", "aiff", "au", "w64", "rf64", "caf"])
def test_a_stream_hears_what_is_there_of_a_recording_that_was_cut_off_and_says_so(tmp_path: Path, form: str) -> None:
    content = encoded(form)
    path = tmp_path / f"a.{form}"
    path.write_bytes(content)
    whole = read_mono(path)[0]
    for end in (len(content) * 3 // 4, len(content) - 1_000):
        path.write_bytes(content[:end])
        told: list[str] = []
        heard = np.concatenate([block for _, block in stream_mono(path, on_cut_off=told.append)])
        assert len(told) == 1
        assert "cut off" in told[0]
        assert str(path) not in told[0]
        assert len(heard) > 0.9 * len(whole) * end / len(content) - 9_600
        np.testing.assert_allclose(heard[:60_000], whole[:60_000], atol=1e-6)
        with pytest.raises(RefusedError, match="cut off"):
            list(stream_mono(path))
        with pytest.raises(RefusedError, match="cut off"):
            read_mono(path)
        assert errors_of(path) == ["truncated"]


def test_a_recording_that_lacks_its_last_page_is_heard_to_the_page_before(tmp_path: Path) -> None:
    content = encoded("ogg")
    (tmp_path / "a.ogg").write_bytes(content[: content.rindex(b"OggS")])
    told: list[str] = []
    heard = np.concatenate([block for _, block in stream_mono(tmp_path / "a.ogg", on_cut_off=told.append)])
    assert told == ["cut off: the Ogg stream has no end"]
    assert len(heard) > 0.8 * len(NOISE)


@pytest.mark.parametrize("form", ["flac", "ogg", "mp3"])
def test_damage_in_the_middle_is_refused_in_a_stream_too(tmp_path: Path, form: str) -> None:
    content = bytearray(encoded(form))
    content[len(content) // 2 : len(content) // 2 + 2_000] = bytes(2_000)
    (tmp_path / f"a.{form}").write_bytes(content)
    with pytest.raises(RefusedError, match="damaged"):
        list(stream_mono(tmp_path / f"a.{form}", on_cut_off=print))


def test_half_a_video_is_heard_in_a_stream(tmp_path: Path) -> None:
    content = encoded_by_ffmpeg("matroska", "pcm_s16le")
    (tmp_path / "a.mkv").write_bytes(content[: len(content) * 3 // 4])
    told: list[str] = []
    heard = np.concatenate([block for _, block in stream_mono(tmp_path / "a.mkv", on_cut_off=told.append)])
    assert len(heard) > 0.7 * len(NOISE)
    assert "cut off" in told[0]


# Limits


def write_long(path: Path, duration_s: int, rate_hz: int) -> None:
    num_bytes = 2 * duration_s * rate_hz
    content = encoded("wav", np.zeros(0), rate_hz)
    sizes = [size.to_bytes(4, "little") for size in (num_bytes + 36, num_bytes)]
    path.write_bytes(content[:4] + sizes[0] + content[8:40] + sizes[1])
    os.truncate(path, 44 + num_bytes)  # sparse


def test_ten_minutes_at_384_khz_are_no_hour(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_long(path, 3_601, 8_000)
    with pytest.raises(RefusedError, match="declares 28808000 frames, 3601 s; the limit is an hour"):
        header_duration_s(path)
    write_long(path, 600, 384_000)
    assert header_duration_s(path) == 600
    assert next(stream_channels(path))[0] == 384_000


def test_what_is_kept_whole_has_a_limit_in_memory_and_what_is_cut_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    soundfile.write(tmp_path / "a.wav", NOISE, RATE_HZ)
    monkeypatch.setattr(audio, "MAX_KEPT_BYTES", 4 * 90_000)
    with pytest.raises(RefusedError, match="GiB of memory at 48000 Hz; split it"):
        read_mono(tmp_path / "a.wav")
    assert len(read_mono(tmp_path / "a.wav", limit_s=0.5)[0]) == 1.5 * RATE_HZ


# Standard error


def test_nothing_of_a_decoder_reaches_standard_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    content = bytearray(encoded("mp3"))
    head = bytes(content[:2])
    content = content[content.index(head, 4) :]  # without a table, and so without a checksum
    for place in [at for at in range(2_000, len(content)) if content.startswith(head, at)][::5]:
        content[place + 6 : place + 20] = b"\xff" * 14
    path = tmp_path / "a.mp3"
    path.write_bytes(content)
    soundfile.read(io.BytesIO(bytes(content)))
    assert "libmpg123" in capfd.readouterr().err  # it does write there
    for read in (read_mono, examine, lambda path: list(stream_mono(path))):
        try:
            read(path)
        except RefusedError:
            continue
    assert capfd.readouterr().err == ""


def test_what_others_write_to_standard_error_is_kept(capfd: pytest.CaptureFixture[str]) -> None:
    with without_decoder_messages():
        os.write(2, b"\nNote: Trying to resync...\nheard 3 of 4\n[src/libmpg123/parse.c:12] error: x\nauricle: y\n")
    assert capfd.readouterr().err == "heard 3 of 4\nauricle: y\n"


def test_a_standard_error_that_is_closed_is_no_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(number: int) -> int:
        raise OSError(9, "Bad file descriptor")

    monkeypatch.setattr(os, "dup", closed)
    with without_decoder_messages():
        pass
