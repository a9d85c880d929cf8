"""Deltas → Anthropic events and messages, and what the official SDK makes of them."""

import json
from itertools import pairwise

import httpx2
import pytest
from anthropic import Anthropic, APIStatusError
from hypothesis import given
from hypothesis import strategies as st

from cortex.edge.dialects.anthropic_reply import MessageCollector
from cortex.edge.dialects.anthropic_stream import PING, MessageStream
from cortex.edge.dialects.anthropic_thoughts import SIGNED
from cortex.edge.dialects.dialect import Answered
from cortex.protocol.deltas import (
    Delta,
    Finish,
    ReasoningPiece,
    Scores,
    TextPiece,
    ToolArguments,
    ToolEnd,
    ToolStart,
)
from cortex.protocol.faults import Code, Fault
from cortex.protocol.values import Usage

USAGE = Usage(prompt=10, completion=4, cached=6, reasoning=1)
UNKNOWN = Usage()
TOLD = {
    "input_tokens": 4,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 6,
    "output_tokens": 4,
    "output_tokens_details": {"thinking_tokens": 1},
}
ANSWERED = Answered("1", "demo", 123)
ASK = {"model": "demo", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}


def delta(*pieces):
    return Delta("r", 1, 0, 0, [1], list(pieces))


def events(data):
    """The data of each event, whose name is its type."""
    blocks = data.decode().split("\n\n")
    assert blocks.pop() == ""
    found = []
    for block in blocks:
        name, line = block.split("\n")
        found.append(json.loads(line.removeprefix("data: ")))
        assert name == f"event: {found[-1]['type']}"
    return found


def encoded(deltas, *, known=UNKNOWN):
    encoder = MessageStream(ANSWERED)
    return encoder.start(known) + b"".join(encoder.push(each) for each in deltas) + encoder.end(USAGE)


def streamed(deltas):
    return events(encoded(deltas))


def body_of(deltas):
    collector = MessageCollector(ANSWERED)
    for each in deltas:
        collector.push(each)
    return collector.body(USAGE)


def collected(deltas):
    return json.loads(body_of(deltas))


