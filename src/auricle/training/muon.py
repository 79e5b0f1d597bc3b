"""Muon: momentum whose every direction counts alike, for the kernels and matrices inside a network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

QUINTIC = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5


def orthogonalised(matrices: Tensor) -> Tensor:
    """Return matrices with the same singular vectors and singular values near 1, (N, rows, columns) -> the same.

    Five Newton-Schulz steps X <- a X + b (X X^T) X + c (X X^T)^2 X, whose fixed points lie between 0.7 and 1.2
    (K. Jordan and others, "Muon: an optimizer for hidden layers in neural networks", 2024; arXiv:2502.16982).
    """
    a, b, c = QUINTIC
    tall = matrices.shape[1] > matrices.shape[2]
    X = matrices.mT if tall else matrices
    X = X / (X.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(ITERATIONS):
        A = X @ X.mT
        X = torch.baddbmm(X, torch.baddbmm(A, A, A, beta=b, alpha=c), X, beta=a)
    return X.mT if tall else X


class Muon(torch.optim.AdamW):
    """Muon for the groups with `orthogonal`, AdamW for the others.

    A kernel (out, in, ...) counts as the matrix (out, in x ...). Matrices of one shape are orthogonalised together:
    `torch.optim.Muon` takes them one by one, and no kernels.

    Args:
        groups: with `params`, `lr`, `weight_decay`, and `orthogonal`.
        momentum: of the orthogonal groups, Nesterov's.
    """

    def __init__(self, groups: list[dict[str, Any]], *, momentum: float) -> None:
        super().__init__(groups, fused=True)
        for group in self.param_groups:
            group["momentum"] = momentum

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move the weights; the gradients of the orthogonal groups are used up."""
        for group in self.param_groups:
            if group["orthogonal"]:
                self._move(group)
        super().step(closure)  # passes over what has no gradient any more

    def _move(self, group: dict[str, Any]) -> None:
        by_shape: dict[tuple[int, int], list[Tensor]] = {}
        for weight in group["params"]:
            if weight.grad is not None:
                by_shape.setdefault((len(weight), weight[0].numel()), []).append(weight)
        for shape, weights in by_shape.items():
            gradients = torch.stack([weight.grad.reshape(shape) for weight in weights if weight.grad is not None])
            momenta = torch.stack([self._momentum(weight).reshape(shape) for weight in weights])
            momenta.lerp_(gradients, 1 - group["momentum"])
            steps = orthogonalised(gradients.lerp(momenta, group["momentum"])) * max(1, shape[0] / shape[1]) ** 0.5
            for weight, momentum, step in zip(weights, momenta, steps, strict=True):
                self._momentum(weight).copy_(momentum.view_as(weight))
                weight.mul_(1 - group["lr"] * group["weight_decay"]).sub_(step.view_as(weight), alpha=group["lr"])
                weight.grad = None

    def _momentum(self, weight: Tensor) -> Tensor:
        state = self.state[weight]
        if "momentum" not in state:
            state["step"] = torch.zeros(())  # AdamW asks for it when a state is loaded
            state["momentum"] = torch.zeros_like(weight, memory_format=torch.contiguous_format)
        momentum: Tensor = state["momentum"]
        return momentum
