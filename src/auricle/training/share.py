"""The share of every batch that one of several processes computes when they train one network together.

    every process   draws the same batch, augments all of it from the same seed, computes its own rows
    together        batch statistics, gradients and loss are summed over the processes

So all have the same weights after every step, and these are those of a single process, up to rounding. The processes
are those of PyTorch's default process group.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from auricle.errors import UsageError
from auricle.model.cnn import Dropout
from auricle.model.transformer import NUM_SCORES, MultiHeadAttention
from auricle.training.loop import WholeBatch


@dataclass(eq=False)
class Share(WholeBatch):
    """The rows of a batch that one process (`rank`, from 0) of `size` computes; by default all of them."""

    rank: int = 0
    size: int = 1
    num_rows: int = 0  # of the batch divided last, over all processes

    @classmethod
    def of_group(cls) -> Share:
        """Return the share of this process in the default process group."""
        return cls(dist.get_rank(), dist.get_world_size())

    def of(self, batch: Tensor) -> Tensor:
        """Return the rows of this process, (B, ...) -> (B / size, ...); the remainder goes to the first ranks.

        Raises:
            UsageError: fewer rows than processes.
        """
        self.num_rows = len(batch)
        if self.num_rows < self.size:
            advice = "change training.batch_size or --workers"
            raise UsageError(f"a batch of {self.num_rows} is too small for {self.size} workers; {advice}")
        return batch[self.first(self.rank) : self.first(self.rank + 1)] if self.size > 1 else batch

    def first(self, rank: int) -> int:
        """Return the first row of a rank in the batch divided last."""
        return rank * (self.num_rows // self.size) + min(rank, self.num_rows % self.size)

    def add_up(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor, in place, by its sum over the processes."""
        if self.size > 1:
            mine = list(tensors)
            sums = _total(torch.cat([tensor.reshape(-1) for tensor in mine]))
            for tensor, total in zip(mine, sums.split([tensor.numel() for tensor in mine]), strict=True):
                tensor.copy_(total.view(tensor.shape))

    def join(self, model: nn.Module) -> None:
        """Replace layers that depend on the whole batch by versions that share it; names and weights stay."""
        if self.size == 1:
            return
        for layer in list(model.modules()):
            for name, child in list(layer.named_children()):
                if isinstance(child, nn.Dropout | Dropout):
                    setattr(layer, name, SharedDropout(child, self))
            if kind := {nn.BatchNorm2d: SharedBatchNorm, MultiHeadAttention: SharedAttention}.get(type(layer)):
                layer.__class__ = kind
                layer.share = self  # type: ignore[assignment]


class SharedBatchNorm(nn.BatchNorm2d):
    """Batch norm over the rows of all processes; `nn.SyncBatchNorm` is for GPUs only."""

    share: Share

    def forward(self, map: Tensor) -> Tensor:
        """(B / size, C, F, T) -> the same."""
        if not self.training:
            return super().forward(map)
        values, num = map.to(_precise(map)), self.share.num_rows * map.shape[2] * map.shape[3]
        mean = _Total.apply(values.sum((0, 2, 3))) / num  # (C,)
        centred = values - mean[:, None, None]
        variance = _Total.apply(centred.square().sum((0, 2, 3))) / num
        self._remember(mean.detach(), variance.detach() * num / (num - 1))
        scale = torch.rsqrt(variance + self.eps) * self.weight
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(map.dtype)

    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
        self.num_batches_tracked += 1


class SharedDropout(nn.Module):
    """Dropout drawn for the whole batch, as in a single process, of which this process uses its rows."""

    def __init__(self, layer: nn.Module, share: Share) -> None:
        super().__init__()
        self.layer = layer
        self.share = share

    def forward(self, values: Tensor) -> Tensor:
        """(B / size, ...) -> the same."""
        if not self.training:
            return values
        order = sorted(range(values.ndim), key=values.stride, reverse=True)  # in memory order
        shape = (self.share.num_rows, *values.shape[1:])
        whole = values.new_ones([shape[axis] for axis in order]).permute([order.index(n) for n in range(values.ndim)])
        return values * self.share.of(self.layer(whole))


class SharedAttention(MultiHeadAttention):
    """Attention with dropout drawn for the heads of the whole batch, in the parts of a single process."""

    share: Share
    dropout: SharedDropout  # type: ignore[assignment]

    def read_in_parts(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """(B / size, H, T, D/H) each -> the same."""
        H, T = q.shape[1:3]
        own = tuple(part.flatten(0, 1) for part in (q, k, v))  # (B H / size, T, D/H)
        first, num_heads = self.share.first(self.share.rank) * H, max(1, NUM_SCORES // T**2)
        read = [own[2][:0]]
        for start in range(0, self.share.num_rows * H, num_heads):
            stop = min(start + num_heads, self.share.num_rows * H)
            noise = self.dropout.layer(torch.ones(stop - start, T, T, device=q.device, dtype=_precise(q)))
            low, high = max(start, first), min(stop, first + len(own[0]))
            if low < high:
                q_part, k_part, v_part = (part[low - first : high - first] for part in own)
                weights = torch.softmax(q_part @ k_part.transpose(-2, -1), dim=-1)
                read.append((weights * noise[low - start : high - start]) @ v_part)
        return torch.cat(read).view(q.shape)


def _precise(values: Tensor) -> torch.dtype:
    """Return the dtype of sums: float32, or that of the values if it is wider."""
    return torch.promote_types(values.dtype, torch.float32)


class _Total(torch.autograd.Function):
    """The sum of a tensor over the processes; its gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return _total(values)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _total(gradient)


def _total(values: Tensor) -> Tensor:
    total = values.clone(memory_format=torch.contiguous_format)
    dist.all_reduce(total)
    return total
