"""The base that both architectures share: a stack of 1D convolutions over a map of frequency and time.

    bands-as-channels   (B, bands, 1, T)   every band is a channel, convolutions run along time
    map                 (B, 1, bands, T)   a convolution runs along one axis and is shared over the other

Every convolution is an `nn.Conv1d`, as `MapConv1d` applies it to a map.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from auricle.config import Axis
from auricle.config.variants import Variants

IN_PLACE = partial(nn.ReLU, inplace=True)  # nobody needs what goes in: one array less to write
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {"relu": IN_PLACE, "gelu": nn.GELU, "none": nn.Identity}
POOLS: dict[str, type[nn.MaxPool2d | nn.AvgPool2d]] = {"max": nn.MaxPool2d, "average": nn.AvgPool2d}
DROPOUTS = Variants("base.blocks")
LEVELS = 256  # of the random byte that dropout draws for each value, eight at a time


class MapConv1d(nn.Conv1d):
    """A 1D convolution along one axis of a map, shared over the other, (B, C, F, T) -> (B, C', F', T').

    The values equal those of `nn.Conv1d` on every single row, or column: its weight (C', C, k) is used as a 2D kernel
    that is 1 on the other axis, which saves the copies of reshaping.
    """

    def __init__(self, in_channels: int, channels: int, kernel: int, *, axis: Axis = "time", **options: Any) -> None:
        super().__init__(in_channels, channels, kernel, **options)
        self.axis = axis

    def forward(self, map: Tensor) -> Tensor:
        """(B, C, F, T) -> (B, C', F', T')."""
        stride, padding = self.stride[0], int(self.padding[0])
        if self.axis == "frequency":
            return F.conv2d(map, self.weight[..., None], self.bias, (stride, 1), (padding, 0))
        return F.conv2d(map, self.weight[:, :, None], self.bias, (1, stride), (0, padding))


class Convolution(nn.Sequential):
    """A 1D convolution along one axis of a map, its norm and its activation, (B, C, F, T) -> (B, C', F', T')."""

    def __init__(
        self,
        in_channels: int,
        channels: int,
        *,
        axis: Axis,
        stride: int,
        activation: str,
        kernel: int = 3,
        padding: int | None = None,
        bias: bool | None = None,
        norm: str = "batch",
    ) -> None:
        padding = kernel // 2 if padding is None else padding
        bias = norm == "none" if bias is None else bias
        convolution = MapConv1d(in_channels, channels, kernel, axis=axis, stride=stride, padding=padding, bias=bias)
        layers: list[nn.Module] = [convolution]
        if norm == "batch":
            layers.append(nn.BatchNorm2d(channels))
        if activation != "none":
            layers.append(ACTIVATIONS[activation]())
        super().__init__(*layers)


class Shortcut(nn.Sequential):
    """The shortcut of a residual block that changes its map: average pooling to the new size, 1x1 convolution, norm."""

    def __init__(self, in_channels: int, channels: int, *, stride: tuple[int, int]) -> None:
        pool = nn.AvgPool2d(stride, ceil_mode=True) if stride != (1, 1) else nn.Identity()
        super().__init__(pool, MapConv1d(in_channels, channels, 1, bias=False), nn.BatchNorm2d(channels))


@DROPOUTS.of("dropout")
class Dropout(nn.Module):
    """Set values to zero with a probability below 1 and scale up the others, arXiv:1207.0580, while training.

    On a CPU, PyTorch's own draws one random number per value, which takes a third of a training step of a network of
    four convolutions along a waveform. A random byte is enough and takes a quarter of the time, so the probability is
    rounded to a multiple of 1/256.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.num_kept = max(1, round(LEVELS * (1 - probability)))  # number of levels that keep a value

    def extra_repr(self) -> str:
        """Return the text for `print(network)`."""
        return f"{1 - self.num_kept / LEVELS:g}"

    def forward(self, values: Tensor) -> Tensor:
        """Any shape -> the same shape."""
        if not self.training or self.num_kept == LEVELS:
            return values
        num_draws = -(-values.numel() // 8)
        draws = torch.empty(num_draws, dtype=torch.int64, device=values.device).random_(-(2**63), None)
        layout = torch.empty_like(values, dtype=torch.uint8).stride()  # channels may come last
        levels = draws.view(torch.uint8)[: values.numel()].as_strided(values.shape, layout)
        return values * (levels < self.num_kept).to(values.dtype).mul_(LEVELS / self.num_kept)


class Block(nn.Module):
    """Convolutions along the given axes in turn, with optional residual sum, pooling and dropout.

    With `residual`, the last activation is after the sum (arXiv:1512.03385, figure 2). All other options are those of
    `Convolution`.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        *,
        axes: Sequence[Axis] = ("time",),
        stride: int = 1,
        activation: str = "relu",
        residual: bool = False,
        pool: Literal["none", "max", "average"] = "none",
        pool_size: int = 2,
        dropout: float = 0.0,
        dropout_before_pool: bool = False,
        channels_to_rows: bool = False,
        **convolution: Any,
    ) -> None:
        super().__init__()
        strides: dict[Axis, int] = {}
        convolutions = []
        for index, axis in enumerate(axes):
            step = stride if axis not in strides else 1  # a second convolution along an axis has stride 1
            strides[axis] = stride
            options = {"axis": axis, "stride": step, **convolution}
            after = "none" if residual and index == len(axes) - 1 else activation
            convolutions.append(Convolution(channels if index else in_channels, channels, activation=after, **options))
        self.convolutions = nn.Sequential(*convolutions)
        self.shortcut: nn.Module | None = None
        if residual:
            steps = (strides.get("frequency", 1), strides.get("time", 1))
            same = in_channels == channels and steps == (1, 1)
            self.shortcut = nn.Identity() if same else Shortcut(in_channels, channels, stride=steps)
        self.activation = ACTIVATIONS[activation]()
        sizes = (pool_size if "frequency" in axes else 1, pool_size if "time" in axes else 1)
        self.pool = nn.Identity() if pool == "none" else POOLS[pool](sizes)
        self.dropout = DROPOUTS["dropout"](dropout) if dropout else nn.Identity()
        self.dropout_before_pool = dropout_before_pool
        self.channels_to_rows = channels_to_rows

    def forward(self, map: Tensor) -> Tensor:
        """(B, C, F, T) -> (B, C', F', T'); with `channels_to_rows`, -> (B, F', C', T'), where F' is 1."""
        result = self.convolutions(map)
        if self.shortcut is not None:
            result = self.activation(result + self.shortcut(map))
        result = self.pool(self.dropout(result)) if self.dropout_before_pool else self.dropout(self.pool(result))
        return result.transpose(1, 2).clone(memory_format=torch.channels_last) if self.channels_to_rows else result


class Base(nn.Sequential):
    """Blocks in sequence over the features, (B, rows, T) -> (B, C, F, T)."""

    def __init__(self, *blocks: Block, layout: Literal["bands-as-channels", "map"]) -> None:
        super().__init__(*blocks)
        self.layout = layout

    def forward(self, features: Tensor) -> Tensor:
        """Arrange the rows as channels or as an axis of the map, then run the blocks."""
        rows_axis = 1 if self.layout == "map" else 2
        return super().forward(features.unsqueeze(rows_axis).clone(memory_format=torch.channels_last))  # faster
