"""Optimiser, learning-rate schedule and weight average of a recipe."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn

from auricle.config import TrainingConfig
from auricle.model.classifier import Classifier
from auricle.training.muon import Muon

TOKENS = {"summary.cls", "summary.positions"}  # parameters of the shape of a matrix that are none


def build_optimizer(model: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """Return the optimiser; weight decay touches matrices and kernels only, never norms, biases or tokens.

    Muon moves the matrices and kernels between the first and the last, AdamW the rest. A group's `scale` is what its
    learning rate is of `learning_rate_at`.
    """
    named = list(model.named_parameters())
    decayed = [p for name, p in named if p.ndim > 1 and name not in TOKENS]
    others = [p for name, p in named if p.ndim <= 1 or name in TOKENS]
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay, "scale": 1.0},
        {"params": others, "weight_decay": 0.0, "scale": 1.0},
    ]
    if config.optimizer == "muon":
        inner = {"params": decayed[1:-1], "scale": config.matrix_learning_rate / config.learning_rate}
        groups[0]["params"] = [decayed[0], *decayed[1:][-1:]]
        rest = [{**group, "orthogonal": False} for group in groups]
        return Muon([*rest, {**groups[0], **inner, "orthogonal": True}], momentum=config.momentum)
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum, fused=True)
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, lr=config.learning_rate, fused=True)


def learning_rate_at(step: int, config: TrainingConfig, *, steps_per_epoch: int) -> float:
    """Return the rate of a step (from 0): a linear rise over the warm-up, then constant or a cosine to zero.

    >>> config = TrainingConfig(epochs=10, warmup_epochs=1, learning_rate=1.0)
    >>> [round(learning_rate_at(step, config, steps_per_epoch=2), 3) for step in (0, 1, 2, 11, 19)]
    [0.5, 1.0, 1.0, 0.5, 0.008]
    """
    warmup = round(config.warmup_epochs * steps_per_epoch)
    total = min(config.epochs * steps_per_epoch, config.max_steps or math.inf)
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    if config.schedule == "constant":
        return config.learning_rate
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))


class WeightAverage:
    """An exponential average of a network's weights and running statistics over the steps.

    The decay grows with the steps, min(decay, (1 + step) / (10 + step)), so early weights are soon forgotten.
    """

    def __init__(self, model: Classifier, decay: float) -> None:
        self.model = copy.deepcopy(model).eval()
        self.decay = decay
        self._pairs: tuple[list[Tensor], list[Tensor]] = ([], [])
        self._counts: list[tuple[Tensor, Tensor]] = []
        for mine, theirs in zip(self.model.state_dict().values(), model.state_dict().values(), strict=True):
            if mine.is_floating_point():
                self._pairs[0].append(mine)
                self._pairs[1].append(theirs)
            else:
                self._counts.append((mine, theirs))

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move the average towards the weights as they are after a step (from 1)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(*self._pairs, 1 - decay)
        for mine, theirs in self._counts:
            mine.copy_(theirs)
