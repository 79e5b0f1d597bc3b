"""Compute frames from a waveform without PyTorch: the same numbers as `frontend.py`, by a real FFT.

whole    mel_power(waveform)
stream   MelStream: feed(block) -> the frames that are complete; finish() -> the rest
"""

from __future__ import annotations

from typing import Any

import numpy as np

from auricle.config import AudioConfig, FrontendConfig
from auricle.model.windows import hop_samples

FRAMES_AT_ONCE = 128  # half a megabyte at 1024 samples each, which fits in the processor's cache


def hz_to_mel(hz: float) -> float:
    """Mel scale of O'Shaughnessy (1987), as in HTK: 1,000 Hz are 1,000 mel."""
    return 2595.0 * np.log10(1.0 + hz / 700.0)


def mel_to_hz(mel: Any) -> Any:
    """Inverse of `hz_to_mel`, of a number or an array."""
    return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)


def band_edges_hz(*, num_bands: int, min_hz: float, max_hz: float) -> np.ndarray:
    """Return the corners of the triangles, shape (num_bands + 2,); the centre of band b is number b + 1."""
    return mel_to_hz(np.linspace(hz_to_mel(min_hz), hz_to_mel(max_hz), num_bands + 2))


def band_options(audio: AudioConfig, frontend: FrontendConfig) -> dict[str, Any]:
    """Return the mel bands of a configuration: num_bands, min_hz, max_hz."""
    max_hz = frontend.max_hz or audio.sample_rate_hz / 2
    return {"num_bands": frontend.num_bands, "min_hz": frontend.min_hz, "max_hz": max_hz}


def mel_filters(
    *, sample_rate_hz: int, transform_samples: int, num_bands: int, min_hz: float, max_hz: float
) -> np.ndarray:
    """Return triangles with peak 1, evenly spaced in mel, float32, shape (num_bands, transform_samples // 2 + 1).

    Raises:
        ValueError: the range is empty or beyond half the sample rate, or a band is narrower than a bin.
    """
    if not 0 <= min_hz < max_hz <= sample_rate_hz / 2:
        raise ValueError(f"mel bands need 0 <= min_hz < max_hz <= {sample_rate_hz / 2:g}, not {min_hz:g}, {max_hz:g}")
    edges_hz = band_edges_hz(num_bands=num_bands, min_hz=min_hz, max_hz=max_hz)
    bins_hz = np.linspace(0, sample_rate_hz / 2, transform_samples // 2 + 1)
    low, peak, high = edges_hz[:-2, None], edges_hz[1:-1, None], edges_hz[2:, None]
    filters = np.maximum(np.minimum((bins_hz - low) / (peak - low), (high - bins_hz) / (high - peak)), 0)
    if num_empty := int((filters.sum(1) == 0).sum()):
        raise ValueError(f"{num_empty} of {num_bands} mel bands are empty; use fewer bands or a longer transform_ms")
    return filters.astype(np.float32)


class FrameMaker:
    """Computes mel power of a waveform, whole or in blocks; for the frontend `raw`, the waveform itself."""

    def __init__(self, audio: AudioConfig, frontend: FrontendConfig) -> None:
        rate_hz = audio.sample_rate_hz
        self.raw = frontend.kind == "raw"
        self.num_bands = 1 if self.raw else frontend.num_bands  # rows of a frame
        self.transform_samples = 1 if self.raw else round(rate_hz * frontend.transform_ms / 1000)
        self.hop_samples = hop_samples(audio, frontend)
        self.frames_per_s = rate_hz / self.hop_samples
        if self.raw:
            return
        samples, bands = np.arange(self.transform_samples), band_options(audio, frontend)
        self.window = (0.5 - 0.5 * np.cos(2 * np.pi * samples / self.transform_samples)).astype(np.float32)
        filters = mel_filters(sample_rate_hz=rate_hz, transform_samples=self.transform_samples, **bands)
        self.filters = filters.T.copy()  # (bins, bands)
        self.centres_hz = band_edges_hz(**bands)[1:-1]

    @property
    def margin_samples(self) -> int:
        """Number of zeros before and after a recording, so that frame t is centred on sample t x hop."""
        return self.transform_samples // 2

    def frames(self, waveform: np.ndarray) -> np.ndarray:
        """Return the frames of a whole waveform, (samples,) -> float32 (1 + samples // hop, bands): time first."""
        return self.transform(np.pad(np.asarray(waveform, np.float32), self.margin_samples))

    def transform(self, padded: np.ndarray) -> np.ndarray:
        """Return all frames that are completely inside, (samples,) -> (T, bands)."""
        if self.raw:
            return padded[:, None]
        num = max(0, 1 + (len(padded) - self.transform_samples) // self.hop_samples)
        frames = np.empty((num, self.num_bands), np.float32)
        if not num:
            return frames
        pieces = np.lib.stride_tricks.sliding_window_view(padded, self.transform_samples)[:: self.hop_samples]
        most = min(num, FRAMES_AT_ONCE)
        windowed = np.empty((most, self.transform_samples), np.float32)
        # Written into one buffer, NumPy's transform is about as fast as SciPy's, whose import takes longer than a clip
        spectra = np.empty((most, len(self.filters)), np.complex64)
        for start in range(0, num, most):
            part = pieces[start : start + most]
            np.multiply(part, self.window, out=windowed[: len(part)])
            # (T, bins); the type stubs only know double precision
            spectrum = np.fft.rfft(windowed[: len(part)], out=spectra[: len(part)])  # type: ignore[arg-type]
            power = spectrum.real**2 + spectrum.imag**2
            np.matmul(power, self.filters, out=frames[start : start + most])
        return frames


class FrameStream:
    """Computes the frames of a waveform that arrives in blocks; together they equal those of the whole."""

    def __init__(self, maker: FrameMaker) -> None:
        self.maker = maker
        self._rest = np.zeros(maker.margin_samples, np.float32)
        self._num_skipped = 0  # coming samples that no frame needs, where frames do not touch

    def feed(self, block: np.ndarray) -> np.ndarray:
        """Add samples, (n,), and return the frames that they complete, (T, bands), T >= 0."""
        samples = np.concatenate([self._rest, block[self._num_skipped :]])
        self._num_skipped = max(0, self._num_skipped - len(block))
        frames = self.maker.transform(samples)
        num_used = len(frames) * self.maker.hop_samples
        self._rest = samples[num_used:]
        self._num_skipped += max(0, num_used - len(samples))
        return frames

    def finish(self) -> np.ndarray:
        """Return the last frames, which extend beyond the end."""
        return self.feed(np.zeros(self.maker.margin_samples, np.float32))
