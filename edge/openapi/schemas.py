"""Types → JSON Schema 2020-12, as components of an OpenAPI document. Pure.

msgspec makes such schemas itself but for structs that pass some JSON on unread, as ours do. What it would tell besides
is left out: a default of null says nothing to a client that may leave the field away.
"""

from __future__ import annotations

import inspect as python_inspect
from collections.abc import Iterable
from typing import Any

from msgspec import NODEFAULT, inspect

from cortex.edge.openapi.meanings import Meaning, meaning_of

Schema = dict[str, Any]

HERE = __name__.rpartition(".")[0]
ANYTHING: Schema = {}
_WORDS: dict[type[inspect.Type], Schema] = {
    inspect.AnyType: ANYTHING,
    inspect.RawType: ANYTHING,
    inspect.BoolType: {"type": "boolean"},
    inspect.NoneType: {"type": "null"},
}
_OF: dict[str, tuple[str, ...]] = {
    "enum": ("string",),
    "minLength": ("string",),
    "maxLength": ("string",),
    "minItems": ("array",),
    "maxItems": ("array",),
    "maxProperties": ("object",),
}
"""Keyword → the types that it limits; those that are not here limit numbers."""
_NUMBERS = ("integer", "number")
_LITERALS: dict[type, str] = {bool: "boolean", int: "integer", str: "string"}
_LIMITS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}


class Components:
    """Collects the schemas of structs while others refer to them."""

    def __init__(self) -> None:
        self.schemas: dict[str, Schema] = {}

    def of(self, kind: object) -> Schema:
        """The schema of a type: a reference where it is a struct."""
        return self._of(inspect.type_info(kind))

    def _of(self, info: inspect.Type) -> Schema:
        if (word := _WORDS.get(type(info))) is not None:
            return dict(word)
        match info:
            case inspect.Metadata():
                return self._of(info.type)
            case inspect.IntType() | inspect.FloatType():
                word = {"type": "integer" if isinstance(info, inspect.IntType) else "number"}
                limits = {name: getattr(info, key) for key, name in _LIMITS.items()}
                return {**word, **_told(limits)}
            case inspect.StrType():
                limits = {"minLength": info.min_length, "maxLength": info.max_length, "pattern": info.pattern}
                return {"type": "string", **_told(limits)}
            case inspect.LiteralType():
                return _literal(info.values)
            case inspect.ListType() | inspect.VarTupleType():
                limits = {"minItems": info.min_length, "maxItems": info.max_length}
                return {"type": "array", "items": self._of(info.item_type), **_told(limits)}
            case inspect.DictType():
                return {"type": "object", "additionalProperties": self._of(info.value_type)}
            case inspect.UnionType():
                types = info.types
                if any(isinstance(one, inspect.IntType) for one in types):
                    # To JSON an integer with a zero behind its point is one too.
                    types = tuple(one for one in types if not isinstance(one, inspect.FloatType))
                return one_of_schemas([self._of(one) for one in types])
            case inspect.StructType():
                return self._reference(info)
        raise TypeError(f"{info}: no schema is known for it")

    def _reference(self, info: inspect.StructType) -> Schema:
        name = name_of(info.cls)
        if name not in self.schemas:
            self.schemas[name] = {}  # it may refer to itself
            self.schemas[name] = self._struct(info)
        return {"$ref": f"#/components/schemas/{name}"}

    def _struct(self, info: inspect.StructType) -> Schema:
        properties = {field.encode_name: self._field(info.cls, field) for field in info.fields}
        required = [field.encode_name for field in info.fields if field.required]
        if info.tag_field is not None:
            properties = {info.tag_field: _literal((info.tag,)), **properties}
            required = [info.tag_field, *required]
        schema: Schema = {"type": "object", "properties": properties}
        if required:
            schema["required"] = required
        if info.forbid_unknown_fields:
            schema["additionalProperties"] = False
        if (text := _docstring(info.cls)) is not None:
            schema["description"] = text
        return schema

    def _field(self, cls: type, field: inspect.Field) -> Schema:
        schema = self._with(self._of(field.type), meaning_of(cls, field.encode_name))
        told = field.default is not NODEFAULT and isinstance(field.default, bool | int | float | str)
        return {**schema, "default": field.default} if told else schema

    def _with(self, schema: Schema, meaning: Meaning) -> Schema:
        """A field's schema with what is said of it: each limit stands at the type that it limits."""
        said = [dict(one) for one in schema["anyOf"]] if "anyOf" in schema else [dict(schema)]
        for one in said:
            kind = one.get("type")
            one.update(
                {key: value for key, value in meaning.limits.items() if kind in _OF.get(key, _NUMBERS)}
            )
            if meaning.entries and kind == "array":
                one["items"] = {"anyOf": [*map(self.of, meaning.entries), {"type": "object"}]}
        told = {"anyOf": said} if "anyOf" in schema else said[0]
        return {**told, "description": meaning.text} if meaning.text else told


def name_of(cls: type) -> str:
    """A struct's name in the document: its own if it was made for that, else with its dialect's in front."""
    return (
        cls.__name__
        if cls.__module__.startswith(HERE)
        else f"{cls.__module__.rpartition('.')[2]}.{cls.__name__}"
    )


def _docstring(cls: type) -> str | None:
    return python_inspect.cleandoc(cls.__doc__) if cls.__dict__.get("__doc__") and cls.__doc__ else None


def _literal(values: Iterable[Any]) -> Schema:
    """With its type, which makers of clients want to know, and one value alone as what it is."""
    known = list(values)
    kinds = {type(value) for value in known}
    word = {"type": _LITERALS[kinds.pop()]} if len(kinds) == 1 else {}
    return {**word, "const": known[0]} if len(known) == 1 else {**word, "enum": known}


def _told(limits: dict[str, Any]) -> Schema:
    return {name: value for name, value in limits.items() if value is not None}


def one_of(components: Components, kinds: Iterable[object]) -> Schema:
    """The schema of what has one of these types."""
    return one_of_schemas([components.of(kind) for kind in kinds])


def one_of_schemas(schemas: list[Schema]) -> Schema:
    """The schema of what fits one of these."""
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
