import io
from collections.abc import Callable

import numpy as np
import pytest
import soundfile

from auricle.audit.fingerprint import Fingerprint, fingerprint

Noise = Callable[[int], np.ndarray]


def share_of_bits(one: Fingerprint, other: Fingerprint) -> float:
    num = min(len(one.words), len(other.words))
    both = one.reliable[:num] & other.reliable[:num]
    assert both.sum() > 50
    return float(np.bitwise_count(one.words[:num][both] ^ other.words[:num][both]).mean() / 32)


def recoded(sound: np.ndarray, form: str) -> tuple[np.ndarray, int]:
    file = io.BytesIO()
    soundfile.write(file, sound, 16_000, format=form, compression_level=0.9)
    return soundfile.read(io.BytesIO(file.getvalue()), dtype="float32")


def test_gain_changes_no_bit(noise: Noise) -> None:
    quiet = fingerprint(noise(0) / 8, 16_000)
    np.testing.assert_array_equal(quiet.words, fingerprint(noise(0), 16_000).words)


@pytest.mark.parametrize("form", ["MP3", "OGG"])
def test_coding_turns_few_bits(noise: Noise, form: str) -> None:
    assert share_of_bits(fingerprint(noise(1), 16_000), fingerprint(*recoded(noise(1), form))) < 0.2


def test_another_rate_turns_few_bits(noise: Noise) -> None:
    import soxr

    other = soxr.resample(noise(2), 16_000, 44_100)
    assert share_of_bits(fingerprint(noise(2), 16_000), fingerprint(other, 44_100)) < 0.05


def test_a_start_moved_by_half_a_hop_turns_few_bits(noise: Noise) -> None:
    assert share_of_bits(fingerprint(noise(3), 16_000), fingerprint(noise(3)[128:], 16_000)) < 0.1


def test_two_sounds_differ_in_half_of_their_bits(noise: Noise) -> None:
    shares = [share_of_bits(fingerprint(noise(n), 16_000), fingerprint(noise(n + 50), 16_000)) for n in range(8)]
    assert min(shares) > 0.4
    assert max(shares) < 0.6


def test_silence_and_a_steady_tone_tell_nothing() -> None:
    assert not fingerprint(np.zeros(32_000, np.float32), 16_000).reliable.any()
    tone = np.sin(2 * np.pi * 1_000 / 16_000 * np.arange(32_000)).astype(np.float32)
    assert not fingerprint(tone, 16_000).reliable.any()


def test_the_weakest_bit_is_the_one_that_a_small_change_flips(noise: Noise) -> None:
    found = fingerprint(noise(4), 16_000)
    hiss = np.random.default_rng(0).normal(0, 1e-4, len(noise(4))).astype(np.float32)
    changed = fingerprint(noise(4) + hiss, 16_000)
    flipped = found.words ^ changed.words
    of_one = np.bitwise_count(flipped) == 1
    is_weakest = flipped[of_one] == np.uint32(1) << found.weakest[of_one]
    assert of_one.sum() > 5
    assert is_weakest.mean() > 0.7  # by chance one of 32


@pytest.mark.parametrize("num_samples", [1, 100, 4_000])
def test_a_short_recording_has_a_fingerprint_too(num_samples: int) -> None:
    assert len(fingerprint(np.ones(num_samples, np.float32), 8_000).words) == 1


def test_only_the_first_half_minute_counts() -> None:
    sound = np.random.default_rng(0).normal(size=40 * 8_000).astype(np.float32)
    assert len(fingerprint(sound, 8_000).words) == (30 * 8_000 - 4_096) // 128
