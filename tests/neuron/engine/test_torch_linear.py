"""Linear layers in the order that the CPU's kernels want: the same products, and no second copy but where it is said."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from loaded_engines import holding
from torch.nn import Embedding, Linear, Module
from torch.nn.functional import linear

from cortex.neuron.config import ModelSettings
from cortex.neuron.engine.torch import files
from cortex.neuron.engine.torch import linear as layers
from cortex.neuron.engine.torch.linear import PackedLinear, WideningLinear, can_pack, packing

CPU = torch.device("cpu")


def pack(model: Module, dtype: torch.dtype) -> list[torch.Tensor]:
    """Pack at once; answers the weights that are not needed any longer."""
    gone: list[torch.Tensor] = []
    for _ in packing(model, dtype, gone.append):
        pass
    return gone


def packed(weight: torch.Tensor, bias: torch.Tensor | None, rows: int = 2**20) -> PackedLinear:
    return PackedLinear([layers.mkldnn._reorder_linear_weight(one, None) for one in weight.split(rows)], bias)


class Small(Module):
    """A shared embedding, a layer of each size, and one that is no plain linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = Embedding(1100, 512)
        self.head = Linear(512, 1100, bias=False)
        self.head.weight = self.embedding.weight
        self.tiny = Linear(64, 64)
        self.kept = Linear(512, 512)
        self.large = Linear(1024, 1024)
        self.other = Scaled(1024, 1024)


class Scaled(Linear):
    """Computes something of its own."""


def test_this_cpu_packs() -> None:
    """The ops that torch has here are those that are relied upon: packing is not skipped in silence."""
    assert can_pack(torch.float32)


@pytest.mark.parametrize("shape", [(1, 1, 512), (1, 7, 512), (3, 512), (2, 5, 512), (1, 0, 512)])
@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize("outputs", [300, 1030])
@pytest.mark.parametrize("rows", [2000, 256])
def test_a_packed_layer_multiplies_as_any_other(
    shape: tuple[int, ...], has_bias: bool, outputs: int, rows: int
) -> None:
    """Whatever the number of tokens, with and without a bias, for sizes that no block divides, in one block or more."""
    torch.manual_seed(3)
    weight, given = torch.randn(outputs, 512), torch.randn(shape)
    bias = torch.randn(outputs) if has_bias else None
    with torch.inference_mode():
        found = packed(weight, bias, rows)(given)
    torch.testing.assert_close(found, linear(given, weight, bias), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("tokens", [1, 3, 4, 40])
def test_a_widening_layer_is_no_worse_than_bfloat16(tokens: int) -> None:
    """Its products differ from exact ones by no more than bfloat16 can tell."""
    torch.manual_seed(3)
    weight, bias = torch.randn(200, 512).bfloat16(), torch.randn(200).bfloat16()
    given = torch.randn(1, tokens, 512).bfloat16()
    with torch.inference_mode():
        found = WideningLinear(weight, bias)(given)
    exact = linear(given.double(), weight.double(), bias.double())
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.double(), exact, rtol=0.01, atol=0.3)


def test_what_is_packed_and_what_it_takes() -> None:
    """Large layers and the head are packed, of which the shared weight and the kept rows stay; nothing else changes."""
    model, given = Small(), torch.randn(1, 5, 512)
    with torch.inference_mode():
        before = model.head(given), model.kept(given)
        large = model.large.weight.data_ptr()
        gone = pack(model, torch.float32)
        after = model.head(given), model.kept(given)
    kinds = {name: type(child).__name__ for name, child in model.named_children()}
    assert kinds == {
        "embedding": "Embedding",
        "head": "PackedLinear",
        "tiny": "Linear",
        "kept": "PackedLinear",
        "large": "PackedLinear",
        "other": "Scaled",
    }
    assert [one.data_ptr() for one in gone] == [large], "the others are read by somebody else"
    assert model.large.packed_bytes == 4 * 1024 * 1024
    for one, other in zip(before, after, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-4)


def test_without_the_ops_a_model_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """A torch that has moved its private parts is slower and not wrong."""
    monkeypatch.setattr(layers, "can_pack", lambda _: False)
    model = Small()
    assert pack(model, torch.float32) == []
    assert type(model.large) is Linear


def test_bfloat16_is_widened_where_the_cpu_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    """And is no number format to choose by itself there."""
    monkeypatch.setattr(layers, "is_fast", lambda dtype: dtype == torch.float32)
    monkeypatch.setattr(layers, "can_pack", lambda dtype: dtype == torch.float32)
    monkeypatch.setattr(files, "is_fast", lambda _: False)
    model = Small().bfloat16()
    assert pack(model, torch.bfloat16) == []
    assert type(model.large) is WideningLinear
    assert files.dtype("auto", CPU) == torch.float32
    monkeypatch.setattr(files, "is_fast", lambda _: True)
    assert files.dtype("auto", CPU) == torch.bfloat16


def test_the_estimate_knows_what_is_there_twice(directory: Callable[[str], Path]) -> None:
    """What a packed model takes is what its files said that it would."""
    settings = ModelSettings(id="m", source=str(directory("wide")), slots=1, context=16, dtype="float32")
    made = holding(settings)
    serving = made._serving["m"]
    real = serving._loaded.bytes + 16 * serving._runner.cache.position_bytes
    estimate = files.footprint(settings, CPU) - files.UNTOLD
    assert abs(real - estimate) < 2**17, "whole pages, and no file tells of the buffers"
    made.close()
