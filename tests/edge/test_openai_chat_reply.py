"""Deltas → OpenAI chat events and bodies."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex.edge.dialects.dialect import Answered
from cortex.edge.dialects.openai_chat_reply import ChatCollector, ChatStream
from cortex.protocol.deltas import (
    Delta,
    Finish,
    ReasoningPiece,
    Score,
    Scores,
    TextPiece,
    ToolArguments,
    ToolEnd,
    ToolStart,
)
from cortex.protocol.faults import Code, Fault
from cortex.protocol.values import Usage

USAGE = Usage(prompt=10, completion=4, cached=6, reasoning=1)


def delta(*pieces, choice=0):
    return Delta("r", 1, choice, 0, [1], list(pieces))


def events(data):
    lines = data.decode().split("\n\n")
    assert lines.pop() == ""
    assert all(line.startswith("data: ") for line in lines)
    return [line if line == "data: [DONE]" else json.loads(line[6:]) for line in lines]


def streamed(deltas, *, include_usage=False, n=1):
    encoder = ChatStream(Answered("1", "demo", 123), include_usage=include_usage, n=n)
    data = encoder.start(Usage()) + b"".join(encoder.push(each) for each in deltas) + encoder.end(USAGE)
    return events(data)


def collected(deltas, n=1):
    collector = ChatCollector(Answered("1", "demo", 123), n=n)
    for each in deltas:
        collector.push(each)
    return json.loads(collector.body(USAGE))


CALL = [
    delta(ReasoningPiece("hm")),
    delta(ToolStart(0, "call_1", "look")),
    delta(ToolArguments(0, '{"at":')),
    delta(ToolArguments(0, '"é"}'), ToolEnd(0)),
    delta(Finish("stop")),
]


def test_a_stream_begins_with_the_role_and_ends_with_done():
    """Role first, then text, one finish reason, and `[DONE]`; no usage unless asked for."""
    first, text, finish, done = streamed([delta(TextPiece("hé\n")), delta(Finish("length"))])
    assert first["choices"] == [
        {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}
    ]
    assert text["choices"][0]["delta"] == {"content": "hé\n"}
    assert finish["choices"][0] == {"index": 0, "delta": {}, "finish_reason": "length"}
    assert done == "data: [DONE]"
    assert {e["id"] for e in (first, text, finish)} == {"chatcmpl-1"}
    assert first["object"] == "chat.completion.chunk"
    assert (first["created"], first["model"]) == (123, "demo")


def test_usage_comes_in_a_chunk_without_choices():
    """If asked for, the usage is the last chunk before `[DONE]`."""
    usage = streamed([delta(Finish("stop"))], include_usage=True)[-2]
    assert usage["choices"] == []
    assert usage["usage"] == {
        "prompt_tokens": 10,
        "completion_tokens": 4,
        "total_tokens": 14,
        "prompt_tokens_details": {"cached_tokens": 6},
        "completion_tokens_details": {"reasoning_tokens": 1},
    }


def test_a_tool_call_is_named_once():
    """Id and name only in a call's first delta; the reason says that calls were made."""
    _, reasoning, start, first, second, finish, _ = streamed(CALL)
    assert reasoning["choices"][0]["delta"] == {"reasoning_content": "hm"}
    assert start["choices"][0]["delta"]["tool_calls"] == [
        {"index": 0, "id": "call_1", "type": "function", "function": {"name": "look", "arguments": ""}}
    ]
    assert first["choices"][0]["delta"]["tool_calls"] == [{"index": 0, "function": {"arguments": '{"at":'}}]
    assert second["choices"][0]["delta"]["tool_calls"] == [{"index": 0, "function": {"arguments": '"é"}'}}]
    assert finish["choices"][0]["finish_reason"] == "tool_calls"


def test_every_choice_gets_a_finish_reason():
    """Even one whose neuron said none: a client without a reason asks again for ever."""
    chunks = streamed([delta(TextPiece("a"), choice=1)], n=2)
    reasons = [c["choices"][0]["index"] for c in chunks[:-1] if c["choices"][0]["finish_reason"] == "stop"]
    assert reasons == [0, 1]


def test_a_failed_stream_ends_with_an_error_and_no_done():
    """The SDKs raise on the error object."""
    encoder = ChatStream(Answered("1", "demo", 123))
    (event,) = events(encoder.fail(Fault(code=Code.NEURON_LOST, message="gone")))
    assert event == {
        "error": {"message": "gone", "type": "server_error", "param": None, "code": "neuron_lost"}
    }


