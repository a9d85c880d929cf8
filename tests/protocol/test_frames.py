"""The envelope: what is packed is unpacked, and what is not ours is refused before a body is read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex.protocol import WIRE_VERSION, frames
from cortex.protocol.codec import ATTACHMENT_LIMIT, WireError, decode
from cortex.protocol.frames import HEADER, UnknownKindError, header, pack, pack_deltas, unpack
from cortex.protocol.messages import Cancel, Kind

SESSION = b"12345678"
CANCEL = Cancel(request="x", attempt=1)


@given(st.sampled_from(list(Kind)), st.integers(0, 65535), st.binary(min_size=8, max_size=8))
def test_a_header_says_kind_flags_and_session(kind: Kind, flags: int, session: bytes) -> None:
    """12 bytes carry all three."""
    assert len(header(kind, session, flags)) == 12
    envelope = unpack([header(kind, session, flags), b"body"])
    assert envelope == (kind, flags, session, b"body", ())


def test_a_message_round_trips_with_its_attachments() -> None:
    """Body and attachments come out as they went in, as bytes or as views."""
    packed = pack(CANCEL, SESSION, [b"one", memoryview(b"two")])
    for received in (packed, [memoryview(frame) for frame in packed]):
        envelope = unpack(received)
        assert (envelope.kind, envelope.flags, bytes(envelope.session)) == (Kind.CANCEL, 0, SESSION)
        assert decode(envelope.kind, envelope.body) == CANCEL
        assert envelope.attachments == (b"one", b"two")


def test_relayed_tokens_carry_the_route_of_their_edge() -> None:
    """Between header and body, so that a broker never opens the body."""
    envelope = unpack(pack_deltas(b"body", SESSION, b"edge"))
    assert (envelope.kind, envelope.body, envelope.attachments) == (Kind.DELTAS, b"edge", (b"body",))


@pytest.mark.parametrize(
    ("received", "reason"),
    [
        ([], "frame_count"),
        ([header(Kind.CANCEL, SESSION)], "frame_count"),
        ([header(Kind.CANCEL, SESSION), b"", *[b""] * 65], "frame_count"),
        ([b"", b""], "header"),
        ([header(Kind.CANCEL, SESSION)[:-1], b""], "header"),
        ([header(Kind.CANCEL, SESSION) + b"\0", b""], "header"),
        ([HEADER.pack(WIRE_VERSION + 1, Kind.CANCEL, 0, SESSION), b""], "version"),
        ([HEADER.pack(0, Kind.CANCEL, 0, SESSION), b""], "version"),
        ([HEADER.pack(WIRE_VERSION, 255, 0, SESSION), b""], "unsupported"),
        ([header(Kind.CANCEL, SESSION), bytes(ATTACHMENT_LIMIT + 1)], "too_large"),
        ([header(Kind.CANCEL, SESSION), b"", *[bytes(ATTACHMENT_LIMIT)] * 4], "too_large"),
    ],
)
def test_what_is_not_ours_is_refused(received: list[bytes], reason: str) -> None:
    """Count, sizes and header are checked before anything else."""
    with pytest.raises(WireError) as caught:
        unpack(received)
    assert caught.value.reason == reason


def test_the_limits_themselves_are_allowed() -> None:
    """64 attachments; 8 MiB in a frame; 32 MiB in all."""
    assert len(unpack([header(Kind.CANCEL, SESSION), b"", *[b""] * 64]).attachments) == 64
    head = header(Kind.CANCEL, SESSION)
    full = bytes(ATTACHMENT_LIMIT)
    assert unpack([head, b"", full, full, full, bytes(ATTACHMENT_LIMIT - len(head))])
    assert frames.MAX_TOTAL == 4 * ATTACHMENT_LIMIT


def test_a_kind_from_the_future_tells_its_number() -> None:
    """So that it can be answered with `Unsupported`."""
    with pytest.raises(UnknownKindError) as caught:
        unpack([HEADER.pack(WIRE_VERSION, 200, 0, SESSION), b""])
    assert caught.value.kind == 200


@given(st.lists(st.binary(max_size=20), max_size=5))
def test_arbitrary_frames_never_raise_anything_else(received: list[bytes]) -> None:
    """Any frames are an envelope or a `WireError`."""
    try:
        unpack(received)
    except WireError:
        return
    assert len(received) >= 2
