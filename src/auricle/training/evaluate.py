"""What a network says of clean windows: learning curves while it trains, predictions at the end."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace

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


@dataclass(frozen=True)
class Precision:
    """The number format of convolutions and products while training."""

    device: torch.device
    dtype: torch.dtype

    @classmethod
    def choose(cls, name: str, device: torch.device) -> Precision:
        """Return what a preset asks for; "auto" is bfloat16 where the processor computes in it, else float32."""
        if name == "auto":
            processor = torch.cpu.get_capabilities() if device.type == "cpu" else {}
            fast = any(processor.get(f"{unit}_bf16") for unit in ("avx512", "amx"))
            fast = fast or (device.type == "cuda" and torch.cuda.is_bf16_supported())
            name = "bfloat16" if fast else "float32"
        return cls(device, getattr(torch, name))

    def autocast(self) -> torch.autocast:
        """Return the context in which the network runs."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.dtype == torch.bfloat16)


@dataclass(frozen=True)
class Clips:
    """Clips on the device: frames (N, F, T) and one-hot labels (N, K)."""

    frames: Tensor
    targets: Tensor
    chances: Tensor | None = None  # of each to be drawn, on the CPU, (N,); None: all are drawn in turn

    def __len__(self) -> int:
        return len(self.frames)


@dataclass(frozen=True)
class Sets:
    """The clips of a split, on the device; the test clips are touched once, after the last epoch."""

    frames: Tensor
    targets: Tensor
    split: Split
    rule: ClipWindows
    weights: np.ndarray  # of the windows that answer for each clip, (N, W)

    def clips(self, indices: np.ndarray) -> Clips:
        """Return some clips, by their index in the manifest."""
        chosen = torch.from_numpy(indices).to(self.frames.device)
        return Clips(self.frames[chosen], self.targets[chosen])

    def fullest(self, indices: np.ndarray) -> Clips:
        """Return the window of each of these clips, one or more, that counts; the first of several."""
        windows = [cut_windows(self.frames[i : i + 1], self.rule)[0, self.weights[i].argmax()] for i in indices]
        return replace(self.clips(indices), frames=torch.stack(windows))


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
    """Let each class be drawn equally often, where their sizes are unequal."""
    if not drawn or not is_unequal(clips.targets.sum(0).tolist()):
        return _weighed_evenly(clips, drawn=False)
    return replace(clips, chances=counted_evenly(clips.targets).sum(1).cpu())


@BALANCED.of("loss")
def _weighed_evenly(clips: Clips, *, drawn: bool) -> Clips:
    """Let each class count the same, where their sizes are unequal: the targets of a clip sum up to what it counts."""
    is_equal = not is_unequal(clips.targets.sum(0).tolist())
    return clips if is_equal else replace(clips, targets=counted_evenly(clips.targets))


def counted_evenly(targets: Tensor) -> Tensor:
    """Scale one-hot targets so that all classes count the same, and a clip 1 on average: (N, K) -> (N, K).

    >>> counted_evenly(torch.tensor([[1.0, 0], [1, 0], [1, 0], [0, 1]])).sum(1)
    tensor([0.6667, 0.6667, 0.6667, 2.0000])
    """
    num = targets.sum(0)
    return targets * len(targets) / ((num > 0).sum() * num.clamp(min=1))


def cut_windows(frames: Tensor, rule: ClipWindows) -> Tensor:
    """Cut the windows that answer for clips, (N, F, T) -> (N, W, F, window_frames); what lies beyond a clip is zero."""
    times = torch.from_numpy(rule.times(frames.shape[2])).to(frames.device)
    frames = F.pad(frames, (0, max(0, int(times.max()) + 1 - frames.shape[2])))
    return frames[:, :, times].transpose(1, 2)


@torch.inference_mode()
def window_logits(model: Classifier, windows: Tensor, precision: Precision | None = None) -> Tensor:
    """Return logits, (M, F, T) -> (M, K), in float32 unless a precision is given."""
    was_training = model.training
    model.eval()
    with precision.autocast() if precision else nullcontext():
        logits = [model(part).float() for part in windows.split(128)]
    model.train(was_training)
    return torch.cat(logits)


def window_probabilities(model: Classifier, windows: Tensor) -> Tensor:
    """Return softmax probabilities, (M, F, T) -> (M, K), in float32."""
    return window_logits(model, windows).softmax(1)


def curve_point(model: Classifier, clips: Clips, precision: Precision) -> dict[str, float]:
    """Return a point of the learning curve, measured on one window of every clip (`Sets.fullest`).

    A clip counts what its targets sum up to: 1, unless a training balances classes.

    Returns:
        `loss` (mean cross-entropy, nats), `accuracy`, `commonest` (share of the answer that is given most often) and
        `spread` (standard deviation over clips of a logit above the mean of the clip's, averaged over classes).
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
    """Score every window of the validation and the test clips, in this order: float64 (N, W, K), and weights (N, W)."""
    windows = cut_windows(sets.clips(sets.split.scored).frames, sets.rule)  # (N, W, F, T)
    with CHANGES["mask_when_scored"](augmenter, model) if augmenter.config.mask_when_scored else nullcontext():
        logits = window_logits(model, windows.flatten(0, 1)).unflatten(0, windows.shape[:2])
    return logits.softmax(2).double().cpu().numpy(), sets.weights[sets.split.scored]
