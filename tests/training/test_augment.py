from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from auricle.config import AugmentationConfig
from auricle.training.augment import Augmenter, mix, read_between, shift_bands
from auricle.training.evaluate import scored_probabilities
from auricle.training.start import prepare_training

OFF = {"shift": False, "mix": 0, "gain_db": 0, "band_shift": 0, "filter_db": 0, "time_mask_s": 0, "band_mask": 0}


def augmenter(exponent: int = 2, seed: int = 0, **changes: object) -> Augmenter:
    config = AugmentationConfig.model_validate({**OFF, **changes})
    return Augmenter(
        config, "raw" if exponent == 1 else "log-mel", 25.0, torch.tensor(-1.0), torch.Generator().manual_seed(seed)
    )


def clips(num: int = 6, bands: int = 4, frames: int = 10) -> tuple[Tensor, Tensor]:
    ramp = torch.arange(1.0, frames + 1).expand(num, bands, -1) * torch.arange(1.0, num + 1)[:, None, None]
    return ramp.clone(), torch.eye(num)


def test_everything_off_changes_nothing() -> None:
    frames, targets = clips()
    windows, mixed = augmenter()(frames, targets, 10)
    assert torch.equal(windows, frames)
    assert torch.equal(mixed, targets)


def test_the_input_is_left_as_it_was() -> None:
    frames, targets = clips()
    before = frames.clone(), targets.clone()
    on = augmenter(shift=True, mix=1, gain_db=6, band_shift=1, filter_db=4, time_mask_s=0.2, band_mask=2)
    on(frames, targets, 5)
    assert torch.equal(frames, before[0])
    assert torch.equal(targets, before[1])


def test_equal_generators_draw_equal_batches() -> None:
    frames, targets = clips()
    one, two, other = (augmenter(seed=s, shift=True, mix=1, gain_db=6)(frames, targets, 5) for s in (1, 1, 2))
    assert torch.equal(one[0], two[0])
    assert torch.equal(one[1], two[1])
    assert not torch.equal(one[0], other[0])


def test_a_shifted_window_runs_round_the_clip() -> None:
    frames, _ = clips(num=200)
    windows = augmenter(shift=True).draw(frames, 10) / frames[:, :, :1]
    steps = windows.diff(dim=2)
    assert set(steps.unique().tolist()) == {1.0, -9.0}  # one step on, or from the end to the start
    assert len(windows[:, 0, 0].unique()) == 10


def test_a_stretched_window_runs_faster_or_slower_and_round_the_clip() -> None:
    sines = torch.sin(torch.arange(1000.0) * 2 * torch.pi / 100).expand(300, 1, -1)  # ten whole periods: a smooth ring
    windows = augmenter(1, stretch=0.25).draw(sines, 900)[:, 0]
    crossings = ((windows[:, 1:] >= 0) & (windows[:, :-1] < 0)).sum(1)
    assert set(crossings.tolist()) <= set(range(7, 13))
    assert int(crossings.min()) == 7  # at four fifths of the speed
    assert int(crossings.max()) >= 11  # at five quarters
    assert float(windows.diff(dim=1).abs().max()) < 1.3 * 2 * torch.pi / 100


def test_a_window_at_its_own_speed_is_read_between_its_frames() -> None:
    clip = torch.tensor([[[0.0, 1.0, 2.0, 3.0]]])
    read = read_between(clip, torch.tensor([[2.5]]), torch.arange(3)[None], beyond=6)
    torch.testing.assert_close(read, torch.tensor([[[2.5, 1.5, 0.5]]]))  # 2.5, from 3 back to 0, 0.5


def test_a_window_without_shift_stays_inside_the_clip() -> None:
    frames, _ = clips(num=100)
    windows = augmenter().draw(frames, 4) / frames[:, :, :1]
    assert bool((windows.diff(dim=2) == 1).all())
    assert set(windows[:, 0, 0].tolist()) == {1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0}


def test_a_clip_shorter_than_the_window_is_padded_with_silence() -> None:
    frames, _ = clips()
    windows = augmenter().draw(frames, 12)
    assert torch.equal(windows[:, :, :10], frames)
    assert bool((windows[:, :, 10:] == 0).all())


@pytest.mark.parametrize("exponent", [1, 2])
def test_mixing_equal_levels_is_the_plain_formula(exponent: int) -> None:
    ones, first, second = torch.ones(400, 2, 5), torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    windows, mixed = mix(augmenter(exponent, mix=1), ones, ones, first.expand(400, -1), second.expand(400, -1))
    share = mixed[:, 0]  # equal levels: p = r
    expected = (share**exponent + (1 - share) ** exponent) / (share**2 + (1 - share) ** 2) ** (exponent / 2)
    torch.testing.assert_close(windows[:, 0, 0], expected, atol=1e-5, rtol=0)
    assert float(share.min()) < 0.05
    assert float(share.max()) > 0.95


