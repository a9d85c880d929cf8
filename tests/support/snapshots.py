"""The whole of an object as plain values: what a pure question must leave as it was."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from msgspec import Struct


def snapshot(value: Any, seen: dict[int, int] | None = None) -> Any:
    """All that can be reached from here, as plain tuples that compare: what a pure question must leave as it was."""
    seen = {} if seen is None else seen
    if callable(value) or isinstance(value, (str, bytes, int, float, type(None), Struct)):
        return "callable" if callable(value) else value
    if id(value) in seen:
        return ("seen", seen[id(value)])
    seen[id(value)] = len(seen)
    if isinstance(value, dict):
        return tuple((snapshot(key, seen), snapshot(one, seen)) for key, one in value.items())
    if isinstance(value, (set, frozenset)):
        return tuple(sorted(map(repr, value)))
    if is_dataclass(value):
        return tuple(snapshot(getattr(value, one.name, None), seen) for one in fields(value))
    if hasattr(value, "__dict__"):
        return tuple((name, snapshot(one, seen)) for name, one in vars(value).items())
    return tuple(snapshot(one, seen) for one in value)
