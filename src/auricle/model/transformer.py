"""The transformer encoder, from basic tensor operations (arXiv:1706.03762; pre-norm as in arXiv:2002.04745)."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from auricle.config.variants import Variants
from auricle.model.cnn import ACTIVATIONS

BLOCKS = Variants("encoder.norm")
POOLINGS = Variants("encoder")
POSITIONS = Variants("encoder.positions")
NUM_SCORES = 2**18  # scores computed at a time, 1 MB, so that they stay in the processor's cache


class MultiHeadAttention(nn.Module):
    """Self-attention: in each head, every token attends to all tokens.

    A = softmax(Q K^T / sqrt(D / H)), output = W_o [A_1 V_1 ... A_H V_H] (arXiv:1706.03762, equation 1).

    With `pad_heads`, if D is not divisible by H, queries, keys and values are zero-padded to the next width that is,
    and the padding of the output is cut off again: the number of parameters does not depend on H.
    """

    def __init__(
        self, width: int, num_heads: int, *, dropout: float = 0.0, qkv_bias: bool = True, pad_heads: bool = False
    ) -> None:
        super().__init__()
        if width % num_heads and not pad_heads:
            raise ValueError(f"attention width {width} is not divisible by {num_heads} heads")
        self.num_heads = num_heads
        self.padding = -width % num_heads
        self.query = nn.Linear(width, width, bias=qkv_bias)
        self.key = nn.Linear(width, width, bias=qkv_bias)
        self.value = nn.Linear(width, width, bias=qkv_bias)
        self.output = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def split(self, tokens: Tensor) -> Tensor:
        """(B, T, D) -> (B, H, T, D/H)."""
        tokens = F.pad(tokens, (0, self.padding)) if self.padding else tokens
        B, T, D = tokens.shape
        return tokens.view(B, T, self.num_heads, D // self.num_heads).transpose(1, 2)

    def merge(self, read: Tensor) -> Tensor:
        """(B, H, T, D/H) -> (B, T, D)."""
        tokens = read.transpose(1, 2).flatten(2)
        return tokens[..., : -self.padding] if self.padding else tokens

    def queries_and_keys(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Return queries, already divided by sqrt(D / H), and keys: (B, T, D) -> (B, H, T, D/H) each."""
        q = self.split(self.query(tokens))
        return q / math.sqrt(q.shape[-1]), self.split(self.key(tokens))

    def read(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Return the output of attention, (..., T, D/H) each -> (..., T, D/H)."""
        return self.dropout(torch.softmax(q @ k.transpose(-2, -1), dim=-1)) @ v

    def read_in_parts(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Return the same, a few heads at a time, (B, H, T, D/H) each -> (B, H, T, D/H)."""
        num_heads = max(1, NUM_SCORES // q.shape[2] ** 2)
        parts = zip(*(part.flatten(0, 1).split(num_heads) for part in (q, k, v)), strict=True)
        return torch.cat([self.read(*part) for part in parts]).view(q.shape)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        (q, k), v = self.queries_and_keys(tokens), self.split(self.value(tokens))
        in_parts = self.training and tokens.is_cpu  # not for an exported graph, nor on a GPU
        read = self.read_in_parts(q, k, v) if in_parts else self.read(q, k, v)  # (B, H, T, D/H)
        return self.output(self.merge(read))


@BLOCKS.of("pre", "none")
class EncoderBlock(nn.Module):
    """Attention, then an MLP for each token; the output of each is added to the tokens.

    Each has a norm before it (arXiv:2002.04745), or none; without an `mlp_width`, the MLP is one Linear. All other
    options are those of `MultiHeadAttention`.
    """

    def __init__(
        self,
        width: int,
        num_heads: int,
        mlp_width: int | None,
        *,
        dropout: float = 0.0,
        norm: str = "pre",
        activation: str = "gelu",
        **attention: bool,
    ) -> None:
        super().__init__()
        self.attention_norm = nn.Identity() if norm == "none" else nn.LayerNorm(width)
        self.attention = MultiHeadAttention(width, num_heads, dropout=dropout, **attention)
        self.mlp_norm = nn.Identity() if norm == "none" else nn.LayerNorm(width)
        hidden = [nn.Linear(width, mlp_width), ACTIVATIONS[activation](), nn.Dropout(dropout)] if mlp_width else []
        self.mlp = nn.Sequential(*hidden, nn.Linear(mlp_width or width, width), nn.Dropout(dropout))

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        tokens = tokens + self.attention(self.attention_norm(tokens))
        return tokens + self.mlp(self.mlp_norm(tokens))


@BLOCKS.of("post")
class PostNormBlock(EncoderBlock):
    """The same block with each norm after its sum (post-norm, arXiv:1706.03762, section 3.1)."""

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        tokens = self.attention_norm(tokens + self.attention(tokens))
        return self.mlp_norm(tokens + self.mlp(tokens))


@POSITIONS.of("sinusoidal")
def sinusoids(num_tokens: int, width: int) -> Tensor:
    """Sinusoidal positions, (num_tokens, width). arXiv:1706.03762, section 3.5."""
    token = torch.arange(num_tokens)[:, None]
    angles = token / 10_000 ** (torch.arange(0, width, 2) / width)  # (T, ceil(D / 2))
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)[:, :width]


@POOLINGS.of("pool_to_steps")
def pooling_matrix(num_steps: int, num_pooled: int) -> Tensor:
    """Return the matrix of adaptive average pooling along time, (num_steps, num_pooled); its columns sum to 1.

    >>> pooling_matrix(4, 2).T
    tensor([[0.5000, 0.5000, 0.0000, 0.0000],
            [0.0000, 0.0000, 0.5000, 0.5000]])
    """
    step, pooled = torch.arange(num_steps)[:, None], torch.arange(num_pooled)
    first, end = pooled * num_steps // num_pooled, -(-(pooled + 1) * num_steps // num_pooled)
    inside = ((step >= first) & (step < end)).float()
    return inside / inside.sum(0)


class Encoder(nn.Module):
    """The encoder: tokens of the map with `<cls>` in front, positions, blocks, norm; returns the output of `<cls>`.

    The map is (C, F, T) = (channels, rows, num_steps). Its tokens are "time": one per time step, mean over frequency;
    "map": one per cell, frequency slowest; or "channels": one per channel, over time, the mean over frequency.
    All other options are those of `EncoderBlock`; `num_heads` is one number for all blocks, or one for each.

    Raises:
        ValueError: no projection, and tokens of another width.
    """

    base_alone = False  # while only the base is trained: return the mean of the tokens, without the blocks
    averages: Tensor | None
    cls: Tensor
    positions: Tensor | None

    def __init__(
        self,
        channels: int,
        rows: int,
        num_steps: int,
        *,
        num_blocks: int,
        num_heads: int | tuple[int, ...],
        width: int,
        tokens: str = "time",
        pool_to_steps: int | None = None,
        projection: bool = True,
        cls: str = "trained",
        positions: str = "learned",
        output: str = "cls",
        final_norm: bool = True,
        **block: Any,
    ) -> None:
        super().__init__()
        self.tokens = tokens
        self.num_steps = pool_to_steps or num_steps
        self.num_tokens = {"time": self.num_steps, "map": rows * self.num_steps, "channels": channels}[tokens]
        pooling = POOLINGS["pool_to_steps"](num_steps, pool_to_steps) if pool_to_steps else None
        self.register_buffer("averages", pooling, persistent=False)
        own_width = self.num_steps if tokens == "channels" else channels
        if not projection and own_width != width:
            raise ValueError(f"tokens are {own_width} wide; set encoder.width to that, not {width}, or project them")
        self.projection = nn.Linear(own_width, width) if projection else nn.Identity()
        drawn = torch.randn(1, 1, width) * 0.02
        if cls == "trained":
            self.cls = nn.Parameter(drawn)
        else:
            self.register_buffer("cls", drawn)
        if positions == "learned":
            self.positions = nn.Parameter(torch.randn(1, self.num_tokens + 1, width) * 0.02)
        else:
            fixed = None if positions == "none" else POSITIONS[positions](self.num_tokens + 1, width)[None]
            self.register_buffer("positions", fixed, persistent=False)
        self.output = output  # "cls": its output is returned; "mean": the mean of all tokens
        heads = (num_heads,) * num_blocks if isinstance(num_heads, int) else num_heads
        self.blocks = nn.Sequential(*(BLOCKS[block.get("norm", "pre")](width, each, **block) for each in heads))
        self.norm = nn.LayerNorm(width) if final_norm else nn.Identity()

    def tokens_of(self, map: Tensor) -> Tensor:
        """(B, C, F, T) -> (B, num_tokens, D)."""
        if self.averages is not None:
            map = map @ self.averages  # (B, C, F, num_steps)
        if self.tokens != "map":
            map = map.mean(2, keepdim=True)  # (B, C, 1, T)
        tokens = map.flatten(2)  # (B, C, F T)
        if self.tokens != "channels":
            tokens = tokens.transpose(1, 2)  # (B, F T, C)
        return self.projection(tokens)

    def embed(self, map: Tensor) -> Tensor:
        """(B, C, F, T) -> tokens (B, 1 + num_tokens, D), `<cls>` first."""
        tokens = self.tokens_of(map)
        tokens = torch.cat([self.cls.expand(tokens.shape[0], -1, -1), tokens], dim=1)
        return tokens if self.positions is None else tokens + self.positions

    def forward(self, map: Tensor) -> Tensor:
        """(B, C, F, T) -> (B, D)."""
        tokens = self.tokens_of(map) if self.base_alone else self.blocks(self.embed(map))
        return self.norm(tokens.mean(1) if self.base_alone or self.output == "mean" else tokens[:, 0])


def reads_by_cls(encoder: Encoder) -> bool:
    """Return whether the output is that of `<cls>`, with as many heads in each block, as attention maps need."""
    heads = {block.attention.num_heads for block in encoder.blocks if isinstance(block, EncoderBlock)}
    return encoder.output == "cls" and len(heads) <= 1


def token_weights(attention: MultiHeadAttention, tokens: Tensor) -> Tensor:
    """Return the attention of each token (row) to each (column), (B, T, D) -> (B, H, T, T); rows sum to 1."""
    q, k = attention.queries_and_keys(tokens)
    return torch.softmax(q @ k.transpose(-2, -1), dim=-1)


def attention_weights(encoder: Encoder, map: Tensor) -> list[Tensor]:
    """Return the attention of every block, each (B, H, 1 + num_tokens, 1 + num_tokens), in order."""
    tokens, weights = encoder.embed(map), []
    for block in encoder.blocks:
        assert isinstance(block, EncoderBlock)
        inputs = tokens if isinstance(block, PostNormBlock) else block.attention_norm(tokens)
        weights.append(token_weights(block.attention, inputs))
        tokens = block(tokens)
    return weights
