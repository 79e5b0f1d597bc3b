import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from auricle.data import toy
from auricle.data.cache import prepare
from auricle.data.datasets import load_manifest
from auricle.data.folds import make_splits
from auricle.data.manifest import Manifest, split_groups
from auricle.study import baselines


@pytest.fixture(scope="module")
def toy_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("toy")


@pytest.fixture
def manifest(toy_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Manifest:
    monkeypatch.setenv("AURICLE_CACHE", str(toy_cache))
    return load_manifest("toy")


def test_ten_classes_five_folds_four_clips_of_each(manifest: Manifest) -> None:
    assert manifest.categories == tuple(sorted(toy.CLASSES))
    assert set(Counter((clip.category, clip.fold) for clip in manifest.clips).values()) == {4}
    assert (len(manifest.clips), manifest.clip_s, len(set(manifest.groups))) == (200, 2.0, 100)


def test_a_source_stands_in_one_fold_and_every_protocol_works(manifest: Manifest) -> None:
    assert split_groups(manifest) == {}
    for protocol in ("test-split", "k-fold", "official", "random"):
        assert make_splits(manifest, protocol)


def test_the_files_are_ordinary_recordings(manifest: Manifest) -> None:
    for clip in manifest.clips[::20]:
        info = soundfile.info(clip.path)
        assert (info.samplerate, info.frames, info.channels, info.subtype) == (16_000, 32_000, 1, "PCM_16")
    assert prepare(manifest, sample_rate_hz=16_000).waveforms.shape == (200, 32_000)


def test_no_two_clips_are_the_same(manifest: Manifest) -> None:
    assert len({clip.path.read_bytes() for clip in manifest.clips}) == 200


def test_the_set_is_written_once(manifest: Manifest, toy_cache: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (toy_cache / f"toy-{toy.VERSION}").rglob("*")}
    assert load_manifest("toy") == manifest
    assert {path: path.stat().st_mtime_ns for path in (toy_cache / f"toy-{toy.VERSION}").rglob("*")} == before
    assert not list(toy_cache.glob(".*"))


def test_a_clip_is_the_same_on_every_machine() -> None:
    clips = [toy.make_clip(category, 3, 1) for category in toy.CLASSES]
    assert hashlib.sha256(np.stack(clips).astype("<i2").tobytes()).hexdigest() == GOLDEN


def test_takes_and_sources_differ_and_are_neither_silent_nor_clipped() -> None:
    for category in toy.CLASSES:
        clips = [toy.make_clip(category, source, take) for source in (0, 1) for take in (0, 1)]
        assert len({clip.tobytes() for clip in clips}) == 4
        for clip in clips:
            assert clip.dtype == np.int16
            assert 3_000 < np.abs(clip.astype(int)).max() < 32_000


def test_a_glide_rises_or_falls() -> None:
    for category, sign in (("rising", 1), ("falling", -1)):
        make, pitch_hz = toy.CLASSES[category]
        times_s = np.arange(round(16_000 / 1.2)) / toy.SAMPLE_RATE_HZ  # one cycle
        sound = make(times_s, pitch_hz, 0.0, np.random.default_rng(0))
        peaks_hz = [np.abs(np.fft.rfft(part)).argmax() * 16_000 / len(part) for part in np.array_split(sound, 6)]
        assert (sign * np.diff(peaks_hz) > 0).all()


def test_a_gallop_has_as_many_knocks_as_even_ones_but_in_pairs() -> None:
    times_s = np.arange(32_000) / toy.SAMPLE_RATE_HZ
    for category, in_pairs in (("knocks", False), ("gallop", True)):
        make, pitch_hz = toy.CLASSES[category]
        loud = np.abs(make(times_s, pitch_hz, 0.0, np.random.default_rng(0))).reshape(-1, 160).max(axis=1) > 0.5
        starts = np.flatnonzero(loud[1:] & ~loud[:-1])
        starts = starts[np.diff(starts, prepend=-100) > 10]
        assert len(starts) == 5, category
        gaps = np.diff(starts)
        assert (gaps.max() / gaps.min() > 2) == in_pairs, category


def test_statistics_over_time_tell_the_pairs_but_not_which_of_a_pair(manifest: Manifest) -> None:
    recordings = prepare(manifest, sample_rate_hz=16_000)
    features, labels = baselines.mfcc_statistics(recordings, np.arange(len(manifest.clips))), manifest.labels
    pair_of = np.array([PAIRS[category] for category in manifest.categories])
    right, right_pair = [], []
    for split in make_splits(manifest, "k-fold"):
        fitted = baselines._classifier("mfcc-logistic").fit(features[split.train], labels[split.train])
        answers, labels_here = fitted.predict(features[split.validation]), labels[split.validation]
        right.append(np.mean(answers == labels_here))
        right_pair.append(np.mean(pair_of[answers] == pair_of[labels_here]))
    assert np.mean(right_pair) > 0.9
    assert np.mean(right) < 0.55


PAIRS = {name: place // 2 for place, name in enumerate(
    ("opening", "closing", "cuckoo", "peewit", "inhale", "exhale", "rising", "falling", "knocks", "gallop")
)}  # fmt: skip
# Of make_clip(category, 3, 1) for every class; a new value means a new toy set: raise toy.VERSION with it.
GOLDEN = "9836a311e3d67eedc63139ed05576e09ace5d6f4ecb14f278f1713318ccb099c"
