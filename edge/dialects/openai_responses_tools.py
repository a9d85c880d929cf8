"""Tools of a request → what is offered to the model, and how its calls are told back. Pure.

A function is offered as it is. A custom tool takes plain text: it is offered as a function of one string. A function in
a namespace is offered under both names in one, for models know of no namespaces. Tools that run elsewhere are not
offered to the model: nobody here could run them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec
from msgspec import Raw

from cortex.edge.dialects.custom_input import INPUT_SCHEMA, described
from cortex.edge.dialects.decoding import decode_at, invalid, unsupported
from cortex.edge.dialects.offering import Offering, check_number
from cortex.edge.dialects.openai_responses_body import Body, Custom, Function, Kind, Namespace, Reference
from cortex.edge.dialects.openai_responses_body import ToolChoice as BodyToolChoice
from cortex.protocol.request import ToolChoice, ToolSpec

_kinds = msgspec.json.Decoder(Kind)
_functions = msgspec.json.Decoder(Function)
_customs = msgspec.json.Decoder(Custom)
_namespaces = msgspec.json.Decoder(Namespace)
RUN_BY_CLIENTS = (None, "function", "custom")


class Told(NamedTuple):
    """How a client knows a tool that is offered to the model under another name, or in another form."""

    name: str
    namespace: str = ""
    custom: bool = False


class Offer(NamedTuple):
    """What the model may call, those of it that are told in another way, and the places of the schemas of functions, both
    by the names that the model knows.
    """

    tools: tuple[ToolSpec, ...]
    told: Mapping[str, Told]
    places: Mapping[str, str]


def full_name(namespace: str | None, name: str) -> str:
    """What the model knows a tool by."""
    if not namespace:
        return name
    return namespace + ("" if namespace.endswith("_") else "__") + name


def offer(tools: Iterable[tuple[str, Raw]]) -> Offer:
    """What is offered of these tools, each given with its place."""
    reader = _Reader()
    for at, raw in tools:
        reader.take(at, raw, None)
    return Offer(reader.offering.tools, reader.told, reader.places)


class _Reader:
    """Takes tool after tool."""

    def __init__(self) -> None:
        self.offering = Offering(0)
        self.told: dict[str, Told] = {}
        self.places: dict[str, str] = {}
        self._taken = 0

    def take(self, at: str, raw: Raw, namespace: str | None) -> None:
        """One tool, or all those of a namespace; of one that is run elsewhere nothing is taken."""
        self._taken += 1
        check_number(self._taken, "tools")
        kind = decode_at(raw, _kinds, at).type
        if kind == "namespace" and namespace is None:
            group = decode_at(raw, _namespaces, at)
            for index, one in enumerate(group.tools or ()):
                self.take(f"{at}.tools[{index}]", one, group.name)
        elif kind == "custom":
            custom = decode_at(raw, _customs, at)
            text = described(custom.description or "", custom.format)
            self._add(at, Told(custom.name, namespace or "", custom=True), text, Raw(INPUT_SCHEMA))
        elif kind in (None, "function"):
            tool = decode_at(raw, _functions, at)
            told = Told(tool.name, namespace or "")
            self._add(at, told, tool.description, tool.parameters, strict=tool.strict)

    def _add(
        self, at: str, told: Told, description: str | None, schema: Raw, *, strict: bool | None = None
    ) -> None:
        name = full_name(told.namespace, told.name)
        self.offering.add(name, description, schema, f"{at}.name", f"{at}.parameters", strict=strict)
        if told.namespace or told.custom:
            self.told[name] = told
        if not told.custom:
            self.places[name] = f"{at}.parameters"


# ── choice ───────────────────────────────────────────────────────────────────────────────────────────────────────


def choice_of(body: Body, offered: Offer) -> tuple[ToolChoice, tuple[ToolSpec, ...]]:
    """How tools may be used, and which of them remain on offer."""
    parallel = body.parallel_tool_calls is not False
    choice = body.tool_choice
    if choice is None or choice == "auto":
        return ToolChoice(parallel=parallel), offered.tools
    if isinstance(choice, BodyToolChoice):
        return _structured(choice, offered, parallel)
    if choice == "none":
        return ToolChoice(mode="none", parallel=parallel), offered.tools
    if choice == "required":
        return _required(offered.tools, parallel), offered.tools
    raise invalid("tool_choice", "must be none, auto, required or an object that names a tool")


def _required(tools: tuple[ToolSpec, ...], parallel: bool) -> ToolChoice:
    if not tools:
        raise invalid(
            "tool_choice", "requires a tool, and none is offered; send tools of type function or custom"
        )
    return ToolChoice(mode="required", parallel=parallel)


def _structured(
    choice: BodyToolChoice, offered: Offer, parallel: bool
) -> tuple[ToolChoice, tuple[ToolSpec, ...]]:
    if choice.type == "allowed_tools":
        if choice.mode not in (None, "auto", "required"):
            raise invalid("tool_choice.mode", "must be auto or required")
        check_number(len(choice.tools or ()), "tool_choice.tools")
        allowed = [one for one in choice.tools or () if one.type in RUN_BY_CLIENTS]
        wanted = {_named(one, offered, "tool_choice.tools") for one in allowed}
        kept = tuple(tool for tool in offered.tools if tool.name in wanted)
        return (
            _required(kept, parallel) if choice.mode == "required" else ToolChoice(parallel=parallel)
        ), kept
    if choice.type not in RUN_BY_CLIENTS:
        raise unsupported(
            "tool_choice", "can only name functions and custom tools: no tool of another type is run here"
        )
    reference = Reference(type=choice.type, name=choice.name, namespace=choice.namespace)
    name = _named(reference, offered, "tool_choice.name")
    return ToolChoice(mode="named", name=name, parallel=parallel), offered.tools


def _named(reference: Reference, offered: Offer, at: str) -> str:
    """The model's name of a tool that is referred to: a namespace may be left out where one tool alone has the name."""
    if reference.name is None:
        raise invalid(at, "must name a tool")
    name = full_name(reference.namespace, reference.name)
    if any(tool.name == name for tool in offered.tools):
        return name
    found = [known for known, told in offered.told.items() if told.name == reference.name]
    if reference.namespace or len(found) != 1:
        raise invalid(at, "names a tool that is not offered; name one of tools")
    return found[0]
