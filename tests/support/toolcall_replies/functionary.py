"""Functionary 3.1: the name in a tag, then JSON."""

from __future__ import annotations

from toolcall_vectors import Vector

F = "functionary"
ADD = '<function=add>{"a": 1, "b": 2}</function>'
ADDED = ("add", {"a": 1, "b": 2})

VECTORS = [
    Vector("one call", F, ADD, calls=(ADDED,)),
    Vector("text round it", F, f"So. {ADD}ok", "So. ok", calls=(ADDED,)),
    Vector("two calls", F, ADD + ADD, calls=(ADDED, ADDED)),
    Vector("two calls on lines of their own", F, f"{ADD}\n{ADD}\n", calls=(ADDED, ADDED)),
    Vector("no arguments", F, "<function=ping>{}</function>", calls=(("ping", {}),)),
    Vector("nothing for arguments", F, "<function=ping></function>", calls=(("ping", {}),)),
    Vector("no closer", F, ADD[:-11], calls=(ADDED,)),
    Vector("a brace too many", F, ADD.replace("}", "}}"), "", "", (ADDED,), ("braces",)),
    Vector("a brace is missing", F, ADD.replace("}", ""), "", "", (ADDED,), ("brackets",)),
    Vector(
        "the closer in a string",
        F,
        '<function=bash>{"command": "echo </function>"}</function>',
        calls=(("bash", {"command": "echo </function>"}),),
    ),
    Vector(
        "single quotes",
        F,
        "<function=bash>{'command': 'ls'}</function>",
        "",
        "",
        (("bash", {"command": "ls"}),),
        ("quotes",),
    ),
    Vector(
        "an unknown tool",
        F,
        "<function=sub>{}</function>",
        "<function=sub>{}</function>",
        notes=("malformed",),
    ),
    Vector("the marker in prose", F, "Write <function= first.", "Write <function= first."),
    Vector("think tags are text", F, "<think>a</think>", "<think>a</think>"),
    Vector("cut in a string", F, '<function=bash>{"command": "rm -', broken=True, cut=True),
    Vector("cut in a name", F, "<function=ba", "<function=ba", cut=True),
]
