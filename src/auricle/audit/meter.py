"""Measure a recording block by block: level, peak, clipping, silence, bandwidth and a hash, in constant memory."""

import hashlib
import math
from dataclasses import dataclass

import numpy as np

ZERO = 1e-5  # -100 dB of full scale; half a step of 16 bits is 1.5e-5
PLATEAU = 1e-4  # relative distance to the peak within which samples belong to a flat top
SPECTRUM_SAMPLES = 2_048
SPECTRUM_FRAMES = 1_024  # the first minute or less, enough for a mean spectrum
BANDWIDTH_DB = 70.0  # below the strongest frequency


@dataclass(frozen=True)
class Measures:
    """The measurements of a recording."""

    num_samples: int  # per channel
    peak: float  # largest absolute sample of all channels; 1 is full scale
    level_db: float  # root mean square of the mono mix, in dB relative to full scale; at least -200
    channel_levels: tuple[float, ...]  # root mean square of each channel
    offset: float  # mean of all samples
    start_samples: int  # number of samples of digital silence at the start
    end_samples: int  # the same at the end
    flat_share: float  # share of samples that are at the peak and follow another one at the peak
    plateau: float  # number of samples at the peak divided by the number within 2 % of it
    full_share: float  # share of samples at full scale or beyond
    bandwidth_hz: float  # the highest frequency within 70 dB of the strongest
    content: str  # hash of the mono mix


class Meter:
    """Measures a recording from its blocks of float32 samples."""

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self.num_samples = self.num_full = 0
        self.peak = 0.0
        self._sums: np.ndarray = np.zeros(0)
        self._squares: np.ndarray = np.zeros(0)
        self._mono_squares = 0.0
        self._flat = (0, 0, 0)  # number of samples in flat tops, at the peak, near it
        self._first_sound: int | None = None
        self._end_of_sound = 0
        self._power = np.zeros(SPECTRUM_SAMPLES // 2 + 1)
        self._num_frames = 0
        self._hash = hashlib.blake2b(digest_size=16)

    def add(self, frames: np.ndarray, mono: np.ndarray) -> None:
        """Add the next block: finite `frames`, (T, C) with T >= 1, and their mean over the channels, (T,)."""
        if not self.num_samples:
            self._sums, self._squares = np.zeros(frames.shape[1]), np.zeros(frames.shape[1])
        sizes = np.abs(frames).max(axis=1)  # (T,)
        self._sums += frames.sum(axis=0, dtype=np.float64)
        self._squares += np.einsum("tc,tc->c", frames, frames, dtype=np.float64)
        self._mono_squares += float(np.einsum("t,t->", mono, mono, dtype=np.float64))
        self._find_tops(sizes)
        loud = np.flatnonzero(sizes > ZERO)
        if len(loud):
            if self._first_sound is None:
                self._first_sound = self.num_samples + int(loud[0])
            self._end_of_sound = self.num_samples + int(loud[-1]) + 1
        self.num_full += int((sizes >= 0.9999).sum())
        self._add_power(mono)
        self._hash.update(np.ascontiguousarray(mono + np.float32(0), "<f4").data)  # -0 becomes 0
        self.num_samples += len(frames)

    def _find_tops(self, sizes: np.ndarray) -> None:
        """Count the samples at the highest peak so far; blocks that do not reach it are skipped."""
        peak = float(sizes.max())
        if peak < self.peak * (1 - PLATEAU):
            return
        if peak > self.peak * (1 + PLATEAU):
            self._flat = (0, 0, 0)
        self.peak = max(peak, self.peak)
        at_peak = sizes >= self.peak * (1 - PLATEAU)
        found = (int((at_peak[1:] & at_peak[:-1]).sum()), int(at_peak.sum()), int((sizes >= 0.98 * self.peak).sum()))
        self._flat = tuple(a + b for a, b in zip(self._flat, found, strict=True))  # type: ignore[assignment]

    def _add_power(self, mono: np.ndarray) -> None:
        from scipy.fft import rfft

        num_frames = min(len(mono) // SPECTRUM_SAMPLES, SPECTRUM_FRAMES - self._num_frames)
        if num_frames <= 0:
            if self._num_frames or len(mono) < 64:
                return
            frames = np.pad(mono, (0, SPECTRUM_SAMPLES))[None, :SPECTRUM_SAMPLES]
        else:
            frames = mono[: num_frames * SPECTRUM_SAMPLES].reshape(num_frames, SPECTRUM_SAMPLES)
        window = np.hanning(SPECTRUM_SAMPLES).astype(np.float32)
        self._power += (np.abs(rfft(frames * window, axis=1)) ** 2).sum(axis=0)
        self._num_frames += len(frames)

    def measures(self) -> Measures:
        """Return the measurements over all blocks so far."""
        num = max(1, self.num_samples)
        first = self.num_samples if self._first_sound is None else self._first_sound
        flat, at_peak, near_peak = self._flat
        root = math.sqrt(self._mono_squares / num)
        audible = np.flatnonzero(self._power > self._power.max() * 10 ** (-BANDWIDTH_DB / 10))
        return Measures(
            num_samples=self.num_samples,
            peak=self.peak,
            level_db=max(-200.0, 20 * math.log10(max(root, 1e-10))),
            channel_levels=tuple(np.sqrt(self._squares / num).tolist()),
            offset=float(self._sums.sum() / (num * max(1, len(self._sums)))),
            start_samples=first,
            end_samples=self.num_samples - self._end_of_sound,
            flat_share=flat / num,
            plateau=at_peak / max(1, near_peak),
            full_share=self.num_full / num,
            bandwidth_hz=float(audible.max(initial=0) * self.rate_hz / SPECTRUM_SAMPLES),
            content=self._hash.hexdigest(),
        )
