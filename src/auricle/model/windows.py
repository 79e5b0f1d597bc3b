"""Which windows answer for a whole clip, and what each counts: one rule for training, scoring and `predict`.

The sound of a clip seldom fills it: in ESC-10, one scoring window in eight held next to none of it. So a clip is a
ring, as it is while training, and the windows around it that are fullest of sound answer for it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from auricle.config import AudioConfig, FrontendConfig
from auricle.model.frames import hop_samples

ACTIVE_DB = 50.0  # a moment within so much of the clip's loudest is active
FULL = 0.95  # of the active moments of the fullest window make a window as full
MOMENT_S = 0.04
SLACK = 0.1  # of a hop may go unheard at the end: no window that is silent for the rest is made for it


@dataclass(frozen=True)
class ClipWindows:
    """The windows of whole clips: around a ring and only the fullest, or all inside the clip and all alike."""

    window_s: float
    hop_s: float  # from one start to the next
    frames_per_s: float  # of the frames that a window is cut from
    is_raw: bool  # frames are samples, not power
    fullest: bool

    @classmethod
    def of(cls, audio: AudioConfig, frontend: FrontendConfig) -> ClipWindows:
        """Return the windows of a configuration."""
        return cls(
            window_s=audio.window_s,
            hop_s=audio.window_hop_s,
            frames_per_s=audio.sample_rate_hz / hop_samples(audio, frontend),
            is_raw=frontend.kind == "raw",
            fullest=audio.clip_windows == "fullest",
        )

    @property
    def window_frames(self) -> int:
        """Frames in a window."""
        return round(self.window_s * self.frames_per_s)

    @property
    def moment_frames(self) -> int:
        """Frames in a moment, which is active or is not."""
        return max(1, round(MOMENT_S * self.frames_per_s))

    def frames_in(self, duration_s: float) -> int:
        """Return the frames of a clip."""
        return 1 + math.floor(round(duration_s * self.frames_per_s, 6)) - self.is_raw

    def count_frames(self, num_frames: int) -> int:
        """Return how many windows answer for a clip of so many frames.

        >>> from auricle.config import load_preset
        >>> cnn = load_preset("cnn")
        >>> windows = ClipWindows.of(cnn.audio, cnn.frontend)
        >>> [windows.count_frames(windows.frames_in(seconds)) for seconds in (1, 3, 5, 5.09)]
        [1, 1, 5, 5]
        """
        hop_frames, beyond = self.hop_s * self.frames_per_s, num_frames - 1 - self.window_frames
        if not self.fullest:
            return 1 + max(0, math.ceil(beyond / hop_frames - SLACK))
        return max(1, math.ceil((num_frames - 1) / hop_frames - SLACK)) if beyond > SLACK * hop_frames else 1

    def starts_s(self, num: int) -> np.ndarray:
        """Return where the first `num` windows start, (num,)."""
        return np.round(np.arange(num) * self.hop_s, 6)

    def start_frame(self, index: int) -> int:
        """Return the first frame of a window, counted from 0."""
        return round(index * (self.hop_s * self.frames_per_s))

    def times(self, num_frames: int) -> np.ndarray:
        """Return the frames of the windows of a clip, int64 (W, window_frames); where no ring, some may lie beyond."""
        starts = np.array([self.start_frame(index) for index in range(self.count_frames(num_frames))])
        times = starts[:, None] + np.arange(self.window_frames)
        return times % num_frames if self.fullest else times

    def levels(self, frames: np.ndarray) -> np.ndarray:
        """Return the power of each frame, (F, T) -> (T,)."""
        return np.asarray((np.square(frames) if self.is_raw else frames).sum(0))

    def fullness(self, levels: np.ndarray) -> np.ndarray:
        """Return how many active moments the windows of a clip with these levels hold, (T,) -> int64 (W,)."""
        powers = np.add.reduceat(levels, np.arange(0, len(levels), self.moment_frames))  # (M,)
        active = np.append(powers >= powers.max() * np.float32(10 ** (-ACTIVE_DB / 10)), False)  # beyond the clip: not
        firsts = self.times(len(levels))[:, :1] // self.moment_frames
        moments = firsts + np.arange(max(1, self.window_frames // self.moment_frames))
        moments = moments % len(powers) if self.fullest else np.minimum(moments, len(powers))
        return np.asarray(active[moments].sum(1))

    def weights(self, frames: np.ndarray) -> np.ndarray:
        """Return what the windows of a clip count, (F, T) -> float64 (W,): 1 for the fullest, 0 for others."""
        return self.weights_at(self.levels(frames))

    def weights_at(self, levels: np.ndarray) -> np.ndarray:
        """Return the same from the power of each frame, (T,) -> (W,)."""
        fullness = self.fullness(levels)
        return np.where(fullness >= FULL * fullness.max(), 1.0, 0.0) if self.fullest else np.ones(len(fullness))


def mean_over_windows(probabilities: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return what the windows of clips say together, (..., W, K) and (..., W) -> (..., K)."""
    shares = weights / weights.sum(-1, keepdims=True)
    return np.asarray((probabilities * shares[..., None]).sum(-2))
