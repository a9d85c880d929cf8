"""OpenAI Responses: body → normalized `Chat`. Pure; whatever is wrong is one fault that names the field.

A body may refer to what was kept of earlier responses, so it is read in two steps: `begin` tells what it refers to, and
`complete` makes the request once that is found. The way back is `openai_responses_reply`. It knows no HTTP, no models
and no queue.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import msgspec
from msgspec import Raw

from cortex.edge.dialects.decoding import ABSENT, decode_at, invalid, unsupported
from cortex.edge.dialects.efforts import effort_of, wish_of
from cortex.edge.dialects.fields import (
    MAX_LIKELIEST,
    MAX_OUTPUT,
    SEED_MASK,
    check_name,
    json_object,
    whole,
    within,
)
from cortex.edge.dialects.openai_responses_body import Body, Kind, MoreTools, read, read_count
from cortex.edge.dialects.openai_responses_items import Given, turns_of
from cortex.edge.dialects.openai_responses_kept import Kept, as_items
from cortex.edge.dialects.openai_responses_settings import check_settings, settings_of
from cortex.edge.dialects.openai_responses_tools import Offer, Told, choice_of, offer
from cortex.edge.dialects.schema_check import check_schemas
from cortex.protocol.faults import Code, fault
from cortex.protocol.request import Chat, ResponseFormat, Sampling, Text, Turn

MAX_ITEMS = 16_384
LOGPROBS = "message.output_text.logprobs"
SEALED = "reasoning.encrypted_content"
REFERENCE = "item_reference"
MORE_TOOLS = "additional_tools"
SHOWN = 80
"""Characters of a client's own id that an error repeats."""

_kinds = msgspec.json.Decoder(Kind)
_more_tools = msgspec.json.Decoder(MoreTools)


class Begun(NamedTuple):
    """A body that was read. `references` are ids of earlier items that stand in their place, in their order."""

    body: Body
    items: tuple[Given, ...]
    references: tuple[str, ...]


class ParsedResponse(NamedTuple):
    """The request, and how its client wants the answer.

    `settings` are what the response repeats, as JSON without the braces; `items` is the whole conversation so far;
    `sealed`: its client wants to keep what was thought, and to send it back; `told` are tools that it knows in another
    way than the model.
    """

    request: Chat
    stream: bool
    store: bool
    settings: bytes
    items: tuple[Raw, ...]
    sealed: bool = False
    told: Mapping[str, Told] = {}


def parse(data: bytes, *, seed: int = 0) -> ParsedResponse:
    """Read a body that refers to nothing that was kept."""
    return complete(begin(data), seed=seed)


def begin(data: bytes, *, counted: bool = False) -> Begun:
    """Read a body as far as it says itself; `counted`: its tokens alone are asked for, maybe of no model in particular."""
    body = read_count(data) if counted else read(data)
    if body.model or not counted:
        check_name(body.model, "model")
    _refuse_impossible(body)
    check_settings(body)
    items = tuple(_item(raw, f"input[{index}]") for index, raw in enumerate(as_items(body.input)))
    wanted = [item.kind.id for item in items if item.kind.type == REFERENCE and item.kind.id]
    return Begun(body, items, tuple(dict.fromkeys(wanted)))


def complete(
    begun: Begun,
    *,
    seed: int = 0,
    kept: Kept | None = None,
    found: Mapping[str, Raw] = MappingProxyType({}),
    may_be_empty: bool = False,
) -> ParsedResponse:
    """The request. `kept` is the response that it goes on from, `found` what its references stand for."""
    body = begun.body
    earlier = [_item(raw, "previous_response_id") for raw in kept.conversation] if kept is not None else []
    items = [_referred(item, found) for item in begun.items]
    if len(earlier) + len(items) > MAX_ITEMS:
        raise invalid("input", f"makes a conversation of more than {MAX_ITEMS} items; send less of it")
    turns = turns_of(earlier, items)
    if not turns and not may_be_empty:
        if body.input is None:
            raise invalid("input", "is required")
        raise invalid("input", "must hold at least one message")
    if body.instructions:
        turns.insert(0, Turn(role="system", parts=(Text(text=body.instructions),)))
    offered = _offered(body, (*earlier, *items))
    choice, tools = choice_of(body, offered)
    wish = wish_of(
        effort_of(body.reasoning.effort if body.reasoning is not None else None, "reasoning.effort")
    )
    chat = Chat(
        model=body.model,
        turns=tuple(turns) or (Turn(role="user"),),
        tools=tools,
        tool_choice=choice,
        sampling=_sampling(body, seed),
        response_format=_response_format(body),
        thinking=wish.thinking,
        effort=wish.effort,
    )
    check_schemas(chat, "text.format.schema", offered.places.items())
    return ParsedResponse(
        chat,
        stream=bool(body.stream),
        store=body.store is not False,
        settings=settings_of(body),
        items=tuple(item.raw for item in (*earlier, *items)),
        sealed=SEALED in (body.include or ()),
        told=offered.told,
    )


def _item(raw: Raw, at: str) -> Given:
    return Given(decode_at(raw, _kinds, at), raw, at)


def _referred(item: Given, found: Mapping[str, Raw]) -> Given:
    """What stands in the place of a reference."""
    if item.kind.type != REFERENCE:
        return item
    if not item.kind.id:
        raise invalid(f"{item.at}.id", "is required in a reference to an item")
    raw = found.get(item.kind.id)
    if raw is None:
        raise fault(
            Code.RESPONSE_NOT_FOUND,
            f"{item.at} refers to the item {item.kind.id[:SHOWN]!r}, which is not here (any more): the items of "
            "responses are kept with them; send the item itself, or set store to false so that your client does.",
            param=item.at,
        )
    return _item(raw, item.at)


def _offered(body: Body, items: tuple[Given, ...]) -> Offer:
    """Tools of the body, and those that items bring along."""
    tools = [(f"tools[{index}]", raw) for index, raw in enumerate(body.tools or ())]
    for item in items:
        if item.kind.type == MORE_TOOLS:
            more = decode_at(item.raw, _more_tools, item.at).tools or ()
            tools += [(f"{item.at}.tools[{index}]", raw) for index, raw in enumerate(more)]
    return offer(tools)


def _refuse_impossible(body: Body) -> None:
    if body.background:
        raise unsupported("background", "cannot be true: nothing runs here without a client; leave it out")
    if bytes(body.conversation) not in ABSENT:
        raise unsupported("conversation", "is not kept here; send previous_response_id, or all items")
    if bytes(body.prompt) not in ABSENT:
        raise unsupported("prompt", "names a template of another place; send instructions and input")


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
