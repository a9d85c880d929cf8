"""Replies as models write them, and what each means: the shape of a test vector and the tools that they call."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from toolcall_texts import call_id

from cortex.protocol.deltas import Piece, ReasoningPiece, TextPiece, ToolArguments, ToolEnd, ToolStart
from cortex.protocol.request import ToolSpec
from cortex.protocol.toolcalls import parser_for
from cortex.protocol.toolcalls.base import merged
from cortex.protocol.toolcalls.steps import ALL, Repair, Step


def tool(name: str, properties: dict[str, Any], *required: str) -> ToolSpec:
    """A tool that takes these properties and no others."""
    schema = {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }
    return ToolSpec(name=name, schema=json.dumps(schema).encode())


STRING = {"type": "string"}
INTEGER = {"type": "integer"}
AGENT_TOOLS = (
    tool("read_file", {"path": STRING, "line": INTEGER, "limit": INTEGER}, "path"),
    tool("write_file", {"path": STRING, "content": STRING}, "path", "content"),
    tool(
        "edit_file",
        {"path": STRING, "old_text": STRING, "new_text": STRING},
        "path",
        "old_text",
        "new_text",
    ),
    tool("list_dir", {"path": STRING}, "path"),
    tool("bash", {"command": STRING, "cwd": STRING}, "command"),
)
"""The tools of the agent from whose field log the first repair came."""

TOOLS = (
    *AGENT_TOOLS,
    tool("add", {"a": INTEGER, "b": INTEGER}, "a", "b"),
    tool(
        "get_weather",
        {"city": STRING, "unit": {"enum": ["celsius", "fahrenheit"]}, "days": INTEGER},
        "city",
    ),
    tool(
        "search",
        {
            "query": STRING,
            "filters": {"type": "object", "additionalProperties": True},
            "tags": {"type": "array", "items": STRING},
            "exact": {"type": "boolean"},
            "boost": {"type": "number"},
            "after": {"type": ["string", "null"]},
        },
        "query",
    ),
    tool("ping", {}),
)


@dataclass(frozen=True)
class Vector:
    """A reply and what it means. `notes` are the steps of its repairs in order, once each, and "malformed"."""

    id: str
    family: str
    text: str
    content: str = ""
    reasoning: str = ""
    calls: tuple[tuple[str, dict[str, Any]], ...] = ()
    notes: tuple[str, ...] = ()
    broken: bool = False
    """Whether a call broke after a part of it had left."""
    reasoning_open: bool = False
    cut: bool = False
    tools: tuple[ToolSpec, ...] = TOOLS
    steps: frozenset[Step] = ALL


@dataclass(frozen=True)
class Meaning:
    pieces: list[Piece]
    notes: tuple[str, ...]
    broken: bool


def meaning(vector: Vector, chunks: Iterable[str]) -> Meaning:
    """What a vector's parser makes of these chunks."""
    parser = parser_for(
        vector.family,
        vector.tools,
        reasoning_open=vector.reasoning_open,
        call_id=call_id,
        steps=vector.steps,
    )
    pieces = [piece for chunk in chunks for piece in parser.push(chunk)]
    pieces += parser.finish(cut=vector.cut)
    steps = [note.step.value if isinstance(note, Repair) else "malformed" for note in parser.notes]
    return Meaning(merged(pieces), tuple(dict.fromkeys(steps)), parser.malformed is not None)


def content_of(pieces: Iterable[Piece]) -> str:
    return "".join(piece.text for piece in pieces if isinstance(piece, TextPiece))


def reasoning_of(pieces: Iterable[Piece]) -> str:
    return "".join(piece.text for piece in pieces if isinstance(piece, ReasoningPiece))


def calls_of(pieces: Iterable[Piece]) -> tuple[tuple[str, dict[str, Any]], ...]:
    """The calls that ended, as (name, arguments)."""
    pieces = list(pieces)
    ended = {piece.index for piece in pieces if isinstance(piece, ToolEnd)}
    found = []
    for start in pieces:
        if isinstance(start, ToolStart) and start.index in ended:
            stretches = [p.text for p in pieces if isinstance(p, ToolArguments) and p.index == start.index]
            found.append((start.name, json.loads("".join(stretches))))
    return tuple(found)
