"""Bodies as clients were seen to send them, in their shape though not their length: what they have in common."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
USED = '{"path": "a.py"}'
"""The arguments of the one call that all of them make."""
PERSON = {"type": "object", "properties": {"name": {"type": "string"}}}
STRICT = {"kind": "json_schema", "definition": json.dumps(PERSON), "strict": True}
"""The format that this schema becomes."""


class Shape(NamedTuple):
    """A client's body without its model; the turns that it becomes, and all else that is not as by default."""

    client: str
    dialect: str
    body: dict[str, Any]
    turns: list[str]
    more: dict[str, Any]


def system(content: Any) -> dict[str, Any]:
    return {"role": "system", "content": content}


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def text(what: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": what, **more}


def parts(*texts: str) -> list[dict[str, Any]]:
    return [text(one) for one in texts]


TALK = ["system: Be brief.", "user: hi"]
LOOP = ["user: look", f"assistant: I look. > call_1 read {USED}", "tool call_1: print(1)"]
OFFERED = {"tools": ["read"]}