def block(index, started, *deltas):
    """The events of one block."""
    return [
        {"type": "content_block_start", "index": index, "content_block": started},
        *({"type": "content_block_delta", "index": index, "delta": one} for one in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def ending(reason, stop=None):
    told = {"stop_reason": reason, "stop_sequence": stop, "stop_details": None}
    return [{"type": "message_delta", "delta": told, "usage": TOLD}, {"type": "message_stop"}]


WHOLE = [
    delta(ReasoningPiece("h")),
    delta(ReasoningPiece("m")),
    delta(TextPiece("I ")),
    delta(TextPiece("loök\n")),
    delta(ToolStart(0, "toolu_1", "look")),
    delta(ToolArguments(0, '{"at":')),
    delta(ToolArguments(0, '"é"}'), ToolEnd(0)),
    delta(ToolStart(1, "toolu_2", "hear"), ToolEnd(1)),
    delta(Finish("tool_calls")),
]


def test_the_events_of_a_whole_answer_in_their_order():
    """Thoughts and their signature, text, two calls, the reason and the usage; blocks one after another."""
    first, *rest = streamed(WHOLE)
    assert first == {
        "type": "message_start",
        "message": {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "demo",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "stop_details": None,
            "usage": {
                "input_tokens": 0,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0,
                "output_tokens": 0,
                "output_tokens_details": {"thinking_tokens": 0},
            },
        },
    }
    signature = rest[3]["delta"]["signature"]
    assert signature.startswith(SIGNED)
    assert rest == [
        *block(
            0,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": "h"},
            {"type": "thinking_delta", "thinking": "m"},
            {"type": "signature_delta", "signature": signature},
        ),
        *block(
            1,
            {"type": "text", "text": ""},
            {"type": "text_delta", "text": "I "},
            {"type": "text_delta", "text": "loök\n"},
        ),
        *block(
            2,
            {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}},
            {"type": "input_json_delta", "partial_json": '{"at":'},
            {"type": "input_json_delta", "partial_json": '"é"}'},
        ),
        *block(3, {"type": "tool_use", "id": "toolu_2", "name": "hear", "input": {}}),
        *ending("tool_use"),
    ]


def test_a_whole_answer_in_one_body():
    """The same blocks; a call's input is an object, and what was cached is not counted as input."""
    body = collected(WHOLE)
    signature = body["content"][0].pop("signature")
    assert signature.startswith(SIGNED)
    assert body == {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "demo",
        "content": [
            {"type": "thinking", "thinking": "hm"},
            {"type": "text", "text": "I loök\n"},
            {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"at": "é"}},
            {"type": "tool_use", "id": "toolu_2", "name": "hear", "input": {}},
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "stop_details": None,
        "usage": TOLD,
    }


@pytest.mark.parametrize(
    ("finish", "reason", "stop"),
    [
        (Finish("stop"), "end_turn", None),
        (Finish("stop", "END"), "stop_sequence", "END"),
        (Finish("length"), "max_tokens", None),
        (Finish("length", window=True), "model_context_window_exceeded", None),
        (Finish("tool_calls"), "end_turn", None),
    ],
)
def test_reasons_are_anthropics(finish, reason, stop):
    """The stop string that ended it is named; without a call that ended nobody is told to run one."""
    deltas = [delta(TextPiece("a"), finish)]
    assert streamed(deltas)[-2:] == ending(reason, stop)
    assert (collected(deltas)["stop_reason"], collected(deltas)["stop_sequence"]) == (reason, stop)


def test_the_prompts_length_is_told_at_the_start_if_it_is_known():
    """And all figures again at the end, which replace it."""
    told = events(encoded([], known=Usage(prompt=7, cached=2)))[0]["message"]["usage"]
    assert (told["input_tokens"], told["cache_read_input_tokens"]) == (5, 2)


def test_an_empty_answer_is_a_valid_stream():
    """One empty block, for clients that look at the first; the reason and the end."""
    empty = {"type": "text", "text": ""}
    for deltas in ([], [delta(Finish("stop"))], [delta(TextPiece(""), ReasoningPiece(""), Scores([]))]):
        assert streamed(deltas)[1:] == [*block(0, empty), *ending("end_turn")]
        assert collected(deltas)["content"] == [empty]


def test_half_a_call_is_half_a_call():
    """Cut by the limit: the block ends, and the limit is told; a whole message has of it what the SDK reads of a stream."""
    deltas = [
        delta(TextPiece("a")),
        delta(ToolStart(0, "t", "write"), ToolArguments(0, '{"path":"a.py","text":"ab')),
        delta(Finish("length")),
    ]
    assert streamed(deltas)[-3:] == [{"type": "content_block_stop", "index": 1}, *ending("max_tokens")]
    body = collected(deltas)
    cut = {"type": "tool_use", "id": "t", "name": "write", "input": {"path": "a.py"}}
    assert (body["content"], body["stop_reason"]) == ([{"type": "text", "text": "a"}, cut], "max_tokens")
    assert read(encoded(deltas)) == body


@pytest.mark.parametrize("arguments", ["{", "[]", '"x"', '{"a":}', "{}}"])
def test_an_input_that_is_no_object_never_leaves(arguments):
    """It would be no JSON, or no object: the call is none, and nobody is told to run it."""
    body = collected(
        [delta(ToolStart(0, "t", "f"), ToolArguments(0, arguments), ToolEnd(0), Finish("tool_calls"))]
    )
    assert (body["content"][0]["type"], body["stop_reason"]) == ("text", "end_turn")


def test_numbers_of_an_input_stay_as_they_were_written():
    """No digit is lost on the way to the client."""
    collector = MessageCollector(ANSWERED)
    collector.push(
        delta(ToolStart(0, "t", "f"), ToolArguments(0, '{"n":1.50,"w":123456789012345678901}'), ToolEnd(0))
    )
    assert b'"input":{"n":1.50,"w":123456789012345678901}' in collector.body(USAGE)


def test_a_sign_of_life_is_a_comment_and_a_ping():
    """Allowed anywhere; the SDK and the agents skip both."""
    assert MessageStream(ANSWERED).quiet(b": queued\n\n", 1.0) == b": queued\n\n" + PING


def test_a_failed_stream_ends_with_an_error():
    """In Anthropic's shape, with the request's id, and nothing behind it."""
    encoder = MessageStream(ANSWERED)
    [event] = events(encoder.fail(Fault(code=Code.NEURON_LOST, message="Gone.")))
    assert event == {
        "type": "error",
        "error": {"type": "api_error", "message": "Gone.", "details": {"error_code": "neuron_lost"}},
        "request_id": "req_1",
    }


# ── what the SDK makes of it ─────────────────────────────────────────────────────────────────────────────────────


class Wire(httpx2.BaseTransport):
    """Answers every request with the same bytes, cut in these places."""

    def answer(self, data, *cuts, kind="text/event-stream"):
        places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
        self.chunks = [data[start:end] for start, end in pairwise(places)]
        self.kind = kind

    def handle_request(self, request):
        return httpx2.Response(200, headers={"content-type": self.kind}, content=iter(self.chunks))


WIRE = Wire()
CLIENT = Anthropic(
    base_url="http://test", api_key="k", max_retries=0, http_client=httpx2.Client(transport=WIRE)
)


def read(data, *cuts):
    """The message that the SDK gathers from a stream."""
    WIRE.answer(data, *cuts)
    with CLIENT.messages.stream(**ASK) as stream:
        return stream.get_final_message().to_dict()


def test_the_sdk_raises_on_a_failed_stream():
    """What has come before is not taken for an answer."""
    encoder = MessageStream(ANSWERED)
    fault = Fault(code=Code.STALLED, message="It stalled.")
    data = encoder.start(UNKNOWN) + encoder.push(delta(TextPiece("a"))) + encoder.fail(fault)
    with pytest.raises(APIStatusError, match="It stalled"):
        read(data)


def test_the_sdk_skips_what_is_said_while_it_waits():
    """Comments and pings between any two events."""
    encoder = MessageStream(ANSWERED)
    quiet = encoder.quiet(b": queued, 3 ahead\n\n", 1.0)
    data = (
        encoder.start(UNKNOWN)
        + quiet
        + quiet
        + encoder.push(delta(TextPiece("a")))
        + quiet
        + encoder.end(USAGE)
    )
    assert read(data)["content"] == [{"type": "text", "text": "a"}]


TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
OBJECTS = st.dictionaries(TEXTS, st.recursive(st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS, st.lists, max_leaves=3), max_size=3)  # fmt: skip


@st.composite
def stretches(draw, text):
    """A text in pieces."""
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=3)))
    return [text[start:end] for start, end in pairwise([0, *cuts, len(text)])]


