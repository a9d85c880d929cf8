"""Bytes ↔ messages, with limits. Whatever a library raises on bad input leaves here as `WireError`.

Bodies are msgpack. Control bodies and requests are decoded by the msgpack library under explicit limits and then
validated into frozen structs by msgspec. Token bodies (`Deltas`) are the hot path and are decoded by msgspec's own
decoder of the same format, three times as fast (docs/benchmarks.md). It knows no sockets and no policy.
"""

from __future__ import annotations

from typing import TypeVar

import msgpack
import msgspec
from msgspec import Struct

from cortex.protocol.deltas import Deltas
from cortex.protocol.messages import KINDS, TYPES, Kind
from cortex.protocol.request import Request

KIB = 1024
MIB = 1024 * KIB
CONTROL_LIMIT = 64 * KIB
REQUEST_LIMIT = 4 * MIB
ATTACHMENT_LIMIT = 8 * MIB
PREFIX_LIMIT = MIB
"""Where delivered tokens travel again: 200,000 of them at five bytes each."""
REPLY_LIMIT = 4 * MIB
"""Answers to an operator are larger than any control body, and only ever read by the operator's own tool."""
MAX_ITEMS = 1_048_576

BODY_LIMITS: dict[Kind, int] = {
    Kind.SUBMIT: PREFIX_LIMIT,
    Kind.GENERATE: PREFIX_LIMIT,
    Kind.DELTAS: REQUEST_LIMIT,
    Kind.STATUS: REPLY_LIMIT,
    Kind.EVENTS: REPLY_LIMIT,
    Kind.WELCOME: REPLY_LIMIT,
    Kind.MODELS: REPLY_LIMIT,
    Kind.CONFIG_REPORT: REPLY_LIMIT,
    Kind.FORWARDED: REPLY_LIMIT,
}

T = TypeVar("T")


class WireError(ValueError):
    """The bytes are not a message of ours. `reason` is a short word for a counter's label."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


_encoder = msgspec.msgpack.Encoder()
_deltas_decoder = msgspec.msgpack.Decoder(Deltas)


def _encode(value: object, limit: int) -> bytes:
    try:
        data = _encoder.encode(value)
    except (OverflowError, UnicodeEncodeError, RecursionError, TypeError, ValueError) as error:
        raise WireError("unencodable", str(error)) from error
    if len(data) > limit:
        raise WireError("too_large", f"{len(data)} bytes, {limit} allowed")
    return data


def _decode(data: bytes | memoryview, into: type[T], limit: int, max_items: int) -> T:
    if len(data) > limit:
        raise WireError("too_large", f"{len(data)} bytes, {limit} allowed")
    try:
        plain = msgpack.unpackb(
            data,
            raw=False,
            strict_map_key=True,
            max_str_len=limit,
            max_bin_len=limit,
            max_array_len=min(max_items, len(data)),  # more could not follow, and room is made ahead
            max_map_len=min(1024, len(data)),
            max_ext_len=0,
        )
        return msgspec.convert(plain, into, builtin_types=(bytes,))
    except msgspec.ValidationError as error:
        raise WireError("invalid", str(error)) from error
    except Exception as error:  # the library's exceptions have no common base
        raise WireError("undecodable", type(error).__name__) from error


def encode(message: Struct) -> bytes:
    """Encode a message's body. Raises `WireError` if it cannot be encoded or is too large to be received."""
    return _encode(message, BODY_LIMITS.get(KINDS[type(message)], CONTROL_LIMIT))


def decode(kind: Kind, body: bytes | memoryview) -> Struct:
    """Decode the body of a message of this kind; unknown fields are ignored, wrong ones are a `WireError`."""
    if kind is Kind.DELTAS:
        return decode_deltas(body)
    limit = BODY_LIMITS.get(kind, CONTROL_LIMIT)
    return _decode(body, TYPES[kind], limit, max_items=MAX_ITEMS if limit > CONTROL_LIMIT else 16_384)


def decode_deltas(body: bytes | memoryview) -> Deltas:
    """Decode a token body."""
    if len(body) > REQUEST_LIMIT:
        raise WireError("too_large", f"{len(body)} bytes, {REQUEST_LIMIT} allowed")
    try:
        return _deltas_decoder.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise WireError("invalid", str(error)) from error


def encode_request(request: Request) -> bytes:
    """Encode a normalized request: the first attachment of `Submit` and `Generate`. At most 4 MiB."""
    return _encode(request, REQUEST_LIMIT)


def decode_request(data: bytes | memoryview) -> Request:
    """Decode what `encode_request` made."""
    request: Request = _decode(data, Request, REQUEST_LIMIT, max_items=MAX_ITEMS)  # type: ignore[arg-type]
    return request
