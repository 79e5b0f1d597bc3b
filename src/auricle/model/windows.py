"""The windows of a whole clip and their weights: one rule for training, scoring and `predict`.

The sound of a clip need not fill it: of the 3 s windows that start at 2 s in the clips of ESC-10, one in eleven has
almost no sound. So windows are cyclic (the clip continues at its start), as in training, and a clip is classified by
the windows with the most sound.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from auricle.config import AudioConfig, FrontendConfig

ACTIVE_DB = 50.0  # an interval within this of the clip's loudest one is active
FULL = 0.95  # with this share of the active intervals of the fullest window, a window counts as full
MOMENT_S = 0.04
SLACK = 0.1  # share of a hop at the end that needs no window of its own, which would be mostly padding


def hop_samples(audio: AudioConfig, frontend: FrontendConfig) -> int:
    """Return the number of samples from one frame to the next."""
    return 1 if frontend.kind == "raw" else round(audio.sample_rate_hz * frontend.hop_ms / 1000)


@dataclass(frozen=True)
class ClipWindows:
    """The windows of whole clips: cyclic and only the fullest, or all inside the clip with equal weights."""

    window_frames: int
    hop_frames: float  # from one start to the next
    moment_frames: int  # length of the intervals that are active or not
    is_raw: bool  # frames are samples, not power
    fullest: bool

    @classmethod
    def of(cls, audio: AudioConfig, frontend: FrontendConfig) -> ClipWindows:
        """Return the windows of a configuration."""
        per_s, is_raw = audio.sample_rate_hz / hop_samples(audio, frontend), frontend.kind == "raw"
        moment, fullest = max(1, round(MOMENT_S * per_s)), audio.clip_windows == "fullest"
        return cls(round(audio.window_s * per_s), audio.window_hop_s * per_s, moment, is_raw, fullest)

    def count_frames(self, num_frames: int) -> int:
        """Return the number of windows of a clip with this many frames."""
        beyond = (num_frames - 1 - self.window_frames) / self.hop_frames - SLACK
        if not self.fullest:
            return 1 + max(0, math.ceil(beyond))
        return max(1, math.ceil((num_frames - 1) / self.hop_frames - SLACK)) if beyond > 0 else 1

    def times(self, num_frames: int, first: int | None = None) -> np.ndarray:
        """Return the (first) frames of a clip's windows, int64 (W, window_frames); some may be beyond its end."""
        starts = np.rint(np.arange(self.count_frames(num_frames)) * self.hop_frames).astype(np.int64)
        times = starts[:, None] + np.arange(first or self.window_frames)
        return times % num_frames if self.fullest else times

    def weights(self, frames: np.ndarray) -> np.ndarray:
        """Return the weights of the windows of a clip, (F, T) -> float64 (W,): 1 for the fullest, 0 for others."""
        moment, starts = self.moment_frames, self.times(frames.shape[1], first=1)
        if not self.fullest:
            return np.ones(len(starts))
        levels = (np.square(frames) if self.is_raw else frames).sum(0)
        powers = np.add.reduceat(levels, np.arange(0, len(levels), moment))  # of the M intervals
        active = powers >= powers.max() * np.float32(10 ** (-ACTIVE_DB / 10))
        moments = starts // moment + np.arange(max(1, self.window_frames // moment))
        fullness = active[moments % len(powers)].sum(1)
        return np.where(fullness >= FULL * fullness.max(), 1.0, 0.0)


def count_windows(audio: AudioConfig, frontend: FrontendConfig, clip_s: float) -> int:
    """Return the number of windows of a clip.

    >>> [count_windows(AudioConfig(), FrontendConfig(), seconds) for seconds in (1, 3, 5, 5.09)]
    [1, 1, 5, 5]
    """
    num_samples = round(clip_s * audio.sample_rate_hz)
    num_frames = num_samples if frontend.kind == "raw" else 1 + num_samples // hop_samples(audio, frontend)
    return ClipWindows.of(audio, frontend).count_frames(num_frames)


def window_starts_s(num: int, hop_s: float) -> np.ndarray:
    """Return where the first `num` windows start, (num,)."""
    return np.round(np.arange(num) * hop_s, 6)


def mean_over_windows(probabilities: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weighted mean over the windows of clips, (..., W, K) and (..., W) -> (..., K)."""
    return np.asarray((probabilities * weights[..., None]).sum(-2) / weights.sum(-1)[..., None])
