"""The body of `POST /v1/chat/completions` as clients send it, typed. Null means absent; unknown fields are ignored.

Only shapes are checked here. What a field means, and which values make sense, is `openai_chat`'s business.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw, Struct

from cortex.edge.dialects.custom_input import Grammar
from cortex.edge.dialects.decoding import Whole, decode
from cortex.edge.dialects.openai_sampling import SamplingFields, StreamOptions


class ImageUrl(Struct, frozen=True):
    url: str


class Part(Struct, frozen=True):
    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: ImageUrl | str | None = None


class FunctionCall(Struct, frozen=True):
    name: str
    arguments: str | None = None


class CustomCall(Struct, frozen=True):
    name: str
    input: str | None = None


class ToolCall(Struct, frozen=True):
    function: FunctionCall | None = None
    custom: CustomCall | None = None
    id: str | None = None
    type: str | None = None


class Message(Struct, frozen=True):
    role: str
    content: str | list[Part] | None = None
    name: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    function_call: FunctionCall | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


class Function(Struct, frozen=True):
    name: str
    description: str | None = None
    parameters: Raw = Raw()
    strict: bool | None = None


class CustomFormat(Struct, frozen=True):
    type: str | None = None
    grammar: Grammar | None = None


class Custom(Struct, frozen=True):
    """A tool whose input is plain text."""

    name: str
    description: str | None = None
    format: CustomFormat | None = None


class Tool(Struct, frozen=True):
    type: str | None = None
    function: Function | None = None
    custom: Custom | None = None


class Named(Struct, frozen=True):
    name: str


class ToolReference(Struct, frozen=True):
    """A tool that is named, not offered; other interfaces write its name flat."""

    type: str | None = None
    function: Named | None = None
    custom: Named | None = None
    name: str | None = None


class AllowedTools(Struct, frozen=True):
    tools: list[ToolReference]
    mode: str | None = None


class ToolChoice(Struct, frozen=True):
    """What the Responses interface writes flat is read as well."""

    type: str | None = None
    function: Named | None = None
    custom: Named | None = None
    name: str | None = None
    allowed_tools: AllowedTools | None = None
    tools: list[ToolReference] | None = None
    mode: str | None = None


class JsonSchema(Struct, frozen=True):
    schema: Raw = Raw()
    strict: bool | None = None


class ResponseFormat(Struct, frozen=True):
    type: str
    json_schema: JsonSchema | None = None


class Body(SamplingFields, frozen=True, kw_only=True):
    model: str
    messages: list[Message]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    tools: list[Tool] | None = None
    tool_choice: str | ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    functions: list[Function] | None = None
    function_call: str | Named | None = None
    modalities: list[str] | None = None
    audio: Raw = Raw()
    response_format: ResponseFormat | None = None
    max_completion_tokens: Whole | None = None
    logprobs: bool | None = None
    top_logprobs: Whole | None = None
    reasoning_effort: str | None = None
    chat_template_kwargs: Raw = Raw()


_decoder = msgspec.json.Decoder(Body)


def read(data: bytes) -> Body:
    """Decode a body. Whatever is wrong with it is one `FaultError` that names the field where it can."""
    return decode(data, _decoder)
