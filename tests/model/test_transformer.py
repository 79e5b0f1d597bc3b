import ast
import inspect

import pytest
import torch
from torch import nn

from auricle.model import transformer
from auricle.model.transformer import (
    BLOCKS,
    Encoder,
    EncoderBlock,
    MultiHeadAttention,
    attention_weights,
    pooling_matrix,
    reads_by_cls,
    sinusoids,
    token_weights,
)

HEADS = [1, 2, 4]


def copy_attention(ours: MultiHeadAttention, theirs: nn.MultiheadAttention) -> None:
    parts = (ours.query, ours.key, ours.value)
    theirs.in_proj_weight.data = torch.cat([part.weight for part in parts]).detach().clone()
    theirs.in_proj_bias.data = torch.cat([part.bias for part in parts]).detach().clone()
    theirs.out_proj.load_state_dict(ours.output.state_dict())


@pytest.mark.parametrize("num_heads", HEADS)
def test_attention_is_pytorchs_in_value_weight_and_gradient(num_heads: int) -> None:
    torch.manual_seed(0)
    ours = MultiHeadAttention(32, num_heads)
    theirs = nn.MultiheadAttention(32, num_heads, batch_first=True)
    copy_attention(ours, theirs)
    mine, other = (torch.randn(3, 7, 32, generator=torch.Generator().manual_seed(1)).requires_grad_() for _ in range(2))
    expected, expected_weights = theirs(other, other, other, average_attn_weights=False)
    torch.testing.assert_close(ours(mine), expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(token_weights(ours, mine), expected_weights, atol=1e-6, rtol=0)
    ours(mine).square().mean().backward()
    expected.square().mean().backward()
    torch.testing.assert_close(mine.grad, other.grad, atol=1e-6, rtol=0)
    torch.testing.assert_close(ours.query.weight.grad, theirs.in_proj_weight.grad[:32], atol=1e-6, rtol=0)
    torch.testing.assert_close(ours.output.weight.grad, theirs.out_proj.weight.grad, atol=1e-6, rtol=0)


@pytest.mark.parametrize("num_scores", [1, 5 * 7 * 7])  # a head at a time; five, so that the last part is smaller
def test_attention_in_parts_is_attention_at_once(num_scores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    attention, tokens = MultiHeadAttention(16, 4), torch.randn(3, 7, 16)
    at_once = attention(tokens)
    (expected,) = torch.autograd.grad(at_once.square().mean(), attention.key.weight)
    monkeypatch.setattr(transformer, "NUM_SCORES", num_scores)
    in_parts = attention(tokens)
    (found,) = torch.autograd.grad(in_parts.square().mean(), attention.key.weight)
    torch.testing.assert_close(in_parts, at_once, atol=1e-6, rtol=0)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(attention.eval()(tokens), at_once, atol=1e-6, rtol=0)


@pytest.mark.parametrize("num_heads", HEADS)
@pytest.mark.parametrize(("norm", "activation"), [("pre", "gelu"), ("post", "relu")])
def test_an_encoder_block_is_pytorchs_layer(num_heads: int, norm: str, activation: str) -> None:
    torch.manual_seed(0)
    ours = BLOCKS[norm](32, num_heads, 48, norm=norm, activation=activation)
    theirs = nn.TransformerEncoderLayer(
        32, num_heads, 48, dropout=0.0, activation=activation, batch_first=True, norm_first=norm == "pre"
    )
    copy_attention(ours.attention, theirs.self_attn)
    for mine, other in ((ours.attention_norm, theirs.norm1), (ours.mlp_norm, theirs.norm2),
                        (ours.mlp[0], theirs.linear1), (ours.mlp[3], theirs.linear2)):  # fmt: skip
        other.load_state_dict(mine.state_dict())
    tokens = torch.randn(3, 7, 32)
    torch.testing.assert_close(ours(tokens), theirs(tokens), atol=2e-6, rtol=0)


def test_a_block_without_norms_adds_to_the_tokens_as_they_are() -> None:
    block = EncoderBlock(16, 2, None, norm="none")
    assert sum(p.numel() for p in block.parameters()) == 5 * (16 * 16 + 16)
    tokens = torch.randn(2, 5, 16)
    between = tokens + block.attention(tokens)
    torch.testing.assert_close(block(tokens), between + block.mlp[0](between))


def test_padded_heads_are_attention_of_the_wider_width_with_zeros() -> None:
    torch.manual_seed(0)
    narrow, wide = MultiHeadAttention(10, 4, pad_heads=True), MultiHeadAttention(12, 4)
    with torch.no_grad():
        for mine, other in zip(narrow.children(), wide.children(), strict=True):
            if isinstance(mine, nn.Linear):
                other.weight.zero_()[:10, :10] = mine.weight
                other.bias.zero_()[:10] = mine.bias
    tokens = torch.randn(2, 7, 10)
    torch.testing.assert_close(narrow(tokens), wide(nn.functional.pad(tokens, (0, 2)))[..., :10])
    assert token_weights(narrow, tokens).shape == (2, 4, 7, 7)


@pytest.mark.parametrize(("steps", "pooled"), [(125, 92), (7, 3), (6, 3), (5, 5), (3, 8), (4, 1)])
def test_pooling_to_steps_is_pytorchs_adaptive_average(steps: int, pooled: int) -> None:
    map = torch.randn(2, 3, steps)
    expected = nn.functional.adaptive_avg_pool1d(map, pooled)
    torch.testing.assert_close(map @ pooling_matrix(steps, pooled), expected, atol=1e-6, rtol=1e-5)


def test_sinusoids_turn_at_the_same_pace_everywhere() -> None:
    positions = sinusoids(50, 33)
    assert positions.shape == (50, 33)
    torch.testing.assert_close(positions[:, 0], torch.arange(50.0).sin())
    likeness = positions[:, :32] @ positions[:, :32].T
    torch.testing.assert_close(likeness.diagonal(3), likeness[0, 3].expand(47), atol=1e-4, rtol=0)


def test_channels_are_tokens_that_hold_their_row_over_time() -> None:
    options = {"num_heads": 1, "num_blocks": 0, "width": 6, "mlp_width": 4, "positions": "none"}
    encoder = Encoder(3, 2, 6, tokens="channels", projection=False, **options)
    map = torch.randn(2, 3, 2, 6)
    torch.testing.assert_close(encoder.embed(map)[:, 1:], map.mean(2))
    pooled = Encoder(3, 2, 12, tokens="channels", projection=False, pool_to_steps=6, **options)
    assert torch.equal(pooled.embed(map.repeat_interleave(2, dim=3))[:, 1:], map.mean(2))


def test_a_fixed_cls_and_sinusoids_are_no_parameters_and_cls_is_kept() -> None:
    encoder = Encoder(8, 1, 6, num_heads=1, num_blocks=1, width=8, mlp_width=4, cls="fixed", positions="sinusoidal")
    assert not {"cls", "positions"} & {name for name, _ in encoder.named_parameters()}
    assert {"cls", "positions"} & set(encoder.state_dict()) == {"cls"}


def test_tokens_of_another_width_need_a_projection() -> None:
    with pytest.raises(ValueError, match=r"tokens are 8 wide; set encoder\.width to that, not 16"):
        Encoder(8, 1, 6, num_heads=1, num_blocks=1, width=16, mlp_width=4, projection=False)


@pytest.mark.parametrize("num_heads", HEADS)
def test_attention_weights_are_shares_for_each_head(num_heads: int) -> None:
    weights = token_weights(MultiHeadAttention(16, num_heads), torch.randn(2, 5, 16))
    assert weights.shape == (2, num_heads, 5, 5)
    assert bool((weights >= 0).all())
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, num_heads, 5))


