"""OpenAI chat: body → normalized `Chat`. Pure; whatever is wrong is one fault that names the field.

The way back is `openai_chat_reply`. It knows no HTTP, no models and no queue.
"""

from __future__ import annotations

from typing import NamedTuple

from msgspec import Raw

from cortex.edge.dialects.conversation import check_parts, just_sent
from cortex.edge.dialects.custom_input import INPUT_SCHEMA, arguments_of, described
from cortex.edge.dialects.decoding import ABSENT, invalid, unsupported
from cortex.edge.dialects.fields import (
    MAX_LIKELIEST,
    MAX_MESSAGES,
    THINKING_OFF,
    check_name,
    json_object,
    thinking_options,
    whole,
)
from cortex.edge.dialects.offering import Offering, check_number
from cortex.edge.dialects.openai_chat_body import Body, Custom, ImageUrl, Message, Tool, ToolReference
from cortex.edge.dialects.openai_chat_body import Part as BodyPart
from cortex.edge.dialects.openai_chat_body import ToolChoice as BodyToolChoice
from cortex.edge.dialects.openai_chat_body import read as read_body
from cortex.edge.dialects.openai_sampling import sampling_of
from cortex.edge.dialects.schema_check import check_schemas
from cortex.edge.images import Images
from cortex.protocol.request import (
    Chat,
    Part,
    ResponseFormat,
    Role,
    Sampling,
    Text,
    ToolCall,
    ToolChoice,
    ToolSpec,
    Turn,
)

MAX_CHOICES = 4

ROLES: dict[str, Role] = {
    "developer": "system",
    "system": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}
MEDIA = {"input_audio": "audio", "file": "file", "video_url": "video"}


class ParsedChat(NamedTuple):
    """The request, and how its client wants the answer; `custom` are the tools whose input is plain text."""

    request: Chat
    stream: bool
    include_usage: bool
    custom: frozenset[str] = frozenset()


def parse(data: bytes, *, seed: int = 0) -> ParsedChat:
    """Read a body. `seed` is used where the client gives none: it is drawn outside, for this is pure."""
    body = read_body(data)
    check_name(body.model, "model")
    _refuse_impossible(body)
    tools = _tools(body.tools or [])
    choice, tools = _tool_choice(body, tools)
    chat = Chat(
        model=body.model,
        turns=_turns(body.messages),
        tools=tools,
        tool_choice=choice,
        sampling=_sampling(body, seed),
        response_format=_response_format(body),
        template_options=_template_options(body),
    )
    places = (
        (tool.function.name, f"tools[{index}].function.parameters")
        for index, tool in enumerate(body.tools or ())
        if tool.function is not None
    )
    check_schemas(chat, "response_format.json_schema.schema", places)
    wants_usage = body.stream_options is not None and bool(body.stream_options.include_usage)
    custom = frozenset(tool.custom.name for tool in body.tools or () if tool.custom is not None)
    return ParsedChat(chat, bool(body.stream), wants_usage, custom)


def _refuse_impossible(body: Body) -> None:
    if bytes(body.functions) not in (*ABSENT, b"[]"):
        raise unsupported("functions", "is an old form; send tools instead")
    if body.modalities is not None and "audio" in body.modalities:
        raise unsupported("modalities", "cannot include audio here; ask for text alone")


# ── messages ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _turns(messages: list[Message]) -> tuple[Turn, ...]:
    if not messages:
        raise invalid("messages", "must hold at least one message")
    if len(messages) > MAX_MESSAGES:
        raise invalid("messages", f"holds {len(messages)} messages; send at most {MAX_MESSAGES}")
    seen = _images(messages)
    fresh = just_sent([ROLES.get(message.role, "") for message in messages])
    return tuple(
        _turn(message, f"messages[{index}]", seen, fresh=index == fresh)
        for index, message in enumerate(messages)
    )


def _images(messages: list[Message]) -> Images:
    """The reader of all images in these messages, which must not hold too much of anything."""
    contents = [message.content for message in messages if isinstance(message.content, list)]
    calls = sum(len(message.tool_calls) for message in messages if message.tool_calls)
    check_parts(sum(map(len, contents)) + calls, "messages")
    return Images(sum(part.type == "image_url" for content in contents for part in content))


