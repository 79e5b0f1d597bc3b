"""Measurements of a network that does not learn: its first steps, its units, its attention."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from auricle.errors import DivergedError
from auricle.model.classifier import Classifier
from auricle.model.transformer import Encoder, attention_weights
from auricle.training.evaluate import Clips
from auricle.training.loop import Trainer, train_epoch
from auricle.training.optimise import TOKENS
from auricle.training.start import fresh_model, fresh_trainer

NUM_STEPS = 10
NUM_WINDOWS = 64


@dataclass(frozen=True)
class FirstSteps:
    """How a training begins.

    Attributes:
        losses: of each step, in nats.
        gradient_norms: before clipping.
        step_sizes: of each step, the change of the median matrix or kernel, relative to its norm, scaled to the full
            learning rate during the warm-up.
        steps_per_epoch: steps of an epoch.
        diverged: True if a step was not finite; the other attributes then end before it.
    """

    losses: tuple[float, ...]
    gradient_norms: tuple[float, ...]
    step_sizes: tuple[float, ...]
    steps_per_epoch: int
    diverged: bool


def measure(trainer: Trainer, clips: Clips, windows: Clips, seed: int) -> tuple[FirstSteps, Inside]:
    """Measure how a training began, by repeating its first steps from its seed, and the state of its network now.

    The training itself is not changed, nor are its random generators.
    """
    device, num_classes = trainer.precision.device, clips.targets.shape[1]
    with torch.random.fork_rng():
        model = fresh_model(trainer.preset, num_classes, seed, device)
        model.frontend.load_state_dict(trainer.model.frontend.state_dict())
        start = first_steps(fresh_trainer(trainer.preset, model, seed, device), clips)
    return start, inside(trainer.model, windows.frames)


def first_steps(trainer: Trainer, clips: Clips) -> FirstSteps:
    """Run the first steps of a new training and measure them."""
    weights = [weight for name, weight in trainer.model.named_parameters() if weight.ndim > 1 and name not in TOKENS]
    full_rate = trainer.preset.training.learning_rate
    losses, norms, sizes, diverged = [], [], [], False
    steps = chain.from_iterable(train_epoch(trainer, clips, epoch) for epoch in range(trainer.preset.training.epochs))
    try:
        for _ in range(NUM_STEPS):
            before = [weight.detach().clone() for weight in weights]
            if (step := next(steps, None)) is None:
                break
            size = _typical_change(before, weights) * full_rate / step.learning_rate
            if not math.isfinite(size):
                diverged = True
                break
            losses.append(float(step.objective))
            norms.append(float(step.gradient_norm))
            sizes.append(size)
    except DivergedError:
        diverged = True
    return FirstSteps(tuple(losses), tuple(norms), tuple(sizes), len(trainer.batches(clips)), diverged)


@torch.no_grad()
def _typical_change(before: Sequence[Tensor], after: Sequence[Tensor]) -> float:
    """Return the median over weights of their change, relative to their norm before it."""
    changes = [float((new - old).norm() / old.norm().clamp(min=1e-12)) for old, new in zip(before, after, strict=True)]
    return statistics.median(changes)


@dataclass(frozen=True)
class Inside:
    """The activations of a network on training windows.

    Attributes:
        dead_units: share of channels that are zero for all windows, in the worst ReLU layer; None without ReLU.
        dead_layer: that layer, if the share is above 0.
        attention_entropy: mean over heads and queries of the entropy of the weights, relative to that of uniform
            attention, in the block where it is lowest; None without an encoder.
        base_spread: how much the feature map of the base differs between windows, relative to its norm.
        summary_spread: the same for the input of the head.
    """

    dead_units: float | None
    dead_layer: str | None
    attention_entropy: float | None
    base_spread: float
    summary_spread: float


@torch.no_grad()
def inside(model: Classifier, windows: Tensor) -> Inside:
    """Measure the activations of a network on some of the windows, (N, F, T)."""
    windows = windows[torch.linspace(0, len(windows) - 1, min(NUM_WINDOWS, len(windows)), device=windows.device).long()]
    was_training = model.training
    model.eval()
    with _alive_units(model) as alive:
        map = model.base(model.frontend(windows))
        summary = model.summary(map)
        model.head(summary)
    entropy = _least_entropy(model.summary, map) if isinstance(model.summary, Encoder) else None
    model.train(was_training)
    dead = {name: 1 - float(units.float().mean()) for name, units in alive.items()}
    return Inside(
        dead_units=max(dead.values(), default=None),
        dead_layer=max((name for name, share in dead.items() if share), key=dead.__getitem__, default=None),
        attention_entropy=entropy,
        base_spread=_relative_spread(map),
        summary_spread=_relative_spread(summary),
    )


@contextmanager
def _alive_units(model: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Record, by layer, which channels of a ReLU are above zero for any input inside the `with` block."""
    alive: dict[str, Tensor] = {}

    def note(name: str, layer: nn.Module, inputs: Any, output: Tensor) -> None:
        channels = output.transpose(1, -1) if output.ndim == 4 else output  # (..., channels)
        alive[name] = (channels > 0).flatten(0, -2).any(0)

    with ExitStack() as hooks:
        for name, layer in model.named_modules():
            if isinstance(layer, nn.ReLU):
                hooks.callback(layer.register_forward_hook(partial(note, name)).remove)
        yield alive


def _least_entropy(encoder: Encoder, map: Tensor) -> float:
    """Return the entropy of attention in the block where it is lowest, 0..1; 0: each query attends to one token."""
    entropies = []
    for weights in attention_weights(encoder, map):
        entropy = -(weights * weights.clamp(min=1e-12).log()).sum(-1).mean()
        entropies.append(float(entropy) / math.log(max(2, weights.shape[-1])))
    return max(0.0, min(entropies))


def _relative_spread(values: Tensor) -> float:
    """Return the distance of the values of single windows from their mean, relative to their norm, (B, ...)."""
    values = values.flatten(1).cpu().double()
    return float((values - values.mean(0)).norm() / values.norm().clamp(min=1e-12))
