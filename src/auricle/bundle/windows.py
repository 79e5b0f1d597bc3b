"""Where windows lie in a recording: one rule for `predict`, the standalone ONNX model and the parity check.

A study scores clips of one length by `model.describe.window_starts_s`: the same windows, but for `slack_samples`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auricle.config import AudioConfig


@dataclass(frozen=True)
class Windowing:
    """Windows of a fixed length at a fixed distance; the last one may reach beyond the end, where there is silence."""

    rate_hz: int
    window_s: float
    hop_s: float  # from one start to the next
    frames_per_s: float  # of the frames that a window is cut from

    @classmethod
    def of(cls, audio: AudioConfig, frames_per_s: float, hop_s: float | None = None) -> Windowing:
        """Return the windows of a configuration, with another hop if one is given."""
        return cls(audio.sample_rate_hz, audio.window_s, hop_s or audio.window_hop_s, frames_per_s)

    @property
    def window_frames(self) -> int:
        """Frames in a window."""
        return round(self.window_s * self.frames_per_s)

    @property
    def window_samples(self) -> int:
        """Samples in a window."""
        return round(self.window_s * self.rate_hz)

    @property
    def hop_samples(self) -> int:
        """Samples between two starts."""
        return max(1, round(self.hop_s * self.rate_hz))

    @property
    def slack_samples(self) -> int:
        """How much may go unheard at the end: a tenth of a hop makes no window that is silent for the rest."""
        return self.hop_samples // 10

    def count(self, num_samples: int) -> int:
        """Return how many windows hear a recording, but for `slack_samples` at its end.

        >>> windowing = Windowing(16_000, window_s=3.0, hop_s=1.0, frames_per_s=25.0)
        >>> [windowing.count(seconds * 16_000) for seconds in (1, 3, 5)], windowing.count(82_000)
        ([1, 1, 3], 4)
        """
        return 1 + max(0, -(-(num_samples - self.window_samples - self.slack_samples) // self.hop_samples))

    def start_frame(self, index: int) -> int:
        """Return the first frame of a window, counted from 0."""
        return round(index * (self.hop_s * self.frames_per_s))

    def starts_s(self, num: int) -> np.ndarray:
        """Return where the first `num` windows start, (num,)."""
        return np.round(np.arange(num) * self.hop_s, 6)

    def cut(self, frames: np.ndarray, num: int, *, first: int = 0) -> np.ndarray:
        """Cut windows from frames that begin with window `first`; what lies beyond them is zero.

        (T, bands) -> (num, bands, window_frames), contiguous.
        """
        windows = np.zeros((num, frames.shape[1], self.window_frames), np.float32)
        origin = self.start_frame(first)
        for index in range(num):
            start = self.start_frame(first + index) - origin
            piece = frames[start : start + self.window_frames]
            windows[index, :, : len(piece)] = piece.T
        return windows
