"""Compute frames from a waveform, once; and features from frames, for every window.

A *frame* is linear in power (mel) or in amplitude (raw), so that clips can be shifted, mixed and filtered as
frames. A *feature* is the input of the network: the logarithm, normalised over the training clips.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn

from auricle.config import AudioConfig, FrontendConfig
from auricle.config.variants import Variants
from auricle.model.frames import band_options, mel_filters
from auricle.model.windows import hop_samples

FRONTENDS = Variants("frontend.kind")  # (audio, frontend) -> Frontend; a ValueError: the fields do not fit together
STACKS = Variants("frontend")


def cosine_transform(num_coefficients: int, num_bands: int) -> Tensor:
    """Orthonormal DCT-II, shape (num_coefficients, num_bands)."""
    band = torch.arange(num_bands, dtype=torch.float64) + 0.5
    rows = torch.cos(math.pi / num_bands * torch.arange(num_coefficients, dtype=torch.float64)[:, None] * band)
    rows *= math.sqrt(2.0 / num_bands)
    rows[0] /= math.sqrt(2.0)
    return rows.float()


class MelSpectrum(nn.Module):
    """Computes mel power from a waveform; `bands` are the other options of `mel_filters`."""

    window: Tensor
    filters: Tensor

    def __init__(self, *, transform_samples: int, hop_samples: int, **bands: Any) -> None:
        super().__init__()
        self.transform_samples = transform_samples
        self.hop_samples = hop_samples
        filters = mel_filters(transform_samples=transform_samples, **bands)
        self.register_buffer("filters", torch.from_numpy(filters), persistent=False)
        self.register_buffer("window", torch.hann_window(transform_samples), persistent=False)

    def forward(self, waveforms: Tensor) -> Tensor:
        """(N, samples) -> (N, bands, 1 + samples // hop); frame t is centred on sample t x hop."""
        size, hop = self.transform_samples, self.hop_samples
        spectrum = torch.stft(waveforms, size, hop, window=self.window, pad_mode="constant", return_complex=True)
        return self.filters @ (spectrum.real.square() + spectrum.imag.square())


class Frontend(nn.Module):
    """Computes frames and features: `num_rows` is 1 for the raw waveform, else the number of bands or coefficients.

    Without a spectrum, the frames are the waveform. `floor` is the power added before the logarithm; `transform`, a
    matrix (num_rows, bands), is applied to the (normalised) logarithm (MFCC); None: the bands are the features.
    """

    normalise = True  # features have mean 0 and standard deviation 1 over the training clips
    mean: Tensor
    std: Tensor
    transform: Tensor | None

    def __init__(
        self, frames_per_s: float, num_rows: int, spectrum: MelSpectrum | None, floor: float, transform: Tensor | None
    ) -> None:
        super().__init__()
        self.frames_per_s = frames_per_s
        self.num_rows = num_rows
        self.floor = floor
        self.spectrum = spectrum
        self.stack: nn.Module = nn.Identity()  # applied last to the features
        self.register_buffer("transform", transform, persistent=False)
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("std", torch.ones(()))

    def frames(self, waveforms: Tensor) -> Tensor:
        """(N, samples) -> (N, bands, T) mel power, or (N, 1, samples) where the waveform is the frames."""
        return waveforms.unsqueeze(1) if self.spectrum is None else self.spectrum(waveforms)

    def _scale(self, frames: Tensor) -> Tensor:
        return frames if self.spectrum is None else torch.log(frames + self.floor)

    def fit(self, frames: Tensor) -> None:
        """Compute mean and standard deviation from the frames of the training clips."""
        std, mean = torch.std_mean(self._scale(frames))
        self.mean.copy_(mean)
        self.std.copy_(std.clamp(min=1e-8))

    @property
    def neutral(self) -> Tensor:
        """The frame value of the mean of the training clips, which masks write."""
        return self.mean if self.spectrum is None else (torch.exp(self.mean) - self.floor).clamp(min=0)

    def forward(self, frames: Tensor) -> Tensor:
        """Frames (B, bands, T) -> features (B, rows, T)."""
        scaled = self._scale(frames)
        features = (scaled - self.mean) / self.std if self.normalise else scaled
        return self.stack(features if self.transform is None else self.transform @ features)


@STACKS.of("stack_s")
class Stack(nn.Module):
    """Stacks overlapping stretches of features as rows; incomplete ones at the end are left out."""

    def __init__(self, config: FrontendConfig, frames_per_s: float) -> None:
        super().__init__()
        assert config.stack_s is not None
        self.stretch_frames, self.hop_frames = (round(s * frames_per_s) for s in (config.stack_s, config.stack_hop_s))
        if min(self.stretch_frames, self.hop_frames) < 1:
            raise ValueError(f"stack_s {config.stack_s:g} or stack_hop_s {config.stack_hop_s:g} is less than a frame")

    def forward(self, features: Tensor) -> Tensor:
        """(B, rows, T) -> (B, stretches x rows, stretch_frames), the first stretch first."""
        starts = range(0, features.shape[2] - self.stretch_frames + 1, self.hop_frames)
        if not starts:
            raise ValueError(f"stack_s is {self.stretch_frames} frames long, the window {features.shape[2]}")
        return torch.cat([features[:, :, start : start + self.stretch_frames] for start in starts], dim=1)


@FRONTENDS.of("raw")
def build_raw(audio: AudioConfig, frontend: FrontendConfig) -> Frontend:
    """Return a frontend whose frames are the waveform."""
    return Frontend(audio.sample_rate_hz, 1, None, frontend.floor, None)


@FRONTENDS.of("log-mel")
def build_log_mel(audio: AudioConfig, frontend: FrontendConfig, transform: Tensor | None = None) -> Frontend:
    """Return a frontend whose features are the logarithm of mel power, or a transform of it."""
    rate_hz = audio.sample_rate_hz
    hop, length = hop_samples(audio, frontend), round(rate_hz * frontend.transform_ms / 1000)
    bands = band_options(audio, frontend)
    spectrum = MelSpectrum(transform_samples=length, hop_samples=hop, sample_rate_hz=rate_hz, **bands)
    num_rows = frontend.num_bands if transform is None else len(transform)
    return Frontend(rate_hz / hop, num_rows, spectrum, frontend.floor, transform)


@FRONTENDS.of("mfcc")
def build_mfcc(audio: AudioConfig, frontend: FrontendConfig) -> Frontend:
    """Return a frontend whose features are cosine coefficients of the logarithm of mel power."""
    if frontend.num_coefficients > frontend.num_bands:
        raise ValueError(f"num_coefficients {frontend.num_coefficients} exceeds num_bands {frontend.num_bands}")
    return build_log_mel(audio, frontend, cosine_transform(frontend.num_coefficients, frontend.num_bands))
