"""Audio fingerprint: 32 bits every 16 ms that survive re-encoding, a change of gain, and trimming.

Each bit says whether the energy difference of two neighbouring bands grows from one frame to the next. Gain cancels
out, and half-second frames that overlap by 97 % tolerate a shifted start. J. Haitsma and T. Kalker, "A Highly Robust
Audio Fingerprinting System", ISMIR 2002, with wider bands, as environmental sounds have less tonal detail than music.
"""

from dataclasses import dataclass

import numpy as np
import soxr

RATE_HZ = 8_000
FRAME_SAMPLES, HOP_SAMPLES = 4_096, 128
NUM_BITS = 32
LOW_HZ, HIGH_HZ = 200.0, 3_600.0
MAX_S = 30.0  # of a recording, from its start
QUIET = 1e-6  # of the loudest frame's energy: bits of quieter frames are noise
STEADY = 1e-3  # relative to the energy of the bands: bits of frames that change less are noise too
_BLOCK_FRAMES = 16  # stay in the processor's cache


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """One 32-bit word for each frame but the first."""

    words: np.ndarray  # uint32 (F,)
    weakest: np.ndarray  # the least certain bit of each word, 0..31, uint8 (F,)
    reliable: np.ndarray  # which words are more than noise, bool (F,)


def fingerprint(mono: np.ndarray, rate_hz: int) -> Fingerprint:
    """Return the fingerprint of a recording's first 30 s, float32 (T,); a shorter one is padded to two frames.

    For T' samples at 8 kHz it has F = (T' - 4096) // 128 words.
    """
    mono = mono[: round(MAX_S * rate_hz)]
    if rate_hz != RATE_HZ:
        mono = soxr.resample(mono, rate_hz, RATE_HZ, quality="LQ")
    mono = np.pad(mono, (0, max(0, FRAME_SAMPLES + HOP_SAMPLES - len(mono))))
    energies = _energies(mono)  # (F + 1, 33)
    slopes = np.diff(np.diff(energies, axis=1), axis=0)  # (F, 32)
    words = np.packbits(slopes > 0, axis=1).view(">u4")[:, 0].astype(np.uint32)
    bands = np.maximum(energies[1:, :-1] + energies[1:, 1:], np.finfo(np.float32).tiny)
    weakest = (NUM_BITS - 1 - np.argmin(np.abs(slopes) / bands, axis=1)).astype(np.uint8)
    totals = np.minimum(energies[1:].sum(axis=1), energies[:-1].sum(axis=1))
    reliable = (totals > QUIET * totals.max()) & (np.abs(slopes).sum(axis=1) > STEADY * totals)
    return Fingerprint(words, weakest, reliable)


def _energies(mono: np.ndarray) -> np.ndarray:
    """Return the energy of 33 bands, evenly spaced in the logarithm of frequency, in each frame: (F + 1, 33)."""
    from scipy.fft import rfft

    frames = np.lib.stride_tricks.sliding_window_view(mono, FRAME_SAMPLES)[::HOP_SAMPLES]
    window = np.hanning(FRAME_SAMPLES).astype(np.float32)
    edges = np.round(np.geomspace(LOW_HZ, HIGH_HZ, NUM_BITS + 2) * FRAME_SAMPLES / RATE_HZ).astype(int)
    energies = np.empty((len(frames), NUM_BITS + 1), np.float64)
    for start in range(0, len(frames), _BLOCK_FRAMES):
        block = slice(start, start + _BLOCK_FRAMES)
        spectrum = rfft(frames[block] * window, axis=1)
        energies[block] = np.add.reduceat(spectrum.real**2 + spectrum.imag**2, edges, axis=1)[:, :-1]
    return energies
