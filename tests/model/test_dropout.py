"""Dropout by bytes: the right share of zeros, the mean kept, nothing while it is not training."""

import math

import pytest
import torch

from auricle.model.cnn import Dropout

NUM = 40_001  # not a multiple of eight


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
def test_the_share_of_zeros_is_the_probability_and_the_mean_stays(probability):
    torch.manual_seed(0)
    dropped = Dropout(probability)(torch.ones(NUM))
    deviation = math.sqrt(probability * (1 - probability) / NUM)
    assert abs((dropped == 0).float().mean() - probability) < 4 * deviation + 1 / 512
    assert abs(dropped.mean() - 1) < 4 * deviation / (1 - probability)


def test_neighbours_are_dropped_independently():
    torch.manual_seed(0)
    zero = (Dropout(0.5)(torch.ones(NUM)) == 0).float() - 0.5
    for distance in range(1, 17):
        assert abs((zero[distance:] * zero[:-distance]).mean()) < 4 * 0.25 / math.sqrt(NUM)


def test_what_is_dropped_has_no_gradient_and_the_rest_the_scale():
    torch.manual_seed(0)
    values = torch.randn(8, 4, 1, 25, requires_grad=True)
    dropped = Dropout(0.5)(values)
    dropped.sum().backward()
    assert torch.equal(values.grad, torch.where(dropped == 0, 0.0, 2.0))


def test_the_same_seed_drops_the_same():
    drop = Dropout(0.5)
    assert torch.equal(*(drop(torch.ones(100)) for _ in range(2) if torch.manual_seed(7)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_type_is_that_of_the_values(dtype):
    assert Dropout(0.5)(torch.ones(16, dtype=dtype)).dtype == dtype


def test_nothing_is_dropped_when_not_training_or_with_probability_zero():
    values = torch.randn(100)
    assert torch.equal(Dropout(0.5).eval()(values), values)
    assert torch.equal(Dropout(0.0)(values), values)


def test_channels_that_come_last_stay_there():
    values = torch.ones(2, 8, 3, 5).to(memory_format=torch.channels_last)
    assert Dropout(0.5)(values).is_contiguous(memory_format=torch.channels_last)
