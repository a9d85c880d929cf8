"""The body of `POST /v1/chat/completions` as clients send it, typed. Null means absent; unknown fields are ignored.

Only shapes are checked here. What a field means, and which values make sense, is `openai_chat`'s business.
"""

from __future__ import annotations

import re
from typing import Literal, TypeVar

import msgspec
from msgspec import Raw, Struct

from cortex.edge.dialects import json_limits
from cortex.protocol.faults import Code, FaultError, fault

ABSENT = (b"", b"null")
"""What a `Raw` field holds when the client sent nothing for it."""

# The outermost object, `tools`, the tool and its `function` lie around a schema.
_ENVELOPE_DEPTH = 4


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


class ToolCall(Struct, frozen=True):
    function: FunctionCall | None = None
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


class Tool(Struct, frozen=True):
    type: str | None = None
    function: Function | None = None


class NamedFunction(Struct, frozen=True):
    name: str


class ToolReference(Struct, frozen=True):
    type: str | None = None
    function: NamedFunction | None = None


class AllowedTools(Struct, frozen=True):
    tools: list[ToolReference]
    mode: Literal["auto", "required"] = "auto"


class ToolChoice(Struct, frozen=True):
    type: str | None = None
    function: NamedFunction | None = None
    allowed_tools: AllowedTools | None = None


class JsonSchema(Struct, frozen=True):
    schema: Raw = Raw()
    strict: bool | None = None


class ResponseFormat(Struct, frozen=True):
    type: str
    json_schema: JsonSchema | None = None


class StreamOptions(Struct, frozen=True):
    include_usage: bool | None = None


class Body(Struct, frozen=True):
    model: str
    messages: list[Message]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    tools: list[Tool] | None = None
    tool_choice: str | ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    functions: Raw = Raw()
    modalities: list[str] | None = None
    response_format: ResponseFormat | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    min_tokens: int | None = None
    n: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    repetition_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    ignore_eos: bool | None = None
    reasoning_effort: str | None = None
    chat_template_kwargs: Raw = Raw()


B = TypeVar("B", bound=Struct)
_PATH = re.compile(r"^(?P<message>.*) - at `(?:key in )?\$\.?(?P<path>.*)`$", re.DOTALL)
_MISSING = re.compile(r"missing required field `(.+?)`")
_body_decoder = msgspec.json.Decoder(Body)


def invalid(param: str | None, message: str) -> FaultError:
    """The exception for a field that cannot be right."""
    return fault(Code.INVALID_REQUEST, f"{param} {message}" if param else message, param=param)


def unsupported(param: str, message: str) -> FaultError:
    """The exception for a field that is right and that nothing here can serve."""
    return fault(Code.UNSUPPORTED, f"{param} {message}", param=param)


def read(data: bytes) -> Body:
    """Decode a body. Whatever is wrong with it is one `FaultError` that names the field where it can."""
    body = decode(data, _body_decoder)
    if (reason := json_limits.problem(data, json_limits.MAX_DEPTH + _ENVELOPE_DEPTH)) is not None:
        for param, raw in _raw_fields(body):
            if json_limits.problem(raw):
                raise invalid(param, reason)
        raise invalid(None, f"the body {reason}")
    return body


def decode(data: bytes, decoder: msgspec.json.Decoder[B]) -> B:
    """Bytes → struct; every complaint of the decoder becomes a `FaultError`."""
    if not data.strip():
        raise invalid(None, "the body is empty; send a JSON object")
    try:
        str(data, "utf-8")  # the decoder does not look into what it skips
        return decoder.decode(data)
    except msgspec.ValidationError as error:
        raise _named(str(error)) from error
    except RecursionError as error:
        raise invalid(None, f"the body is nested deeper than {json_limits.MAX_DEPTH} levels") from error
    except UnicodeDecodeError as error:
        raise invalid(None, "the body is not valid UTF-8") from error
    except msgspec.DecodeError as error:
        raise invalid(None, f"the body is not valid JSON: {error}") from error


def _named(complaint: str) -> FaultError:
    """The decoder's complaint as a fault that names the field."""
    found = _PATH.match(complaint)
    message, path = (found["message"], found["path"]) if found else (complaint, "")
    missing = _MISSING.search(message)
    if missing:
        return invalid(f"{path}.{missing[1]}" if path else missing[1], "is required")
    return (
        invalid(path, f"is invalid: {message}") if path else invalid(None, f"the body is invalid: {message}")
    )


def _raw_fields(body: Body) -> list[tuple[str, bytes]]:
    """What is passed on unread, with its place in the body."""
    fields = [("chat_template_kwargs", bytes(body.chat_template_kwargs))]
    if body.response_format is not None and body.response_format.json_schema is not None:
        fields.append(("response_format.json_schema.schema", bytes(body.response_format.json_schema.schema)))
    fields += [
        (f"tools[{index}].function.parameters", bytes(tool.function.parameters))
        for index, tool in enumerate(body.tools or ())
        if tool.function is not None
    ]
    return fields
