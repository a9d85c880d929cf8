"""OpenAI embeddings: body → normalized `Embed`, and vectors → reply. Pure; whatever is wrong is one fault that names the field."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from typing import Literal, NamedTuple

import msgspec
from msgspec import Struct

from cortex.edge.dialects.decoding import Whole, decode, invalid
from cortex.edge.dialects.fields import MAX_TOKEN, check_name, same_kind, token_ids, whole
from cortex.protocol.request import Embed
from cortex.protocol.values import Usage

MAX_INPUTS = 2048
PIECE = 64
"""Vectors that are encoded at a time."""

Encoding = Literal["float", "base64"]
One = str | int | list[int]


class Body(Struct, frozen=True):
    """As clients send it. Null means absent; unknown fields are ignored, `user` among them."""

    model: str
    input: str | list[One]
    encoding_format: str | None = None
    dimensions: Whole | None = None


class ParsedEmbed(NamedTuple):
    """The request, and how its client wants the vectors."""

    embed: Embed
    encoding: Encoding


_decoder = msgspec.json.Decoder(Body)


def parse(data: bytes) -> ParsedEmbed:
    """Read a body."""
    body = decode(data, _decoder)
    check_name(body.model, "model")
    if body.encoding_format not in (None, "float", "base64"):
        raise invalid("encoding_format", "must be float or base64")
    dimensions = whole(body.dimensions, "dimensions", 1, MAX_TOKEN)
    embed = Embed(model=body.model, inputs=_inputs(body.input), dimensions=dimensions)
    return ParsedEmbed(embed, "base64" if body.encoding_format == "base64" else "float")


def _inputs(given: str | list[One]) -> tuple[str | tuple[int, ...], ...]:
    """A text, texts, token ids, or lists of them; never a mixture."""
    if not given:
        raise invalid("input", "is empty; send some text")
    if isinstance(given, str):
        return (given,)
    if same_kind(given, "input", MAX_INPUTS, "texts") is int:
        return (token_ids(given, "input"),)
    inputs: list[str | tuple[int, ...]] = []
    for index, one in enumerate(given):
        at = f"input[{index}]"
        if not one:
            raise invalid(at, "is empty; send some text")
        inputs.append(token_ids(one, at) if isinstance(one, list) else str(one))
    return tuple(inputs)


def reply(parsed: ParsedEmbed, vectors: bytes, usage: Usage) -> Iterator[bytes]:
    """The body, in pieces: megabytes of numbers at once would hold up everybody else."""
    count = len(parsed.embed.inputs)
    size, rest = divmod(len(vectors), count)
    if rest or not size or size % 4:
        raise ValueError(f"{len(vectors)} bytes are no vectors of {count} texts")
    yield b'{"object":"list","data":['
    for start in range(0, count, PIECE):
        rows = (vectors[at * size : (at + 1) * size] for at in range(start, min(start + PIECE, count)))
        items = [
            msgspec.json.encode(
                {"object": "embedding", "index": start + at, "embedding": _number(row, parsed.encoding)}
            )
            for at, row in enumerate(rows)
        ]
        yield (b"," if start else b"") + b",".join(items)
    tokens = {"prompt_tokens": usage.prompt, "total_tokens": usage.prompt}
    end = msgspec.json.encode({"model": parsed.embed.model, "usage": tokens})
    yield b"]," + end[1:]


def _number(row: bytes, encoding: Encoding) -> str | tuple[float, ...]:
    if encoding == "base64":
        return base64.b64encode(row).decode()
    return struct.unpack(f"<{len(row) // 4}f", row)
