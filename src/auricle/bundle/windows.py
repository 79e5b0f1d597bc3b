"""Positions of the windows in a recording of any length, whose end is not known at the first window."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auricle.config import AudioConfig, FrontendConfig
from auricle.model.windows import SLACK, ClipWindows, hop_samples, window_starts_s


@dataclass(frozen=True)
class Windowing:
    """Windows one hop apart; the last one may extend beyond the end and is padded with silence."""

    rate_hz: int
    window_s: float
    hop_s: float  # from one start to the next
    frames_per_s: float  # of the frames that a window is cut from
    clips: ClipWindows  # for a recording with one answer as a whole

    @classmethod
    def of(cls, audio: AudioConfig, frontend: FrontendConfig, hop_s: float | None = None) -> Windowing:
        """Return the windows of a configuration, with another hop if one is given."""
        audio = audio.model_copy(update={"window_hop_s": hop_s or audio.window_hop_s})
        rate_hz, clips = audio.sample_rate_hz, ClipWindows.of(audio, frontend)
        return cls(rate_hz, audio.window_s, audio.window_hop_s, rate_hz / hop_samples(audio, frontend), clips)

    @property
    def window_frames(self) -> int:
        """Frames in a window."""
        return self.clips.window_frames

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
        """Samples at the end that may be in no window."""
        return int(self.hop_samples * SLACK)

    def start_frame(self, index: int) -> int:
        """Return the first frame of a window, counted from 0."""
        return round(index * self.clips.hop_frames)

    def starts_s(self, num: int) -> np.ndarray:
        """Return where the first `num` windows start, (num,)."""
        return window_starts_s(num, self.hop_s)

    def count(self, num_samples: int) -> int:
        """Return how many windows cover a recording, except for `slack_samples` at its end.

        >>> windowing = Windowing.of(AudioConfig(), FrontendConfig())
        >>> [windowing.count(seconds * 16_000) for seconds in (1, 3, 5)], windowing.count(82_000)
        ([1, 1, 3], 4)
        """
        return 1 + max(0, -(-(num_samples - self.window_samples - self.slack_samples) // self.hop_samples))

    def cut(self, frames: np.ndarray, num: int, *, first: int = 0) -> np.ndarray:
        """Cut windows from frames that begin with window `first`; frames beyond the end are zero.

        (T, bands) -> (num, bands, window_frames), contiguous.
        """
        windows = np.zeros((num, frames.shape[1], self.window_frames), np.float32)
        origin = self.start_frame(first)
        for index in range(num):
            start = self.start_frame(first + index) - origin
            piece = frames[start : start + self.window_frames]
            windows[index, :, : len(piece)] = piece.T
        return windows

    def cut_clip(self, frames: np.ndarray) -> np.ndarray:
        """Cut the windows of a whole clip, (T, bands) -> (W, bands, window_frames), contiguous."""
        return self.cut_at(frames, self.clips.times(len(frames)))

    @staticmethod
    def cut_at(frames: np.ndarray, times: np.ndarray) -> np.ndarray:
        """Return windows made of these frames, (T, bands) and (W, window_frames) -> (W, bands, window_frames)."""
        beyond = max(0, int(times.max()) + 1 - len(frames))
        return np.ascontiguousarray(np.pad(frames, ((0, beyond), (0, 0)))[times].transpose(0, 2, 1))
