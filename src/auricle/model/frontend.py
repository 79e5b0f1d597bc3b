"""Waveform to frames, once; frames to features, for every window.

A *frame* is linear in power (mel) or in amplitude (raw), so that clips can be shifted, mixed and filtered as
frames. A *feature* is what the network sees: the logarithm, normalised by the training clips.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from auricle.config import AudioConfig, FrontendConfig


def hz_to_mel(hz: float) -> float:
    """Mel scale of O'Shaughnessy (1987), as in HTK.

    >>> round(hz_to_mel(1000.0))
    1000
    """
    return 2595.0 * math.log10(1.0 + hz / 700.0)


def mel_to_hz(mel: float) -> float:
    """Inverse of `hz_to_mel`."""
    return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)


def mel_filters(*, sample_rate_hz: int, transform_samples: int, num_bands: int, min_hz: float, max_hz: float) -> Tensor:
    """Return triangles with peak 1, evenly spaced in mel, shape (num_bands, transform_samples // 2 + 1).

    Raises:
        ValueError: the range is empty or beyond half the sample rate, or a band is narrower than a bin.
    """
    if not 0 <= min_hz < max_hz <= sample_rate_hz / 2:
        raise ValueError(
            f"mel bands need 0 <= min_hz < max_hz <= {sample_rate_hz / 2:g}, not {min_hz:g} and {max_hz:g}"
        )
    # on the CPU, because values are looked at, also where a network is but shapes
    float64: dict[str, Any] = {"dtype": torch.float64, "device": "cpu"}
    mels = torch.linspace(hz_to_mel(min_hz), hz_to_mel(max_hz), num_bands + 2, **float64)
    edges_hz = torch.tensor([mel_to_hz(mel) for mel in mels.tolist()], **float64)
    bins_hz = torch.linspace(0, sample_rate_hz / 2, transform_samples // 2 + 1, **float64)
    low, peak, high = edges_hz[:-2, None], edges_hz[1:-1, None], edges_hz[2:, None]
    filters = torch.minimum((bins_hz - low) / (peak - low), (high - bins_hz) / (high - peak)).clamp(min=0)
    if (empty := int((filters.sum(1) == 0).sum())) > 0:
        raise ValueError(
            f"{empty} of {num_bands} mel bands hold no frequency bin; use fewer bands or a longer transform_ms"
        )
    return filters.float()


def cosine_transform(num_coefficients: int, num_bands: int) -> Tensor:
    """Orthonormal DCT-II, shape (num_coefficients, num_bands)."""
    band = torch.arange(num_bands, dtype=torch.float64) + 0.5
    rows = torch.cos(math.pi / num_bands * torch.arange(num_coefficients, dtype=torch.float64)[:, None] * band)
    rows *= math.sqrt(2.0 / num_bands)
    rows[0] /= math.sqrt(2.0)
    return rows.float()


class MelSpectrum(nn.Module):
    """Waveform to mel power."""

    window: Tensor
    filters: Tensor

    def __init__(
        self,
        *,
        sample_rate_hz: int,
        num_bands: int,
        transform_ms: float,
        hop_ms: float,
        min_hz: float,
        max_hz: float | None,
    ) -> None:
        super().__init__()
        self.transform_samples = round(sample_rate_hz * transform_ms / 1000)
        self.hop_samples = round(sample_rate_hz * hop_ms / 1000)
        filters = mel_filters(
            sample_rate_hz=sample_rate_hz,
            transform_samples=self.transform_samples,
            num_bands=num_bands,
            min_hz=min_hz,
            max_hz=max_hz or sample_rate_hz / 2,
        )
        self.register_buffer("filters", filters, persistent=False)
        self.register_buffer("window", torch.hann_window(self.transform_samples), persistent=False)

    def forward(self, waveforms: Tensor) -> Tensor:
        """(N, samples) -> (N, bands, 1 + samples // hop); frame t is centred on sample t x hop."""
        spectrum = torch.stft(
            waveforms,
            self.transform_samples,
            self.hop_samples,
            window=self.window,
            center=True,
            pad_mode="constant",
            return_complex=True,
        )
        return self.filters @ (spectrum.real.square() + spectrum.imag.square())


class Frontend(nn.Module):
    """Waveform to frames to features.

    Args:
        frames_per_s: rate of the frames.
        num_rows: rows of the features: 1 for the raw waveform, else bands or coefficients.
        spectrum: None: the frames are the waveform.
        floor: power added before the logarithm.
        num_coefficients: cosine coefficients taken of the normalised logarithm (MFCC); None: all bands as they are.
    """

    mean: Tensor
    std: Tensor
    transform: Tensor | None

    def __init__(
        self,
        *,
        frames_per_s: float,
        num_rows: int,
        spectrum: MelSpectrum | None = None,
        floor: float = 1e-5,
        num_coefficients: int | None = None,
    ) -> None:
        super().__init__()
        self.frames_per_s = frames_per_s
        self.num_rows = num_coefficients or num_rows
        self.floor = floor
        self.spectrum = spectrum
        transform = cosine_transform(num_coefficients, num_rows) if num_coefficients else None
        self.register_buffer("transform", transform, persistent=False)
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("std", torch.ones(()))

    def frames(self, waveforms: Tensor) -> Tensor:
        """(N, samples) -> (N, bands, T) mel power, or (N, 1, samples) where the waveform is the frames."""
        return waveforms.unsqueeze(1) if self.spectrum is None else self.spectrum(waveforms)

    @property
    def exponent(self) -> int:
        """Frames are proportional to this power of the amplitude."""
        return 1 if self.spectrum is None else 2

    def _scale(self, frames: Tensor) -> Tensor:
        return frames if self.spectrum is None else torch.log(frames + self.floor)

    def fit(self, frames: Tensor) -> None:
        """Take mean and spread from the frames of the training clips."""
        std, mean = torch.std_mean(self._scale(frames))
        self.mean.copy_(mean)
        self.std.copy_(std.clamp(min=1e-8))

    @property
    def neutral(self) -> Tensor:
        """The frame value whose feature is zero: what a mask writes."""
        return self.mean if self.spectrum is None else (torch.exp(self.mean) - self.floor).clamp(min=0)

    def forward(self, frames: Tensor) -> Tensor:
        """Frames (B, bands, T) -> features (B, rows, T): mean 0 and spread 1 over the training clips."""
        features = (self._scale(frames) - self.mean) / self.std
        return features if self.transform is None else self.transform @ features


def build_frontend(audio: AudioConfig, frontend: FrontendConfig) -> Frontend:
    """Return the frontend that a configuration describes.

    Raises:
        ValueError: its fields do not fit together.
    """
    if frontend.kind == "raw":
        return Frontend(frames_per_s=audio.sample_rate_hz, num_rows=1)
    spectrum = MelSpectrum(
        sample_rate_hz=audio.sample_rate_hz,
        num_bands=frontend.num_bands,
        transform_ms=frontend.transform_ms,
        hop_ms=frontend.hop_ms,
        min_hz=frontend.min_hz,
        max_hz=frontend.max_hz,
    )
    coefficients = frontend.num_coefficients if frontend.kind == "mfcc" else None
    if coefficients and coefficients > frontend.num_bands:
        raise ValueError(f"num_coefficients {coefficients} exceeds num_bands {frontend.num_bands}")
    return Frontend(
        frames_per_s=audio.sample_rate_hz / spectrum.hop_samples,
        num_rows=frontend.num_bands,
        spectrum=spectrum,
        floor=frontend.floor,
        num_coefficients=coefficients,
    )
