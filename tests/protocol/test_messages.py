"""The table of kinds: complete, unambiguous, and stable."""

from __future__ import annotations

import inspect

import msgspec
import pytest
from msgspec import Struct

from cortex.protocol import messages
from cortex.protocol.deltas import Delta, Deltas
from cortex.protocol.messages import (
    KINDS,
    TYPES,
    BrokerStatus,
    CatalogueEntry,
    Cost,
    Decision,
    Kind,
    LoadSpec,
    ModelStatus,
    Names,
    NeuronStatus,
    Option,
    Outdated,
)
from cortex.protocol.request import (
    Chat,
    Complete,
    Count,
    Embed,
    Image,
    Sampling,
    Text,
    Turn,
    max_tokens_of,
    model_of,
)

PARTS = {
    BrokerStatus,
    CatalogueEntry,
    Cost,
    Decision,
    LoadSpec,
    ModelStatus,
    Names,
    NeuronStatus,
    Option,
    Outdated,
}
"""Structs that are only ever a part of a message."""


def test_kind_numbers_are_unique_bytes() -> None:
    """No name is an alias of another, and each number fits the header."""
    assert len(Kind.__members__) == len({int(kind) for kind in Kind})
    assert all(0 < kind < 256 for kind in Kind)


def test_every_kind_has_its_own_type() -> None:
    """The table is complete and can be read in both directions."""
    assert set(TYPES) == set(Kind)
    assert {kind: TYPES[kind] for kind in KINDS.values()} == TYPES


def test_every_message_type_has_a_kind() -> None:
    """A struct defined among the messages is in the table, or a part of one that is."""
    defined = {
        cls
        for _, cls in inspect.getmembers(messages, inspect.isclass)
        if issubclass(cls, Struct) and cls.__module__.startswith(messages.__name__)
    }
    assert defined - PARTS == set(KINDS) - {Deltas}


@pytest.mark.parametrize("cls", [*TYPES.values(), Delta, Chat, Turn], ids=lambda cls: cls.__name__)
def test_messages_are_frozen(cls: type[Struct]) -> None:
    """What was received is not changed under way."""
    assert cls.__struct_config__.frozen
    assert msgspec.inspect.type_info(cls)


def test_a_delta_says_where_the_next_one_begins() -> None:
    """So a receiver can prove that nothing is missing."""
    assert Delta("x", 1, 0, 5, [7, 8], []).next_seq == 7


def test_a_request_tells_its_model_and_limit() -> None:
    """A count names the model of its chat and has no limit of its own."""
    chat = Chat(model="m", turns=(), sampling=Sampling(max_tokens=5))
    prompt = Complete(model="p", prompt="", sampling=Sampling(max_tokens=6))
    embed = Embed(model="e", inputs=())
    asked = [chat, prompt, embed, Count(chat=chat)]
    assert [(model_of(r), max_tokens_of(r)) for r in asked] == [("m", 5), ("p", 6), ("e", None), ("m", None)]


def test_a_turn_tells_its_text() -> None:
    """Text parts joined by newlines; images have none."""
    turn = Turn(role="user", parts=(Text(text="a"), Image(attachment=0, mime="image/png"), Text(text="b")))
    assert turn.text == "a\nb"
