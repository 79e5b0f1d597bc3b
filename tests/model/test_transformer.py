import ast
import inspect

import pytest
import torch
from torch import nn

from auricle.model import transformer
from auricle.model.transformer import Encoder, EncoderBlock, MultiHeadAttention

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
    torch.testing.assert_close(ours.weights(mine), expected_weights, atol=1e-6, rtol=0)
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
def test_an_encoder_block_is_pytorchs_pre_norm_layer(num_heads: int) -> None:
    torch.manual_seed(0)
    ours = EncoderBlock(32, num_heads, 48)
    theirs = nn.TransformerEncoderLayer(
        32, num_heads, 48, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )
    copy_attention(ours.attention, theirs.self_attn)
    for mine, other in ((ours.attention_norm, theirs.norm1), (ours.mlp_norm, theirs.norm2),
                        (ours.mlp[0], theirs.linear1), (ours.mlp[3], theirs.linear2)):  # fmt: skip
        other.load_state_dict(mine.state_dict())
    tokens = torch.randn(3, 7, 32)
    torch.testing.assert_close(ours(tokens), theirs(tokens), atol=2e-6, rtol=0)


@pytest.mark.parametrize("num_heads", HEADS)
def test_attention_weights_are_shares_for_each_head(num_heads: int) -> None:
    weights = MultiHeadAttention(16, num_heads).weights(torch.randn(2, 5, 16))
    assert weights.shape == (2, num_heads, 5, 5)
    assert bool((weights >= 0).all())
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, num_heads, 5))


def test_attention_does_not_know_order_and_positions_do() -> None:
    torch.manual_seed(0)
    encoder = Encoder(8, 6, num_heads=2, num_blocks=2, width=16, mlp_width=16).eval()
    map = torch.randn(1, 8, 1, 6)
    turned = map.flip(3)
    assert not torch.allclose(encoder(map), encoder(turned), atol=1e-4)
    nn.init.zeros_(encoder.positions)
    torch.testing.assert_close(encoder(map), encoder(turned), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("tokens", "num_tokens"), [("time", 5), ("map", 15)])
def test_the_encoder_returns_what_cls_read_and_the_attention_of_every_block(tokens: str, num_tokens: int) -> None:
    encoder = Encoder(8, num_tokens, num_heads=4, num_blocks=3, width=16, mlp_width=16, tokens=tokens)
    map = torch.randn(2, 8, 3, 5)
    assert encoder(map).shape == (2, 16)
    weights = encoder.attention_weights(map)
    assert [tuple(w.shape) for w in weights] == [(2, 4, num_tokens + 1, num_tokens + 1)] * 3


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(ValueError, match="not divided by 3 heads"):
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