@pytest.mark.parametrize("exponent", [1, 2])
def test_of_a_loud_and_a_quiet_sound_each_is_heard_as_much_as_the_target_says(exponent: int) -> None:
    loud, quiet = torch.zeros(500, 2, 4), torch.zeros(500, 2, 4)
    loud[:, 0], quiet[:, 1] = 1.0, 0.01**exponent  # 40 dB apart, in bands of their own
    eye = torch.eye(2)
    windows, mixed = mix(augmenter(exponent, mix=1), loud, quiet, eye[:1].expand(500, -1), eye[1:].expand(500, -1))
    heard = windows[:, :, 0] ** (1 / exponent)  # amplitudes
    share = mixed[:, 0]
    torch.testing.assert_close(heard[:, 0] / heard.sum(1), share, atol=2e-3, rtol=0)


def test_mixing_keeps_targets_that_sum_to_one() -> None:
    frames, targets = clips()
    _, mixed = augmenter(mix=1)(frames, targets, 10)
    torch.testing.assert_close(mixed.sum(1), torch.ones(6))


@pytest.mark.parametrize("mix", [0.0, 0.3, 1.0])
def test_the_share_of_windows_that_are_mixed_is_the_one_asked_for(mix: float) -> None:
    frames, targets = clips(num=2000)
    mixed = augmenter(mix=mix)(frames, targets, 10)[1]
    assert float((mixed.max(1).values < 1).float().mean()) == pytest.approx(mix, abs=0.04)


def test_bands_move_together_and_the_edge_is_repeated() -> None:
    frames = torch.arange(8.0)[None, :, None].expand(300, -1, 3)
    moved = shift_bands(augmenter(band_shift=2), frames)[:, :, 0]
    expected = {tuple(float(min(max(band + by, 0), 7)) for band in range(8)) for by in (-2, -1, 0, 1, 2)}
    assert {tuple(row) for row in moved.tolist()} == expected


@pytest.mark.parametrize("exponent", [1, 2])
def test_gain_stays_within_its_decibels(exponent: int) -> None:
    frames = torch.ones(500, 3, 4)
    gain_db = 20 / exponent * torch.log10(augmenter(exponent, gain_db=6).source(frames, frames.shape[2])[:, 0, 0])
    assert float(gain_db.abs().max()) <= 6.001
    assert float(gain_db.abs().max()) > 5


def test_a_filter_is_smooth_and_constant_in_time() -> None:
    filtered = augmenter(filter_db=4).source(torch.ones(50, 65, 4), 4).log10() * 10
    assert bool((filtered == filtered[:, :, :1]).all())
    bends = filtered[:, :, 0].diff(n=2, dim=1).abs() > 1e-3
    assert int(bends.sum(1).max()) <= 6  # straight between five knots


def test_a_waveform_is_filtered_as_strongly_as_mel_bands_are() -> None:
    clicks = torch.zeros(3000, 1, 64)
    clicks[:, 0, 20] = 1
    filtered = augmenter(1, filter_db=1).source(clicks, clicks.shape[2])[:, 0]
    assert bool((filtered[:, :20] == 0).all())  # nothing is heard before it sounds
    response_db = 20 * torch.fft.rfft(filtered).abs().log10()
    assert float(response_db[:, 1:-1].std()) == pytest.approx(1, abs=0.1)


def test_masks_write_the_neutral_value_in_one_stretch_of_at_most_their_length() -> None:
    masked = augmenter(time_mask_s=0.2)(torch.ones(300, 2, 20), torch.eye(300), 20)[0] == -1
    lengths = masked[:, 0].sum(1)
    assert int(lengths.max()) == 5
    assert bool((masked[:, 0].int().diff(dim=1).clamp(min=0).sum(1) <= 1).all())
    banded = augmenter(band_mask=2)(torch.ones(300, 9, 4), torch.eye(300), 4)[0] == -1
    assert int(banded[:, :, 0].sum(1).max()) == 2


def test_a_raw_waveform_has_no_bands_to_move_or_mask() -> None:
    frames = torch.randn(4, 1, 100)
    windows, _ = augmenter(1, band_shift=3, band_mask=8)(frames, torch.eye(4), 100)
    assert torch.equal(windows, frames)


def test_features_are_masked_while_clips_are_scored_where_asked_and_never_after(tiny, recordings, split):
    def scored(**augmentation: object) -> list[np.ndarray]:
        preset = tiny().model_copy(update={"augmentation": AugmentationConfig(feature_row_mask=9, **augmentation)})
        trainer, sets = prepare_training(preset, recordings, split, 0, torch.device("cpu"))
        plain = replace(trainer.augmenter, config=AugmentationConfig())
        return [scored_probabilities(trainer.scored_model, sets, each)[0] for each in (trainer.augmenter, plain)]

    plain, masked, again = scored(), scored(mask_when_scored=True), scored(mask_when_scored=True)
    assert np.array_equal(plain[0], plain[1])
    assert not np.array_equal(masked[0], plain[0])
    assert np.array_equal(masked[0], again[0])
    assert np.array_equal(masked[1], plain[1])
