"""Values that a model writes as bare text between tags, and the JSON they become."""

from __future__ import annotations

import json
import re

from cortex.protocol.toolcalls.json_stream import JsonScanner, Status
from cortex.protocol.toolcalls.schemas import fits, parsed, typed

encoded = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
HALF_PAIR = re.compile("[\ud800-\udfff]")
"""Half a pair of surrogates, which cannot be sent."""
_LOOKED_AT = frozenset({"null", "object", "array"})
"""Types that a value may turn out to have although a string may stand in its place."""


class BareValue:
    """One value under way. A string leaves as it comes, all else when it is whole.

    `said`: whether its tag calls it a string; None if that is left to the schema. A schema that has no string there is
    believed before the tag.
    """

    __slots__ = ("_fresh", "_newline", "_newlines", "_parts", "_said", "_types", "head", "is_text")

    def __init__(self, head: str, types: frozenset[str], *, said: bool | None, newlines: bool) -> None:
        """`head` is the JSON before it. `newlines`: it has a line break on either side that is not part of it."""
        if said is None:
            self.is_text = "string" in types and not types & _LOOKED_AT
        else:
            self.is_text = said and (not types or "string" in types)
        self.head = head
        self._types = types
        self._said = said
        self._newlines = newlines
        self._fresh = newlines
        self._newline = ""
        """A line break that may belong to the closer."""
        self._parts: list[str] = []

    def begin(self) -> str:
        """The JSON that may leave before anything of the value is known."""
        return self.head + '"' if self.is_text else ""

    def add(self, stretch: str) -> str:
        """More of it, and the JSON that may leave for it."""
        if self._fresh and stretch:
            self._fresh = False
            stretch = stretch.removeprefix("\n")
        stretch = self._newline + stretch
        self._newline = ""
        if self._newlines and stretch.endswith("\n"):
            self._newline = "\n"
            stretch = stretch[:-1]
        if self.is_text:
            return encoded(stretch)[1:-1]
        self._parts.append(stretch)
        return ""

    def end(self) -> str | None:
        """It is whole: the rest of its JSON; None if it cannot be sent."""
        if self.is_text:
            return '"'
        value = as_json("".join(self._parts), self._types, said=self._said)
        return None if value is None else self.head + value


def as_json(text: str, types: frozenset[str], *, said: bool | None) -> str | None:
    """The JSON of a value that is not known to be text; None if it cannot be sent.

    What is JSON already stays as it was written: numbers keep their digits, objects their order.
    """
    compact = text.strip()
    sound = _is_json(compact)
    if said is False and sound and (not types or fits({"type": sorted(types)}, parsed(compact))):
        return compact
    value = typed(text, types)
    if isinstance(value, str):
        return encoded(value)
    if sound:
        return compact
    try:
        json_text = encoded(value)
    except (ValueError, RecursionError):
        return None
    return json_text if _is_json(json_text) else None


def _is_json(text: str) -> bool:
    scanner = JsonScanner()
    end = scanner.feed(text, 0)
    scanner.close(delimited=True)
    return scanner.status is Status.DONE and end == len(text)
