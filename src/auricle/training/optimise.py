"""Optimiser, learning-rate schedule and weight average of a training configuration."""

import copy
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from auricle.config import TrainingConfig
from auricle.config.variants import Variants
from auricle.model.classifier import Classifier

OPTIMIZERS = Variants("training.optimizer")
QUINTIC = (3.4445, -4.7750, 2.0315)
NUM_ITERATIONS = 5
NUM_SMALL = 2**15  # values in all matrices of a shape, up to which their dtype is kept
TOKENS = {"summary.cls", "summary.positions"}  # parameters with the shape of a matrix that are not matrices


def build_optimizer(model: nn.Module, config: TrainingConfig, dtype: torch.dtype) -> torch.optim.Optimizer:
    """Return the optimiser; weight decay applies only to matrices and kernels, not to norms, biases or tokens.

    A group's `scale` multiplies the rate of `learning_rate_at`; its `dtype` is that of matrix products.
    """
    named = list(model.named_parameters())
    decayed = [p for name, p in named if p.ndim > 1 and name not in TOKENS]
    others = [p for name, p in named if p.ndim <= 1 or name in TOKENS]
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay, "scale": 1.0, "dtype": dtype},
        {"params": others, "weight_decay": 0.0, "scale": 1.0},
    ]
    return OPTIMIZERS[config.optimizer](groups, config)


def learning_rate_at(step: int, config: TrainingConfig, *, steps_per_epoch: int) -> float:
    """Return the rate of a step (from 0): linear warm-up, then constant or cosine; twice if the base trains first.

    >>> config = TrainingConfig(epochs=10, warmup_epochs=1, learning_rate=1.0)
    >>> [round(learning_rate_at(step, config, steps_per_epoch=2), 3) for step in (0, 1, 2, 11, 19)]
    [0.5, 1.0, 1.0, 0.5, 0.008]
    """
    warmup = round(config.warmup_epochs * steps_per_epoch)
    total = min(config.epochs * steps_per_epoch, config.max_steps or math.inf)
    alone = epochs_alone(config, steps_per_epoch) * steps_per_epoch
    step, total = (step, alone) if step < alone else (step - alone, total - alone)
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    if config.schedule == "constant":
        return config.learning_rate
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))


def epochs_alone(config: TrainingConfig, steps_per_epoch: int) -> int:
    """Return the number of first epochs in which the base trains without the encoder's blocks.

    >>> epochs_alone(TrainingConfig(epochs=10, base_share=0.6), steps_per_epoch=5)
    6
    """
    return int(config.base_share * min(config.epochs, (config.max_steps or math.inf) / steps_per_epoch))


class WeightAverage:
    """An exponential average of a network's weights and running statistics over the steps.

    The decay grows with the steps, min(decay, (1 + step) / (10 + step)), so early weights soon have little influence.
    """

    def __init__(self, model: Classifier, decay: float) -> None:
        self.model = copy.deepcopy(model).eval()
        self.decay = decay
        both = list(zip(self.model.state_dict().values(), model.state_dict().values(), strict=True))
        self._pairs = [pair for pair in both if pair[0].is_floating_point()]
        self._counts = [pair for pair in both if not pair[0].is_floating_point()]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move the average towards the weights as they are after a step (from 1)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_([mine for mine, _ in self._pairs], [theirs for _, theirs in self._pairs], 1 - decay)
        for mine, theirs in self._counts:
            mine.copy_(theirs)


@OPTIMIZERS.of("adam")
def build_adam(groups: list[dict[str, Any]], config: TrainingConfig) -> torch.optim.Optimizer:
    """Return Adam, with weight decay as part of the gradient (L2)."""
    return torch.optim.Adam(groups, lr=config.learning_rate, fused=True)


@OPTIMIZERS.of("adamw")
def build_adamw(groups: list[dict[str, Any]], config: TrainingConfig) -> torch.optim.Optimizer:
    """Return AdamW."""
    return torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)


@OPTIMIZERS.of("sgd")
def build_sgd(groups: list[dict[str, Any]], config: TrainingConfig) -> torch.optim.Optimizer:
    """Return stochastic gradient descent with momentum."""
    return torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum, fused=True)


@OPTIMIZERS.of("muon")
def build_muon(groups: list[dict[str, Any]], config: TrainingConfig) -> torch.optim.Optimizer:
    """Return Muon for the matrices and kernels between the first and the last, with AdamW for the rest."""
    first, *inner, last = groups[0]["params"]
    alike: dict[tuple[int, ...], list[nn.Parameter]] = {}
    for weight in inner:
        alike.setdefault((-1, len(weight), weight[0].numel()), []).append(weight)
    outer = [{**groups[0], "params": [first, last], "shape": None}, {**groups[1], "shape": None}]
    ours = {**groups[0], "scale": config.matrix_learning_rate / config.learning_rate}
    stacks = [{**ours, "params": weights, "shape": shape} for shape, weights in alike.items()]
    return Muon([*outer, *stacks], momentum=config.momentum)


def orthogonalised(matrices: Tensor, dtype: torch.dtype) -> Tensor:
    """Return matrices with the same singular vectors and singular values near 1, (N, rows, columns) -> the same.

    Five Newton-Schulz steps X <- a X + b (X X^T) X + c (X X^T)^2 X in `dtype`, with fixed points between 0.7 and 1.2
    (K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024; arXiv:2502.16982).
    """
    a, b, c = QUINTIC
    dtype = dtype if matrices.numel() > NUM_SMALL else matrices.dtype  # converting small ones costs more than it saves
    tall = matrices.shape[1] > matrices.shape[2]
    X = matrices.mT if tall else matrices
    X = (X / (X.norm(dim=(1, 2), keepdim=True) + 1e-7)).to(dtype)
    for _ in range(NUM_ITERATIONS):
        A = X @ X.mT
        X = torch.baddbmm(X, torch.baddbmm(A, A, A, beta=b, alpha=c), X, beta=a)
    return (X.mT if tall else X).to(matrices.dtype)


class Muon(torch.optim.AdamW):
    """Muon for the groups with a `shape`, (-1, rows, columns) of their matrices, and AdamW for the others.

    A kernel (out, in, ...) counts as the matrix (out, in x ...). Matrices of one shape are orthogonalised together:
    `torch.optim.Muon` takes them one by one, and not kernels. The momentum is Nesterov's.
    """

    def __init__(self, groups: list[dict[str, Any]], *, momentum: float) -> None:
        super().__init__(groups, fused=True)
        for group in self.param_groups:
            group["momentum"] = momentum

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update the weights; the gradients of matrices are set to None."""
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            if group["shape"] and weights:
                self._move(weights, group)
        super().step(closure)  # skips weights without a gradient

    def _move(self, weights: list[Tensor], group: dict[str, Any]) -> None:
        shape, momentum, state = group["shape"], group["momentum"], self.state[weights[0]]  # of all of one shape
        gradients = torch.cat([weight.grad.flatten() for weight in weights if weight.grad is not None]).view(shape)
        if not state:
            state.update(step=torch.zeros(()), momentum=torch.zeros_like(gradients))  # AdamW needs `step` when loaded
        moves = gradients.lerp(state["momentum"].lerp_(gradients, 1 - momentum), momentum)
        moves = orthogonalised(moves, group["dtype"]) * -(group["lr"] * max(1, shape[1] / shape[2]) ** 0.5)
        torch._foreach_mul_(weights, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_add_(weights, [move.view_as(weight) for move, weight in zip(moves, weights, strict=True)])
        for weight in weights:
            weight.grad = None