def test_a_body_of_calls_has_null_content():
    """With calls alone the content is null, as the SDKs expect."""
    choice = collected(CALL)["choices"][0]
    assert choice["message"] == {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "reasoning_content": "hm",
        "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"at":"é"}'}}
        ],
    }
    assert choice["finish_reason"] == "tool_calls"


def test_a_body_without_anything_has_empty_content():
    """An answer of no text is an empty string, not null."""
    body = collected([delta(Finish("stop"))])
    assert body["choices"][0]["message"]["content"] == ""
    assert body["usage"]["total_tokens"] == 14
    assert body["object"] == "chat.completion"


@pytest.mark.parametrize(("reason", "said"), [("stop", "stop"), ("length", "length")])
def test_reasons_are_openais(reason, said):
    """Only reasons that clients know are said."""
    assert collected([delta(Finish(reason))])["choices"][0]["finish_reason"] == said


texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)


@st.composite
def scripts(draw):
    """Pieces as a neuron may say them: reasoning, text, calls with arguments in stretches, a finish."""
    pieces = [ReasoningPiece(t) for t in draw(st.lists(texts, max_size=3))]
    pieces += [TextPiece(t) for t in draw(st.lists(texts, max_size=5))]
    for index in range(draw(st.integers(0, 2))):
        pieces.append(ToolStart(index, f"call_{index}", "look"))
        pieces += [ToolArguments(index, t) for t in draw(st.lists(texts, max_size=3))]
        pieces.append(ToolEnd(index))
    pieces.append(Finish(draw(st.sampled_from(["stop", "length"]))))
    return pieces


def reassembled(chunks):
    """What a client makes of a stream."""
    message = {"role": "assistant", "content": "", "reasoning_content": "", "tool_calls": {}}
    reason = None
    for chunk in chunks[:-1]:
        choice = chunk["choices"][0]
        reason = choice["finish_reason"] or reason
        message["content"] += choice["delta"].get("content", "")
        message["reasoning_content"] += choice["delta"].get("reasoning_content", "")
        for call in choice["delta"].get("tool_calls", ()):
            known = message["tool_calls"].setdefault(call["index"], {"arguments": ""})
            known["arguments"] += call["function"]["arguments"]
            known.update({k: call[k] for k in ("id",) if k in call})
    return message, reason


@given(scripts(), st.lists(st.integers(1, 4)))
def test_stream_and_body_say_the_same(pieces, cuts):
    """However the pieces are cut into deltas, the stream adds up to the body."""
    deltas, rest = [], list(pieces)
    for cut in cuts:
        deltas.append(delta(*rest[:cut]))
        rest = rest[cut:]
    deltas.append(delta(*rest))
    message, reason = reassembled(streamed(deltas))
    choice = collected(deltas)["choices"][0]
    assert message["content"] == (choice["message"]["content"] or "")
    assert message["reasoning_content"] == choice["message"].get("reasoning_content", "")
    calls = [(c["id"], c["function"]["arguments"]) for c in choice["message"].get("tool_calls", ())]
    assert [(c["id"], c["arguments"]) for c in message["tool_calls"].values()] == calls
    assert reason == choice["finish_reason"]


RATED = [
    delta(Scores([Score(b"h", -0.5, [(b"h", -0.5), (b"\xc3", -1.0)])])),
    delta(Scores([Score("é".encode(), float("-inf"))]), TextPiece("hé")),
    delta(Finish("stop")),
]


def test_log_probabilities_go_with_their_tokens():
    """In the event of the text where there is one; bytes for parts of a character; a number for what cannot be."""
    _, early, late, finish, _ = streamed(RATED)
    assert early["choices"][0]["delta"] == {}
    [first] = early["choices"][0]["logprobs"]["content"]
    assert (first["token"], first["logprob"], first["bytes"]) == ("h", -0.5, [104])
    assert [(one["token"], one["bytes"]) for one in first["top_logprobs"]] == [
        ("h", [104]),
        ("\ufffd", [195]),
    ]
    assert late["choices"][0]["delta"] == {"content": "hé"}
    [second] = late["choices"][0]["logprobs"]["content"]
    assert (second["token"], second["logprob"], second["top_logprobs"]) == ("é", -9999.0, [])
    assert "logprobs" not in finish["choices"][0]
    assert collected(RATED)["choices"][0]["logprobs"]["content"] == [first, second]
    assert collected([delta(TextPiece("x"))])["choices"][0]["logprobs"] is None
