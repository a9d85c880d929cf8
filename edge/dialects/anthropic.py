"""Anthropic messages: body → normalized `Chat`. Pure; whatever is wrong is one fault that names the field.

The conversation is read by `anthropic_turns`; the way back is `anthropic_stream` and `anthropic_reply`. It knows no HTTP, no models and no
queue. What only Anthropic's own servers can do (searches, code, files, edited contexts) is left out where a client
offers it and refused where it insists. A body is read the same whatever version or beta its headers name.
"""

from __future__ import annotations

from typing import NamedTuple

from cortex.edge.dialects.anthropic_body import Body, Tool, format_of, read
from cortex.edge.dialects.anthropic_reply import MessageCollector
from cortex.edge.dialects.anthropic_stream import MessageStream
from cortex.edge.dialects.anthropic_turns import has_prefill, turns_of
from cortex.edge.dialects.decoding import ABSENT, invalid, unsupported
from cortex.edge.dialects.dialect import Answered, Asked
from cortex.edge.dialects.efforts import Wish, effort_of, effort_of_budget, wish_of
from cortex.edge.dialects.fields import (
    MAX_OUTPUT,
    SEED_MASK,
    check_name,
    json_object,
    stops,
    whole,
    within,
)
from cortex.edge.dialects.offering import Offering
from cortex.edge.dialects.schema_check import check_schemas
from cortex.protocol.request import NO_THINKING, Chat, ResponseFormat, Sampling, ToolChoice, ToolSpec, Turn

OWN = (None, "custom")
"""Types of tools that their client runs and describes itself."""
MAX_STOPS = 1024
"""Stop sequences; a model bounds their characters as well."""
THINKING = ("adaptive", "enabled", "disabled", "between_tools")
DISPLAYS = ("summarized", "omitted")


class ParsedMessages(NamedTuple):
    """The request, whether its client wants a stream, and whether it wants to read what the model thinks."""

    request: Chat
    stream: bool
    thoughts: bool = True


def parse(data: bytes, *, seed: int = 0) -> ParsedMessages:
    """Read a body. `seed` is drawn outside, for this is pure and the dialect has none."""
    body = read(data)
    chat = _chat(body, seed)
    if has_prefill(chat.turns):
        raise unsupported(
            "messages",
            "must not end with a message of role assistant: answers are not continued; end with a user message, and "
            "ask for a format by output_config.format",
        )
    omitted = body.thinking is not None and body.thinking.display == "omitted"
    return ParsedMessages(chat, bool(body.stream), not omitted)


def parse_count(data: bytes) -> Chat:
    """Read the body of a count. It may end with any message: agents count parts of conversations."""
    return _chat(read(data), 0)


def _chat(body: Body, seed: int) -> Chat:
    check_name(body.model, "model")
    turns = turns_of(body.system, body.messages, body.model)
    wish = _wish(body, turns)
    tools = _tools(body.tools or [])
    chat = Chat(
        model=body.model,
        turns=turns,
        tools=tools,
        tool_choice=_tool_choice(body, tools),
        sampling=_sampling(body, seed),
        response_format=_response_format(body),
        thinking=wish.thinking,
        effort=wish.effort,
    )
    places = (
        (tool.name, f"tools[{index}].input_schema")
        for index, tool in enumerate(body.tools or ())
        if tool.type in OWN
    )
    return check_schemas(chat, f"{format_of(body)[1]}.schema", places)


# ── tools ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _tools(tools: list[Tool]) -> tuple[ToolSpec, ...]:
    """The client's own tools. Those that Anthropic knows by their type come without a schema, and are left out."""
    offering = Offering(len(tools))
    for index, tool in enumerate(tools):
        if tool.type not in OWN:
            continue
        at = f"tools[{index}]"
        if tool.name is None:
            raise invalid(f"{at}.name", "is required")
        schema_at = f"{at}.input_schema"
        offering.add(
            tool.name, tool.description, tool.input_schema, f"{at}.name", schema_at, strict=tool.strict
        )
    return offering.tools


