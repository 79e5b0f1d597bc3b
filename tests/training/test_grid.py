"""Windows on a fixed grid beside windows at random places; masks over features."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

from auricle.training.start import prepare_training, training_clips


def started(recordings, split, preset):
    trainer, sets = prepare_training(preset, recordings, split, 0, torch.device("cpu"))
    return trainer, sets, training_clips(trainer, sets)[0]


def test_a_grid_holds_the_windows_that_score_a_clip_with_its_label(recordings, split, tiny) -> None:
    _, sets, seen = started(recordings, split, tiny(windows="grid"))
    (clip,) = sets.frames(split.train[4:5])
    times = sets.rule.times(clip.shape[1])
    num = len(times)
    assert num > 1
    assert len(seen) == num * len(split.train)
    for place, window in enumerate(times):
        assert torch.equal(seen.frames[num * 4 + place], clip[:, window])
        assert int(seen.targets[num * 4 + place].argmax()) == recordings.manifest.labels[split.train[4]]


@pytest.mark.parametrize(("windows", "num_seen"), [("grid", 2 * 5 * 18), ("random", 2 * 18 // 7 * 7)])
def test_an_epoch_sees_every_window_of_a_grid_and_of_random_ones_whole_batches(
    recordings, split, tiny, windows, num_seen
) -> None:
    trainer, _, seen = started(recordings, split, tiny(windows=windows, views=2, batch_size=7))
    batches = trainer.batches(seen)
    places, counts = np.unique(torch.cat(batches).numpy(), return_counts=True)
    assert sum(map(len, batches)) == num_seen
    assert {len(batch) for batch in batches[:-1]} == {7}
    if windows == "grid":
        assert len(places) == len(seen)
        assert set(counts) == {2}


def test_without_augmentation_a_window_of_the_grid_reaches_the_network_as_it_is(recordings, split, tiny) -> None:
    off = {"shift": False, "mix": 0, "gain_db": 0, "band_shift": 0, "filter_db": 0, "time_mask_s": 0, "band_mask": 0}
    preset = tiny(windows="grid").model_copy(update={"augmentation": type(tiny().augmentation)(**off)})
    trainer, _, seen = started(recordings, split, preset)
    windows, targets = trainer.augmenter(seen.frames, seen.targets, trainer.window_frames)
    assert torch.equal(windows, seen.frames)
    assert torch.equal(targets, seen.targets)


def test_masks_over_features_are_on_in_training_alone(recordings, split, tiny) -> None:
    augmentation = tiny().augmentation.model_copy(update={"feature_frame_mask": 99, "feature_row_mask": 99})
    trainer, _, seen = started(recordings, split, tiny().model_copy(update={"augmentation": augmentation}))
    heard = []
    trainer.model.base.register_forward_pre_hook(lambda base, inputs: heard.append(inputs[0]))
    trainer.loss(seen.frames, seen.targets)
    trainer.model.eval()(seen.frames[:, :, : trainer.window_frames])
    masked, whole = (float((features == 0).float().mean()) for features in heard)
    assert masked > 0.3
    assert whole == 0


@given(frames=some.integers(0, 8), rows=some.integers(0, 5), seed=some.integers(0, 99))
def test_a_mask_over_features_is_one_stretch_no_longer_than_asked(frames: int, rows: int, seed: int) -> None:
    from auricle.config import AugmentationConfig
    from auricle.training.augment import Augmenter, mask_features

    config = AugmentationConfig(feature_frame_mask=frames, feature_row_mask=rows)
    augmenter = Augmenter(config, "log-mel", 25.0, torch.tensor(-1.0), torch.Generator().manual_seed(seed))
    features = torch.ones(4, 6, 10)
    kept = mask_features(augmenter, features)
    assert torch.equal(features, torch.ones(4, 6, 10))
    for window in kept:
        for axis, longest in ((0, frames), (1, rows)):
            blank = (window == 0).all(axis)
            assert int(blank.sum()) <= (longest if not bool((window == 0).all()) else 99)
            assert int(blank.int().diff().clamp(min=0).sum()) + int(blank[0]) <= 1
