"""Changes of the sound and of the network, to measure what an answer depends on."""

import copy
from collections.abc import Callable, Iterator
from itertools import pairwise

import torch
from torch import Tensor, nn

from auricle.config import FrontendConfig
from auricle.model.classifier import Classifier
from auricle.model.frames import hz_to_mel, mel_to_hz
from auricle.model.frontend import Frontend
from auricle.model.transformer import Encoder, EncoderBlock

LOW_PASS_HZ = (4000, 2000, 1000, 500)
NUM_BANDS = 8
NUM_MOMENTS = 10
MOST_BLOCKS = 6  # number of blocks that are skipped one by one

Sound = Callable[[Tensor], Tensor]


def without_band(waveforms: Tensor, sample_rate_hz: int, low_hz: float, high_hz: float) -> Tensor:
    """Remove the frequencies in [low_hz, high_hz) from waveforms, (N, samples), by their Fourier transform."""
    spectrum = torch.fft.rfft(waveforms)
    hz = torch.fft.rfftfreq(waveforms.shape[-1], 1 / sample_rate_hz, device=waveforms.device)
    return torch.fft.irfft(spectrum * ((hz < low_hz) | (hz >= high_hz)), n=waveforms.shape[-1])


def sounds(sample_rate_hz: int) -> dict[str, Sound]:
    """Return the changes of sound by name: waveforms (N, samples) -> (N, samples)."""

    def low_pass(cut_hz: int) -> Sound:
        return lambda waveforms: without_band(waveforms, sample_rate_hz, cut_hz, float("inf"))

    cuts_hz = [cut_hz for cut_hz in LOW_PASS_HZ if cut_hz < sample_rate_hz / 2]
    return {"reversed": lambda waveforms: waveforms.flip(-1)} | {f"low-pass-{cut}": low_pass(cut) for cut in cuts_hz}


def networks(model: Classifier, generator: torch.Generator) -> Iterator[tuple[str, Classifier]]:
    """Yield changed copies of a network with an encoder, each with its name; nothing for one without.

    - `positions-shuffled`: every token but `<cls>` gets the position of another, in one random order.
    - `even-attention`: every query is zero, so that each token attends equally to all.
    - `block-N-skipped`: the tokens pass block N (from 1) unchanged.
    - `encoder-skipped`: they pass all blocks unchanged, so that `<cls>` has no information.

    The generator, which draws that order, is on the CPU.
    """
    encoder = model.summary
    if not isinstance(encoder, Encoder):
        return
    if encoder.positions is not None:
        changed = copy.deepcopy(model)
        order = 1 + torch.randperm(encoder.num_tokens, generator=generator)
        order = torch.cat([torch.zeros(1, dtype=torch.int64), order]).to(encoder.positions.device)
        changed.summary.positions.data = encoder.positions.data[:, order]
        yield "positions-shuffled", changed
    changed = copy.deepcopy(model)
    for block in changed.modules():
        if isinstance(block, EncoderBlock):
            for parameter in block.attention.query.parameters():
                nn.init.zeros_(parameter)
    yield "even-attention", changed
    num = len(encoder.blocks)
    for index in range(num if 1 < num <= MOST_BLOCKS else 0):
        yield f"block-{index + 1}-skipped", _without_blocks(model, range(index, index + 1))
    yield "encoder-skipped", _without_blocks(model, range(num))


def _without_blocks(model: Classifier, indices: range) -> Classifier:
    changed = copy.deepcopy(model)
    assert isinstance(changed.summary, Encoder)
    for index in indices:
        changed.summary.blocks[index] = nn.Identity()
    return changed


def part_edges(length: int, most: int = NUM_MOMENTS) -> list[int]:
    """Divide a length, such as that of a clip in frames, into equal parts, at most `most`; return their edges."""
    num = min(most, length)
    return [index * length // num for index in range(num + 1)]


def blanked_moments(frames: Tensor, neutral: Tensor) -> Iterator[Tensor]:
    """Yield frames (N, F, T) with one interval after the other masked."""
    for first, last in pairwise(part_edges(frames.shape[2])):
        blanked = frames.clone()
        blanked[:, :, first:last] = neutral
        yield blanked


def band_edges_hz(config: FrontendConfig, sample_rate_hz: int) -> list[float]:
    """Divide the spectrum into bands of equal width in mel; return their edges.

    For a mel spectrum, each part consists of a few mel bands; the range of a raw waveform starts at 0 Hz.
    """
    top_hz = config.max_hz or sample_rate_hz / 2
    if config.kind == "raw":
        return [mel_to_hz(hz_to_mel(top_hz) * index / NUM_BANDS) for index in range(NUM_BANDS + 1)]
    low, high = hz_to_mel(config.min_hz), hz_to_mel(top_hz)
    step = (high - low) / (config.num_bands + 1)
    return [mel_to_hz(low + step * (edge + 0.5)) for edge in part_edges(config.num_bands, NUM_BANDS)]


def blanked_bands(
    waveforms: Tensor, frontend: Frontend, config: FrontendConfig, sample_rate_hz: int
) -> Iterator[Tensor]:
    """Yield the frames of waveforms (N, samples) with one part of the spectrum after the other masked.

    In a mel spectrum, the bands are set to the mean of the training clips, as by masks in training; in a waveform, they
    are filtered out.
    """
    if frontend.spectrum is None:
        edges_hz = [*band_edges_hz(config, sample_rate_hz)[:-1], float("inf")]
        for low_hz, high_hz in pairwise(edges_hz):
            yield frontend.frames(without_band(waveforms, sample_rate_hz, low_hz, high_hz))
        return
    frames = frontend.frames(waveforms)
    for first, last in pairwise(part_edges(frames.shape[1], NUM_BANDS)):
        blanked = frames.clone()
        blanked[:, first:last] = frontend.neutral
        yield blanked
