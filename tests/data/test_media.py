import builtins
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from auricle.data.audio import MAX_DURATION_S, SUFFIXES, header_duration_s, load_waveform, stream_mono
from auricle.data.cache import prepare
from auricle.data.datasets import load_manifest
from auricle.data.decoders import MEDIA_FORMATS
from auricle.errors import RefusedError

av = pytest.importorskip("av", reason="needs the extra media")
RATE_HZ = 48_000
CODECS = {
    ".m4a": "aac",
    ".mp4": "aac",
    ".mov": "pcm_s16le",
    ".mkv": "pcm_s16le",
    ".webm": "libopus",
    ".aac": "aac",
    ".avi": "pcm_s16le",
}


def tone(duration_s: float) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * 440 * np.arange(round(duration_s * RATE_HZ)) / RATE_HZ).astype(np.float32)


def encode(path: Path, sound: np.ndarray, *, codec: str | None = None, video: bool = False) -> Path:
    """Write a sound, (T,) or (channels, T), with a black picture beside it if asked."""
    channels = np.atleast_2d(sound)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format="adts" if path.suffix == ".aac" else None) as container:
        layout = "stereo" if len(channels) == 2 else "mono"
        picture = container.add_stream("mpeg4", rate=5) if video else None
        stream = container.add_stream(codec or CODECS[path.suffix.lower()], rate=RATE_HZ, layout=layout)
        if picture is not None:
            picture.width = picture.height = 16
            frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8))
            container.mux(picture.encode(frame))
            container.mux(picture.encode(None))
        resampler = av.AudioResampler(stream.format.name, layout, RATE_HZ, frame_size=stream.frame_size or 1024)
        whole = av.AudioFrame.from_ndarray(np.ascontiguousarray(channels, np.float32), "fltp", layout)
        whole.sample_rate = RATE_HZ
        for frame in (whole, None):
            for part in resampler.resample(frame):
                container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("suffix", CODECS)
def test_a_soundtrack_is_read_as_it_was_written(tmp_path: Path, suffix: str) -> None:
    path = encode(tmp_path / f"été 🐕\n{suffix}", tone(1.5))
    waveform = load_waveform(path, sample_rate_hz=RATE_HZ, duration_s=1.0)
    # of the encoder
    shift = max(range(0, 3_000, 4), key=lambda n: float(waveform[n : n + 20_000] @ tone(1.0)[:20_000]))
    assert np.corrcoef(waveform[shift : shift + 20_000], tone(1.0)[:20_000])[0, 1] > 0.99
    assert header_duration_s(path) == pytest.approx(1.5, abs=0.25)


def test_a_videos_channels_are_averaged_and_its_picture_is_not_looked_at(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mkv", np.stack([tone(1.0), np.zeros(RATE_HZ, np.float32)]), video=True)
    waveform = load_waveform(path, sample_rate_hz=RATE_HZ, duration_s=1.0)
    np.testing.assert_allclose(waveform, tone(1.0) / 2, atol=1e-3)
    blocks = [block for _, block in stream_mono(path)]
    np.testing.assert_array_equal(np.concatenate(blocks)[:RATE_HZ], waveform)


def refusal(path: Path) -> str:
    with pytest.raises(RefusedError) as caught:
        load_waveform(path, sample_rate_hz=16_000, duration_s=None)
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value)


def test_a_video_without_sound_text_and_half_a_file_are_refused(tmp_path: Path) -> None:
    whole = encode(tmp_path / "a.mkv", tone(3.0)).read_bytes()
    (tmp_path / "half.mkv").write_bytes(whole[: len(whole) // 2])
    assert "cut off or damaged" in refusal(tmp_path / "half.mkv")
    (tmp_path / "half.m4a").write_bytes(encode(tmp_path / "a.m4a", tone(3.0)).read_bytes()[:-3_000])
    assert "cannot be decoded" in refusal(tmp_path / "half.m4a")
    (tmp_path / "text.mp4").write_text("no video")
    assert "cannot be decoded" in refusal(tmp_path / "text.mp4")
    with av.open(str(tmp_path / "mute.mp4"), "w") as container:
        picture = container.add_stream("mpeg4", rate=5)
        picture.width = picture.height = 16
        container.mux(picture.encode(av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8))))
        container.mux(picture.encode(None))
    assert "no audio stream" in refusal(tmp_path / "mute.mp4")


def test_a_playlist_is_no_recording_and_opens_nothing(tmp_path: Path) -> None:
    encode(tmp_path / "real.ts", tone(0.5), codec="aac")
    for suffix in (".m4a", ".mkv", ".ts", ".aac"):
        (tmp_path / f"list{suffix}").write_text(
            "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nreal.ts\n#EXT-X-ENDLIST\n"
        )
        refusal(tmp_path / f"list{suffix}")
        (tmp_path / f"joined{suffix}").write_text("ffconcat version 1.0\nfile real.ts\n")
        refusal(tmp_path / f"joined{suffix}")


def test_damage_gives_a_waveform_or_a_refusal(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for suffix in (".m4a", ".mkv", ".aac"):
        whole = encode(tmp_path / f"a{suffix}", tone(0.5)).read_bytes()
        for _ in range(25):
            content = np.frombuffer(whole, np.uint8).copy()
            places = rng.integers(0, len(content), rng.integers(1, 9))
            content[places] = rng.integers(0, 256, len(places))
            (tmp_path / f"b{suffix}").write_bytes(content[: rng.integers(1, len(content) + 1)].tobytes())
            try:
                waveform = load_waveform(tmp_path / f"b{suffix}", sample_rate_hz=16_000, duration_s=None)
            except RefusedError:
                continue
            assert np.isfinite(waveform).all()
            assert len(waveform) <= MAX_DURATION_S * 16_000


def test_without_the_extra_a_file_is_refused_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = encode(tmp_path / "a.M4A", tone(0.5), codec="aac")
    real = builtins.__import__

    def absent(name: str, *rest: object, **options: object) -> object:
        if name == "av":
            raise ImportError(name)
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", absent)
    assert refusal(path).endswith("a.M4A: .m4a needs the extra media: pip install 'auricle[media]'")


def test_a_folder_of_every_kind_of_file_is_a_dataset(tmp_path: Path, write_sound: Callable[..., Path]) -> None:
    root = tmp_path / "mixed sounds"
    for category in ("chat été", "dog\nbark"):
        encode(root / category / "deep" / "er" / "1 🐕.m4a", tone(0.5))
        encode(root / category / "2.MOV", tone(0.5))
        for name in ("3.wav", "4.flac", "5.ogg", "6.mp3"):
            write_sound(root / category / name)
        (root / category / "3.wav").rename(root / category / "3.WAV")
    manifest = load_manifest(str(root))
    assert len(manifest.clips) == 12
    recordings = prepare(manifest, sample_rate_hz=8_000)
    assert recordings.manifest.skipped == ()
    assert np.abs(recordings.waveforms).max(axis=1).min() > 0.1


def test_every_suffix_is_lower_case_and_named_once() -> None:
    assert set(MEDIA_FORMATS) < set(SUFFIXES)
    assert len(set(SUFFIXES)) == len(SUFFIXES)
    assert all(suffix == suffix.lower() for suffix in SUFFIXES)
