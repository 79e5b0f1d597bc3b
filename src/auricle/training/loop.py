"""The training loop: one epoch over windows drawn from clips, and the network's word on clean windows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from auricle.config import Preset
from auricle.errors import DivergedError
from auricle.model.classifier import Classifier
from auricle.training.augment import Augmenter
from auricle.training.optimise import WeightAverage, learning_rate_at


@dataclass(frozen=True)
class Precision:
    """The number format of convolutions and products while training."""

    device: torch.device
    dtype: torch.dtype

    @classmethod
    def choose(cls, name: str, device: torch.device) -> Precision:
        """Return what a preset asks for; "auto" is bfloat16 where the processor computes in it, else float32."""
        if name == "auto":
            if device.type == "cuda":
                fast = torch.cuda.is_bf16_supported()
            else:
                processor = torch.cpu.get_capabilities()
                fast = device.type == "cpu" and any(processor.get(f"{unit}_bf16") for unit in ("avx512", "amx"))
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

    def __len__(self) -> int:
        return len(self.frames)


class WholeBatch:
    """What a process that trains alone computes of every batch: all of it."""

    def of(self, batch: Tensor) -> Tensor:
        """Return our rows of a batch, (B, ...)."""
        return batch

    def add_up(self, tensors: Iterable[Tensor]) -> None:
        """Put into each tensor, in place, its sum over the processes."""


@dataclass(frozen=True)
class Step:
    """One step: the loss that it went down, the norm of its gradient, its learning rate."""

    objective: Tensor
    gradient_norm: Tensor
    learning_rate: float


@dataclass(frozen=True)
class Trainer:
    """Everything that one training moves: weights, average, optimiser, randomness; and our share of every batch."""

    preset: Preset
    model: Classifier
    average: WeightAverage | None
    optimizer: torch.optim.Optimizer
    augmenter: Augmenter
    generator: Generator
    precision: Precision
    window_frames: int
    share: WholeBatch = field(default_factory=WholeBatch)

    def batches(self, num_clips: int) -> list[Tensor]:
        """Draw the order of an epoch: every clip `views` times, each time in a new order.

        Of windows at random places whole batches only; of a grid every window, so the last batch may be smaller.
        """
        config = self.preset.training
        orders = [torch.randperm(num_clips, generator=self.generator) for _ in range(config.views)]
        order = torch.cat(orders).to(self.precision.device)
        size = min(config.batch_size, len(order))
        num_seen = len(order) if config.windows == "grid" else len(order) // size * size
        return list(order[:num_seen].split(size))

    def loss(self, clips: Tensor, targets: Tensor) -> Tensor:
        """Return the mean cross-entropy of augmented windows against smoothed targets; of our share, its part."""
        windows, targets = self.augmenter(clips, targets, self.window_frames)
        smoothing = self.preset.training.label_smoothing
        targets = targets * (1 - smoothing) + smoothing / targets.shape[1]
        with self.precision.autocast():
            features = self.augmenter.mask_features(self.model.frontend(windows))
            logits = self.model.classify(self.share.of(features))
        return F.cross_entropy(logits.float(), self.share.of(targets), reduction="sum") / len(targets)

    def step(self, loss: Tensor) -> Tensor:
        """Go one step down the loss and return the norm of its gradient, on the device.

        Where others train with us, parts become the whole: the gradients, and the loss in place.

        Raises:
            DivergedError: on the CPU, where a look costs nothing: loss or gradient is not finite; the weights are left
                as they were. An accelerator is not waited for; `epoch` looks at its end.
        """
        self.optimizer.zero_grad()
        loss.backward()
        gradients = [weight.grad for weight in self.model.parameters() if weight.grad is not None]
        self.share.add_up([loss.detach(), *gradients])
        clip = self.preset.training.gradient_clip or math.inf
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), clip)
        if norm.device.type == "cpu":
            _check_finite(loss, norm)
        self.optimizer.step()
        return norm

    def steps(self, epoch: int, clips: Clips) -> Iterator[Step]:
        """Train through one epoch (from 0), a step at a time; no further than `max_steps` of the training.

        Raises:
            DivergedError: a step was not finite; the message says which.
        """
        self.model.train()
        config, batches = self.preset.training, self.batches(len(clips))
        first = epoch * len(batches)
        allowed = len(batches) if config.max_steps is None else max(0, config.max_steps - first)
        for step, batch in enumerate(batches[:allowed], first):
            rate = learning_rate_at(step, config, steps_per_epoch=len(batches))
            for group in self.optimizer.param_groups:
                group["lr"] = rate * group["scale"]
            loss = self.loss(clips.frames[batch], clips.targets[batch])
            try:
                norm = self.step(loss)
            except DivergedError as error:
                raise DivergedError(_diverged(f"epoch {epoch + 1}, step {step + 1}", error, rate)) from error
            if self.average:
                self.average.update(step + 1)
            yield Step(loss.detach(), norm, rate)

    def is_over(self, epochs: Sequence[Mapping[str, Any]]) -> bool:
        """Return whether a training with these epochs behind it has had all of them, or all of its steps."""
        config, taken = self.preset.training, sum(epoch.get("steps", 0) for epoch in epochs)
        return len(epochs) >= config.epochs or taken >= (config.max_steps or math.inf)

    def epoch(self, epoch: int, clips: Clips) -> dict[str, float]:
        """Train through one epoch (from 0); return mean objective, mean gradient norm, last rate, steps taken.

        Raises:
            DivergedError: a step was not finite; the message says which.
        """
        steps = list(self.steps(epoch, clips))
        objective = torch.stack([step.objective for step in steps]).mean()
        norm, rate = torch.stack([step.gradient_norm for step in steps]).mean(), steps[-1].learning_rate
        try:
            _check_finite(objective, norm)
        except DivergedError as error:
            raise DivergedError(_diverged(f"epoch {epoch + 1}", error, rate)) from error
        return {"objective": float(objective), "gradient_norm": float(norm), "learning_rate": rate, "steps": len(steps)}


def _diverged(when: str, error: DivergedError, rate: float) -> str:
    advice = "lower training.learning_rate or lengthen training.warmup_epochs"
    return f"diverged in {when}: {error}; learning rate {rate:g}: {advice}"


def _check_finite(loss: Tensor, norm: Tensor) -> None:
    if not math.isfinite(norm.item()) or not math.isfinite(loss.item()):
        raise DivergedError(f"loss {loss.item():g}, gradient norm {norm.item():g}")


def cut_windows(frames: Tensor, starts: list[int], window_frames: int) -> Tensor:
    """Cut windows from clips, (N, F, T) -> (N, W, F, window_frames); what lies beyond a clip is zero."""
    frames = F.pad(frames, (0, max(0, max(starts) + window_frames - frames.shape[2])))
    return torch.stack([frames[:, :, start : start + window_frames] for start in starts], dim=1)


@torch.inference_mode()
def window_logits(model: Classifier, windows: Tensor, precision: Precision | None = None) -> Tensor:
    """Return logits, (M, F, T) -> (M, K), in float32 unless a precision is given."""
    was_training = model.training
    model.eval()
    logits = []
    for part in windows.split(128):
        with precision.autocast() if precision else nullcontext():
            logits.append(model(part).float())
    model.train(was_training)
    return torch.cat(logits)


def window_probabilities(model: Classifier, windows: Tensor) -> Tensor:
    """Return softmax probabilities, (M, F, T) -> (M, K), in float32."""
    return window_logits(model, windows).softmax(1)


@dataclass(frozen=True)
class CurvePoint:
    """What a network says of clean windows, one a clip.

    Attributes:
        loss: mean cross-entropy, nats.
        accuracy: share of right answers, 0..1.
        commonest: share of the answer that is given most often, 0..1.
        spread: standard deviation over clips of a logit above the mean of the clip's logits, averaged over classes.
    """

    loss: float
    accuracy: float
    commonest: float
    spread: float


def middle_windows(clips: Clips, window_frames: int) -> Tensor:
    """Return the middle window of every clip, (N, F, window_frames)."""
    middle = max(0, (clips.frames.shape[2] - window_frames) // 2)
    return cut_windows(clips.frames, [middle], window_frames)[:, 0]


def curve_point(model: Classifier, clips: Clips, window_frames: int, precision: Precision) -> CurvePoint:
    """Return a point of the learning curve, measured on the middle window of every clip."""
    logits = window_logits(model, middle_windows(clips, window_frames), precision)
    probabilities, labels = logits.softmax(1), clips.targets.argmax(1)
    answers = probabilities.argmax(1)
    loss = F.nll_loss(probabilities.clamp(min=1e-12).log(), labels)
    spread = (logits - logits.mean(1, keepdim=True)).std(0, correction=0).mean()
    return CurvePoint(
        loss=float(loss),
        accuracy=float((answers == labels).float().mean()),
        commonest=float(answers.bincount().max()) / len(answers),
        spread=float(spread),
    )
