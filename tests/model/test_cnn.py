from inspect import signature

import pytest
import torch
from torch import nn

from auricle.config import BaseConfig, BlockConfig, load_preset
from auricle.model.classifier import build_base, build_model
from auricle.model.cnn import Base, Block, Convolution


@pytest.mark.parametrize("axis", ["time", "frequency"])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_convolution_along_an_axis_is_conv1d_shared_over_the_other(axis: str, stride: int) -> None:
    ours = Convolution(
        3, 5, axis=axis, kernel=5, stride=stride, padding=None, bias=True, norm="none", activation="none"
    )
    theirs = nn.Conv1d(3, 5, 5, stride=stride, padding=2)
    theirs.load_state_dict(ours[0].state_dict())
    assert isinstance(ours[0], nn.Conv1d)
    map = torch.randn(2, 3, 11, 13)
    line_first = map.transpose(2, 3) if axis == "frequency" else map  # (B, C, other, line)
    B, C, other, line = line_first.shape
    expected = theirs(line_first.transpose(1, 2).reshape(B * other, C, line)).view(B, other, 5, -1).transpose(1, 2)
    expected = expected.transpose(2, 3) if axis == "frequency" else expected
    found = ours(map)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)
    weights = torch.randn_like(found)
    for value in (found, expected):
        (value * weights).sum().backward()
    torch.testing.assert_close(ours[0].weight.grad, theirs.weight.grad, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["cnn", "raw-cnn", "report-d-cnn"])
def test_every_convolution_of_a_network_is_conv1d(name: str) -> None:
    convolutions = [m for m in build_model(load_preset(name), 10).modules() if isinstance(m, nn.modules.conv._ConvNd)]
    assert len(convolutions) >= 2
    assert all(isinstance(convolution, nn.Conv1d) for convolution in convolutions)


@pytest.mark.parametrize("size", [1, 2, 7, 8])
@pytest.mark.parametrize("axes", [("time",), ("frequency", "time"), ("time", "time")])
def test_a_residual_block_keeps_or_halves_any_size(size: int, axes: tuple) -> None:
    block = Block(4, 8, axes=axes, stride=2, residual=True)
    half = -(-size // 2)
    assert block(torch.randn(2, 4, size, size)).shape == (2, 8, half if "frequency" in axes else size, half)


def test_a_residual_block_whose_convolutions_are_zero_is_its_activation() -> None:
    block = Block(4, 4, axes=("frequency", "time"), residual=True).eval()
    nn.init.zeros_(block.convolutions[1][0].weight)
    map = torch.randn(1, 4, 6, 6)
    torch.testing.assert_close(block(map), map.relu())


def test_pooling_acts_on_the_axes_of_the_block_only() -> None:
    assert Block(2, 2, axes=("time",), pool="max", pool_size=4)(torch.randn(1, 2, 8, 8)).shape == (1, 2, 8, 2)


def test_dropout_stands_before_or_after_pooling() -> None:
    torch.manual_seed(0)
    map = torch.ones(1, 1, 1, 4000)
    shares = []
    for before in (True, False):
        block = Block(1, 1, axes=("time",), pool="max", pool_size=4, dropout=0.5, dropout_before_pool=before)
        block.convolutions = nn.Identity()
        shares.append(float((block.train()(map) == 0).float().mean()))
    assert shares == pytest.approx([1 / 16, 1 / 2], abs=0.05)


def test_bands_become_channels_or_an_axis() -> None:
    features = torch.randn(2, 40, 50)
    assert Base(Block(40, 8, axes=("time",)), layout="bands-as-channels")(features).shape == (2, 8, 1, 50)
    assert Base(Block(1, 8, axes=("time",)), layout="map")(features).shape == (2, 8, 40, 50)


def test_learned_bands_of_a_waveform_become_the_rows_of_a_map() -> None:
    config = BaseConfig.model_validate(
        {
            "layout": "map",
            "blocks": [
                {"channels": 12, "kernel": 8, "stride": 4, "padding": 0, "channels_to_rows": True},
                {"channels": 5, "axes": ["frequency"]},
            ],
        }
    )
    base = build_base(config, 1).eval()
    waveform = torch.randn(2, 1, 40)
    assert base(waveform).shape == (2, 5, 12, 9)
    rows = base[0](waveform[:, None])
    torch.testing.assert_close(rows[:, 0], base[0].convolutions(waveform[:, None])[:, :, 0])


def test_a_repeated_block_strides_once() -> None:
    config = BaseConfig.model_validate({"blocks": [{"channels": 8, "stride": 2, "repeat": 3}]})
    base = build_base(config, 40)
    assert len(base) == 3
    assert base(torch.randn(1, 40, 50)).shape == (1, 8, 1, 25)


def test_frequency_without_an_axis_is_refused() -> None:
    with pytest.raises(ValueError, match="layout: map"):
        BaseConfig.model_validate({"blocks": [{"channels": 8, "axes": ["frequency"]}]})


def test_what_a_block_is_by_default_is_what_its_section_of_the_configuration_says() -> None:
    """A hand-in says of a block only what differs from the defaults."""
    parameters = {**signature(Block).parameters, **signature(Convolution).parameters}
    for name, field in BlockConfig.model_fields.items():
        if name not in ("channels", "repeat", "stride", "activation"):
            assert parameters[name].default == field.default, name
    assert signature(Block).parameters["stride"].default == BlockConfig.model_fields["stride"].default
    assert signature(Block).parameters["activation"].default == BlockConfig.model_fields["activation"].default
