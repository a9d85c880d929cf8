"""Norms in one call: only where nothing of a result changes."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from loaded_engines import holding
from transformers import AutoModelForCausalLM
from transformers.models.gemma3.modeling_gemma3 import Gemma3RMSNorm
from transformers.models.qwen3.modeling_qwen3 import Qwen3RMSNorm

from cortex.neuron.config import ModelSettings
from cortex.neuron.engine.torch.norms import FusedNorm, fuse


class Clipped(Qwen3RMSNorm):
    """A norm of its own, whose name says nothing of it."""

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        return super().forward(given).clamp(-1, 1)


Clipped.__name__ = "ClippedRMSNorm"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_replaced_says_the_very_same(dtype: torch.dtype) -> None:
    """A plain norm is; one that clips, adds one to its weight or has another width than a row is left alone."""
    torch.manual_seed(1)
    model = torch.nn.ModuleDict({"plain": Qwen3RMSNorm(48), "clips": Clipped(48), "adds": Gemma3RMSNorm(48)})
    for norm in model.values():
        norm.weight.data.uniform_(0.5, 1.5)
    model.to(dtype)
    given = torch.randn(2, 7, 48).to(dtype)
    with torch.inference_mode():
        before = {name: norm(given) for name, norm in model.items()}
        assert fuse(model) == 1
        after = {name: norm(given) for name, norm in model.items()}
    assert isinstance(model["plain"], FusedNorm)
    for name, one in before.items():
        torch.testing.assert_close(after[name], one, rtol=0.0 if dtype == torch.float32 else 2**-7, atol=0.0)


def test_a_loaded_model_has_them(directory: Callable[[str], Path]) -> None:
    """All of Qwen3's, and not one of Gemma's; what they are called in the files is no matter."""
    for family, every in (("qwen3", True), ("gemma", False)):
        made = holding(ModelSettings(id="m", source=str(directory(family)), dtype="float32"))
        model = made._serving["m"]._loaded.model
        plain = AutoModelForCausalLM.from_pretrained(directory(family))
        norms = sum(type(one).__name__.endswith("RMSNorm") for one in plain.modules())
        assert sum(isinstance(one, FusedNorm) for one in model.modules()) == (norms if every else 0)
        made.close()
