"""Evaluate a network on windows without augmentation: learning curves during training, predictions at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from auricle.config.variants import Variants
from auricle.data.folds import Split
from auricle.data.manifest import is_unequal
from auricle.model.classifier import Classifier
from auricle.model.windows import ClipWindows
from auricle.training.augment import CHANGES, Augmenter

DRAWN_FROM = Variants("training.windows")
BALANCED = Variants("training.balance")
AT_ONCE = 128  # clips read, and windows predicted, at once; a quarter in float32


@dataclass(frozen=True)
class Precision:
    """The number format of convolutions and matrix products during training."""

    device: torch.device
    dtype: torch.dtype

    @classmethod
    def choose(cls, name: str, device: torch.device) -> Precision:
        """Return the precision of a name; "auto" is bfloat16 if the hardware computes in it, else float32."""
        if name == "auto":
            processor = torch.cpu.get_capabilities() if device.type == "cpu" else {}
            fast = any(processor.get(f"{unit}_bf16") for unit in ("avx512", "amx"))
            name = "bfloat16" if fast or (device.type == "cuda" and torch.cuda.is_bf16_supported()) else "float32"
        return cls(device, getattr(torch, name))

    def autocast(self) -> torch.autocast:
        """Return the context in which the network runs."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.dtype == torch.bfloat16)


@dataclass(frozen=True)
class Clips:
    """Clips on the device: frames (N, F, T) and one-hot labels (N, K)."""

    frames: Any  # a tensor, or an object indexed like one
    targets: Tensor
    chances: Tensor | None = None  # sampling weights, on the CPU, (N,); None: each clip is drawn equally often

    def __len__(self) -> int:
        return len(self.frames)


@dataclass(frozen=True)
class Sets:
    """The clips of a split, read when needed: the test clips once, after the last epoch."""

    frames: Callable[[np.ndarray], Any]  # of clips, by index in the manifest: (n, F, T), on the device
    targets: Tensor
    split: Split
    rule: ClipWindows

    def clips(self, indices: np.ndarray) -> Clips:
        """Return some clips, by index in the manifest."""
        return Clips(self.frames(indices), self.targets[indices])

    def windows(self, indices: np.ndarray) -> Iterator[tuple[Tensor, np.ndarray]]:
        """Yield the scored windows of clips, (n, W, F, window_frames), and their weights (n, W), in batches."""
        for start in range(0, len(indices), AT_ONCE):
            frames = self.frames(indices[start : start + AT_ONCE])[:]
            yield cut_windows(frames, self.rule), np.array([self.rule.weights(each) for each in frames.cpu().numpy()])

    def fullest(self, indices: np.ndarray) -> Clips:
        """Return the window with the largest weight of each of these clips (at least one clip)."""
        found = [windows[range(len(windows)), weights.argmax(1)] for windows, weights in self.windows(indices)]
        return Clips(torch.cat(found), self.targets[indices])


@DRAWN_FROM.of("random")
def _whole_clips(sets: Sets) -> Clips:
    return sets.clips(sets.split.train)


@DRAWN_FROM.of("grid")
def _grid_windows(sets: Sets) -> Clips:
    clips = sets.clips(sets.split.train)
    windows = cut_windows(clips.frames, sets.rule)  # (N, W, F, T)
    return Clips(windows.flatten(0, 1), clips.targets.repeat_interleave(windows.shape[1], dim=0))


@BALANCED.of("none")
def _as_they_are(clips: Clips, *, drawn: bool) -> Clips:
    return clips


@BALANCED.of("sampling")
def _drawn_evenly(clips: Clips, *, drawn: bool) -> Clips:
    """Draw each class equally often, if their sizes are unequal."""
    if not drawn or not is_unequal(clips.targets.sum(0).tolist()):
        return _weighed_evenly(clips, drawn=False)
    return replace(clips, chances=counted_evenly(clips.targets).sum(1).cpu())


@BALANCED.of("loss")
def _weighed_evenly(clips: Clips, *, drawn: bool) -> Clips:
    """Give each class the same weight, if their sizes are unequal: the targets of a clip sum to its weight."""
    is_equal = not is_unequal(clips.targets.sum(0).tolist())
    return clips if is_equal else replace(clips, targets=counted_evenly(clips.targets))


def counted_evenly(targets: Tensor) -> Tensor:
    """Scale one-hot targets so that all classes have the same weight, and a clip 1 on average: (N, K) -> (N, K).

    >>> counted_evenly(torch.tensor([[1.0, 0], [1, 0], [1, 0], [0, 1]])).sum(1)
    tensor([0.6667, 0.6667, 0.6667, 2.0000])
    """
    num = targets.sum(0)
    return targets * len(targets) / ((num > 0).sum() * num.clamp(min=1))


def cut_windows(frames: Tensor, rule: ClipWindows) -> Tensor:
    """Cut the scored windows of clips, (N, F, T) -> (N, W, F, window_frames), zero-padded at the end of a clip."""
    times = torch.from_numpy(rule.times(frames.shape[2])).to(frames.device)
    frames = F.pad(frames, (0, max(0, int(times.max()) + 1 - frames.shape[2])))
    return frames[:, :, times].transpose(1, 2)


@torch.inference_mode()
def window_logits(model: Classifier, windows: Tensor, precision: Precision | None = None) -> Tensor:
    """Return logits, (M, F, T) -> (M, K), in float32 unless a precision is given."""
    was_training = model.training
    model.eval()
    with precision.autocast() if precision else nullcontext():
        logits = [model(part).float() for part in windows.split(AT_ONCE if precision else AT_ONCE // 4)]
    model.train(was_training)
    return torch.cat(logits)


def window_probabilities(model: Classifier, windows: Tensor) -> Tensor:
    """Return softmax probabilities, (M, F, T) -> (M, K), in float32."""
    return window_logits(model, windows).softmax(1)


def curve_point(model: Classifier, clips: Clips, precision: Precision) -> dict[str, float]:
    """Return a point of the learning curve, measured on one window of every clip (`Sets.fullest`).

    The weight of a clip is the sum of its targets: 1, unless a training balances classes.

    Returns:
        `loss` (mean cross-entropy, nats), `accuracy`, `commonest` (share of the most frequent prediction) and `spread`
        (standard deviation over clips of a logit minus the mean of the clip's logits, averaged over classes).
    """
    logits = window_logits(model, clips.frames, precision)
    probabilities, labels, counts = logits.softmax(1), clips.targets.argmax(1), clips.targets.sum(1)
    answers = probabilities.argmax(1)
    losses = F.nll_loss(probabilities.clamp(min=1e-12).log(), labels, reduction="none")
    return {
        "loss": float((counts * losses).mean()),
        "accuracy": float((counts * (answers == labels)).mean()),
        "commonest": float(answers.bincount().max()) / len(answers),
        "spread": float((logits - logits.mean(1, keepdim=True)).std(0, correction=0).mean()),
    }


def scored_probabilities(model: Classifier, sets: Sets, augmenter: Augmenter) -> tuple[np.ndarray, np.ndarray]:
    """Predict every window of the validation, then of the test clips: float64 (N, W, K), and weights (N, W)."""
    parts = []
    with CHANGES["mask_when_scored"](augmenter, model) if augmenter.config.mask_when_scored else nullcontext():
        for windows, weights in sets.windows(sets.split.scored):
            logits = window_logits(model, windows.flatten(0, 1)).unflatten(0, windows.shape[:2])
            parts.append((logits.softmax(2).cpu().double().numpy(), weights))
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
