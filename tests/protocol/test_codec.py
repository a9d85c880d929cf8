"""Bytes and messages: what goes in comes out, and whatever else comes in is a `WireError`."""

from __future__ import annotations

import contextlib
import json

import msgpack
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from wire_values import instances

from cortex.protocol import codec
from cortex.protocol.codec import WireError, decode, decode_request, encode, encode_request
from cortex.protocol.deltas import Delta, Deltas, TextPiece
from cortex.protocol.messages import TYPES, Cancel, Events, Generate, Kind, Queued, Status, Submit
from cortex.protocol.request import Chat, Complete, Count, Embed, ToolCall, ToolSpec, Turn

REQUESTS = st.one_of(*map(instances, (Chat, Complete, Embed, Count)))


@pytest.mark.parametrize("kind", list(Kind), ids=lambda kind: kind.name)
@settings(max_examples=12, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_message_round_trips(kind: Kind, data: st.DataObject) -> None:
    """Any valid message of any kind is decoded as it was encoded, from bytes and from a view."""
    message = data.draw(instances(TYPES[kind]))
    body = encode(message)
    assert decode(kind, body) == message
    assert decode(kind, memoryview(body)) == message


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(REQUESTS)
def test_every_request_round_trips(request: Chat | Complete | Embed | Count) -> None:
    """Any valid normalized request is decoded as it was encoded."""
    assert decode_request(encode_request(request)) == request


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["request", "attempt", "fault", "model", "x"]) | st.text(), inner)
    ),
    max_leaves=6,
)


@given(st.binary(max_size=60) | PLAIN.map(lambda value: msgpack.packb(value, unicode_errors="surrogatepass")))
@example(b"")
@example(b"\xc1")
def test_arbitrary_bytes_are_a_message_or_a_wire_error(data: bytes) -> None:
    """No bytes raise anything but `WireError`, whatever kind they claim to be."""
    for kind in Kind:
        with contextlib.suppress(WireError):
            assert isinstance(decode(kind, data), TYPES[kind])
    with contextlib.suppress(WireError):
        assert isinstance(decode_request(data), Chat | Complete | Embed | Count)


