"""Dropout that draws a byte for each value, eight bytes at a time."""

import torch
from torch import Tensor, nn

from auricle.config.variants import Variants

DROPOUTS = Variants("base.blocks")
LEVELS = 256  # of a byte


@DROPOUTS.of("dropout")
class Dropout(nn.Module):
    """Set values to zero with a probability below 1 and scale up the others, arXiv:1207.0580, while training.

    On a CPU, PyTorch's own draws one random number a value, which takes a third of a step of a network of four
    convolutions along a waveform; a byte is enough, and takes a quarter of the time:
    the probability is rounded to a multiple of 1/256.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.num_kept = max(1, round(LEVELS * (1 - probability)))  # of the levels of a byte

    def extra_repr(self) -> str:
        """Return what `print(network)` says of it."""
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
