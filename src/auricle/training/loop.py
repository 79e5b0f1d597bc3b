"""The training loop: optimiser steps, epoch by epoch, with a point of the learning curves after each.

run_training    all remaining epochs
train_epoch     the batches of an epoch
Trainer.step    one batch: gradients, clipping, optimiser
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from auricle.config import Preset
from auricle.errors import DivergedError
from auricle.model.classifier import Classifier
from auricle.model.transformer import Encoder
from auricle.training.augment import CHANGES, Augmenter
from auricle.training.evaluate import Clips, Precision, curve_point
from auricle.training.optimise import WeightAverage, epochs_alone, learning_rate_at

EpochRecord = dict[str, Any]


@dataclass(frozen=True)
class Step:
    """One optimiser step: its loss, gradient norm and learning rate."""

    objective: Tensor
    gradient_norm: Tensor
    learning_rate: float


@dataclass(frozen=True)
class Trainer:
    """The state of a training: weights, average, optimiser and random generators."""

    preset: Preset
    model: Classifier
    average: WeightAverage | None
    optimizer: torch.optim.Optimizer
    augmenter: Augmenter
    generator: Generator
    precision: Precision
    window_frames: int

    @property
    def scored_model(self) -> Classifier:
        """The network that is scored: with averaged weights if there are any, else with the last weights."""
        return self.average.model if self.average else self.model

    def batches(self, clips: Clips) -> list[Tensor]:
        """Draw the batches of an epoch: every clip `views` times, each time in a new order; or by `chances`.

        With random windows only full batches; with a grid every window, so the last batch may be smaller.
        """
        config = self.preset.training
        if clips.chances is None:
            order = torch.cat([torch.randperm(len(clips), generator=self.generator) for _ in range(config.views)])
        else:
            order = torch.multinomial(clips.chances, config.views * len(clips), True, generator=self.generator)
        order = order.to(self.precision.device)
        size = min(config.batch_size, len(order))
        num_seen = len(order) if config.windows == "grid" else len(order) // size * size
        return list(order[:num_seen].split(size))

    def loss(self, clips: Tensor, targets: Tensor) -> Tensor:
        """Return the mean cross-entropy of augmented windows with smoothed targets."""
        windows, targets = self.augmenter(clips, targets, self.window_frames)
        config, smoothing = self.preset.training, self.preset.training.label_smoothing
        counts = targets.sum(1, keepdim=True) if config.balance == "loss" else 1.0  # the weight of a window
        targets = targets * (1 - smoothing) + smoothing * counts / targets.shape[1]
        with self.precision.autocast():
            features = self.model.frontend(windows)
            if self.preset.augmentation.feature_frame_mask or self.preset.augmentation.feature_row_mask:
                features = CHANGES["feature_frame_mask"](self.augmenter, features)
            logits = self.classify(features)
        return F.cross_entropy(logits.float(), targets)

    def classify(self, features: Tensor) -> Tensor:
        """Return the logits of a training batch, (B, rows, T) -> (B, K)."""
        return self.model.classify(features)

    def step(self, loss: Tensor) -> Tensor:
        """Take one optimiser step and return the gradient norm, on the device.

        Raises:
            DivergedError: loss or gradient is not finite, and the weights are unchanged. Only on the CPU, where the
                check is free; an accelerator is not waited for, `epoch_means` checks at the end of the epoch.
        """
        weights = list(self.model.parameters())
        for weight in weights:
            weight.grad = None
        loss.backward()
        if clip := self.preset.training.gradient_clip:
            norm = nn.utils.clip_grad_norm_(weights, clip)
        else:
            gradients = [weight.grad for weight in weights if weight.grad is not None]
            norm = nn.utils.get_total_norm(gradients).clamp(max=1e30)  # a sum of finite squares may overflow
        if norm.device.type == "cpu":
            check_finite(loss, norm)
        self.optimizer.step()
        return norm

    def enter(self, epoch: int, num_alone: int) -> None:
        """Begin an epoch (from 0): for the first `num_alone` the base trains alone, then the encoder blocks join."""
        encoders = [m.summary for m in (self.model, self.scored_model) if isinstance(m.summary, Encoder)]
        for encoder in encoders:
            encoder.base_alone = epoch < num_alone
        if encoders and epoch == num_alone > 0:
            self.model.load_state_dict(self.scored_model.state_dict())
            self.optimizer.state.clear()

    def is_over(self, history: Sequence[Mapping[str, Any]]) -> bool:
        """Return whether a training with this history has completed all its epochs, or all its steps."""
        config, taken = self.preset.training, sum(record.get("steps", 0) for record in history)
        return len(history) >= config.epochs or taken >= (config.max_steps or math.inf)


def check_finite(loss: Tensor, norm: Tensor) -> None:
    """Raise DivergedError where a loss or gradient norm is not finite."""
    if not math.isfinite(norm.item()) or not math.isfinite(loss.item()):
        raise DivergedError(f"loss {loss.item():g}, gradient norm {norm.item():g}")


def train_epoch(trainer: Trainer, clips: Clips, epoch: int) -> Iterator[Step]:
    """Train one epoch (from 0), yielding after each step; at most `max_steps` over the whole training.

    Raises:
        DivergedError: a step was not finite; the message says which.
    """
    trainer.model.train()
    config, batches = trainer.preset.training, trainer.batches(clips)
    first, num_alone = epoch * len(batches), epochs_alone(config, len(batches))
    trainer.enter(epoch, num_alone)
    allowed = len(batches) if config.max_steps is None else max(0, config.max_steps - first)
    for step, batch in enumerate(batches[:allowed], first):
        rate = learning_rate_at(step, config, steps_per_epoch=len(batches))
        for group in trainer.optimizer.param_groups:
            group["lr"] = rate * group["scale"]
        loss = trainer.loss(clips.frames.index_select(0, batch), clips.targets[batch])  # faster than frames[batch]
        try:
            norm = trainer.step(loss)
        except DivergedError as error:
            raise _diverged(f"epoch {epoch + 1}, step {step + 1}", error, rate) from error
        if trainer.average:
            trainer.average.update(step + 1 - num_alone * len(batches) * (epoch >= num_alone))
        yield Step(loss.detach(), norm, rate)


def epoch_means(steps: Sequence[Step], epoch: int) -> EpochRecord:
    """Return mean objective, mean gradient norm, last learning rate and number of steps of an epoch (from 0)."""
    objective = torch.stack([step.objective for step in steps]).mean()
    norm, rate = torch.stack([step.gradient_norm for step in steps]).mean(), steps[-1].learning_rate
    try:
        check_finite(objective, norm)
    except DivergedError as error:
        raise _diverged(f"epoch {epoch + 1}", error, rate) from error
    return {"objective": float(objective), "gradient_norm": float(norm), "learning_rate": rate, "steps": len(steps)}


def _diverged(when: str, error: DivergedError, rate: float) -> DivergedError:
    advice = "lower training.learning_rate or lengthen training.warmup_epochs"
    return DivergedError(f"diverged in {when}: {error}; learning rate {rate:g}: {advice}")


def run_training(
    trainer: Trainer,
    clips: Clips,
    measured: Mapping[str, Clips],
    *,
    history: Sequence[EpochRecord] = (),
    num_epochs: int | None = None,
    on_epoch: Callable[[list[EpochRecord]], None] | None = None,
) -> list[EpochRecord]:
    """Train the remaining epochs, measure the learning curves after each, and return the whole history.

    Windows are drawn from `clips`; `measured` are the sets for the curves, one window per clip. `history` contains the
    records of earlier epochs. Training stops after `num_epochs`, if not before. `on_epoch` is called with the history
    after each epoch, and may add to the last record.
    """
    history = list(history)
    while not trainer.is_over(history) and len(history) != num_epochs:
        epoch, start, cpu = len(history), time.perf_counter(), time.process_time()
        means = epoch_means(list(train_epoch(trainer, clips, epoch)), epoch)
        step_s = (time.perf_counter() - start) / means["steps"]
        record: EpochRecord = {"epoch": epoch + 1}
        for name, some in measured.items():
            point = curve_point(trainer.model, some, trainer.precision)
            record |= {f"{name}_{quantity}": value for quantity, value in point.items()}
        record |= {**means, "step_seconds": step_s, "seconds": time.perf_counter() - start}
        history.append({**record, "cpu_seconds": time.process_time() - cpu})
        if on_epoch:
            on_epoch(history)
    return history
