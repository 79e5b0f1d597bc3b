import numpy as np
import torch
from tiny_presets import ENCODER, preset

from auricle.insight.attention import cls_attention, read
from auricle.insight.changes import networks
from auricle.model import transformer
from auricle.model.classifier import build_model

LABELS = np.array([0, 0, 2])


def model(**encoder):
    torch.manual_seed(0)
    return build_model(preset(encoder={**ENCODER, **encoder}), 3).eval()


def windows() -> torch.Tensor:
    return torch.rand(6, 16, 15, generator=torch.Generator().manual_seed(1))  # two of each of three clips


def test_the_row_of_cls_is_that_of_the_networks_own_attention():
    network = model()
    rows = cls_attention(network, windows())
    whole = transformer.attention_weights(network.summary, network.base(network.frontend(windows())))
    torch.testing.assert_close(rows[:, 1], whole[1][:, :, 0])
    torch.testing.assert_close(rows.sum(-1), torch.ones(6, 2, 2))


def test_even_attention_reads_all_tokens_alike_and_follows_nothing():
    network = dict(networks(model(), torch.Generator()))["even-attention"]
    reading = read(network, windows(), LABELS, 3)
    np.testing.assert_allclose(reading.spread, reading.num_tokens, rtol=1e-5)
    np.testing.assert_allclose(reading.own, 1 / reading.num_tokens, rtol=1e-5)
    np.testing.assert_allclose(reading.overlap, 1, rtol=1e-5)
    np.testing.assert_allclose(reading.loudness, 0, atol=1e-6)


def test_attention_over_moments_is_the_mean_of_a_class_and_sums_to_one():
    reading = read(model(), windows(), LABELS, 3)
    rows = cls_attention(model(), windows()).double().numpy()[..., 1:]
    rows /= rows.sum(-1, keepdims=True)
    np.testing.assert_allclose(reading.moments[:, :, 0], rows[:4].mean(0), rtol=1e-5)
    np.testing.assert_allclose(reading.moments[:, :, 2], rows[4:].mean(0), rtol=1e-5)
    np.testing.assert_allclose(reading.moments.sum(-1), 1, rtol=1e-6)
    np.testing.assert_allclose(reading.moments[:, :, 1], 1 / reading.moments.shape[-1])  # no clip of class 1


def test_following_loudness_is_pearsons_correlation():
    network = model()
    reading = read(network, windows(), LABELS, 3)
    rows = cls_attention(network, windows()).double().numpy()[..., 1:]
    power = torch.nn.functional.adaptive_avg_pool1d(windows().double().mean(1, keepdim=True), rows.shape[-1])
    levels = power[:, 0].log().numpy()
    first = [np.corrcoef(rows[window, 1, 0], levels[window])[0, 1] for window in (0, 1)]
    np.testing.assert_allclose(reading.loudness[0, 1, 0], np.mean(first), rtol=1e-6)


def test_tokens_of_a_map_are_summed_over_frequency():
    reading = read(model(tokens="map"), windows(), LABELS, 3)
    assert reading.moments.shape[-1] * 4 + 1 == reading.num_tokens


def test_tokens_that_are_channels_have_no_moments():
    reading = read(model(tokens="channels"), windows(), LABELS, 3)
    assert reading.moments is None
    assert reading.loudness is None


def test_a_network_without_an_encoder_reads_nothing():
    assert read(build_model(preset(), 3).eval(), windows(), LABELS, 3) is None
