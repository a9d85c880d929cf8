"""LFM2: a list of Python calls between `<|tool_call_start|>` and `<|tool_call_end|>`."""

from __future__ import annotations

from functools import partial

from toolcall_vectors import Vector

V = partial(Vector, family="lfm2")
ADD = ("add", {"a": 1, "b": 2})
PING = ("ping", {})
CALL = "<|tool_call_start|>[add(a=1, b=2)]<|tool_call_end|>"

VECTORS = [
    V("one call", text=CALL, calls=(ADD,)),
    V(
        "text on both sides",
        text=f"Adding.\n{CALL}\nI have asked.",
        content="Adding.\nI have asked.",
        calls=(ADD,),
    ),
    V("a space before the end", text="<|tool_call_start|>[ping()] <|tool_call_end|>", calls=(PING,)),
    V(
        "parallel calls",
        text="<|tool_call_start|>[add(a=1, b=2), ping()]<|tool_call_end|>",
        calls=(ADD, PING),
    ),
    V("the same call twice", text="<|tool_call_start|>[ping(), ping()]<|tool_call_end|>", calls=(PING, PING)),
    V("two blocks", text=f"{CALL}\n{CALL}", calls=(ADD, ADD)),
    V(
        "an echo behind the end",
        text=f"{CALL}[add(a=1, b=2)]<|tool_call_end|>Done.",
        calls=(ADD,),
        content="Done.",
    ),
    V(
        "an echo of several calls",
        text="<|tool_call_start|>[ping(), add(a=1, b=2)]<|tool_call_end|>\n[ping(), add(b=2, a=1)]<|tool_call_end|>",
        calls=(PING, ADD),
    ),
    V(
        "words of JSON and a dotted name",
        text='<|tool_call_start|>[tools.search(query="a\\"b", exact=true)]<|tool_call_end|>',
        calls=(("search", {"query": 'a"b', "exact": True}),),
        notes=("name",),
    ),
    V(
        "escaped quotes",
        text='<|tool_call_start|>[bash(command="echo \\"a, b)]\\" \'c\'")]<|tool_call_end|>',
        calls=(("bash", {"command": "echo \"a, b)]\" 'c'"}),),
    ),
    V(
        "its own markers in a string",
        text='<|tool_call_start|>[search(query="]<|tool_call_end|>")]<|tool_call_end|>',
        calls=(("search", {"query": "]<|tool_call_end|>"}),),
    ),
    V(
        "JSON, as the prompt may ask for",
        text='<|tool_call_start|>[{"name": "add", "arguments": {"a": 1, "b": 2}}]<|tool_call_end|>',
        calls=(ADD,),
    ),
    V("thought first", text=f"<think>Add.</think>{CALL}", reasoning="Add.", calls=(ADD,)),
    V("without markers", text="[add(a=1, b=2)]", calls=(ADD,)),
    V("no end", text="<|tool_call_start|>[add(a=1, b=2)]", calls=(ADD,)),
    V("no bracket", text="<|tool_call_start|>[add(a=1, b=2)<|tool_call_end|>", calls=(ADD,)),
    V(
        "no parenthesis",
        text="<|tool_call_start|>[add(a=1, b=2<|tool_call_end|>",
        calls=(ADD,),
        notes=("brackets",),
    ),
    V(
        "cut",
        text="<|tool_call_start|>[add(a=1, b=2",
        content="<|tool_call_start|>[add(a=1, b=2",
        notes=("malformed",),
        cut=True,
    ),
    V(
        "a thought in the prompt",
        text=f"Add.</think>\n\n{CALL}",
        reasoning="Add.",
        calls=(ADD,),
        reasoning_open=True,
    ),
    V("prose", text="[1] add(a=1)", content="[1] add(a=1)"),
    V(
        "nothing in it",
        text="<|tool_call_start|>[]<|tool_call_end|>",
        content="<|tool_call_start|>[]<|tool_call_end|>",
    ),
]
