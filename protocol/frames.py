"""The envelope: a fixed binary header before the body, so that a relay never decodes what it only passes on.

    [route…] [header 12 bytes] [body: msgpack] [attachments…]

    header = version u8 · kind u8 · flags u16 · sender's session, 8 bytes

A session is random per process incarnation. Routing frames belong to ROUTER sockets; this module starts at the
header, except for relayed deltas, where a neuron puts the route of the edge between header and body:

    [header] [edge route] [body]
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

from msgspec import Struct

from cortex.protocol import WIRE_VERSION
from cortex.protocol.codec import ATTACHMENT_LIMIT, WireError, encode
from cortex.protocol.messages import KINDS, Kind

Frame = bytes | memoryview
HEADER = struct.Struct(">BBH8s")
SESSION_BYTES = 8
MAX_ATTACHMENTS = 64
MAX_TOTAL = 32 * 1024 * 1024

_KNOWN = {int(kind): kind for kind in Kind}


class Envelope(NamedTuple):
    """A received message before its body is decoded."""

    kind: Kind
    flags: int
    session: bytes
    body: Frame
    attachments: tuple[Frame, ...]


class UnknownKindError(WireError):
    """A kind of message from the future: to be answered with `Unsupported`."""

    def __init__(self, kind: int) -> None:
        super().__init__("unsupported", str(kind))
        self.kind = kind


def header(kind: Kind, session: bytes, flags: int = 0) -> bytes:
    """Build a header; the session is 8 bytes."""
    return HEADER.pack(WIRE_VERSION, kind, flags, session)


def pack(message: Struct, session: bytes, attachments: Sequence[Frame] = ()) -> list[Frame]:
    """Encode a message into frames, ready to send."""
    return [header(KINDS[type(message)], session), encode(message), *attachments]


def pack_deltas(body: bytes, session: bytes, edge: bytes) -> list[Frame]:
    """Frames of a token body on its way to the broker, which swaps the route to the front."""
    return [header(Kind.DELTAS, session), edge, body]


def unpack(frames: Sequence[Frame]) -> Envelope:
    """Check count, sizes and header; decode nothing. Raises `WireError` for anything that is not ours."""
    if not 2 <= len(frames) <= 2 + MAX_ATTACHMENTS:
        raise WireError("frame_count", str(len(frames)))
    total = 0
    for frame in frames:
        size = len(frame)
        total += size
        if size > ATTACHMENT_LIMIT or total > MAX_TOTAL:
            raise WireError("too_large", f"{total} bytes")
    try:
        version, number, flags, session = HEADER.unpack(frames[0])
    except struct.error as error:
        raise WireError("header", f"{len(frames[0])} bytes") from error
    if version != WIRE_VERSION:
        raise WireError("version", str(version))
    kind = _KNOWN.get(number)
    if kind is None:
        raise UnknownKindError(number)
    return Envelope(kind, flags, session, frames[1], tuple(frames[2:]))
