"""Olmo 3: calls of Python between `<function_calls>` and `</function_calls>`, one a line."""

from __future__ import annotations

from functools import partial

from toolcall_vectors import Vector

V = partial(Vector, family="olmo")
ADD = ("add", {"a": 1, "b": 2})
PING = ("ping", {})

VECTORS = [
    V("one call", text="<function_calls>add(a=1, b=2)</function_calls>", calls=(ADD,)),
    V("one a line", text="<function_calls>\nadd(a=1, b=2)\nping()\n</function_calls>", calls=(ADD, PING)),
    V("commas between", text="<function_calls>add(a=1, b=2), ping()</function_calls>", calls=(ADD, PING)),
    V("no end", text="<function_calls>\nadd(a=1, b=2)\nping()\n", calls=(ADD, PING)),
    V(
        "text on both sides",
        text="Adding.\n\n<function_calls>ping()</function_calls>\nDone.",
        content="Adding.\n\nDone.",
        calls=(PING,),
    ),
    V("text without an end before it", text="<function_calls>ping()\nDone.", content="Done.", calls=(PING,)),
    V(
        "words of both languages",
        text="<function_calls>search(query='x', exact=true, after=None)</function_calls>",
        calls=(("search", {"query": "x", "exact": True, "after": None}),),
    ),
    V(
        "a line break in a string",
        text="<function_calls>write_file(path='a', content=\"b\nc()\")</function_calls>",
        calls=(("write_file", {"path": "a", "content": "b\nc()"}),),
        notes=("controls",),
    ),
    V(
        "thought in the prompt",
        text="Add.</think><function_calls>ping()</function_calls>",
        reasoning="Add.",
        calls=(PING,),
        reasoning_open=True,
    ),
    V(
        "a draft comes again",
        text="<think><function_calls>ping()</function_calls></think><function_calls>ping()</function_calls>",
        calls=(PING,),
    ),
    V(
        "a call that cannot be read",
        text="<function_calls>add(a=b)\nping()</function_calls>",
        content="<function_calls>add(a=b)\nping()</function_calls>",
        notes=("malformed",),
    ),
    V(
        "cut in the second call",
        text="<function_calls>\nping()\nadd(a=1",
        content="add(a=1",
        calls=(PING,),
        notes=("malformed",),
        cut=True,
    ),
    V(
        "a parenthesis too few",
        text="<function_calls>add(a=1, b=2</function_calls>",
        calls=(ADD,),
        notes=("brackets",),
    ),
    V("prose", text="A <function_calls> block has calls.", content="A <function_calls> block has calls."),
]
