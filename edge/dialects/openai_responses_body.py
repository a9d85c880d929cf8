"""The body of `POST /v1/responses` as clients send it, typed. Null means absent; unknown fields are ignored.

Items and tools have many kinds, of which most are none of ours: they are set aside as JSON and decoded one by one, so
that a kind that nobody here knows cannot spoil a body. What a field means is `openai_responses`' business.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw, Struct

from cortex.edge.dialects.decoding import decode


class Reasoning(Struct, frozen=True):
    effort: str | None = None


class Format(Struct, frozen=True):
    type: str
    schema: Raw = Raw()
    strict: bool | None = None


class TextOptions(Struct, frozen=True):
    format: Format | None = None


class Reference(Struct, frozen=True):
    """A tool that is named, not offered."""

    type: str | None = None
    name: str | None = None


class ToolChoice(Struct, frozen=True):
    type: str | None = None
    name: str | None = None
    mode: str | None = None
    tools: list[Reference] | None = None


class Body(Struct, frozen=True):
    model: str
    input: str | list[Raw] | None = None
    instructions: str | None = None
    stream: bool | None = None
    tools: list[Raw] | None = None
    tool_choice: str | ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_logprobs: int | None = None
    include: list[str] | None = None
    reasoning: Reasoning | None = None
    text: TextOptions | None = None
    store: bool | None = None
    background: bool | None = None
    previous_response_id: str | None = None
    conversation: Raw = Raw()
    prompt: Raw = Raw()


class Kind(Struct, frozen=True):
    """As much of an item or a tool as tells what it is."""

    type: str | None = None
    role: str | None = None


class Function(Struct, frozen=True):
    """A tool of type function: what chat has in an object of its own is flat here."""

    name: str
    description: str | None = None
    parameters: Raw = Raw()


class Part(Struct, frozen=True):
    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: str | None = None


class Message(Struct, frozen=True):
    role: str
    content: str | list[Part] | None = None


class Call(Struct, frozen=True):
    """A call of a function; of a custom tool the `input` is plain text."""

    call_id: str
    name: str
    arguments: str | None = None
    input: str | None = None


class CallOutput(Struct, frozen=True):
    call_id: str
    output: str | list[Part] | None = None


class Thought(Struct, frozen=True):
    """An item of reasoning. What is encrypted was encrypted by somebody else, and is left out."""

    summary: list[Part] | None = None
    content: list[Part] | None = None


class _Reference(Struct, frozen=True):
    previous_response_id: str | None = None


_decoder = msgspec.json.Decoder(Body)
_reference_decoder = msgspec.json.Decoder(_Reference)


def read(data: bytes) -> Body:
    """Decode a body. Whatever is wrong with it is one `FaultError` that names the field where it can."""
    return decode(data, _decoder)


def refers_to(data: bytes) -> str:
    """The earlier response that a body goes on from; empty if there is none. What is wrong with it, `read` tells."""
    if b'"previous_response_id"' not in data:
        return ""
    try:
        return _reference_decoder.decode(data).previous_response_id or ""
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