HEAD = b"\x83\xa7request\xa1x\xa7attempt\x01\xa1z"
"""A valid Cancel with an unknown third field whose value is still to come."""


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"\x91" * 60_000, id="nested arrays"),
        pytest.param(b"\x81\xa1a" * 20_000, id="nested maps"),
        pytest.param(b"\xdd\xff\xff\xff\xff", id="array of 4 billion"),
        pytest.param(b"\xdf\xff\xff\xff\xff", id="map of 4 billion"),
        pytest.param(b"\xdb\xff\xff\xff\xff", id="string of 4 GiB"),
        pytest.param(b"\xc6\xff\xff\xff\xff", id="bytes of 4 GiB"),
        pytest.param(b"\xc9\xff\xff\xff\xff\x00", id="extension of 4 GiB"),
        pytest.param(HEAD + b"\xdc\x40\x01" + b"\x00" * 16_385, id="array too long"),
        pytest.param(HEAD + msgpack.packb({str(n): n for n in range(1025)}), id="map too long"),
        pytest.param(HEAD + b"\xd4\x01\x00", id="extension"),
        pytest.param(HEAD + b"\xd6\xff\x00\x00\x00\x01", id="timestamp"),
        pytest.param(HEAD + b"\xd7\xff" + b"\xff" * 8, id="timestamp beyond any year"),
        pytest.param(b"\x82\xc4\x07request\xa1x\xc4\x07attempt\x01", id="keys of bytes"),
        pytest.param(b"\x81\x01\x02", id="keys of integers"),
        pytest.param(b"\x81\x90\x02", id="keys of arrays"),
        pytest.param(b"\x82\xa7request\xa2\xff\xff\xa7attempt\x01", id="not UTF-8"),
        pytest.param(b"\x82\xa7request\xa3\xed\xa0\x80\xa7attempt\x01", id="half a surrogate pair"),
        pytest.param(b"\x82\xa7request\xa1x\xa7attempt\x01\x00", id="trailing byte"),
        pytest.param(b"\x82\xa7request\xa1x\xa7attempt", id="cut"),
        pytest.param(b"\x82\xa7request\xa0\xa7attempt\x01", id="empty request id"),
        pytest.param(b"\x82\xa7request\xa1x\xa7attempt\x00", id="attempt zero"),
        pytest.param(b"\x82\xa7request\xa1x\xa7attempt\xc3", id="attempt true"),
        pytest.param(b"\x82\xa7request\xc4\x01x\xa7attempt\x01", id="request id of bytes"),
        pytest.param(b"\x81\xa7request\xa1x", id="field missing"),
    ],
)
def test_hostile_bodies_are_wire_errors(body: bytes) -> None:
    """Bombs and near misses are refused, as a control body and as a request."""
    with pytest.raises(WireError):
        decode(Kind.CANCEL, body)
    with pytest.raises(WireError):
        decode_request(body)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"\x91\xdd\xff\xff\xff\xff", id="4 billion deltas"),
        pytest.param(b"\x91\x91\x96\xa1r\x01\x00\x00\xdd\xff\xff\xff\xff", id="4 billion tokens"),
        pytest.param(b"\x91\x91\x97\xa1r\x01\x00\x00\x90\x90" + b"\x91" * 100_000, id="nested arrays"),
        pytest.param(b"\x91\x91\x97\xa1r\x01\x00\x00\x90\x90" + b"\x81\xa1a" * 100_000, id="nested maps"),
        pytest.param(b"\x91\x91\x96\xa2\xff\xff\x01\x00\x00\x90\x90", id="not UTF-8"),
        pytest.param(b"\x91\x91\x96\xa1r\x01\x00\x00\x90\x91\x92\xa1?\xa1x", id="unknown piece"),
        pytest.param(b"\x91\x90\x00", id="trailing byte"),
    ],
)
def test_hostile_token_bodies_are_wire_errors(body: bytes) -> None:
    """The hot path's decoder is another one, and as strict."""
    with pytest.raises(WireError):
        decode(Kind.DELTAS, body)


def test_unknown_fields_are_ignored() -> None:
    """A newer peer may say more; what is known is read."""
    cancel = {"request": "x", "attempt": 1, "later": [{"deep": [None]}]}
    assert decode(Kind.CANCEL, msgpack.packb(cancel)) == Cancel(request="x", attempt=1)
    delta = ["r", 1, 0, 0, [5], [["t", "hi", "later"]], "later"]
    expected = Deltas([Delta("r", 1, 0, 0, [5], [TextPiece("hi")])])
    assert decode(Kind.DELTAS, msgpack.packb([[delta], 7])) == expected


def test_a_message_that_could_not_be_received_is_not_encoded() -> None:
    """The sender hears of a body beyond the limit of its kind, not the receiver."""
    fits = Queued(request="x", attempt=1, reason="a" * (codec.CONTROL_LIMIT - 32))
    assert decode(Kind.QUEUED, encode(fits)) == fits
    with pytest.raises(WireError, match=r"too_large: 655\d\d bytes, 65536 allowed"):
        encode(Queued(request="x", attempt=1, reason="a" * codec.CONTROL_LIMIT))


@pytest.mark.parametrize("kind", list(Kind), ids=lambda kind: kind.name)
def test_a_body_beyond_its_limit_is_not_decoded(kind: Kind) -> None:
    """Size is checked first, by kind."""
    limit = codec.BODY_LIMITS.get(kind, codec.CONTROL_LIMIT)
    with pytest.raises(WireError) as caught:
        decode(kind, bytes(limit + 1))
    assert caught.value.reason == "too_large"
    with pytest.raises(WireError) as caught:
        decode(kind, bytes(limit))
    assert caught.value.reason != "too_large"


