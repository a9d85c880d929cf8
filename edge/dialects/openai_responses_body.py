"""The body of `POST /v1/responses` as clients send it, typed. Null means absent; unknown fields are ignored.

What a response repeats of it is made from these types, so they hold what clients look for there as well. Items and tools have many kinds, of which most are none of ours: they are set aside as JSON and decoded one by one, so
that a kind that nobody here knows cannot spoil a body. What a field means is `openai_responses`' business.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw, Struct

from cortex.edge.dialects.custom_input import Grammar
from cortex.edge.dialects.decoding import Whole, decode


class Reasoning(Struct, frozen=True):
    effort: str | None = None
    summary: str | None = None


class Format(Struct, frozen=True, omit_defaults=True):
    type: str
    name: str | None = None
    description: str | None = None
    schema: Raw = Raw()
    strict: bool | None = None


class TextOptions(Struct, frozen=True):
    format: Format | None = None
    verbosity: str | None = None


class Reference(Struct, frozen=True, omit_defaults=True):
    """A tool that is named, not offered."""

    type: str | None = None
    name: str | None = None
    namespace: str | None = None


class ToolChoice(Struct, frozen=True, omit_defaults=True):
    type: str | None = None
    name: str | None = None
    namespace: str | None = None
    mode: str | None = None
    tools: list[Reference] | None = None


class StreamOptions(Struct, frozen=True):
    include_obfuscation: bool | None = None


class Body(Struct, frozen=True, kw_only=True):
    model: str
    input: str | list[Raw] | None = None
    instructions: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    tools: list[Raw] | None = None
    tool_choice: str | ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    max_output_tokens: Whole | None = None
    max_tool_calls: Whole | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_logprobs: Whole | None = None
    include: list[str] | None = None
    reasoning: Reasoning | None = None
    text: TextOptions | None = None
    store: bool | None = None
    background: bool | None = None
    previous_response_id: str | None = None
    truncation: str | None = None
    metadata: dict[str, str] | None = None
    prompt_cache_key: str | None = None
    safety_identifier: str | None = None
    user: str | None = None
    conversation: Raw = Raw()
    prompt: Raw = Raw()


class CountBody(Body, frozen=True, kw_only=True):
    """The body of `POST /v1/responses/input_tokens`, which need not name a model."""

    model: str = ""


class Kind(Struct, frozen=True):
    """As much of an item or a tool as tells what it is."""

    type: str | None = None
    role: str | None = None
    id: str | None = None


class Function(Struct, frozen=True):
    """A tool of type function: what chat has in an object of its own is flat here."""

    name: str
    description: str | None = None
    parameters: Raw = Raw()
    strict: bool | None = None


class Custom(Struct, frozen=True):
    """A tool of type custom: its input is plain text."""

    name: str
    description: str | None = None
    format: Grammar | None = None


class Namespace(Struct, frozen=True):
    """Tools that share a namespace, in which a call of one of them is told."""

    name: str
    tools: list[Raw] | None = None


class MoreTools(Struct, frozen=True):
    """Tools that are offered by an item of the input."""

    tools: list[Raw] | None = None


class Part(Struct, frozen=True):
    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: str | None = None


class Message(Struct, frozen=True):
    role: str
    content: str | list[Part] | None = None


class AgentMessage(Struct, frozen=True):
    """What one agent of a client's tells another."""

    content: str | list[Part] = ""


class Call(Struct, frozen=True):
    """A call of a function; of a custom tool the `input` is plain text."""

    call_id: str
    name: str
    namespace: str | None = None
    arguments: str | None = None
    input: str | None = None


class CallOutput(Struct, frozen=True):
    call_id: str
    output: str | list[Part] | None = None


class Thought(Struct, frozen=True):
    """An item of reasoning."""

    summary: list[Part] | None = None
    content: list[Part] | None = None
    encrypted_content: str | None = None


_decoder = msgspec.json.Decoder(Body)
_count_decoder = msgspec.json.Decoder(CountBody)


def read(data: bytes) -> Body:
    """Decode a body. Whatever is wrong with it is one `FaultError` that names the field where it can."""
    return decode(data, _decoder)


def read_count(data: bytes) -> Body:
    """Decode a body whose input is to be counted. Whatever is wrong with it is one `FaultError`."""
    return decode(data, _count_decoder)
