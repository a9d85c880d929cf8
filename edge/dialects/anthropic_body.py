"""The body of `POST /v1/messages` as clients send it, typed. Null means absent; unknown fields are ignored.

Only shapes are checked here. What a field means, and which values make sense, is the business of `anthropic` and, for
the conversation, of `anthropic_turns`. One struct stands for blocks of every type: new types come every few months,
and a conversation that holds one goes on.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw, Struct

from cortex.edge.dialects.decoding import Whole, decode


class Source(Struct, frozen=True):
    """Where an image or a document comes from."""

    type: str
    data: str | None = None
    media_type: str | None = None
    content: str | list[Block] | None = None


class Sealed(Struct, frozen=True):
    """What somebody else's server found, in a form of its own: nothing of it is read, however much there is."""


class Block(Struct, frozen=True):
    type: str
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    source: Source | str | None = None
    title: str | None = None
    context: str | None = None
    content: str | list[Block] | Sealed | None = None
    id: str | None = None
    name: str | None = None
    input: Raw = Raw()
    tool_use_id: str | None = None
    tool_name: str | None = None
    is_error: bool | None = None


class Message(Struct, frozen=True):
    role: str
    content: str | list[Block]


class Tool(Struct, frozen=True):
    """A tool of the client's own, or one that Anthropic knows by its type."""

    type: str | None = None
    name: str | None = None
    description: str | None = None
    input_schema: Raw = Raw()
    strict: bool | None = None


class ToolChoice(Struct, frozen=True):
    type: str
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class Thinking(Struct, frozen=True):
    type: str
    budget_tokens: int | None = None
    display: str | None = None


class OutputFormat(Struct, frozen=True):
    type: str
    schema: Raw = Raw()


class OutputConfig(Struct, frozen=True):
    effort: str | None = None
    format: OutputFormat | None = None


class Body(Struct, frozen=True):
    """`output_format` is what `output_config.format` was called before."""

    model: str
    messages: list[Message]
    system: str | list[Block] | None = None
    stream: bool | None = None
    max_tokens: Whole | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: Whole | None = None
    stop_sequences: list[str] | None = None
    tools: list[Tool] | None = None
    tool_choice: ToolChoice | None = None
    thinking: Thinking | None = None
    output_config: OutputConfig | None = None
    output_format: OutputFormat | None = None


_decoder = msgspec.json.Decoder(Body)


def read(data: bytes) -> Body:
    """Decode a body. Whatever is wrong with it is one `FaultError` that names the field where it can."""
    return decode(data, _decoder)


def format_of(body: Body) -> tuple[OutputFormat | None, str]:
    """The wanted format of the answer, and the field that it stands in."""
    if body.output_config is not None and body.output_config.format is not None:
        return body.output_config.format, "output_config.format"
    return body.output_format, "output_format"
