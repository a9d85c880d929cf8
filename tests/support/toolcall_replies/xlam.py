"""xLAM: a bare list of JSON objects, in a fence or behind the markers of others."""

from __future__ import annotations

from functools import partial

from toolcall_vectors import Vector

V = partial(Vector, family="xlam")
ADD = ("add", {"a": 1, "b": 2})
PING = ("ping", {})
ADD_J = '{"name": "add", "arguments": {"a": 1, "b": 2}}'
PING_J = '{"name": "ping", "arguments": {}}'
BOTH = f"[{ADD_J}, {PING_J}]"
BAD = "malformed"

VECTORS = [
    V("one call", text=f"[{ADD_J}]", calls=(ADD,)),
    V("two calls", text=f"\n{BOTH}\n", calls=(ADD, PING)),
    V("an object without a list", text=ADD_J, calls=(ADD,)),
    V("behind a thought", text=f"<think>hm</think>\n{BOTH}", reasoning="hm", calls=(ADD, PING)),
    V("in a fence", text=f"```json\n{BOTH}\n```", calls=(ADD, PING)),
    V("in a fence without a language", text=f"```\n{BOTH}\n```\nDone.", calls=(ADD, PING), content="Done."),
    V("behind another's marker", text=f"[TOOL_CALLS]{BOTH}", calls=(ADD, PING)),
    V(
        "behind another's tag",
        text=f"Sure. <tool_call>{BOTH}</tool_call>",
        content="Sure. ",
        calls=(ADD, PING),
    ),
    V("numbers as the answer", text="[1]", content="[1]"),
    V("an empty list as the answer", text="[]", content="[]"),
    V(
        "people as the answer",
        text='[{"name": "Bob"}, {"name": "Eve"}]',
        content='[{"name": "Bob"}, {"name": "Eve"}]',
    ),
    V("an object as the answer", text='{"x": 1}', content='{"x": 1}'),
    V("text before", text=f"So {BOTH}", content=f"So {BOTH}"),
    V("a link as the answer", text="[a](b) is one.", content="[a](b) is one."),
    V(
        "it does not fit",
        text='[{"name": "add", "arguments": {}}]',
        content='[{"name": "add", "arguments": {}}]',
        notes=(BAD,),
    ),
    V("no end of the list", text=f"[{ADD_J}", calls=(ADD,)),
    V("a brace too few", text=f"[{ADD_J[:-1]}]", calls=(ADD,), notes=("brackets",)),
    V(
        "single quotes and a comma",
        text="[{'name': 'ping', 'arguments': {},}]",
        calls=(PING,),
        notes=("quotes", "commas"),
    ),
    V("cut", text=f"[{ADD_J[:-1]}", content=f"[{ADD_J[:-1]}", notes=(BAD,), cut=True),
    V(
        "a list of which one is unknown",
        text=f'[{ADD_J}, {{"name": "gone", "arguments": {{}}}}]',
        calls=(ADD,),
        content=', {"name": "gone", "arguments": {}}]',
    ),
]
