"""The training loop: one epoch over windows drawn from clips, and the network's word on clean windows."""

from __future__ import annotations

import math
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Trainer:
    """Everything that one training moves: weights, average, optimiser, randomness."""

    preset: Preset
    model: Classifier
    average: WeightAverage | None
    optimizer: torch.optim.Optimizer
    augmenter: Augmenter
    generator: Generator
    precision: Precision
    window_frames: int

    def batches(self, num_clips: int) -> list[Tensor]:
        """Draw the order of an epoch: every clip `views` times, each time in a new order; whole batches only."""
        config = self.preset.training
        orders = [torch.randperm(num_clips, generator=self.generator) for _ in range(config.views)]
        order = torch.cat(orders).to(self.precision.device)
        size = min(config.batch_size, len(order))
        return list(order[: len(order) // size * size].split(size))

    def loss(self, clips: Tensor, targets: Tensor) -> Tensor:
        """Return the mean cross-entropy of augmented windows against smoothed targets."""
        windows, targets = self.augmenter(clips, targets, self.window_frames)
        smoothing = self.preset.training.label_smoothing
        targets = targets * (1 - smoothing) + smoothing / targets.shape[1]
        with self.precision.autocast():
            logits = self.model(windows)
        return F.cross_entropy(logits.float(), targets)

    def step(self, loss: Tensor) -> float:
        """Go one step down the loss and return the norm of its gradient.

        Raises:
            DivergedError: loss or gradient is not finite; the weights are left as they were.
        """
        self.optimizer.zero_grad()
        loss.backward()
        clip = self.preset.training.gradient_clip or math.inf
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), clip).item()
        if not math.isfinite(norm) or not math.isfinite(loss.item()):
            raise DivergedError(f"loss {loss.item():g}, gradient norm {norm:g}")
        self.optimizer.step()
        return norm

    def epoch(self, epoch: int, clips: Clips) -> dict[str, float]:
        """Train through one epoch (from 0); return mean objective, mean gradient norm, last learning rate.

        Raises:
            DivergedError: a step was not finite; the message says which.
        """
        self.model.train()
        config, batches = self.preset.training, self.batches(len(clips))
        objective = torch.zeros((), device=self.precision.device)
        norms = 0.0
        for place, batch in enumerate(batches):
            step = epoch * len(batches) + place
            rate = learning_rate_at(step, config, steps_per_epoch=len(batches))
            for group in self.optimizer.param_groups:
                group["lr"] = rate * group["scale"]
            loss = self.loss(clips.frames[batch], clips.targets[batch])
            try:
                norms += self.step(loss)
            except DivergedError as error:
                raise DivergedError(
                    f"diverged in epoch {epoch + 1}, step {step + 1}: {error}; learning rate {rate:g}: lower "
                    "training.learning_rate or lengthen training.warmup_epochs"
                ) from error
            if self.average:
                self.average.update(step + 1)
            objective += loss.detach()
        return {
            "objective": float(objective) / len(batches),
            "gradient_norm": norms / len(batches),
            "learning_rate": rate,
        }


def cut_windows(frames: Tensor, starts: list[int], window_frames: int) -> Tensor:
    """Cut windows from clips, (N, F, T) -> (N, W, F, window_frames); what lies beyond a clip is zero."""
    frames = F.pad(frames, (0, max(0, max(starts) + window_frames - frames.shape[2])))
    return torch.stack([frames[:, :, start : start + window_frames] for start in starts], dim=1)


@torch.inference_mode()
def window_probabilities(model: Classifier, windows: Tensor, precision: Precision | None = None) -> Tensor:
    """Return softmax probabilities, (M, F, T) -> (M, K), in float32 unless a precision is given."""
    was_training = model.training
    model.eval()
    probabilities = []
    for part in windows.split(128):
        if precision is None:
            logits = model(part)
        else:
            with precision.autocast():
                logits = model(part)
        probabilities.append(logits.float().softmax(1))
    model.train(was_training)
    return torch.cat(probabilities)


def curve_point(model: Classifier, clips: Clips, window_frames: int, precision: Precision) -> tuple[float, float]:
    """Return loss and accuracy on the middle window of every clip: a point of the learning curve."""
    middle = max(0, (clips.frames.shape[2] - window_frames) // 2)
    windows = cut_windows(clips.frames, [middle], window_frames)[:, 0]
    probabilities = window_probabilities(model, windows, precision)
    labels = clips.targets.argmax(1)
    loss = F.nll_loss(probabilities.clamp(min=1e-12).log(), labels)
    return float(loss), float((probabilities.argmax(1) == labels).float().mean())
