"""The body of `POST /v1/chat/completions` as clients send it, typed. Null means absent; unknown fields are ignored.

Only shapes are checked here. What a field means, and which values make sense, is `openai_chat`'s business.
"""

from __future__ import annotations

import re
from typing import TypeVar

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
    mode: str = "auto"


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
_TYPES = re.compile(r"Expected `(?P<expected>.+?)`, got `(?P<found>.+?)`")
_EACH = "[...]"
"""How the decoder writes "any value of this object"."""
_WORDS = {
    "str": "a string",
    "int": "an integer",
    "float": "a number",
    "bool": "a boolean",
    "array": "an array",
    "object": "an object",
    "null": "null",
}
"""JSON's words for the decoder's."""
_body_decoder = msgspec.json.Decoder(Body)
_fields_decoder = msgspec.json.Decoder(dict[str, Raw])
LONGEST_NAME = 64
"""Characters of a field's name that an error repeats."""


def invalid(param: str | None, predicate: str) -> FaultError:
    """The exception for a field that cannot be right. Its message is a sentence: "param must be …"."""
    return fault(Code.INVALID_REQUEST, f"{param or 'The body'} {predicate}.", param=param)


def unsupported(param: str, predicate: str) -> FaultError:
    """The exception for a field that is right and that nothing here can serve."""
    return fault(Code.UNSUPPORTED, f"{param} {predicate}.", param=param)


def read(data: bytes) -> Body:
    """Decode a body. Whatever is wrong with it is one `FaultError` that names the field where it can."""
    body = decode(data, _body_decoder)
    if (reason := json_limits.problem(data, json_limits.MAX_DEPTH + _ENVELOPE_DEPTH)) is not None:
        for param, raw in _raw_fields(body):
            if json_limits.problem(raw):
                raise invalid(param, reason)
        raise invalid(_culprit(data), reason)
    return body


def decode(data: bytes, decoder: msgspec.json.Decoder[B]) -> B:
    """Bytes → struct; every complaint of the decoder becomes a `FaultError`."""
    if not data.strip():
        raise invalid(None, "is empty; send a JSON object")
    try:
        str(data, "utf-8")  # the decoder does not look into what it skips
        return decoder.decode(data)
    except msgspec.ValidationError as error:
        raise _named(str(error)) from error
    except RecursionError as error:
        raise invalid(
            None, f"is nested deeper than {json_limits.MAX_DEPTH} levels; send less depth"
        ) from error
    except UnicodeDecodeError as error:
        raise invalid(None, f"is not valid UTF-8 at byte {error.start}; encode it as UTF-8") from error
    except msgspec.DecodeError as error:
        reason = (
            str(error)
            .removeprefix("JSON is malformed: ")
            .replace("Input data was truncated", "it ends too early")
        )
        raise invalid(None, f"is not valid JSON: {reason}") from error


def _named(complaint: str) -> FaultError:
    """The decoder's complaint as a fault that names the field."""
    found = _PATH.match(complaint)
    message, path = (found["message"], found["path"]) if found else (complaint, "")
    if missing := _MISSING.search(message):
        return invalid(f"{path}.{missing[1]}" if path else missing[1], "is required")
    predicate = _predicate(message)
    if path.endswith(_EACH):
        path = path.removesuffix(_EACH)
        return invalid(path, f"holds a value that {predicate}")
    return invalid(path or None, predicate)


def _predicate(message: str) -> str:
    """The decoder's complaint in words that a JSON user knows."""
    types = _TYPES.match(message)
    if types is None:
        return f"is not valid ({message[:1].lower()}{message[1:]}); send another value"
    wanted = [word for word in types["expected"].split(" | ") if word != "null"]
    found = _WORDS.get(types["found"], types["found"])
    if found == "a number":  # an integer is one too
        found = "a number with a fraction"
    return f"must be {' or '.join(_WORDS.get(word, word) for word in wanted)}, not {found}"


def _culprit(data: bytes) -> str | None:
    """The field of the body that is too deep or holds a number that is too wide, read by anybody or not."""
    for name, raw in _fields_decoder.decode(data).items():
        if json_limits.problem(raw, json_limits.MAX_DEPTH + _ENVELOPE_DEPTH):
            return name[:LONGEST_NAME]
    return None


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
