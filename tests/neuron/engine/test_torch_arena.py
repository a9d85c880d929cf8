"""Models in shared memory: what is laid there is what is found, and what is discarded is free."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import Embedding, Linear, Module, Parameter

from cortex.neuron.engine.torch import moving
from cortex.neuron.engine.torch.arena import Arena, fill, pack, unpack

CPU = torch.device("cpu")
DTYPES = [torch.float32, torch.bfloat16, torch.int64, torch.bool, torch.uint8]


class Holder(Module):
    """Parameters and buffers of any kind, one of them shared."""

    def __init__(self, tensors: list[torch.Tensor]) -> None:
        super().__init__()
        for number, tensor in enumerate(tensors):
            if tensor.is_floating_point():
                self.register_parameter(f"p{number}", Parameter(tensor, requires_grad=False))
            else:
                self.register_buffer(f"b{number}", tensor)
        self.embedding = Embedding(3, 5)
        self.head = Linear(5, 3, bias=False)
        self.head.weight = self.embedding.weight
        self.note = {"kept": "as it is"}


@st.composite
def tensors(draw: st.DrawFn) -> list[torch.Tensor]:
    made = []
    for _ in range(draw(st.integers(0, 6))):
        shape = draw(st.lists(st.integers(0, 70), max_size=3))
        values = torch.randint(
            0, 100, shape, generator=torch.Generator().manual_seed(draw(st.integers(0, 99)))
        )
        made.append(values.to(draw(st.sampled_from(DTYPES))))
    return made


def travelled(model: Module) -> tuple[Module, Arena]:
    parcel, sources = pack(model)
    arena = Arena.create(parcel.bytes)
    ends: list[int] = []
    found = unpack(parcel, arena)
    fill(arena, parcel, sources, ends.append)
    assert ends == sorted(ends)
    assert (ends or [0])[-1] == parcel.bytes
    return found, arena


@given(tensors())
def test_what_is_laid_is_found(given_tensors: list[torch.Tensor]) -> None:
    """Every tensor with its shape and type, the modules around them, and sharing; also when unpacked before it is filled."""
    expected = [tensor.clone() for tensor in given_tensors]
    model = Holder(given_tensors)
    weight = model.embedding.weight.detach().clone()
    found, _ = travelled(model)
    for number, tensor in enumerate(expected):
        there = (
            getattr(found, f"p{number}", None) if tensor.is_floating_point() else getattr(found, f"b{number}")
        )
        assert there.dtype == tensor.dtype
        assert torch.equal(there, tensor)
    assert found.head.weight is found.embedding.weight
    assert torch.equal(found.head.weight, weight)
    assert found.note == {"kept": "as it is"}
    assert all(not one.requires_grad for one in found.parameters())


def test_what_was_laid_is_let_go_of_by_who_laid_it() -> None:
    """A model is never there twice."""
    model = Linear(100, 100)
    travelled(model)
    assert model.weight.numel() == model.bias.numel() == 0


def test_discarded_pages_are_free_and_the_others_stay() -> None:
    """A large tensor's pages go back; its neighbours keep every byte."""
    first, large, last = (torch.nn.Linear(n, n, bias=False) for n in (40, 600, 40))
    model = torch.nn.Sequential(first, large, last)
    expected = first.weight.detach().clone(), last.weight.detach().clone()
    found, arena = travelled(model)
    before = arena.resident
    arena.discard(found[1].weight)
    assert before - arena.resident >= 600 * 600 * 4 - 2 * 4096
    assert torch.equal(found[0].weight, expected[0])
    assert torch.equal(found[2].weight, expected[1])
    elsewhere = torch.ones(10_000)
    arena.discard(elsewhere)
    assert elsewhere.sum() == 10_000


def test_the_memory_lives_as_long_as_a_tensor_of_it() -> None:
    """The arena itself may be forgotten."""
    found, arena = travelled(torch.nn.Linear(64, 64))
    total = found.weight.sum()
    del arena
    assert found.weight.sum() == total


@pytest.mark.parametrize("piece", [1, 1000, 2**24])
def test_a_model_is_moved_to_another_device_piece_by_piece(
    monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    """The copies are whole, shared tensors stay shared, and what was copied is discarded: here from memory to memory."""
    monkeypatch.setattr(moving, "PIECE", piece)
    expected = Holder([torch.arange(5000.0).view(50, 100), torch.tensor(7), torch.arange(9)])
    model = Holder([torch.arange(5000.0).view(50, 100), torch.tensor(7), torch.arange(9)])
    expected.embedding.weight.data = model.embedding.weight.data.clone()
    found, arena = travelled(model)
    needs = list(moving._onto(found, arena, CPU))
    assert max(needs) <= arena.size
    for (name, one), (_, other) in zip(
        expected.state_dict().items(), found.state_dict().items(), strict=True
    ):
        assert torch.equal(one, other), name
        assert not arena.end_of(other), "nothing is left in shared memory"
    assert found.head.weight is found.embedding.weight
    assert moving.taken(found, None) == sum(
        t.numel() * t.itemsize for t in (*found.parameters(), *found.buffers())
    )


def test_what_a_model_takes_is_measured(directory: Callable[[str], Path]) -> None:
    """Pages of shared memory in use, and what is packed beside them."""
    found, arena = travelled(torch.nn.Sequential(torch.nn.Linear(1024, 512, bias=False)))
    assert moving.taken(found, arena) == arena.resident >= 4 * 1024 * 512
    list(moving.settle(found, arena, torch.float32, CPU))
    assert 0 <= moving.taken(found, arena) - 4 * 1024 * 512 <= 2 * 4096
