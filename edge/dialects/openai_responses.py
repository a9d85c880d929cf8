"""OpenAI Responses: body → normalized `Chat`. Pure; whatever is wrong is one fault that names the field.

The way back is `openai_responses_reply`. It knows no HTTP, no models and no queue, and of an earlier response only
what was kept of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec
from msgspec import Raw

from cortex.edge.dialects.decoding import ABSENT, decode_at, invalid, unsupported
from cortex.edge.dialects.fields import (
    MAX_LIKELIEST,
    MAX_OUTPUT,
    SEED_MASK,
    THINKING_OFF,
    check_name,
    json_object,
    thinking_options,
    whole,
    within,
)
from cortex.edge.dialects.offering import Offering, check_number
from cortex.edge.dialects.openai_responses_body import Body, Function, Kind, Reference, read
from cortex.edge.dialects.openai_responses_body import ToolChoice as BodyToolChoice
from cortex.edge.dialects.openai_responses_items import turns_of
from cortex.edge.dialects.openai_responses_kept import Kept, as_items
from cortex.edge.dialects.schema_check import check_schemas
from cortex.protocol.request import Chat, ResponseFormat, Sampling, Text, ToolChoice, ToolSpec, Turn

MAX_ITEMS = 16_384
LOGPROBS = "message.output_text.logprobs"

ECHOED: dict[str, object] = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "store": True,
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": None,
    "truncation": "disabled",
    "user": None,
}
"""What a response repeats of its request, and what it says where that was silent."""

_fields = msgspec.json.Decoder(dict[str, Raw])
_kinds = msgspec.json.Decoder(Kind)
_functions = msgspec.json.Decoder(Function)


class ParsedResponse(NamedTuple):
    """The request, and how its client wants the answer.

    `settings` are what the response repeats, as JSON without the braces; `items` is the whole conversation so far.
    """

    request: Chat
    stream: bool
    store: bool
    settings: bytes
    items: tuple[Raw, ...]


def parse(data: bytes, *, seed: int = 0, kept: bytes = b"") -> ParsedResponse:
    """Read a body. `kept` is what was kept of the response that it goes on from."""
    body = read(data)
    check_name(body.model, "model")
    _refuse_impossible(body)
    earlier = Kept.decode(kept).conversation if kept else ()
    items = as_items(body.input)
    if len(earlier) + len(items) > MAX_ITEMS:
        raise invalid("input", f"makes a conversation of more than {MAX_ITEMS} items; send less of it")
    turns = turns_of(earlier, items)
    if not turns:
        raise invalid("input", "must hold at least one message")
    if body.instructions:
        turns.insert(0, Turn(role="system", parts=(Text(text=body.instructions),)))
    choice, tools = _tool_choice(body, _tools(body.tools or []))
    effort = body.reasoning.effort if body.reasoning is not None else None
    chat = Chat(
        model=body.model,
        turns=tuple(turns),
        tools=tools,
        tool_choice=choice,
        sampling=_sampling(body, seed),
        response_format=_response_format(body),
        template_options=thinking_options(None if effort is None else effort not in THINKING_OFF),
    )
    places = ((tool.name, f"{at}.parameters") for at, tool in _functions_of(body.tools or []))
    check_schemas(chat, "text.format.schema", places)
    store = body.store is not False
    return ParsedResponse(chat, bool(body.stream), store, _settings(data), (*earlier, *items))


def _refuse_impossible(body: Body) -> None:
    if body.background:
        raise unsupported("background", "cannot be true: nothing runs here without a client; leave it out")
    if bytes(body.conversation) not in ABSENT:
        raise unsupported("conversation", "is not kept here; send previous_response_id, or all items")
    if bytes(body.prompt) not in ABSENT:
        raise unsupported("prompt", "names a template of another place; send instructions and input")


def _settings(data: bytes) -> bytes:
    """What the response repeats. A null says no more than silence does."""
    given = _fields.decode(data)
    settings: dict[str, object] = {}
    for name, default in ECHOED.items():
        value = given.get(name)
        settings[name] = default if value is None or bytes(value) == b"null" else value
    return msgspec.json.encode({**settings, "service_tier": "default"})[1:-1]


# ── tools ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _tools(tools: list[Raw]) -> tuple[ToolSpec, ...]:
    """The functions among them. Tools that run elsewhere are not offered to the model: nobody here could run them."""
    offering = Offering(len(tools))
    for at, tool in _functions_of(tools):
        offering.add(tool.name, tool.description, tool.parameters, f"{at}.name", f"{at}.parameters")
    return offering.tools


def _functions_of(tools: list[Raw]) -> Iterator[tuple[str, Function]]:
    """Each with its place."""
    for index, raw in enumerate(tools):
        at = f"tools[{index}]"
        if decode_at(raw, _kinds, at).type in (None, "function"):
            yield at, decode_at(raw, _functions, at)


def _tool_choice(body: Body, tools: tuple[ToolSpec, ...]) -> tuple[ToolChoice, tuple[ToolSpec, ...]]:
    """How tools may be used, and which of them remain on offer."""
    parallel = body.parallel_tool_calls is not False
    choice = body.tool_choice
    if choice is None or choice == "auto":
        return ToolChoice(parallel=parallel), tools
    if isinstance(choice, BodyToolChoice):
        return _structured_choice(choice, tools, parallel)
    if choice == "none":
        return ToolChoice(mode="none", parallel=parallel), tools
    if choice == "required":
        return _required(tools, parallel), tools
    raise invalid("tool_choice", "must be none, auto, required or an object that names a function")


def _required(tools: tuple[ToolSpec, ...], parallel: bool) -> ToolChoice:
    if not tools:
        raise invalid(
            "tool_choice", "requires a tool, and no function is offered; send tools of type function"
        )
    return ToolChoice(mode="required", parallel=parallel)


def _structured_choice(
    choice: BodyToolChoice, tools: tuple[ToolSpec, ...], parallel: bool
) -> tuple[ToolChoice, tuple[ToolSpec, ...]]:
    if choice.type == "allowed_tools":
        if choice.mode not in (None, "auto", "required"):
            raise invalid("tool_choice.mode", "must be auto or required")
        check_number(len(choice.tools or ()), "tool_choice.tools")
        allowed = [one for one in choice.tools or () if one.type in (None, "function")]
        wanted = {_offered(one, tools, "tool_choice.tools") for one in allowed}
        kept = tuple(tool for tool in tools if tool.name in wanted)
        return (
            _required(kept, parallel) if choice.mode == "required" else ToolChoice(parallel=parallel)
        ), kept
    if choice.type not in (None, "function"):
        raise unsupported("tool_choice", "can only name functions: no tool of another type is run here")
    name = _offered(Reference(type=choice.type, name=choice.name), tools, "tool_choice.name")
    return ToolChoice(mode="named", name=name, parallel=parallel), tools


def _offered(reference: Reference, tools: tuple[ToolSpec, ...], at: str) -> str:
    if reference.name is None:
        raise invalid(at, "must name a function")
    if not any(tool.name == reference.name for tool in tools):
        raise invalid(at, "names a tool that is not offered; name one of tools")
    return reference.name


# ── options ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _sampling(body: Body, seed: int) -> Sampling:
    limit = whole(body.max_output_tokens, "max_output_tokens", 1)
    top_p = within(body.top_p, "top_p", 0, 1)
    likeliest = whole(body.top_logprobs, "top_logprobs", 0, MAX_LIKELIEST) or 0
    rated = likeliest > 0 or LOGPROBS in (body.include or ())
    return Sampling(
        temperature=within(body.temperature, "temperature", 0, 2),
        top_p=1e-6 if top_p == 0 else top_p,  # OpenAI takes 0; it leaves the likeliest token alone
        seed=seed & SEED_MASK,
        max_tokens=None if limit is None else min(limit, MAX_OUTPUT),
        logprobs=likeliest if rated else None,
    )


def _response_format(body: Body) -> ResponseFormat:
    wanted = body.text.format if body.text is not None else None
    if wanted is None or wanted.type == "text":
        return ResponseFormat()
    if wanted.type == "json_object":
        return ResponseFormat(kind="json_object")
    if wanted.type == "json_schema":
        if bytes(wanted.schema) in ABSENT:
            raise invalid("text.format.schema", "is required")
        schema = json_object(wanted.schema, "text.format.schema")
        return ResponseFormat(kind="json_schema", definition=schema, strict=bool(wanted.strict))
    raise invalid("text.format.type", "must be text, json_object or json_schema")
