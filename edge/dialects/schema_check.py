"""What is wrong with a JSON schema that an answer or a call is to be held to, with the place of it. Pure.

Clients invent schemas freely, so only what can never be kept is refused: a type that JSON has not, a schema that is none,
a reference within the schema to nothing. It looks where a grammar is made of what stands there: not into `not`, `if` or
`contains`, not into definitions that nothing refers to, not beside the types that they are for. Tools are looked at only
where the model has to call one of them: otherwise an odd schema is for the model to read, and harmless.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from cortex.edge.dialects.decoding import invalid
from cortex.protocol.request import Chat

TYPES = ("string", "number", "integer", "boolean", "object", "array", "null")
LONGEST = 40
"""Characters of a wrong word that an error repeats."""

_OF_OBJECTS = ("properties", "patternProperties")
_CHOICES = ("anyOf", "oneOf", "allOf")


class Problem(NamedTuple):
    """`at` is the place below the schema, with its dot before it; what is wrong is the predicate of a sentence."""

    at: str
    predicate: str


def check_schemas(chat: Chat, form_at: str, places: Iterable[tuple[str | None, str]]) -> Chat:
    """Refuse what the model would be held to and cannot be. `places`: each tool's name, and where its schema stands."""
    form, choice = chat.response_format, chat.tool_choice
    if form.kind == "json_schema" and (found := problem(form.definition)) is not None:
        raise invalid(f"{form_at}{found.at}", found.predicate)
    if choice.mode not in ("required", "named"):
        return chat
    for tool in chat.tools:
        if choice.mode == "named" and tool.name != choice.name:
            continue
        if (found := problem(tool.schema)) is not None:
            raise invalid(f"{dict(places)[tool.name]}{found.at}", found.predicate)
    return chat


def problem(schema: bytes) -> Problem | None:
    """The first thing in it that cannot be kept."""
    try:
        root = json.loads(schema)
    except (ValueError, RecursionError):
        return None  # whoever compiles it says why
    return _Walk(root).first()


class _Walk:
    """One root schema; each definition is looked at once, where it is."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._followed: set[str] = set()
        self._left = [("", root)]

    def first(self) -> Problem | None:
        while self._left:
            at, schema = self._left.pop()
            if isinstance(schema, bool):
                continue
            if not isinstance(schema, dict):
                return Problem(at, "must be a JSON schema: an object or a boolean")
            if (found := _wrong_type(at, schema) or self._follow(at, schema)) is not None:
                return found
            self._left += reversed(list(_below(at, schema)))
        return None

    def _follow(self, at: str, schema: dict[str, Any]) -> Problem | None:
        """Look at what a reference within the schema points to; others are for whoever compiles it."""
        reference = schema.get("$ref")
        if not isinstance(reference, str) or not reference.startswith("#/") or "%" in reference:
            return None
        if reference in self._followed:
            return None
        self._followed.add(reference)
        found, place = self._root, ""
        for step in reference[2:].split("/"):
            key = step.replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and key.isdecimal() and int(key) < len(found):
                found, place = found[int(key)], f"{place}[{key}]"
            elif isinstance(found, dict) and key in found:
                found, place = found[key], f"{place}.{key}"
            else:
                return Problem(f"{at}.$ref", f"is {_shown(reference)}, which is nowhere in the schema")
        self._left.append((place, found))
        return None


def _wrong_type(at: str, schema: dict[str, Any]) -> Problem | None:
    named = schema.get("type")
    for index, one in enumerate(named if isinstance(named, list) else [named]):
        if isinstance(one, str) and one not in TYPES:
            place = f"{at}.type[{index}]" if isinstance(named, list) else f"{at}.type"
            close = difflib.get_close_matches(one[:LONGEST].lower(), TYPES, n=1)
            hint = f"write {close[0]}" if close else f"use one of {', '.join(TYPES)}, or leave it out"
            return Problem(place, f"is {_shown(one)}, which is no type of JSON; {hint}")
    return None


def _below(at: str, schema: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The schemas within this one by which a value may be judged."""
    named = schema.get("type")
    types = TYPES if named is None else named if isinstance(named, list) else [named]
    if "object" in types:
        for key in _OF_OBJECTS:
            inner = schema.get(key)
            if isinstance(inner, dict):
                yield from ((f"{at}.{key}.{name}", one) for name, one in inner.items())
        if "additionalProperties" in schema:
            yield f"{at}.additionalProperties", schema["additionalProperties"]
    if "array" in types:
        for key in ("prefixItems", "items"):
            inner = schema.get(key, True)
            if isinstance(inner, list):
                yield from ((f"{at}.{key}[{index}]", one) for index, one in enumerate(inner))
            elif key == "items":
                yield f"{at}.items", inner
    for key in _CHOICES:
        inner = schema.get(key)
        if isinstance(inner, list):
            yield from ((f"{at}.{key}[{index}]", one) for index, one in enumerate(inner))


def _shown(word: str) -> str:
    return repr(word if len(word) <= LONGEST else word[:LONGEST] + "…")