def _tool_choice(body: Body, tools: tuple[ToolSpec, ...]) -> ToolChoice:
    choice = body.tool_choice
    if choice is None:
        return ToolChoice()
    parallel = not choice.disable_parallel_tool_use
    match choice.type:
        case "auto":
            return ToolChoice(parallel=parallel)
        case "none":
            return ToolChoice(mode="none", parallel=parallel)
        case "any":
            if not tools:
                _refuse_servers_tool(body.tools or [])
                raise invalid("tool_choice", "requires a tool, and none is offered; send tools")
            return ToolChoice(mode="required", parallel=parallel)
        case "tool":
            if not any(tool.name == choice.name for tool in tools):
                _refuse_servers_tool([tool for tool in body.tools or [] if tool.name == choice.name])
                raise invalid("tool_choice.name", "names a tool that is not offered; name one of tools")
            return ToolChoice(mode="named", name=choice.name or "", parallel=parallel)
    raise invalid("tool_choice.type", "must be auto, any, tool or none")


def _refuse_servers_tool(tools: list[Tool]) -> None:
    """A call cannot be forced of a tool that was left out."""
    for tool in tools:
        if tool.type not in OWN:
            raise unsupported(
                "tool_choice",
                f"forces a tool of type {(tool.type or '')[:40]}, which only Anthropic's servers know; send one with "
                "an input_schema",
            )


# ── options ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _sampling(body: Body, seed: int) -> Sampling:
    limit = whole(body.max_tokens, "max_tokens", 1)
    top_p = within(body.top_p, "top_p", 0, 1)
    top_k = whole(body.top_k, "top_k", -1)
    return Sampling(
        temperature=within(body.temperature, "temperature", 0, 2),
        top_p=1e-6 if top_p == 0 else top_p,  # it leaves the likeliest token alone
        top_k=None if top_k is None else min(top_k, MAX_OUTPUT),
        seed=seed & SEED_MASK,
        stop=stops(body.stop_sequences, "stop_sequences", MAX_STOPS),
        max_tokens=None if limit is None else min(limit, MAX_OUTPUT),
    )


def _wish(body: Body, turns: tuple[Turn, ...]) -> Wish:
    """Whether the model shall think first, and how hard. An effort says more than a budget."""
    config, thinking = body.output_config, body.thinking
    effort = effort_of(config.effort if config is not None else None, "output_config.effort")
    if thinking is None:
        return wish_of(effort)
    if thinking.type not in THINKING:
        raise invalid("thinking.type", f"must be one of {', '.join(THINKING)}")
    if thinking.display not in (None, *DISPLAYS):
        raise invalid("thinking.display", f"must be one of {', '.join(DISPLAYS)}")
    budget = whole(thinking.budget_tokens, "thinking.budget_tokens", 1)
    match thinking.type:
        case "disabled":
            return Wish(thinking=False, effort="none")
        case "between_tools":
            effort = effort or "high"  # said always, or the beginning of every other prompt would be another
            return Wish(turns[-1].role == "tool" and effort not in NO_THINKING, effort)
        case "enabled" if effort is None and budget is not None:
            effort = effort_of_budget(budget)
    return Wish(effort not in NO_THINKING, effort)


def _response_format(body: Body) -> ResponseFormat:
    wanted, at = format_of(body)
    if wanted is None or wanted.type == "text":
        return ResponseFormat()
    if wanted.type != "json_schema":
        raise invalid(f"{at}.type", "must be json_schema")
    if bytes(wanted.schema) in ABSENT:
        raise invalid(f"{at}.schema", "is required")
    return ResponseFormat(
        kind="json_schema", definition=json_object(wanted.schema, f"{at}.schema"), strict=True
    )


class AnthropicMessages:
    """The dialect of `POST /v1/messages`."""

    def parse(self, body: bytes, asked: Asked) -> ParsedMessages:
        """Read a body. Raises `FaultError`."""
        return parse(body, seed=asked.seed)

    def encoder(self, parsed: ParsedMessages, answered: Answered) -> MessageStream:
        """The writer of a streamed answer."""
        return MessageStream(answered, thoughts=parsed.thoughts)

    def collector(self, parsed: ParsedMessages, answered: Answered) -> MessageCollector:
        """The writer of a whole answer."""
        return MessageCollector(answered, thoughts=parsed.thoughts)
