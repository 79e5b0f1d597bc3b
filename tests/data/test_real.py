"""The real ESC-10: what the project's figures rest on."""

import os
from collections import Counter, defaultdict

import numpy as np
import pytest

from auricle.data.cache import prepare
from auricle.data.datasets import load_manifest
from auricle.data.folds import make_splits
from auricle.data.manifest import Manifest, split_groups

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not os.environ.get("AURICLE_DATA"), reason="AURICLE_DATA does not say where esc10 lies"),
]


@pytest.fixture
def manifest() -> Manifest:
    return load_manifest("esc10")


def test_esc10_has_40_clips_a_class_8_in_each_of_five_folds(manifest: Manifest) -> None:
    assert len(manifest.clips) == 400
    assert manifest.clip_s == 5.0
    assert manifest.categories == (
        *("chainsaw", "clock_tick", "crackling_fire", "crying_baby", "dog"),
        *("helicopter", "rain", "rooster", "sea_waves", "sneezing"),
    )
    counts = Counter((clip.category, clip.fold) for clip in manifest.clips)
    assert len(counts) == 50
    assert set(counts.values()) == {8}


def test_no_source_recording_is_in_two_folds(manifest: Manifest) -> None:
    folds = defaultdict(set)
    for clip in manifest.clips:
        folds[clip.group].add(clip.fold)
    assert all(len(where) == 1 for where in folds.values())
    assert split_groups(manifest) == {}


def test_fold_1_is_the_test_set_and_240_clips_train(manifest: Manifest) -> None:
    for split in (*make_splits(manifest, "test-split"), *make_splits(manifest, "k-fold")):
        assert (len(split.train), len(split.validation), len(split.test)) == (240, 80, 80)
        assert {manifest.clips[place].fold for place in split.test} == {1}
        assert Counter(manifest.labels[split.test].tolist()) == dict.fromkeys(range(10), 8)
        assert not split.leaky


def test_random_folds_of_esc10_leak_and_say_so(manifest: Manifest) -> None:
    assert all(split.leaky for split in make_splits(manifest, "random"))


def test_every_clip_is_decoded_whole_and_none_is_refused_or_silent(manifest: Manifest) -> None:
    recordings = prepare(manifest, sample_rate_hz=16_000)
    assert recordings.waveforms.shape == (400, 80_000)
    assert recordings.manifest == manifest
    assert np.abs(recordings.waveforms).max(axis=1).min() > 0.001


def test_the_real_clips_cut_in_half_are_all_refused(manifest: Manifest, tmp_path) -> None:
    from auricle.data.audio import load_waveform
    from auricle.errors import RefusedError

    for clip in manifest.clips[::20]:
        content = clip.path.read_bytes()
        (tmp_path / "half.ogg").write_bytes(content[: len(content) // 2])
        with pytest.raises(RefusedError):
            load_waveform(tmp_path / "half.ogg", sample_rate_hz=16_000, duration_s=5.0)
