"""Hermes: a JSON object between `<tool_call>` and `</tool_call>`."""

from __future__ import annotations

from toolcall_vectors import Vector

VECTORS = [
    Vector(
        "one call",
        "hermes",
        'Sure.\n<tool_call>\n{"name": "add", "arguments": {"a": 1, "b": 2}}\n</tool_call>',
        content="Sure.\n",
        calls=(("add", {"a": 1, "b": 2}),),
    ),
    Vector(
        "the body from the field, without its name",
        "hermes",
        '<tool_call>\n{"arguments":{"command":"mkdir -p doc/plan/{01-discovery,02-design}"}}\n</tool_call>',
        calls=(("bash", {"command": "mkdir -p doc/plan/{01-discovery,02-design}"}),),
        notes=("inferred",),
    ),
    Vector(
        "a file cut in the middle",
        "hermes",
        '<tool_call>\n{"name": "write_file", "arguments": {"path": "a.py", "content": "def f(',
        broken=True,
        cut=True,
    ),
]
