from itertools import pairwise

import numpy as np
import pytest
import torch
from tiny_presets import ENCODER, RATE_HZ, preset

from auricle.model import transformer
from auricle.model.classifier import build_model
from auricle.probes.changes import (
    NUM_BANDS,
    band_edges_hz,
    blanked_bands,
    blanked_moments,
    networks,
    part_edges,
    sounds,
    without_band,
)


def tone(hz: float) -> torch.Tensor:
    return torch.sin(2 * torch.pi * hz * torch.arange(RATE_HZ) / RATE_HZ)[None]


def model(**sections):
    torch.manual_seed(0)
    return build_model(preset(**sections), 3).eval()


def changed(network):
    return dict(networks(network, torch.Generator().manual_seed(0)))


def test_a_low_pass_keeps_a_tone_below_and_removes_one_above():
    low_pass = sounds(RATE_HZ)["low-pass-1000"]
    torch.testing.assert_close(low_pass(tone(300)), tone(300), atol=2e-3, rtol=0)
    assert low_pass(tone(1500)).abs().max() < 2e-3


def test_a_filter_above_half_the_rate_is_not_tried():
    assert list(sounds(RATE_HZ)) == ["reversed", "low-pass-1000", "low-pass-500"]


def test_a_clip_reversed_twice_is_itself():
    waveforms = torch.randn(2, 100)
    backwards = sounds(RATE_HZ)["reversed"]
    assert torch.equal(backwards(backwards(waveforms)), waveforms)
    assert not torch.equal(backwards(waveforms), waveforms)


def test_what_the_bands_of_a_raw_waveform_remove_adds_up_to_the_whole():
    waveforms = torch.randn(1, RATE_HZ)
    edges_hz = band_edges_hz(preset(frontend={"kind": "raw"}).frontend, RATE_HZ)
    parts = [without_band(waveforms, RATE_HZ, low, high) for low, high in pairwise([*edges_hz[:-1], 1e9])]
    torch.testing.assert_close(sum(waveforms - part for part in parts), waveforms, atol=1e-4, rtol=0)


@pytest.mark.parametrize("kind", ["log-mel", "raw"])
def test_every_band_is_blanked_once_and_edges_rise(kind):
    config = preset(frontend={"kind": kind, "num_bands": 19})
    frontend = build_model(preset(frontend={"kind": kind, "num_bands": 19}), 3).frontend
    waveforms = torch.randn(1, RATE_HZ)
    frames = frontend.frames(waveforms)
    parts = list(blanked_bands(waveforms, frontend, config.frontend, RATE_HZ))
    edges = np.array(band_edges_hz(config.frontend, RATE_HZ))
    assert len(parts) == NUM_BANDS == len(edges) - 1
    assert (np.diff(edges) > 0).all()
    assert edges[-1] <= RATE_HZ / 2 + 1e-6
    if kind == "log-mel":
        changes = torch.stack([(part != frames).any(2)[0] for part in parts])
        assert (changes.sum(0) == 1).all()


def test_every_moment_is_blanked_once():
    frames = torch.rand(2, 3, 23) + 1
    parts = list(blanked_moments(frames, torch.zeros(())))
    assert (torch.stack([(part == 0).all(1)[0] for part in parts]).sum(0) == 1).all()
    assert part_edges(4) == [0, 1, 2, 3, 4]


def test_a_network_without_an_encoder_has_no_parts_to_change():
    assert changed(model()) == {}


def test_a_changed_network_leaves_the_first_as_it_was():
    network = model(encoder=ENCODER)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    copies = changed(network)
    assert list(copies) == [
        "positions-shuffled", "even-attention", "block-1-skipped", "block-2-skipped", "encoder-skipped",
    ]  # fmt: skip
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_shuffling_gives_every_token_another_order_and_leaves_cls_in_front():
    network = model(encoder=ENCODER)
    shuffled = changed(network)["positions-shuffled"].summary.positions[0]
    own = network.summary.positions[0]
    assert torch.equal(shuffled[0], own[0])
    assert not torch.equal(shuffled, own)
    assert torch.equal(shuffled[1:].sort(0).values, own[1:].sort(0).values)


def test_a_network_without_positions_is_not_shuffled():
    assert "positions-shuffled" not in changed(model(encoder={**ENCODER, "positions": "none"}))


def test_even_attention_reads_the_same_from_every_token():
    network = changed(model(encoder=ENCODER))["even-attention"]
    frames = torch.rand(2, 16, 15)
    for weights in transformer.attention_weights(network.summary, network.base(network.frontend(frames))):
        torch.testing.assert_close(weights, torch.full_like(weights, 1 / weights.shape[-1]))


def test_with_the_encoder_skipped_cls_has_read_nothing():
    network = changed(model(encoder=ENCODER))["encoder-skipped"]
    logits = network(torch.rand(5, 16, 15))
    torch.testing.assert_close(logits, logits[:1].expand(5, -1))


def test_a_single_block_is_the_whole_encoder():
    assert "block-1-skipped" not in changed(model(encoder={**ENCODER, "num_blocks": 1}))
