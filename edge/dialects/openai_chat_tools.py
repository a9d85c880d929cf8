"""The tools of an OpenAI chat and the choice among them, in every form that clients send: tools, custom tools, functions. Pure.

It does not know what a conversation is. In what form calls go back is told in `Told`, for `openai_chat_calls`.
"""

from __future__ import annotations

from typing import NamedTuple

from msgspec import Raw

from cortex.edge.dialects.custom_input import INPUT_SCHEMA, described
from cortex.edge.dialects.decoding import invalid, unsupported
from cortex.edge.dialects.offering import Offering, check_number
from cortex.edge.dialects.openai_chat_body import Body, Custom, Named, Tool, ToolReference
from cortex.edge.dialects.openai_chat_body import ToolChoice as BodyToolChoice
from cortex.protocol.request import ToolChoice, ToolSpec

EXAMPLE = '{"type": "function", "function": {"name": "get_weather"}}'
ALLOWED = "tool_choice.allowed_tools"

Tools = tuple[ToolSpec, ...]


class Told(NamedTuple):
    """In what form a client reads calls: which tools are custom, and whether it sent `functions`."""

    custom: frozenset[str] = frozenset()
    old: bool = False


class Offer(NamedTuple):
    """The tools, each with the place of its schema in the body."""

    tools: Tools
    places: tuple[tuple[str, str], ...]
    told: Told


def offer_of(body: Body) -> Offer:
    """What a body offers. Raises `FaultError`."""
    if not body.functions:
        return _tools(body.tools or [])
    if body.tools:
        raise invalid("functions", "cannot stand beside tools; send all of them as tools")
    offering = Offering(len(body.functions), "functions")
    places = []
    for index, function in enumerate(body.functions):
        at = f"functions[{index}]"
        places.append((function.name, f"{at}.parameters"))
        offering.add(
            function.name,
            function.description,
            function.parameters,
            f"{at}.name",
            f"{at}.parameters",
            strict=function.strict,
        )
    return Offer(offering.tools, tuple(places), Told(old=True))


def _tools(tools: list[Tool]) -> Offer:
    offering = Offering(len(tools), "tools")
    places, custom = [], set()
    for index, tool in enumerate(tools):
        at = f"tools[{index}]"
        if tool.type == "custom":
            name = _add_custom(offering, tool.custom, f"{at}.custom")
            custom.add(name)
            continue
        if tool.type not in (None, "function"):
            raise unsupported(f"{at}.type", "must be function or custom")
        if tool.function is None:
            raise invalid(f"{at}.function", "is required")
        function, here = tool.function, f"{at}.function"
        places.append((function.name, f"{here}.parameters"))
        offering.add(
            function.name,
            function.description,
            function.parameters,
            f"{here}.name",
            f"{here}.parameters",
            strict=function.strict,
        )
    return Offer(offering.tools, tuple(places), Told(custom=frozenset(custom)))


def _add_custom(offering: Offering, tool: Custom | None, at: str) -> str:
    if tool is None:
        raise invalid(at, "is required")
    form = tool.format.grammar if tool.format is not None else None
    text = described(tool.description or "", form)
    offering.add(tool.name, text, Raw(INPUT_SCHEMA), f"{at}.name", at)
    return tool.name


# ── the choice among them ────────────────────────────────────────────────────────────────────────────────────────


def choice_of(body: Body, tools: Tools) -> tuple[ToolChoice, Tools]:
    """How tools may be used, and which of them remain on offer."""
    # The old form has room for one call in an answer.
    parallel = body.parallel_tool_calls is not False and not body.functions
    choice = body.tool_choice
    if body.function_call is not None:
        if choice is not None:
            raise invalid("function_call", "cannot stand beside tool_choice; send tool_choice alone")
        return _old_choice(body.function_call, tools, parallel=parallel), tools
    if isinstance(choice, BodyToolChoice):
        return _structured_choice(choice, tools, parallel=parallel)
    return _mode("auto" if choice is None else choice, tools, parallel=parallel), tools


def _mode(mode: str, tools: Tools, *, parallel: bool) -> ToolChoice:
    if mode in ("auto", "none"):
        return ToolChoice(mode="none" if mode == "none" else "auto", parallel=parallel)
    if mode not in ("required", "any"):
        raise invalid("tool_choice", f"must be none, auto, required or name a tool, such as {EXAMPLE}")
    if not tools:
        raise invalid("tool_choice", "requires a tool, and none is offered; send tools")
    return ToolChoice(mode="required", parallel=parallel)


def _old_choice(choice: str | Named, tools: Tools, *, parallel: bool) -> ToolChoice:
    if isinstance(choice, Named):
        _require_offered(choice.name, _names(tools), "function_call.name")
        return ToolChoice(mode="named", name=choice.name, parallel=parallel)
    if choice not in ("auto", "none"):
        raise invalid("function_call", "must be none, auto or an object that names a function")
    return _mode(choice, tools, parallel=parallel)


def _structured_choice(choice: BodyToolChoice, tools: Tools, *, parallel: bool) -> tuple[ToolChoice, Tools]:
    if choice.type == "allowed_tools" or choice.allowed_tools is not None:
        return _allowed(choice, tools, parallel=parallel)
    name = _name_in(choice)
    if name is not None:
        at = "tool_choice.name" if choice.name == name else f"tool_choice.{_kind(choice)}.name"
        _require_offered(name, _names(tools), at)
        return ToolChoice(mode="named", name=name, parallel=parallel), tools
    if choice.type in ("function", "custom"):
        raise invalid(f"tool_choice.{choice.type}", "is required")
    return _mode(choice.type or "", tools, parallel=parallel), tools


def _allowed(choice: BodyToolChoice, tools: Tools, *, parallel: bool) -> tuple[ToolChoice, Tools]:
    inner = choice.allowed_tools
    references = choice.tools if inner is None else inner.tools
    mode = (choice.mode if inner is None else inner.mode) or "auto"
    if references is None:
        raise invalid(ALLOWED, "is required")
    check_number(len(references), f"{ALLOWED}.tools")
    names = _names(tools)
    wanted = {_referred(one, names) for one in references}
    if not wanted:
        raise invalid(f"{ALLOWED}.tools", "must name at least one tool")
    if mode not in ("auto", "required"):
        raise invalid(f"{ALLOWED}.mode", "must be auto or required")
    kept = tuple(tool for tool in tools if tool.name in wanted)
    return _mode(mode, kept, parallel=parallel), kept


def _referred(reference: ToolReference, names: frozenset[str]) -> str:
    name = _name_in(reference)
    if name is None:
        raise invalid(f"{ALLOWED}.tools", f"must hold tools by name, such as {EXAMPLE}")
    _require_offered(name, names, f"{ALLOWED}.tools")
    return name


def _kind(reference: ToolReference | BodyToolChoice) -> str:
    return "function" if reference.function is not None else "custom"


def _name_in(reference: ToolReference | BodyToolChoice) -> str | None:
    inner = reference.function or reference.custom
    return reference.name if inner is None else inner.name


def _names(tools: Tools) -> frozenset[str]:
    return frozenset(tool.name for tool in tools)


def _require_offered(name: str, names: frozenset[str], at: str) -> None:
    if name not in names:
        raise invalid(at, "names a tool that is not offered; name one of those that you send")
