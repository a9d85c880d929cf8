"""Where a client takes one call at most, the answer ends with the first."""

from __future__ import annotations

import importlib
import pkgutil
from types import SimpleNamespace

import pytest
import toolcall_replies
from toolcall_vectors import Vector, calls_of, content_of, reasoning_of

from cortex.neuron.engine.torch.admission import Admitted
from cortex.neuron.engine.torch.answer import Answer
from cortex.neuron.engine.torch.detokenize import Detokenizer
from cortex.neuron.engine.torch.speech import Speech
from cortex.neuron.engine.torch.stops import StopFilter
from cortex.neuron.engine.torch.template import Prompt
from cortex.neuron.engine.torch.voice import new_answer
from cortex.protocol.deltas import Finish, Piece, ToolStart
from cortex.protocol.request import Chat, ResponseFormat, ToolChoice, ToolSpec, Turn
from cortex.protocol.toolcalls import parser_for
from cortex.protocol.toolcalls.steps import ALL

END = 0
VECTORS: list[Vector] = [
    vector
    for module in pkgutil.iter_modules(toolcall_replies.__path__)
    for vector in importlib.import_module(f"toolcall_replies.{module.name}").VECTORS
    if not vector.broken and not vector.cut
]
SEVERAL = [vector for vector in VECTORS if len(vector.calls) > 1]


def answered(vector: Vector, size: int, *, single: bool) -> tuple[list[Piece], int]:
    """What a client hears of a reply in tokens of so many characters, and how many tokens were not needed for it."""
    answer = Answer(
        Detokenizer(lambda ids: "".join(tokens[one] for one in ids if one != END)),
        StopFilter(()),
        parser_for(vector.family, vector.tools, reasoning_open=vector.reasoning_open, steps=vector.steps),
        eos=frozenset({END}),
        single=single,
    )
    text = vector.text
    tokens = ["", *(text[start : start + size] for start in range(0, len(text), size))]
    pieces: list[Piece] = []
    waiting = [*range(1, len(tokens)), END]
    while waiting and not answer.ended:
        pieces += answer.push(waiting.pop(0), last=False)
    return pieces, len(waiting)


@pytest.mark.parametrize("size", [1, 4, 10_000])
@pytest.mark.parametrize("vector", SEVERAL, ids=lambda vector: f"{vector.family}/{vector.id}")
def test_the_first_call_is_the_last_word(vector: Vector, size: int) -> None:
    """In every family: the call that would have come first, whole, and nothing behind it."""
    pieces, _ = answered(vector, size, single=True)
    assert calls_of(pieces) == vector.calls[:1]
    assert len([piece for piece in pieces if isinstance(piece, ToolStart)]) == 1
    assert vector.content.startswith(content_of(pieces))
    assert vector.reasoning.startswith(reasoning_of(pieces))
    assert pieces[-1] == Finish("tool_calls")


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: f"{vector.family}/{vector.id}")
def test_a_reply_with_one_call_or_none_is_as_ever(vector: Vector) -> None:
    """Nothing that stands before a call's end is lost, and a reply without a call has all its text."""
    if len(vector.calls) > 1:
        return
    ever, _ = answered(vector, 1, single=False)
    pieces, _ = answered(vector, 1, single=True)
    assert calls_of(pieces) == calls_of(ever)
    assert pieces[-1] == ever[-1]
    if not vector.calls:
        assert pieces == ever


def test_no_token_is_made_that_nobody_would_hear() -> None:
    """The model is stopped with the last sign of the call, so nothing of a second one is computed."""
    vector = next(one for one in SEVERAL if one.family == "hermes")
    _, spared = answered(vector, 1, single=True)
    assert spared > len(vector.text) // 3


def test_the_limit_is_no_reason_where_the_call_is_whole() -> None:
    """A call that is whole with the last token that there is room for was not cut."""
    vector = next(one for one in SEVERAL if one.family == "hermes")
    _, spared = answered(vector, 1, single=True)
    needed = len(vector.text) + 1 - spared
    answer = Answer(
        Detokenizer(lambda ids: "".join(map(chr, ids))),
        StopFilter(()),
        parser_for(vector.family, vector.tools),
        eos=frozenset(),
        single=True,
    )
    pieces = [
        piece
        for count, sign in enumerate(vector.text[:needed], start=1)
        for piece in answer.push(ord(sign), last=count == needed)
    ]
    assert pieces[-1] == Finish("tool_calls")


LOOK = ToolSpec(name="look", schema=b'{"type": "object"}')
CALLS = '<tool_call>{"name": "look", "arguments": {}}</tool_call>' * 2
ANSWER = ResponseFormat(kind="json_schema", definition=b'{"type": "object"}')


@pytest.mark.parametrize(
    ("fields", "calls"),
    [
        ({"tool_choice": ToolChoice(parallel=False)}, 1),
        ({"tool_choice": ToolChoice()}, 2),
        ({"tool_choice": ToolChoice(parallel=False), "response_format": ANSWER}, 2),
        ({"tool_choice": ToolChoice(mode="required", parallel=False)}, 2),
    ],
)
def test_a_free_answer_alone_is_ended(fields, calls) -> None:
    """Where a grammar holds the answer, it is the grammar that allows one call, and lets the model end it."""
    request = Chat(model="m", turns=(Turn(role="user"),), tools=(LOOK,), **fields)
    speech = Speech("hermes", ALL, lambda ids: "".join(map(chr, ids)))
    loaded = SimpleNamespace(speech=speech, eos=frozenset({END}))
    admitted = Admitted(request, Prompt([1], (LOOK,)), ((),), limit=100, window=False)
    answer = new_answer(loaded, admitted, "r", 0)
    pieces = []
    for sign in f"{CALLS}\0":
        if not answer.ended:
            pieces += answer.push(ord(sign), last=False)
    assert len(calls_of(pieces)) == calls
    assert pieces[-1] == Finish("tool_calls")
