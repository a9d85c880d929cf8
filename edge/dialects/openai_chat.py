"""OpenAI chat: body → normalized `Chat`. Pure; whatever is wrong is one fault that names the field.

The way back is `openai_chat_reply`. It knows no HTTP, no models and no queue.
"""

from __future__ import annotations

from typing import NamedTuple

from cortex.edge.dialects.conversation import check_parts, just_sent
from cortex.edge.dialects.custom_input import arguments_of
from cortex.edge.dialects.decoding import ABSENT, invalid, unsupported
from cortex.edge.dialects.efforts import effort_of, wish_of
from cortex.edge.dialects.fields import (
    MAX_LIKELIEST,
    MAX_MESSAGES,
    check_name,
    json_object,
    whole,
)
from cortex.edge.dialects.openai_chat_body import Body, ImageUrl, Message
from cortex.edge.dialects.openai_chat_body import Part as BodyPart
from cortex.edge.dialects.openai_chat_body import read as read_body
from cortex.edge.dialects.openai_chat_tools import Told, choice_of, offer_of
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
    Turn,
)

MAX_CHOICES = 16

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
    """The request, and how its client wants the answer."""

    request: Chat
    stream: bool
    include_usage: bool
    told: Told = Told()
    """In what form it wants calls."""


def parse(data: bytes, *, seed: int = 0) -> ParsedChat:
    """Read a body. `seed` is used where the client gives none: it is drawn outside, for this is pure."""
    body = read_body(data)
    check_name(body.model, "model")
    _refuse_impossible(body)
    offer = offer_of(body)
    choice, tools = choice_of(body, offer.tools)
    wish = wish_of(effort_of(body.reasoning_effort, "reasoning_effort"))
    chat = Chat(
        model=body.model,
        turns=_turns(body.messages),
        tools=tools,
        tool_choice=choice,
        sampling=_sampling(body, seed),
        response_format=_response_format(body),
        template_options=json_object(body.chat_template_kwargs, "chat_template_kwargs"),
        thinking=wish.thinking,
        effort=wish.effort,
    )
    check_schemas(chat, "response_format.json_schema.schema", offer.places)
    wants_usage = body.stream_options is not None and bool(body.stream_options.include_usage)
    return ParsedChat(chat, bool(body.stream), wants_usage, offer.told)


def _refuse_impossible(body: Body) -> None:
    if body.modalities is None and bytes(body.audio) not in ABSENT:
        raise unsupported("audio", "cannot be served: models here write; leave it out")
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
        raise unsupported(f"{at}.type", f"must be text or image_url, not {part.type[:40]}")
    return Text(text=f"[{MEDIA.get(part.type, 'part')} omitted]")


def _history_calls(message: Message, at: str) -> tuple[ToolCall, ...]:
    calls = []
    for index, call in enumerate(message.tool_calls or ()):
        here = f"{at}.tool_calls[{index}]"
        if call.custom is not None:
            check_name(call.custom.name, f"{here}.custom.name")
            text = arguments_of(call.custom.input or "")
            calls.append(ToolCall(id=call.id or "", name=call.custom.name, arguments=text))
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
