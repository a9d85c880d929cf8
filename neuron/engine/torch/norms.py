"""Root mean square norms in one call, in place of the six small ones that models of transformers spell out.

A step of a small model spends more time between its arithmetic than on it, and every layer has two to four norms. Only
those are replaced that give the same numbers on a trial, in half precision but for a rounding, which is one less then:
families differ in what they add.
"""

from __future__ import annotations

import torch
from torch.nn.functional import rms_norm


class FusedNorm(torch.nn.Module):
    """[..., width] to the same, as `torch.nn.functional.rms_norm` computes it (Zhang and Sennrich 2019)."""

    def __init__(self, weight: torch.Tensor, eps: float) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(weight, requires_grad=False)
        self._eps = eps

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        return rms_norm(given, self.weight.shape, self.weight, self._eps)


def fuse(model: torch.nn.Module) -> int:
    """Replace what can be replaced; answers how many norms that are."""
    fused = 0
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            made = _fused(child) if type(child).__name__.endswith("RMSNorm") else None
            if made is not None:
                setattr(parent, name, made)
                fused += 1
    return fused


def _fused(norm: torch.nn.Module) -> FusedNorm | None:
    """The same norm in one call, or None if it is not the same."""
    weight = getattr(norm, "weight", None)
    eps = getattr(norm, "variance_epsilon", None) or getattr(norm, "eps", None)
    if not isinstance(weight, torch.Tensor) or weight.dim() != 1 or not isinstance(eps, float):
        return None
    made = FusedNorm(weight.detach(), eps).eval()
    trial = torch.linspace(-3, 3, 5 * len(weight)).sin().reshape(1, 5, -1).to(weight.dtype)
    try:
        with torch.inference_mode():
            ours, theirs = made(trial), norm(trial)
        rounding = 0.0 if weight.dtype == torch.float32 else torch.finfo(weight.dtype).eps
        is_same = torch.allclose(ours, theirs, rtol=rounding, atol=0.0)
    except (RuntimeError, TypeError):
        return None
    return made if is_same else None
