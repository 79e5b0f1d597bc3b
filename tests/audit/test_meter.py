from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auricle.audit.meter import Measures, Meter

RATE_HZ = 16_000


def measured(frames: np.ndarray, cuts: Sequence[int] = (), rate_hz: int = RATE_HZ) -> Measures:
    meter = Meter(rate_hz)
    for block in np.split(frames.astype(np.float32).reshape(len(frames), -1), cuts):
        if len(block):
            meter.add(block, block[:, 0] if block.shape[1] == 1 else block.mean(axis=1))
    return meter.measures()


def tone(pitch_hz: float, num_samples: int = RATE_HZ) -> np.ndarray:
    return np.sin(2 * np.pi * pitch_hz * np.arange(num_samples) / RATE_HZ)


def test_level_peak_and_offset_are_what_a_hand_computes() -> None:
    found = measured(0.5 * tone(1_000) + 0.25)
    assert found.peak == pytest.approx(0.75)
    assert found.offset == pytest.approx(0.25, abs=1e-6)
    assert found.level_db == pytest.approx(10 * np.log10(0.125 + 0.0625), abs=1e-3)
    assert measured(np.zeros(100)).level_db == -200


def test_levels_are_those_of_each_channel_and_of_their_mean() -> None:
    found = measured(np.stack([tone(500), -tone(500), np.zeros(RATE_HZ)], axis=1))
    np.testing.assert_allclose(found.channel_levels, [0.5**0.5, 0.5**0.5, 0], atol=1e-6)
    assert found.level_db < -120


def test_digital_silence_is_counted_at_both_ends() -> None:
    sound = np.concatenate([np.zeros(300), 0.1 + tone(500), np.zeros(70)])
    for found in (measured(sound), measured(sound, [100, 250, 9_000, len(sound) - 20])):
        assert (found.start_samples, found.end_samples) == (300, 70)
    assert measured(np.zeros(50)).start_samples == 50


@pytest.mark.parametrize("pitch_hz", [20, 440, 3_000])
def test_a_clipped_tone_has_a_plateau_and_a_whole_one_has_none(pitch_hz: float) -> None:
    whole, clipped = measured(0.9 * tone(pitch_hz)), measured(0.4 * np.clip(3 * tone(pitch_hz), -1, 1))
    assert min(whole.plateau, whole.flat_share) < 0.01
    assert clipped.plateau > 0.9
    assert clipped.flat_share > 0.05


@pytest.mark.parametrize("edge_hz", [1_000, 3_000, 7_000])
def test_bandwidth_is_where_a_filter_cuts(edge_hz: float) -> None:
    spectrum = np.fft.rfft(np.random.default_rng(0).normal(size=4 * RATE_HZ))
    spectrum[np.fft.rfftfreq(4 * RATE_HZ, 1 / RATE_HZ) > edge_hz] = 0
    assert measured(np.fft.irfft(spectrum)).bandwidth_hz == pytest.approx(edge_hz, abs=80)


def test_the_same_samples_have_the_same_content_and_one_other_has_not() -> None:
    changed = tone(700)
    changed[123] += 1e-3
    assert measured(tone(700)).content == measured(np.stack([tone(700)] * 2, axis=1)).content
    assert measured(tone(700)).content != measured(changed).content
    assert measured(np.array([0.0, 1.0])).content == measured(np.array([-0.0, 1.0])).content


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 6_000), max_size=4).map(sorted), st.integers(0, 2**32 - 1), st.booleans())
def test_it_does_not_matter_where_blocks_end(cuts: list[int], seed: int, clip: bool) -> None:
    sound = np.random.default_rng(seed).normal(0, 0.4, 6_000)
    frames = np.clip(sound, -0.5, 0.5) if clip else sound
    whole, parts = measured(frames), measured(frames, cuts)
    for name in ("num_samples", "peak", "start_samples", "end_samples", "full_share", "content"):
        assert getattr(whole, name) == getattr(parts, name)
    assert parts.level_db == pytest.approx(whole.level_db)
    assert parts.offset == pytest.approx(whole.offset, abs=1e-7)
    assert parts.flat_share == pytest.approx(whole.flat_share, abs=0.002)  # a run that a cut divides


def test_a_short_sound_is_measured_too() -> None:
    make: Callable[[int], np.ndarray] = lambda num: measured(np.ones(num)).num_samples  # noqa: E731
    assert [make(num) for num in (1, 2, 3, 63, 64, 2_047)] == [1, 2, 3, 63, 64, 2_047]
