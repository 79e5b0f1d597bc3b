import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from auricle.bundle.windows import Windowing
from auricle.config import AudioConfig, FrontendConfig
from auricle.model.frames import FrameMaker, FrameStream
from auricle.model.frontend import FRONTENDS as VARIANTS

AUDIO = AudioConfig(sample_rate_hz=8_000)
FRONTENDS = [
    FrontendConfig(num_bands=20),
    FrontendConfig(num_bands=20, transform_ms=50.125, hop_ms=60.0),
    FrontendConfig(kind="raw"),
]


@pytest.mark.parametrize("frontend", FRONTENDS, ids=["usual", "odd length, hop beyond it", "raw"])
@pytest.mark.parametrize("samples", [1, 255, 256, 257, 1_000, 8_001])
def test_frames_are_those_of_pytorch(frontend, samples):
    waveform = (np.random.default_rng(samples).standard_normal(samples) * 0.1).astype(np.float32)
    theirs = VARIANTS[frontend.kind](AUDIO, frontend).frames(torch.from_numpy(waveform)[None])[0].numpy().T
    ours = FrameMaker(AUDIO, frontend).frames(waveform)
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5 * theirs.max())


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 1_500), min_size=1, max_size=6), st.sampled_from(FRONTENDS))
def test_frames_of_blocks_are_frames_of_the_whole(lengths, frontend):
    maker = FrameMaker(AUDIO, frontend)
    blocks = [np.random.default_rng(length).standard_normal(length).astype(np.float32) for length in lengths]
    stream = FrameStream(maker)
    pieces = [stream.feed(block) for block in blocks] + [stream.finish()]
    np.testing.assert_allclose(np.concatenate(pieces), maker.frames(np.concatenate(blocks)), rtol=1e-4, atol=1e-4)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 60_000))
def test_all_but_a_tenth_of_a_hop_is_heard_and_no_window_is_idle(num_samples):
    windowing = Windowing.of(AudioConfig(sample_rate_hz=8_000, window_s=1.0, window_hop_s=0.3), FrontendConfig())
    num = windowing.count(num_samples)
    assert (num - 1) * 2_400 + 8_000 + 240 >= num_samples
    assert num == 1 or (num - 2) * 2_400 + 8_000 + 240 < num_samples


def test_a_window_beyond_the_end_is_zero_there():
    windowing = Windowing.of(
        AudioConfig(sample_rate_hz=8_000, window_s=1.0, window_hop_s=0.5), FrontendConfig(hop_ms=100)
    )
    windows = windowing.cut(np.ones((12, 3), np.float32), 2)
    assert windows.shape == (2, 3, 10)
    assert windows[0].all()
    assert windows[1, :, :7].all()
    assert not windows[1, :, 7:].any()
