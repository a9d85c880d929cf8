"""The tools that a client offers, collected one by one. Pure; whatever is wrong is one fault that names the field.

It does not know in what form a dialect sends them, nor how it lets a client choose among them.
"""

from __future__ import annotations

from msgspec import Raw

from cortex.edge.dialects.decoding import invalid
from cortex.edge.dialects.fields import MAX_TOOLS, check_tool_name, json_object, too_large
from cortex.protocol.codec import REQUEST_LIMIT
from cortex.protocol.request import ToolSpec


class Offering:
    """Each tool has a name of its own; all their schemas fit into one request as it travels."""

    def __init__(self, count: int, at: str = "tools") -> None:
        check_number(count, at)
        self._at = at
        self._specs: dict[str, ToolSpec] = {}
        self._bytes = 0

    def add(
        self,
        name: str,
        description: str | None,
        schema: Raw,
        at: str,
        schema_at: str,
        *,
        strict: bool | None = None,
    ) -> None:
        """One tool; `at` is the place of its name."""
        check_tool_name(name, at)
        if name in self._specs:
            raise invalid(at, "names a tool that was offered before; give each a name of its own")
        self._bytes += len(bytes(schema))
        if self._bytes > REQUEST_LIMIT:
            raise too_large(self._at)
        self._specs[name] = ToolSpec(
            name=name,
            description=description or "",
            schema=json_object(schema, schema_at),
            strict=bool(strict),
        )

    @property
    def tools(self) -> tuple[ToolSpec, ...]:
        """All of them, in their order."""
        return tuple(self._specs.values())


def check_number(count: int, at: str) -> None:
    """Refuse more tools, or references to them, than there can be."""
    if count > MAX_TOOLS:
        raise invalid(at, f"holds {count} tools; send at most {MAX_TOOLS}")