@st.composite
def scripts(draw):
    """Pieces as a neuron may say them, in deltas of any size: thoughts, text and calls in any order, and a finish.

    The limit may come within a call.
    """
    pieces = []
    calls = 0
    for kind in draw(st.lists(st.sampled_from("rtc"), max_size=5)):
        if kind == "r":
            pieces.append(ReasoningPiece(draw(TEXTS)))
        elif kind == "t":
            pieces.append(TextPiece(draw(TEXTS)))
        else:
            text = json.dumps(draw(OBJECTS), ensure_ascii=draw(st.booleans()))
            pieces.append(ToolStart(calls, f"toolu_{calls}", "look"))
            pieces += [ToolArguments(calls, one) for one in draw(stretches(text))]
            pieces.append(ToolEnd(calls))
            calls += 1
    reason = draw(st.sampled_from(["stop", "length", "tool_calls"]))
    if reason == "length" and pieces and isinstance(pieces[-1], ToolEnd):
        *pieces, (last, _) = *pieces[:-2], pieces[-2:]
        pieces.append(ToolArguments(last.index, last.text[: draw(st.integers(0, len(last.text)))]))
    pieces.append(
        Finish(
            reason,
            draw(st.sampled_from(["", "END"])),
            draw(st.booleans()),
        )
    )
    deltas = []
    while pieces:
        size = draw(st.integers(1, 4))
        deltas.append(delta(*pieces[:size]))
        pieces = pieces[size:]
    return deltas


@given(scripts(), st.lists(st.integers(0, 10_000), max_size=6))
def test_the_sdk_reads_the_same_from_a_stream_and_from_a_body(deltas, cuts):
    """However the pieces are cut into deltas and the bytes into chunks."""
    body = collected(deltas)
    assert read(encoded(deltas), *cuts) == body
    WIRE.answer(body_of(deltas), *cuts, kind="application/json")
    assert CLIENT.messages.create(**ASK).to_dict() == body


@given(scripts())
def test_blocks_never_interleave(deltas):
    """Each begins after the one before has ended, and the index rises by one."""
    index, is_open = -1, False
    for event in streamed(deltas):
        if event["type"] == "content_block_start":
            assert (is_open, event["index"]) == (False, index + 1)
            index, is_open = index + 1, True
        elif event["type"].startswith("content_block"):
            assert (is_open, event["index"]) == (True, index)
            is_open = event["type"] != "content_block_stop"
    assert not is_open


def test_thoughts_may_be_left_out_of_an_answer():
    """The block stands where they were, with a signature and nothing in it, in a stream as in a whole answer."""
    deltas = [delta(ReasoningPiece("Hm.")), delta(ReasoningPiece(" Ah.")), delta(TextPiece("Yes."))]
    stream = MessageStream(ANSWERED, thoughts=False)
    sent = events(stream.start(Usage()) + b"".join(map(stream.push, deltas)) + stream.end(USAGE))
    changes = [event["delta"] for event in sent if event["type"] == "content_block_delta"]
    assert [change["type"] for change in changes] == ["signature_delta", "text_delta"]
    assert sent[1]["content_block"] == {"type": "thinking", "thinking": "", "signature": ""}
    collector = MessageCollector(ANSWERED, thoughts=False)
    for one in deltas:
        collector.push(one)
    assert json.loads(collector.body(USAGE))["content"] == [
        {"type": "thinking", "thinking": "", "signature": changes[0]["signature"]},
        {"type": "text", "text": "Yes."},
    ]
