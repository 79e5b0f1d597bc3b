"""Augmentation of batches of windows during training, on the device.

Augmentation works on frames, which are proportional to a power of the amplitude (`exponent`: 1 for the raw
waveform, 2 for mel power), so a gain of g in amplitude is a factor g ** exponent here.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor
from torch.utils.hooks import RemovableHandle

from auricle.config import AugmentationConfig
from auricle.config.variants import Variants
from auricle.model.classifier import Classifier

CHANGES = Variants("augmentation")
FILTERS = Variants("frontend.kind")
NUM_ECHOES = 7


@dataclass(frozen=True)
class Augmenter:
    """Draws windows from clips and changes them.

    `kind` is that of the frontend, `neutral` the frame value used for masks (a scalar), and `generator` the source of
    all randomness, on the device of the frames.
    """

    config: AugmentationConfig
    kind: str
    frames_per_s: float
    neutral: Tensor
    generator: Generator

    @property
    def exponent(self) -> int:
        """The power of the amplitude to which frames are proportional."""
        return 1 if self.kind == "raw" else 2

    def uniform(self, *shape: int) -> Tensor:
        """Draw numbers in [0, 1)."""
        return torch.rand(*shape, generator=self.generator, device=self.neutral.device)

    def integers(self, low: int, high: int, *shape: int) -> Tensor:
        """Draw integers in low..high, both included."""
        return torch.randint(low, high + 1, shape, generator=self.generator, device=self.neutral.device)

    def draw(self, clips: Tensor, window_frames: int) -> Tensor:
        """Cut one window from each clip at a random position, (B, F, T) -> (B, F, window_frames).

        With `shift` the window wraps around the end of the clip; without, it stays inside and a short clip is padded
        with zeros. With `stretch` it wraps too, at another speed, which shifts pitch in waveforms, not in mel bands.
        """
        if self.config.stretch:
            return CHANGES["stretch"](self, clips, window_frames)
        B, _, T = clips.shape
        steps = torch.arange(window_frames, device=clips.device)
        if self.config.shift:
            times = (self.integers(0, T - 1, B, 1) + steps) % T  # (B, window)
        else:
            clips = F.pad(clips, (0, max(0, window_frames - T)))
            times = self.integers(0, max(0, T - window_frames), B, 1) + steps
        return clips.gather(2, times[:, None].expand(-1, clips.shape[1], -1))

    def source(self, clips: Tensor, window_frames: int) -> Tensor:
        """Cut a window from each clip and change its pitch, level and spectral colour at random."""
        windows = self.draw(clips, window_frames)
        if self.config.band_shift and windows.shape[1] > 1:
            windows = CHANGES["band_shift"](self, windows)
        if self.config.gain_db or self.config.filter_db:
            gain_db = (2 * self.uniform(len(windows), 1) - 1) * self.config.gain_db
            if self.config.filter_db:
                windows, gain_db = FILTERS[self.kind](self, windows, gain_db)
            windows = windows * (10 ** (gain_db * self.exponent / 20))[:, :, None]
        return windows

    def __call__(self, clips: Tensor, targets: Tensor, window_frames: int) -> tuple[Tensor, Tensor]:
        """Clips (B, F, T) and targets (B, K) -> windows (B, F, window_frames) and targets (B, K).

        Windows are changed independently before they are mixed, like two sources in one room.
        """
        config = self.config
        windows = self.source(clips, window_frames)
        if config.mix:
            partners = torch.randperm(len(clips), generator=self.generator, device=clips.device)
            others = self.source(clips.index_select(0, partners), window_frames)
            windows, targets = CHANGES["mix"](self, windows, others, targets, targets[partners])
        if config.time_mask_s:
            windows = self.mask(windows, 2, round(config.time_mask_s * self.frames_per_s), self.neutral)
        if config.band_mask and windows.shape[1] > 1:
            windows = self.mask(windows, 1, config.band_mask, self.neutral)
        return windows, targets

    def mask(self, windows: Tensor, axis: int, longest: int, value: Tensor | float) -> Tensor:
        """Mask one random stretch of an axis, at most `longest` long, with a value."""
        B, num = len(windows), windows.shape[axis]
        start = self.integers(0, num - 1, B, 1)
        along = torch.arange(num, device=windows.device)
        blank = (along >= start) & (along < start + self.integers(0, longest, B, 1))
        return torch.where(blank[:, :, None] if axis == 1 else blank[:, None, :], value, windows)


@CHANGES.of("feature_frame_mask", "feature_row_mask")
def mask_features(augmenter: Augmenter, features: Tensor) -> Tensor:
    """Mask a stretch of time and neighbouring rows of the features, (B, rows, T) -> (B, rows, T).

    SpecAugment, arXiv:1904.08779, section 2; zero is the mean of the training clips.
    """
    config = augmenter.config
    if config.feature_frame_mask:
        features = augmenter.mask(features, 2, config.feature_frame_mask, 0.0)
    if config.feature_row_mask:
        features = augmenter.mask(features, 1, config.feature_row_mask, 0.0)
    return features


@CHANGES.of("mask_when_scored")
def masking(augmenter: Augmenter, model: Classifier) -> RemovableHandle:
    """Mask the output of a network's frontend as in training, inside the `with` block."""
    return model.frontend.register_forward_hook(lambda module, frames, features: mask_features(augmenter, features))