def test_large_replies_fit() -> None:
    """What an operator reads may be larger than a control body."""
    events = [{"number": n, "at_ms": 0, "what": "x" * 100} for n in range(20_000)]
    body = msgpack.packb({"events": events, "next": 0})
    decoded = decode(Kind.EVENTS, body)
    assert isinstance(decoded, Events)
    assert encode(decoded)
    assert codec.BODY_LIMITS[Kind.STATUS] == codec.REPLY_LIMIT
    assert Status in TYPES.values()


@pytest.mark.parametrize("kind", [Kind.SUBMIT, Kind.GENERATE])
def test_a_long_reply_can_be_continued(kind: Kind) -> None:
    """100,000 delivered tokens travel with the next attempt: they are more than a control body holds."""
    prefix = (tuple(range(100_000, 200_000)),)
    message = (
        Submit(request="x", attempt=2, model="m", prefix=prefix)
        if kind is Kind.SUBMIT
        else Generate(request="x", attempt=2, edge=b"e", model="m", prefix=prefix)
    )
    assert decode(kind, encode(message)) == message


def test_a_request_has_a_limit_of_its_own() -> None:
    """Up to 4 MiB each way, and not a byte more."""
    turn = Turn(role="user", tool_call_id="a" * (codec.REQUEST_LIMIT - 100))
    assert decode_request(encode_request(Chat(model="m", turns=(turn,)))).turns == (turn,)
    with pytest.raises(WireError, match="too_large"):
        encode_request(Chat(model="m", turns=(turn, turn)))
    with pytest.raises(WireError, match="too_large"):
        decode_request(bytes(codec.REQUEST_LIMIT + 1))


@pytest.mark.parametrize(
    "invented",
    [
        pytest.param(b'{"n": 123456789012345678901234567890}', id="30 digits"),
        pytest.param(b"[" * 5000 + b"]" * 5000, id="5000 deep"),
        pytest.param(b'{"a": "\\ud800"}', id="half a surrogate pair"),
        pytest.param(b'{"a":', id="malformed"),
    ],
)
def test_what_clients_invent_travels_as_bytes(invented: bytes) -> None:
    """Wide integers and deep schemas reach the other side as they came; no codec of ours opens them."""
    chat = Chat(
        model="m",
        turns=(Turn(role="assistant", tool_calls=(ToolCall(id="1", name="f", arguments=invented),)),),
        tools=(ToolSpec(name="f", schema=invented),),
        template_options=invented,
    )
    assert decode_request(encode_request(chat)) == chat


@pytest.mark.parametrize(
    "message",
    [
        Cancel(request="\ud800", attempt=1),
        Cancel(request="x", attempt=10**30),
        Deltas([Delta("x", 1, 0, 0, [], [TextPiece("\udfff")])]),
        Queued(request="x", attempt=1, reason=object()),
    ],
    ids=["half a surrogate pair", "30 digits", "half a surrogate pair in a piece", "no wire type"],
)
def test_what_cannot_be_encoded_is_a_wire_error(message: Cancel | Deltas | Queued) -> None:
    """The sender learns it from the one exception that a codec raises."""
    with pytest.raises(WireError) as caught:
        encode(message)
    assert caught.value.reason == "unencodable"


def test_a_request_with_half_a_surrogate_pair_is_refused() -> None:
    """JSON can carry one into a Python string; msgpack cannot carry it on."""
    turn = Turn(role="user", name=json.loads('"\\ud800"'))
    with pytest.raises(WireError, match="unencodable"):
        encode_request(Chat(model="m", turns=(turn,)))


def test_a_wire_error_says_what_and_why() -> None:
    """`reason` is a short word for a label; the text adds the detail where there is one."""
    assert str(WireError("version")) == "version"
    assert str(WireError("version", "7")) == "version: 7"
    assert WireError("version", "7").reason == "version"
