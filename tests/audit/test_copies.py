from collections.abc import Callable, Sequence

import numpy as np
import pytest

from auricle.audit import copies
from auricle.audit.copies import FingerprintIndex, Pair
from auricle.audit.fingerprint import Fingerprint, fingerprint

Noise = Callable[[int], np.ndarray]


def pairs_of(sounds: Sequence[np.ndarray | None]) -> list[Pair]:
    with FingerprintIndex() as index:
        for sound in sounds:
            index.add(None if sound is None else fingerprint(sound, 16_000))
        return list(index.pairs())


def test_a_trimmed_quieter_copy_is_found_among_others(noise: Noise) -> None:
    sounds = [noise(n) for n in range(20)]
    (pair,) = pairs_of([*sounds, sounds[7][5_000:] / 5])
    assert (pair.one, pair.other) == (7, 20)
    assert pair.distance < 0.1
    assert 0.5 < pair.alike_s < 1.5


def test_different_sounds_have_no_pairs(noise: Noise) -> None:
    assert pairs_of([noise(n) for n in range(40)]) == []


def test_many_copies_are_connected_by_few_pairs(noise: Noise) -> None:
    pairs = pairs_of([noise(0)[100 * n :] for n in range(30)])
    assert len(pairs) == 29
    assert {pair.one for pair in pairs} | {pair.other for pair in pairs} == set(range(30))


def test_what_has_no_fingerprint_takes_a_number_and_has_no_copies(noise: Noise) -> None:
    (pair,) = pairs_of([None, noise(1), np.zeros(16_000, np.float32), None, noise(1), np.zeros(16_000, np.float32)])
    assert (pair.one, pair.other) == (1, 4)


def test_an_empty_index_has_no_pairs() -> None:
    assert pairs_of([]) == []
    assert pairs_of([None]) == []


def test_writing_often_changes_nothing(noise: Noise, monkeypatch: pytest.MonkeyPatch) -> None:
    sounds = [noise(n % 6)[200 * n :] for n in range(12)]
    at_once = pairs_of(sounds)
    monkeypatch.setattr(copies, "_PENDING", 100)
    assert pairs_of(sounds) == at_once


def test_one_word_in_every_clip_makes_no_more_work_than_clips() -> None:
    generator = np.random.default_rng(0)
    for num_clips in (100, 200):
        entries = np.zeros(num_clips * 10, copies._ENTRY)
        entries["clip"] = np.repeat(np.arange(num_clips), 10)
        entries["frame"] = generator.integers(0, 500, len(entries))
        assert len(list(copies._candidates(entries))) <= num_clips * copies.NUM_NEIGHBOURS


def test_few_words_must_agree_better_than_many() -> None:
    generator = np.random.default_rng(1)

    def two(num_words: int, share: float) -> list[Pair]:
        words = generator.integers(0, 2**32, num_words, dtype=np.uint32)
        turned = words.copy()
        places = generator.permutation(32 * (num_words - 4))[: int(32 * num_words * share)] + 4 * 32  # 4 stay whole
        for place in places:
            turned[place // 32] ^= np.uint32(1 << (place % 32))
        with FingerprintIndex() as index:
            for each in (words, turned):
                index.add(Fingerprint(each, np.zeros(num_words, np.uint8), np.ones(num_words, bool)))
            return list(index.pairs())

    assert two(200, 0.22)
    assert not two(40, 0.22)
    assert two(40, 0.12)
    assert not two(200, 0.3)
    assert not two(12, 0.0)