@CHANGES.of("stretch")
def draw_stretched(augmenter: Augmenter, clips: Tensor, window_frames: int) -> Tensor:
    """Cut windows played faster or slower, the speed log-uniform, (B, F, T) -> (B, F, window_frames)."""
    (B, _, T), most = clips.shape, 1 + augmenter.config.stretch
    starts = augmenter.uniform(B, 1) * T
    steps = torch.arange(window_frames, device=clips.device) * most ** (2 * augmenter.uniform(B, 1) - 1)
    return read_between(clips, starts, steps, beyond=math.ceil(window_frames * most) + 2)


def read_between(clips: Tensor, starts: Tensor, steps: Tensor, *, beyond: int) -> Tensor:
    """Interpolate between the frames of clips, which wrap around; steps are at most `beyond`.

    (B, F, T), (B, 1), (B, window) -> (B, F, window).
    """
    ring = clips.repeat(1, 1, 1 + math.ceil(beyond / clips.shape[2]))[:, :, : clips.shape[2] + beyond]
    whole = starts.floor()
    steps = steps + (starts - whole)  # small numbers, for precision at the end of a long clip
    before = steps.floor()
    times = (before.long() + whole.long())[:, None].expand(-1, clips.shape[1], -1)
    return torch.lerp(ring.gather(2, times), ring[:, :, 1:].gather(2, times), (steps - before)[:, None])


@CHANGES.of("mix")
def mix(
    augmenter: Augmenter, windows: Tensor, others: Tensor, targets: Tensor, other_targets: Tensor
) -> tuple[Tensor, Tensor]:
    """Mix windows with others so that their perceived levels match the shares in the target.

    Between-class learning, arXiv:1711.10282, equation 2, with r in [0, 1] and level instead of loudness:
    p = 1 / (1 + 10 ** ((G1 - G2) / 20) (1 - r) / r), x = (p x1 + (1 - p) x2) / sqrt(p^2 + (1 - p)^2).
    """
    B, exponent = len(windows), augmenter.exponent
    share = torch.where(augmenter.uniform(B) < augmenter.config.mix, augmenter.uniform(B), 1.0)
    level_db, other_db = (
        10 * torch.log10((some if exponent == 2 else some.square()).mean((1, 2)) + 1e-7) for some in (windows, others)
    )
    ratio = 10 ** ((level_db - other_db) / 20)
    weight = 1 / (1 + ratio * (1 - share) / share.clamp(min=1e-6))
    norm = torch.sqrt(weight**2 + (1 - weight) ** 2)
    own, other = (((part / norm) ** exponent)[:, None, None] for part in (weight, 1 - weight))
    mixed_targets = targets * share[:, None] + other_targets * (1 - share[:, None])
    return windows * own + others * other, mixed_targets


@CHANGES.of("band_shift")
def shift_bands(augmenter: Augmenter, windows: Tensor) -> Tensor:
    """Move a window up or down by whole mel bands, the edge band repeated."""
    most, (B, num, _) = augmenter.config.band_shift, windows.shape
    bands = torch.arange(num, device=windows.device) + augmenter.integers(-most, most, B, 1)
    rows = bands.clamp(0, num - 1) + num * torch.arange(B, device=windows.device)[:, None]
    return windows.flatten(0, 1).index_select(0, rows.flatten()).view_as(windows)  # `gather` takes 8 times as long


@FILTERS.of("log-mel", "mfcc")
def filter_bands(augmenter: Augmenter, windows: Tensor, gain_db: Tensor) -> tuple[Tensor, Tensor]:
    """Change the gain smoothly over frequency, as another microphone or room would, (B, 1) -> (B, F)."""
    knots = torch.randn(len(windows), 1, 5, generator=augmenter.generator, device=windows.device)
    knots = knots * augmenter.config.filter_db
    return windows, gain_db + F.interpolate(knots, size=windows.shape[1], mode="linear", align_corners=True)[:, 0]


@FILTERS.of("raw")
def filter_waveforms(augmenter: Augmenter, windows: Tensor, gain_db: Tensor) -> tuple[Tensor, Tensor]:
    """Add seven short echoes of random strength to each waveform, (B, 1, T): a smooth filter, `filter_db` strong.

    Independent echoes of spread s change the power at a frequency by 10 / ln 10 x sqrt(2 x 7) s decibels, to first
    order.
    """
    B, _, T = windows.shape
    spread = augmenter.config.filter_db * math.log(10) / 10 / math.sqrt(2 * NUM_ECHOES)
    echoes = torch.randn(B, 1, NUM_ECHOES, generator=augmenter.generator, device=windows.device) * spread
    taps = F.pad(echoes, (0, 1), value=1.0)  # the last tap is the direct sound
    padded = F.pad(windows, (NUM_ECHOES, 0)).view(1, B, T + NUM_ECHOES)
    return F.conv1d(padded, taps, groups=B).view(B, 1, T), gain_db
