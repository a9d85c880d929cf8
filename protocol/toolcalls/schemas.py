"""What a tool's JSON schema says about a value: whether it fits, and what a value written as bare text is meant to be.

It reads what clients really send for tools (JSON Schema 2020-12: type, properties, required, additionalProperties,
items, enum, const, anyOf, oneOf, allOf, local $ref). Bounds and patterns are not judged: a call out of bounds is the
tool's to refuse, and a pattern from a client would be run against a model's text for as long as it likes. Nothing is
fetched. It never raises, whatever the schema is.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from typing import Any

DEPTH = 32
"""Of schemas within schemas; what lies deeper fits."""

LOOKS = 20_000
"""At schemas, for one question: one that names itself twice would double them with each level. The rest fits."""

LONGEST_INTEGER = 4_000
"""Digits of an integer that Python reads."""

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int, float),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
    "null": (type(None),),
}
LITERALS = {"True": True, "False": False, "None": None, "true": True, "false": False, "null": None}


def fits(schema: Any, value: Any) -> bool:
    """Whether the value has the shape that the schema describes: required keys there, none unknown, types right."""
    return _Reader(schema).fits(schema, value, DEPTH)


def parsed(text: str) -> Any:
    """A valid JSON text's value; whole numbers too long for Python's reader are read as floats."""
    return json.loads(text, parse_int=_integer)


def _integer(text: str) -> int | float:
    return int(text) if len(text) < LONGEST_INTEGER else float(text)


def types_of(schema: Any, root: Any) -> frozenset[str]:
    """The JSON types that a value may have; empty if the schema does not say."""
    return _Reader(root).types(schema, DEPTH)


def property_of(schema: Any, key: str) -> Any:
    """The schema of one property of an object; None if it is not described."""
    reader = _Reader(schema)
    return reader.properties(reader.resolved(schema, DEPTH)).get(key)


def typed(text: str, types: frozenset[str]) -> Any:
    """The value that bare text stands for. Text that is no value of these types is a string, exactly as it came.

    Where a string may stand, only null, an object or an array that may stand there too is read as one.
    """
    if "string" in types and not types & {"null", "object", "array"}:
        return text
    value = _literal(text.strip())
    if isinstance(value, str) or not types:
        return text if isinstance(value, str) else value
    if not any(_is(value, one) for one in types):
        return text
    return text if "string" in types and isinstance(value, bool | int | float) else value


def _literal(text: str) -> Any:
    """The text as JSON, or as Python writes it; itself if it is neither."""
    if text in LITERALS:
        return LITERALS[text]
    try:
        return json.loads(text, parse_constant=_refuse, parse_int=_integer)
    except (ValueError, RecursionError):
        pass
    if not text.startswith(("{", "[", "(")):
        return text
    try:
        value = ast.literal_eval(text)
        json.dumps(value, allow_nan=False)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return text
    return value if isinstance(value, dict | list) else text


def _refuse(name: str) -> None:
    raise ValueError(name)


def _is(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES.get(name, (object,)))


class _Reader:
    """One root schema, against which `$ref` is resolved."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._looks = LOOKS

    def _looked_enough(self) -> bool:
        self._looks -= 1
        return self._looks < 0

    def resolved(self, schema: Any, depth: int) -> Any:
        while isinstance(schema, Mapping) and "$ref" in schema and depth > 0:
            schema = self._at(schema["$ref"])
            depth -= 1
        return schema

    def properties(self, schema: Any) -> Mapping[str, Any]:
        found = schema.get("properties") if isinstance(schema, Mapping) else None
        return found if isinstance(found, Mapping) else {}

    def types(self, schema: Any, depth: int) -> frozenset[str]:
        schema = self.resolved(schema, depth)
        if not isinstance(schema, Mapping) or depth <= 0 or self._looked_enough():
            return frozenset()
        named = schema.get("type")
        if isinstance(named, str):
            return frozenset({named})
        if isinstance(named, list):
            return frozenset(one for one in named if isinstance(one, str))
        for key in ("anyOf", "oneOf"):
            if parts := _list(schema.get(key)):
                each = [self.types(part, depth - 1) for part in parts]
                return frozenset().union(*each) if all(each) else frozenset()
        for part in _list(schema.get("allOf")):
            if found := self.types(part, depth - 1):
                return found
        values = _list(schema.get("enum")) + ([schema["const"]] if "const" in schema else [])
        kinds = {(type(value), isinstance(value, float) and value.is_integer()): value for value in values}
        return frozenset(map(_name_of, kinds.values()))

    def fits(self, schema: Any, value: Any, depth: int) -> bool:
        schema = self.resolved(schema, depth)
        if schema is False:
            return False
        if not isinstance(schema, Mapping) or depth <= 0 or self._looked_enough():
            return True
        if not self._plainly(schema, value):
            return False
        choices = [parts for key in ("anyOf", "oneOf") if (parts := _list(schema.get(key)))]
        if not all(any(self.fits(part, value, depth - 1) for part in parts) for parts in choices):
            return False
        if not all(self.fits(part, value, depth - 1) for part in _list(schema.get("allOf"))):
            return False
        if isinstance(value, dict):
            return self._object(schema, value, depth)
        if isinstance(value, list) and "items" in schema:
            return all(self.fits(schema["items"], one, depth - 1) for one in value)
        return True

    def _plainly(self, schema: Mapping[str, Any], value: Any) -> bool:
        named = schema.get("type")
        names = [named] if isinstance(named, str) else _list(named)
        if names and not any(isinstance(name, str) and _is(value, name) for name in names):
            return False
        if "const" in schema and not _same(schema["const"], value):
            return False
        allowed = _list(schema.get("enum"))
        return not allowed or any(_same(one, value) for one in allowed)

    def _object(self, schema: Mapping[str, Any], value: dict[str, Any], depth: int) -> bool:
        known = self.properties(schema)
        if not all(key in value for key in _list(schema.get("required")) if isinstance(key, str)):
            return False
        other = schema.get("additionalProperties", bool(schema.get("patternProperties")))
        if not known and not any(key in schema for key in ("properties", "additionalProperties")):
            return True  # an object of which nothing is said
        return all(self.fits(known.get(key, other), one, depth - 1) for key, one in value.items())

    def _at(self, reference: Any) -> Any:
        """What a local reference such as `#/$defs/Point` points to; True, which fits everything, if nothing."""
        if not isinstance(reference, str) or not reference.startswith("#"):
            return True
        found = self._root
        for step in reference[1:].split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, Mapping) or key not in found:
                return True
            found = found[key]
        return found


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _same(one: Any, other: Any) -> bool:
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _name_of(value: Any) -> str:
    return next(
        name
        for name in ("boolean", "null", "string", "integer", "number", "array", "object")
        if _is(value, name)
    )
