"""Classes of unlike numbers of clips: drawn equally often, or weighed in the loss; the same where numbers are equal."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from auricle.training.evaluate import BALANCED, Clips, counted_evenly
from auricle.training.start import prepare_training


def started(recordings, split, preset):
    trainer, sets = prepare_training(preset, recordings, split, 0, torch.device("cpu"))
    return trainer, sets.clips(split.train)


def of_classes(clips: Clips, counts: list[int]) -> Clips:
    """Return clips of which the first so many are of class 0, the next of class 1 and so on."""
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    targets = torch.nn.functional.one_hot(labels, clips.targets.shape[1]).float()
    return Clips(clips.frames[torch.arange(len(labels)) % len(clips)], targets)


@given(st.lists(st.integers(0, 60), min_size=2, max_size=6).filter(any))
def test_all_classes_count_the_same_and_a_clip_counts_one_on_average(counts: list[int]):
    labels = np.repeat(np.arange(len(counts)), counts)
    targets = torch.nn.functional.one_hot(torch.from_numpy(labels), len(counts)).float()
    of_clips = counted_evenly(targets).sum(1)
    assert float(of_clips.mean()) == pytest.approx(1, rel=1e-5)
    assert np.allclose([float(of_clips[labels == one].sum()) for one in set(labels)], len(labels) / len(set(labels)))


def test_sampling_draws_every_class_equally_often(recordings, split, tiny):
    trainer, clips = started(recordings, split, tiny(balance="sampling", views=40, batch_size=7))
    some = of_classes(clips, [48, 6, 1])
    drawn = torch.cat(trainer.batches(BALANCED["sampling"](some, drawn=True)))
    counts = some.targets[drawn].sum(0)[:3]
    assert len(drawn) == 40 * 55 // 7 * 7
    assert counts.min() > 0.9 * len(drawn) / 3


def test_the_loss_of_a_rare_class_weighs_as_much_as_that_of_a_common_one(recordings, split, tiny):
    trainer, clips = started(recordings, split, tiny(balance="loss", label_smoothing=0.2))
    trainer.model.eval()  # no dropout; the augmentation is drawn from the same numbers each time
    some = of_classes(clips, [12, 3])

    def loss(rows: slice, clips: Clips) -> float:
        trainer.augmenter.generator.manual_seed(0)
        return trainer.loss(clips.frames[rows], clips.targets[rows]).item()

    for rows, counts in ((slice(0, 12), 15 / 24), (slice(12, 15), 15 / 6)):
        assert loss(rows, BALANCED["loss"](some, drawn=True)) == pytest.approx(counts * loss(rows, some), rel=1e-5)


@pytest.mark.parametrize("counts", [[6, 6, 6], [3, 6, 9]])
def test_up_to_three_to_one_classes_are_trained_as_they_are(recordings, split, tiny, counts):
    _, clips = started(recordings, split, tiny())
    some = of_classes(clips, counts)
    for balance in ("none", "sampling", "loss"):
        for drawn in (True, False):
            assert BALANCED[balance](some, drawn=drawn) is some
