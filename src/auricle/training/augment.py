"""Batch to batch, on the device: what is done to windows while training.

Everything works on frames, which are proportional to a power of the amplitude (`exponent`: 1 for the raw
waveform, 2 for mel power), so a gain of g in amplitude is a factor g ** exponent here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from auricle.config import AugmentationConfig

ECHOES = 7


@dataclass(frozen=True)
class Augmenter:
    """Draws windows from clips and changes them.

    Attributes:
        config: how much of what.
        exponent: frames are proportional to this power of the amplitude.
        frames_per_s: rate of the frames.
        neutral: the frame value that a mask writes, a scalar tensor.
        generator: source of all randomness, on the device of the frames.
    """

    config: AugmentationConfig
    exponent: int
    frames_per_s: float
    neutral: Tensor
    generator: Generator

    def _uniform(self, *shape: int) -> Tensor:
        return torch.rand(*shape, generator=self.generator, device=self.neutral.device)

    def _integers(self, low: int, high: int, *shape: int) -> Tensor:
        """Whole numbers in low..high, both included."""
        return torch.randint(low, high + 1, shape, generator=self.generator, device=self.neutral.device)

    def draw(self, clips: Tensor, window_frames: int) -> Tensor:
        """Cut one window from each clip at a random place, (B, F, T) -> (B, F, window_frames).

        With `shift` the clip is a ring; without, the window stays inside and a short clip is padded with zeros. With
        `stretch` it is a ring that is read faster or slower: pitch follows speed in a waveform, not in mel bands.
        """
        B, _, T = clips.shape
        steps = torch.arange(window_frames, device=clips.device)
        if self.config.stretch:
            return self._read(clips, self._uniform(B, 1) * T, steps * self._speeds(B))
        if self.config.shift:
            places = (self._integers(0, T - 1, B, 1) + steps) % T  # (B, window)
        else:
            clips = F.pad(clips, (0, max(0, window_frames - T)))
            places = self._integers(0, max(0, T - window_frames), B, 1) + steps
        return clips.gather(2, places[:, None].expand(-1, clips.shape[1], -1))

    def _speeds(self, B: int) -> Tensor:
        """How fast each window is played, (B, 1), even in the logarithm."""
        return (1 + self.config.stretch) ** (2 * self._uniform(B, 1) - 1)

    def _read(self, clips: Tensor, starts: Tensor, steps: Tensor) -> Tensor:
        """Read clips between their frames, (B, F, T), (B, 1), (B, window) -> (B, F, window); the clip is a ring."""
        T, window = clips.shape[2], steps.shape[1]
        beyond = math.ceil(window * (1 + self.config.stretch)) + 2  # frames read past the start, at most
        ring = clips.repeat(1, 1, 1 + math.ceil(beyond / T))[:, :, : T + beyond]
        whole = starts.floor()
        steps = steps + (starts - whole)  # small numbers: exact enough far into a long clip
        before = steps.floor()
        places = (before.long() + whole.long())[:, None].expand(-1, clips.shape[1], -1)
        return torch.lerp(ring.gather(2, places), ring[:, :, 1:].gather(2, places), (steps - before)[:, None])

    def mix(self, windows: Tensor, others: Tensor, targets: Tensor, other_targets: Tensor) -> tuple[Tensor, Tensor]:
        """Mix windows with others so that the ear hears of each the share that the target says.

        Between-class learning, arXiv:1711.10282, equation 2, with r in [0, 1] and level in place of loudness:
        p = 1 / (1 + 10 ** ((G1 - G2) / 20) (1 - r) / r), x = (p x1 + (1 - p) x2) / sqrt(p^2 + (1 - p)^2).
        """
        B = len(windows)
        share = torch.where(self._uniform(B) < self.config.mix, self._uniform(B), 1.0)
        ratio = 10 ** ((self._level_db(windows) - self._level_db(others)) / 20)
        weight = 1 / (1 + ratio * (1 - share) / share.clamp(min=1e-6))
        norm = torch.sqrt(weight**2 + (1 - weight) ** 2)
        own, other = (((part / norm) ** self.exponent)[:, None, None] for part in (weight, 1 - weight))
        mixed_targets = targets * share[:, None] + other_targets * (1 - share[:, None])
        return windows * own + others * other, mixed_targets

    def _level_db(self, windows: Tensor) -> Tensor:
        """Mean power of each window in decibels, (B, F, T) -> (B,)."""
        power = windows if self.exponent == 2 else windows.square()
        return 10 * torch.log10(power.mean((1, 2)) + 1e-7)

    def shift_bands(self, windows: Tensor) -> Tensor:
        """Move a window up or down by whole mel bands, the edge band repeated."""
        most, num = self.config.band_shift, windows.shape[1]
        bands = torch.arange(num, device=windows.device) + self._integers(-most, most, len(windows), 1)
        return windows.gather(1, bands.clamp(0, num - 1)[:, :, None].expand(-1, -1, windows.shape[2]))

    def filter(self, windows: Tensor) -> Tensor:
        """Change the level as a whole and smoothly over frequency, as another microphone or room would."""
        B, num, _ = windows.shape
        gain_db = (2 * self._uniform(B, 1) - 1) * self.config.gain_db
        if self.config.filter_db and self.exponent == 1:
            windows = self._echo(windows)
        elif self.config.filter_db:
            knots = torch.randn(B, 1, 5, generator=self.generator, device=windows.device) * self.config.filter_db
            gain_db = gain_db + F.interpolate(knots, size=num, mode="linear", align_corners=True)[:, 0]
        return windows * (10 ** (gain_db * self.exponent / 20))[:, :, None]

    def _echo(self, windows: Tensor) -> Tensor:
        """Add seven short echoes of random strength to each waveform, (B, 1, T): a smooth filter, `filter_db` strong.

        Independent echoes of spread s change the power at a frequency by 10 / ln 10 x sqrt(2 x 7) s decibels, to first
        order.
        """
        B, _, T = windows.shape
        spread = self.config.filter_db * math.log(10) / 10 / math.sqrt(2 * ECHOES)
        echoes = torch.randn(B, 1, ECHOES, generator=self.generator, device=windows.device) * spread
        taps = F.pad(echoes, (0, 1), value=1.0)  # the last tap is the sound itself
        return F.conv1d(F.pad(windows, (ECHOES, 0)).view(1, B, T + ECHOES), taps, groups=B).view(B, 1, T)

    def _mask(self, windows: Tensor, axis: int, longest: int, value: Tensor | float) -> Tensor:
        """Write a value over one random stretch of an axis, at most `longest` long."""
        B, num = len(windows), windows.shape[axis]
        start = self._integers(0, num - 1, B, 1)
        places = torch.arange(num, device=windows.device)
        blank = (places >= start) & (places < start + self._integers(0, longest, B, 1))
        return torch.where(blank[:, :, None] if axis == 1 else blank[:, None, :], value, windows)

    def mask_features(self, features: Tensor) -> Tensor:
        """Blank a stretch of time and neighbouring rows of what the network sees, (B, rows, T) -> (B, rows, T).

        SpecAugment, arXiv:1904.08779, section 2; zero is the mean of the training clips.
        """
        if self.config.feature_frame_mask:
            features = self._mask(features, 2, self.config.feature_frame_mask, 0.0)
        if self.config.feature_row_mask:
            features = self._mask(features, 1, self.config.feature_row_mask, 0.0)
        return features

    def _source(self, clips: Tensor, window_frames: int) -> Tensor:
        """Cut a window from each clip and give it a pitch, a level and a colour of its own."""
        windows = self.draw(clips, window_frames)
        if self.config.band_shift and windows.shape[1] > 1:
            windows = self.shift_bands(windows)
        if self.config.gain_db or self.config.filter_db:
            windows = self.filter(windows)
        return windows

    def __call__(self, clips: Tensor, targets: Tensor, window_frames: int) -> tuple[Tensor, Tensor]:
        """Clips (B, F, T) and targets (B, K) -> windows (B, F, window_frames) and targets (B, K).

        What is mixed differs before it is mixed, as two sources in one room do.
        """
        config = self.config
        windows = self._source(clips, window_frames)
        if config.mix:
            partners = torch.randperm(len(clips), generator=self.generator, device=clips.device)
            others = self._source(clips[partners], window_frames)
            windows, targets = self.mix(windows, others, targets, targets[partners])
        if config.time_mask_s:
            windows = self._mask(windows, 2, round(config.time_mask_s * self.frames_per_s), self.neutral)
        if config.band_mask and windows.shape[1] > 1:
            windows = self._mask(windows, 1, config.band_mask, self.neutral)
        return windows, targets