def test_attention_does_not_know_order_and_positions_do() -> None:
    torch.manual_seed(0)
    encoder = Encoder(8, 1, 6, num_heads=2, num_blocks=2, width=16, mlp_width=16).eval()
    map = torch.randn(1, 8, 1, 6)
    turned = map.flip(3)
    assert not torch.allclose(encoder(map), encoder(turned), atol=1e-4)
    nn.init.zeros_(encoder.positions)
    torch.testing.assert_close(encoder(map), encoder(turned), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("tokens", "num_tokens"), [("time", 5), ("map", 15), ("channels", 8)])
def test_the_encoder_returns_what_cls_read_and_the_attention_of_every_block(tokens: str, num_tokens: int) -> None:
    encoder = Encoder(8, 3, 5, num_heads=4, num_blocks=3, width=16, mlp_width=16, tokens=tokens)
    map = torch.randn(2, 8, 3, 5)
    assert encoder(map).shape == (2, 16)
    weights = attention_weights(encoder, map)
    assert [tuple(w.shape) for w in weights] == [(2, 4, num_tokens + 1, num_tokens + 1)] * 3


def test_blocks_may_have_heads_of_their_own_and_the_mean_of_all_tokens_may_go_on() -> None:
    encoder = Encoder(8, 1, 5, num_heads=(1, 2, 4), num_blocks=3, width=8, mlp_width=8, output="mean").eval()
    map = torch.randn(2, 8, 1, 5)
    assert [weights.shape[1] for weights in attention_weights(encoder, map)] == [1, 2, 4]
    torch.testing.assert_close(encoder(map), encoder.norm(encoder.blocks(encoder.embed(map)).mean(1)))
    assert not reads_by_cls(encoder)


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(ValueError, match="not divisible by 3 heads"):
        MultiHeadAttention(16, 3)


def test_attention_is_written_from_basic_operations() -> None:
    names = {
        node.attr for node in ast.walk(ast.parse(inspect.getsource(transformer))) if isinstance(node, ast.Attribute)
    }
    assert not names & {
        "MultiheadAttention",
        "TransformerEncoder",
        "TransformerEncoderLayer",
        "scaled_dot_product_attention",
    }
