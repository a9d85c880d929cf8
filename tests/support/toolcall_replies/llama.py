"""Llama 3: a bare JSON object at the reply's beginning, or one behind `<|python_tag|>`."""

from __future__ import annotations

from functools import partial

from toolcall_vectors import Vector

V = partial(Vector, family="llama")
ADD = ("add", {"a": 1, "b": 2})
PING = ("ping", {})
SEARCH = ("search", {"query": "x", "filters": {"a": {"b": [{}]}}})
ADD_J = '{"name": "add", "parameters": {"a": 1, "b": 2}}'
PING_J = '{"name": "ping", "parameters": {}}'
BAD = "malformed"

BARE = [
    V("one call", text=ADD_J, calls=(ADD,)),
    V("one call, spaces around", text=f"\n\n {ADD_J}\n", calls=(ADD,)),
    V("with a type", text='{"type": "function", "name": "ping", "parameters": {}}', calls=(PING,)),
    V("arguments", text='{"name": "ping", "arguments": {}}', calls=(PING,)),
    V("two calls", text=f"{ADD_J}; {PING_J}", calls=(ADD, PING)),
    V("two calls, two lines", text=f"{ADD_J}\n{PING_J}", calls=(ADD, PING)),
    V(
        "nested objects",
        text='{"name": "search", "parameters": {"query": "x", "filters": {"a": {"b": [{}]}}}}',
        calls=(SEARCH,),
    ),
    V("text behind", text=f"{ADD_J}\nThat adds.", calls=(ADD,), content="That adds."),
    V("a semicolon and text behind", text=f"{ADD_J}; done", calls=(ADD,), content="; done"),
    V("text before", text=f"I call {ADD_J}", content=f"I call {ADD_J}"),
    V("name last", text='{"parameters": {"a": 1, "b": 2}, "name": "add"}', calls=(ADD,)),
    V(
        "words of Python and a comma",
        text='{"name": "search", "parameters": {"query": "x", "exact": True,}}',
        calls=(("search", {"query": "x", "exact": True}),),
        notes=("words", "commas"),
    ),
    V("a brace too few", text=ADD_J[:-1], calls=(ADD,), notes=("brackets",)),
    V("a brace too few, cut", text=ADD_J[:-1], content=ADD_J[:-1], notes=(BAD,), cut=True),
    V("a brace too many", text=ADD_J + "}", calls=(ADD,), notes=("braces",)),
    V(
        "a file cut in the middle",
        text='{"name": "write_file", "parameters": {"path": "a", "content": "x',
        content='{"name": "write_file", "parameters": {"path": "a", "content": "x',
        notes=(BAD,),
        cut=True,
    ),
    V(
        "values of other types",
        text='{"name": "add", "parameters": {"a": "1", "b": "2"}}',
        content='{"name": "add", "parameters": {"a": "1", "b": "2"}}',
        notes=(BAD,),
    ),
    V(
        "an unknown tool",
        text='{"name": "gone", "parameters": {}}',
        content='{"name": "gone", "parameters": {}}',
    ),
    V("an object as the answer", text='{"x": 1}', content='{"x": 1}'),
    V(
        "a person as the answer",
        text='{"name": "Bob", "parameters": {}}',
        content='{"name": "Bob", "parameters": {}}',
    ),
    V(
        "a schema as the answer",
        text='{"name": "add", "description": "Adds.", "parameters": {}}',
        content='{"name": "add", "description": "Adds.", "parameters": {}}',
        notes=(BAD,),
    ),
    V("numbers as the answer", text="[1, 2]", content="[1, 2]"),
    V("no tools on offer", text=ADD_J, content=ADD_J, tools=()),
]

TAGGED = [
    V("behind the tag", text=f"<|python_tag|>{ADD_J}", calls=(ADD,)),
    V("two behind the tag", text=f"<|python_tag|>{ADD_J}; {PING_J}", calls=(ADD, PING)),
    V("text before the tag", text=f"I add. <|python_tag|>{ADD_J}", content="I add. ", calls=(ADD,)),
    V(
        "the tag with a name among the arguments",
        text='<|python_tag|>{"parameters": {"name": "bash", "command": "ls"}}',
        calls=(("bash", {"command": "ls"}),),
        notes=("hoisted",),
    ),
    V("as Llama 4 marks it", text=f"<|python_start|>{ADD_J}<|python_end|>", calls=(ADD,)),
    V("a list behind the tag", text=f"<|python_tag|>[{ADD_J}, {PING_J}]", calls=(ADD, PING)),
    V(
        "code behind the tag",
        text="<|python_tag|>print(1)",
        content="<|python_tag|>print(1)",
        notes=(BAD,),
    ),
    V(
        "a built-in tool",
        text='<|python_tag|>search.call(query="x")',
        calls=(("search", {"query": "x"}),),
    ),
    V("Python behind the tag", text="<|python_tag|>add(a=1, b=2)", calls=(ADD,)),
    V("cut behind the tag", text="<|python_tag|>", content="<|python_tag|>", cut=True),
]

VECTORS = [*BARE, *TAGGED]
