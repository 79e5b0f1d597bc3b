"""The transformer encoder, from basic tensor operations (arXiv:1706.03762, pre-norm as in arXiv:2002.04745)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

NUM_SCORES = 2**18  # of queries against keys at a time, 1 MB: what follows finds them in the processor's cache


class MultiHeadAttention(nn.Module):
    """Self-attention: every token reads from all, once a head.

    A = softmax(Q K^T / sqrt(D / H)), output = W_o [A_1 V_1 ... A_H V_H] (arXiv:1706.03762, equation 1).
    """

    def __init__(self, width: int, num_heads: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        if width % num_heads:
            raise ValueError(f"attention width {width} is not divided by {num_heads} heads")
        self.num_heads = num_heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def split(self, tokens: Tensor) -> Tensor:
        """(B, T, D) -> (B, H, T, D/H)."""
        B, T, D = tokens.shape
        return tokens.view(B, T, self.num_heads, D // self.num_heads).transpose(1, 2)

    def queries_and_keys(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Return what is asked, already divided by sqrt(D / H), and what answers: (B, T, D) -> (B, H, T, D/H) each."""
        q = self.split(self.query(tokens))
        return q / math.sqrt(q.shape[-1]), self.split(self.key(tokens))

    def weights(self, tokens: Tensor) -> Tensor:
        """Return how much each token (row) reads from each (column), (B, T, D) -> (B, H, T, T); rows sum to 1."""
        q, k = self.queries_and_keys(tokens)
        return torch.softmax(q @ k.transpose(-2, -1), dim=-1)

    def read(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Return what each query reads, (..., T, D/H) each -> (..., T, D/H)."""
        return self.dropout(torch.softmax(q @ k.transpose(-2, -1), dim=-1)) @ v

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        (q, k), v = self.queries_and_keys(tokens), self.split(self.value(tokens))
        if self.training and tokens.is_cpu:  # an exported graph needs no parts, nor does a GPU
            num_heads = max(1, NUM_SCORES // tokens.shape[1] ** 2)
            parts = zip(*(part.flatten(0, 1).split(num_heads) for part in (q, k, v)), strict=True)
            read = torch.cat([self.read(*part) for part in parts]).view(q.shape)  # (B, H, T, D/H)
        else:
            read = self.read(q, k, v)  # (B, H, T, D/H)
        return self.output(read.transpose(1, 2).flatten(2))


class EncoderBlock(nn.Module):
    """Attention, then a perceptron for each token; both add to the tokens."""

    def __init__(self, width: int, num_heads: int, mlp_width: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = MultiHeadAttention(width, num_heads, dropout=dropout)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, mlp_width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(mlp_width, width),
            nn.Dropout(dropout),
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """Pre-norm block, (B, T, D) -> (B, T, D). arXiv:2002.04745."""
        tokens = tokens + self.attention(self.attention_norm(tokens))
        return tokens + self.mlp(self.mlp_norm(tokens))


class Encoder(nn.Module):
    """Projection, `<cls>` in front, learned positions, blocks, norm: the map of the base to what `<cls>` has read.

    Args:
        in_channels: channels of the map.
        num_tokens: tokens that a window gives, without `<cls>`.
        tokens: "time": one a time step, the mean over frequency; "map": one a cell of the map, frequency slowest.
    """

    def __init__(
        self,
        in_channels: int,
        num_tokens: int,
        *,
        num_heads: int,
        num_blocks: int,
        width: int,
        mlp_width: int,
        dropout: float = 0.0,
        tokens: str = "time",
    ) -> None:
        super().__init__()
        self.tokens = tokens
        self.projection = nn.Linear(in_channels, width)
        self.cls = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.positions = nn.Parameter(torch.randn(1, num_tokens + 1, width) * 0.02)
        self.blocks = nn.Sequential(
            *(EncoderBlock(width, num_heads, mlp_width, dropout=dropout) for _ in range(num_blocks))
        )
        self.norm = nn.LayerNorm(width)

    def embed(self, map: Tensor) -> Tensor:
        """(B, C, F, T) -> tokens (B, 1 + T or 1 + F T, D), `<cls>` first."""
        if self.tokens == "time":
            map = map.mean(2, keepdim=True)  # (B, C, 1, T)
        tokens = self.projection(map.flatten(2).transpose(1, 2))  # (B, F T, D)
        return torch.cat([self.cls.expand(tokens.shape[0], -1, -1), tokens], dim=1) + self.positions

    def forward(self, map: Tensor) -> Tensor:
        """(B, C, F, T) -> (B, D)."""
        return self.norm(self.blocks(self.embed(map)))[:, 0]

    def attention_weights(self, map: Tensor) -> list[Tensor]:
        """Return the attention of every block, each (B, H, 1 + T, 1 + T), in order."""
        tokens, weights = self.embed(map), []
        for block in self.blocks:
            assert isinstance(block, EncoderBlock)
            weights.append(block.attention.weights(block.attention_norm(tokens)))
            tokens = block(tokens)
        return weights