def _turn(message: Message, at: str, seen: Images, *, fresh: bool) -> Turn:
    """`fresh`: a person has just written it."""
    role = ROLES.get(message.role)
    if role is None:
        raise invalid(f"{at}.role", f"must be one of {', '.join(ROLES)}")
    if message.content is None and role in ("system", "user"):
        raise invalid(f"{at}.content", f"is required in a message of role {message.role}")
    if message.role == "tool" and not message.tool_call_id:
        raise invalid(f"{at}.tool_call_id", "is required in a message of role tool")
    calls: tuple[ToolCall, ...] = ()
    reasoning = ""
    if role == "assistant":
        calls = _history_calls(message, at)
        reasoning = message.reasoning_content or message.reasoning or ""
    return Turn(
        role=role,
        parts=_parts(message.content, f"{at}.content", seen, fresh=fresh),
        reasoning=reasoning,
        tool_calls=calls,
        tool_call_id=message.tool_call_id or "",
        name=message.name or "",
    )


def _parts(content: str | list[BodyPart] | None, at: str, seen: Images, *, fresh: bool) -> tuple[Part, ...]:
    """What can be read of it. In what a person has just sent, what cannot is refused; elsewhere a word stands for it."""
    if content is None:
        return ()
    if isinstance(content, str):
        return (Text(text=content),) if content else ()
    return tuple(_part(part, f"{at}[{index}]", seen, fresh=fresh) for index, part in enumerate(content))


def _part(part: BodyPart, at: str, seen: Images, *, fresh: bool) -> Part:
    if part.type == "text":
        if part.text is None and fresh:
            raise invalid(f"{at}.text", "is required in a part of type text")
        return Text(text=part.text or "")
    if part.type == "refusal":
        return Text(text=part.refusal or "")
    if part.type == "image_url":
        if part.image_url is None and fresh:
            raise invalid(f"{at}.image_url", "is required in a part of type image_url")
        url = part.image_url.url if isinstance(part.image_url, ImageUrl) else part.image_url
        return seen.from_url(url or "", f"{at}.image_url", fresh=fresh)
    if fresh:
        raise unsupported(f"{at}.type", f"must be text, not {part.type[:40]}")
    return Text(text=f"[{MEDIA.get(part.type, 'part')} omitted]")


def _history_calls(message: Message, at: str) -> tuple[ToolCall, ...]:
    calls = []
    for index, call in enumerate(message.tool_calls or ()):
        here = f"{at}.tool_calls[{index}]"
        if call.custom is not None:
            check_name(call.custom.name, f"{here}.custom.name")
            arguments = arguments_of(call.custom.input or "")
            calls.append(ToolCall(id=call.id or "", name=call.custom.name, arguments=arguments))
            continue
        if call.function is None:
            raise unsupported(here, "must be of type function or custom")
        check_name(call.function.name, f"{here}.function.name")
        arguments = (call.function.arguments or "").encode()
        calls.append(ToolCall(id=call.id or "", name=call.function.name, arguments=arguments))
    if message.function_call is not None:
        arguments = (message.function_call.arguments or "").encode()
        calls.append(ToolCall(id="", name=message.function_call.name, arguments=arguments))
    return tuple(calls)


# ── tools ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _tools(tools: list[Tool]) -> tuple[ToolSpec, ...]:
    offering = Offering(len(tools))
    for index, tool in enumerate(tools):
        at = f"tools[{index}]"
        if tool.type == "custom":
            _add_custom(offering, tool.custom, f"{at}.custom")
            continue
        if tool.type not in (None, "function"):
            raise unsupported(f"{at}.type", "must be function or custom")
        if tool.function is None:
            raise invalid(f"{at}.function", "is required")
        function, here = tool.function, f"{at}.function"
        offering.add(
            function.name, function.description, function.parameters, f"{here}.name", f"{here}.parameters"
        )
    return offering.tools


def _add_custom(offering: Offering, custom: Custom | None, at: str) -> None:
    """A tool of plain text is a function of one string to the model."""
    if custom is None:
        raise invalid(at, "is required")
    grammar = custom.format.grammar if custom.format is not None else None
    text = described(custom.description or "", grammar)
    offering.add(custom.name, text, Raw(INPUT_SCHEMA), f"{at}.name", at)


