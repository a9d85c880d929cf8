"""The tools that a request offers, as a parser asks about them: which one a name means, and which one arguments fit."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from cortex.protocol.request import ToolSpec
from cortex.protocol.toolcalls.schemas import fits, property_of, types_of
from cortex.protocol.toolcalls.steps import ALL, Step

_NAMESPACE = re.compile(r"[.:/]|__")


class Offer:
    """The tools of one request and what may be repaired."""

    def __init__(self, tools: Iterable[ToolSpec], steps: frozenset[Step] = ALL) -> None:
        self.steps = steps
        self._tools = {tool.name: tool for tool in tools}
        self.names = frozenset(self._tools)

    @cached_property
    def _schemas(self) -> dict[str, Any]:
        return {name: _schema(tool) for name, tool in self._tools.items()}

    @cached_property
    def _plain_names(self) -> dict[str, list[str]]:
        plain: dict[str, list[str]] = {}
        for name in self._tools:
            plain.setdefault(_plain(name), []).append(name)
        return plain

    def resolve(self, written: str) -> str | None:
        """The tool that a written name means: itself, or else the only one but for case, `-` and a namespace."""
        if written in self.names:
            return written
        if Step.NAME not in self.steps:
            return None
        last = _NAMESPACE.split(written.strip())[-1]
        for candidate in (written.strip(), last):
            if candidate in self.names:
                return candidate
            if len(found := self._plain_names.get(_plain(candidate), [])) == 1:
                return found[0]
        return None

    def fits(self, name: str, arguments: Mapping[str, Any]) -> bool:
        """Whether these arguments satisfy the schema of this tool."""
        return fits(self._schemas[name], dict(arguments))

    def infer(self, arguments: Mapping[str, Any]) -> str | None:
        """The one tool whose schema these arguments satisfy. None for none, for several, and for no arguments at all."""
        if not arguments:
            return None
        found = [name for name in self._tools if self._described(name) and self.fits(name, arguments)]
        return found[0] if len(found) == 1 else None

    def has(self, name: str, key: str) -> bool:
        """Whether this tool has a parameter of this name."""
        return property_of(self._schemas[name], key) is not None

    def types(self, name: str, key: str) -> frozenset[str]:
        """The JSON types that a parameter may have; empty if the schema does not say."""
        schema = self._schemas[name]
        return types_of(property_of(schema, key), schema)

    def _described(self, name: str) -> bool:
        schema = self._schemas[name]
        return isinstance(schema, Mapping) and bool(schema.get("properties"))


def _schema(tool: ToolSpec) -> Any:
    try:
        return json.loads(tool.schema)
    except (ValueError, RecursionError):
        return {}


def _plain(name: str) -> str:
    return name.casefold().replace("-", "_")
