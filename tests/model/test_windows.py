"""Which windows answer for a clip: those around it that hold most of its sound."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auricle.config import AudioConfig, FrontendConfig
from auricle.model.frames import FrameMaker
from auricle.model.windows import ClipWindows, mean_over_windows

RATE_HZ = 8_000
AUDIO = AudioConfig(sample_rate_hz=RATE_HZ)  # windows of 3 s, a second apart
KINDS = {kind: FrontendConfig(kind=kind, num_bands=20) for kind in ("log-mel", "raw")}


def weights(waveform: np.ndarray, kind: str = "log-mel", **audio: object) -> list[float]:
    own = AUDIO.model_copy(update=audio)
    windows = ClipWindows.of(own, KINDS[kind])
    return windows.weights(FrameMaker(own, KINDS[kind]).frames(waveform).T).tolist()


def bark(*, at_s: float, lasts_s: float = 0.5, clip_s: float = 5.0) -> np.ndarray:
    """Noise for a while in digital silence."""
    waveform = np.zeros(round(clip_s * RATE_HZ), np.float32)
    noise = np.random.default_rng(0).standard_normal(round(lasts_s * RATE_HZ)).astype(np.float32)
    waveform[round(at_s * RATE_HZ) :][: len(noise)] = 0.1 * noise
    return waveform


@pytest.mark.parametrize("kind", KINDS)
def test_only_windows_that_hold_the_sound_count(kind: str) -> None:
    assert weights(bark(at_s=0.2), kind) == [1, 0, 0, 1, 1]  # those that start at 3 and 4 s come round to it
    assert weights(bark(at_s=4.2), kind) == [0, 0, 1, 1, 1]
    assert weights(bark(at_s=2.2), kind) == [1, 1, 1, 0, 0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("level", [0.0, 0.1])
def test_where_nothing_stands_out_all_windows_count_alike(kind: str, level: float) -> None:
    noise = np.random.default_rng(1).standard_normal(5 * RATE_HZ).astype(np.float32)
    assert weights(level * noise, kind) == [1] * 5


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_fifty_decibels_below_the_loudest_is_silence(kind: str) -> None:
    noise = np.random.default_rng(2).standard_normal(5 * RATE_HZ).astype(np.float32)
    assert weights(bark(at_s=0.2) + 10 ** (-45 / 20) * 0.1 * noise, kind) == [1] * 5
    assert weights(bark(at_s=0.2) + 10 ** (-55 / 20) * 0.1 * noise, kind) == [1, 0, 0, 1, 1]


def test_all_windows_inside_a_clip_count_alike_where_they_are_asked_for() -> None:
    assert weights(bark(at_s=0.2), clip_windows="all") == [1, 1, 1]


@pytest.mark.parametrize("kind", KINDS)
def test_a_clip_shorter_than_a_window_is_heard_again_and_again(kind: str) -> None:
    windows = ClipWindows.of(AUDIO, KINDS[kind])
    num = 3_200 if kind == "raw" else 11
    times = windows.times(num)
    assert times.shape == (1, windows.window_frames)
    np.testing.assert_array_equal(times[0], np.arange(windows.window_frames) % num)


@given(st.integers(1, 400), st.floats(0.1, 3), st.sampled_from(["fullest", "all"]))
def test_every_frame_is_heard_but_for_a_tenth_of_a_hop(num_frames: int, hop_s: float, which: str) -> None:
    audio = AUDIO.model_copy(update={"window_hop_s": hop_s, "clip_windows": which})
    windows = ClipWindows.of(audio, KINDS["log-mel"])
    missed = set(range(num_frames)) - set(windows.times(num_frames).ravel().tolist())
    assert len(missed) <= 1 + 0.1 * windows.hop_frames + 1


def test_a_mean_goes_by_weight() -> None:
    probabilities = np.array([[[0.9, 0.1], [0.1, 0.9], [0.5, 0.5]]])
    np.testing.assert_allclose(mean_over_windows(probabilities, np.array([[1.0, 1, 0]])), [[0.5, 0.5]])
    np.testing.assert_allclose(mean_over_windows(probabilities, np.array([[0.0, 1, 0]])), [[0.1, 0.9]])


def test_weights_need_no_array_of_all_windows() -> None:
    rule = ClipWindows.of(AUDIO, KINDS["raw"])
    hour = rule.times(3_600 * RATE_HZ, first=1)
    assert hour.shape == (3_600, 1)
    np.testing.assert_array_equal(rule.times(5 * RATE_HZ)[:, :1], rule.times(5 * RATE_HZ, first=1))
