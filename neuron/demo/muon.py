"""Muon: momentum for weight matrices whose steps are made orthogonal, so that few steps teach much.

In float32 throughout, since plain CPUs multiply bfloat16 slowly. Knows nothing about the model; embeddings and norms
belong to AdamW.
"""

from typing import Any

import torch

__all__ = ["Muon"]

_MOMENTUM, _DECAY, _ITERATIONS = 0.95, 0.01, 5


class Muon(torch.optim.Optimizer):
    def __init__(self, matrices: list[torch.Tensor], lr: float) -> None:
        super().__init__(matrices, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # noqa: ARG002 - the base class has it
        for group in self.param_groups:
            for matrix in group["params"]:
                momentum = self.state[matrix].setdefault("momentum", torch.zeros_like(matrix))
                momentum.lerp_(matrix.grad, 1 - _MOMENTUM)
                update = _orthogonal(matrix.grad.lerp(momentum, _MOMENTUM))
                size = group["lr"] * max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5
                matrix.mul_(1 - group["lr"] * _DECAY).add_(update, alpha=-size)


def _orthogonal(matrix: torch.Tensor) -> torch.Tensor:
    """The matrix with all its singular values near one, by a quintic Newton-Schulz iteration."""
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(_ITERATIONS):
        gram = x @ x.T
        x = 3.4445 * x + (2.0315 * gram @ gram - 4.7750 * gram) @ x
    return x.T if tall else x