def _tool_choice(body: Body, tools: tuple[ToolSpec, ...]) -> tuple[ToolChoice, tuple[ToolSpec, ...]]:
    """How tools may be used, and which of them remain on offer."""
    parallel = body.parallel_tool_calls is not False
    choice = body.tool_choice
    if choice is None:
        return ToolChoice(parallel=parallel), tools
    if isinstance(choice, BodyToolChoice):
        return _structured_choice(choice, tools, parallel)
    if choice in ("auto", "none"):
        return ToolChoice(mode="none" if choice == "none" else "auto", parallel=parallel), tools
    if choice in ("required", "any"):
        if not tools:
            raise invalid("tool_choice", "requires a tool, and none is offered; send tools")
        return ToolChoice(mode="required", parallel=parallel), tools
    raise invalid("tool_choice", "must be none, auto, required or an object that names a function")


def _structured_choice(
    choice: BodyToolChoice, tools: tuple[ToolSpec, ...], parallel: bool
) -> tuple[ToolChoice, tuple[ToolSpec, ...]]:
    if choice.allowed_tools is not None:
        check_number(len(choice.allowed_tools.tools), "tool_choice.allowed_tools.tools")
        wanted = {
            _offered(tool, tools, "tool_choice.allowed_tools.tools") for tool in choice.allowed_tools.tools
        }
        if not wanted:
            raise invalid("tool_choice.allowed_tools.tools", "must name at least one tool")
        mode = choice.allowed_tools.mode
        if mode not in ("auto", "required"):
            raise invalid("tool_choice.allowed_tools.mode", "must be auto or required")
        kept = tuple(tool for tool in tools if tool.name in wanted)
        return ToolChoice(mode="auto" if mode == "auto" else "required", parallel=parallel), kept
    reference = ToolReference(type=choice.type, function=choice.function, custom=choice.custom)
    name = _offered(reference, tools, f"tool_choice.{choice.type or 'function'}.name")
    return ToolChoice(mode="named", name=name, parallel=parallel), tools


def _offered(reference: ToolReference, tools: tuple[ToolSpec, ...], at: str) -> str:
    named = reference.custom if reference.type == "custom" else reference.function
    if reference.type not in (None, "function", "custom") or named is None:
        raise unsupported("tool_choice", "can only name functions and custom tools")
    name = named.name
    if not any(tool.name == name for tool in tools):
        raise invalid(at, "names a tool that is not offered; name one of tools")
    return name


# ── options ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _sampling(body: Body, seed: int) -> Sampling:
    newer = body.max_completion_tokens is not None
    limit = body.max_completion_tokens if newer else body.max_tokens
    limit = whole(limit, "max_completion_tokens" if newer else "max_tokens", 1)
    return sampling_of(body, seed, choices=MAX_CHOICES, max_tokens=limit, logprobs=_logprobs(body))


def _logprobs(body: Body) -> int | None:
    """How many of the likeliest tokens are told with each; None: not even the token's own probability."""
    likeliest = whole(body.top_logprobs, "top_logprobs", 0, MAX_LIKELIEST) or 0
    if likeliest and not body.logprobs:
        raise invalid("top_logprobs", "requires logprobs; set logprobs to true")
    return likeliest if body.logprobs else None


def _response_format(body: Body) -> ResponseFormat:
    wanted = body.response_format
    if wanted is None or wanted.type == "text":
        return ResponseFormat()
    if wanted.type == "json_object":
        return ResponseFormat(kind="json_object")
    if wanted.type == "json_schema":
        if wanted.json_schema is None or bytes(wanted.json_schema.schema) in ABSENT:
            raise invalid("response_format.json_schema.schema", "is required")
        schema = json_object(wanted.json_schema.schema, "response_format.json_schema.schema")
        return ResponseFormat(kind="json_schema", definition=schema, strict=bool(wanted.json_schema.strict))
    raise invalid("response_format.type", "must be text, json_object or json_schema")


def _template_options(body: Body) -> bytes:
    """Options for the chat template: what the client sent, and `enable_thinking` from the effort if not in it."""
    given = json_object(body.chat_template_kwargs, "chat_template_kwargs")
    effort = body.reasoning_effort
    return thinking_options(None if effort is None else effort not in THINKING_OFF, given)
