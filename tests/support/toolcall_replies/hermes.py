"""Hermes: a JSON object between `<tool_call>` and `</tool_call>`."""

from __future__ import annotations

from functools import partial

from toolcall_vectors import Vector

V = partial(Vector, family="hermes")
ADD = ("add", {"a": 1, "b": 2})
PING = ("ping", {})
LS = ("bash", {"command": "ls"})
ADD_J = '{"name": "add", "arguments": {"a": 1, "b": 2}}'
PING_J = '{"name": "ping", "arguments": {}}'
LS_J = '{"name": "bash", "arguments": {"command": "ls"}}'
BAD = "malformed"


def block(body: str) -> str:
    return f"<tool_call>\n{body}\n</tool_call>"


def search(**arguments: object) -> tuple[tuple[str, dict[str, object]], ...]:
    return (("search", arguments),)


def write(content: str) -> tuple[tuple[str, dict[str, object]], ...]:
    return (("write_file", {"path": "a.py", "content": content}),)


def written(content: str) -> str:
    """A call of write_file whose content stands there as it is."""
    return block('{"name": "write_file", "arguments": {"path": "a.py", "content": "' + content + '"}}')


PLAIN = [
    V("one call", text="Sure.\n" + block(ADD_J), content="Sure.\n", calls=(ADD,)),
    V("three calls", text="\n".join(map(block, (ADD_J, PING_J, LS_J))), calls=(ADD, PING, LS)),
    V("the same call twice", text=block(PING_J) + block(PING_J), calls=(PING, PING)),
    V(
        "text between and after",
        text=f"First: {block(ADD_J)}\nThen: {block(PING_J)}\n\nDone.",
        content="First: Then: Done.",
        calls=(ADD, PING),
    ),
    V("nothing but text", text="1 < 2, <tool> and </tool_call>.", content="1 < 2, <tool> and </tool_call>."),
    V(
        "every kind of value",
        text=block(
            '{"name": "search", "arguments": {"query": "\\u00fc \\"q\\" \\\\", "filters": {"a": [1, -2.5e3, {}]},'
            ' "tags": [], "exact": false, "boost": 0.5, "after": null}}'
        ),
        calls=search(
            query='ü "q" \\', filters={"a": [1, -2500.0, {}]}, tags=[], exact=False, boost=0.5, after=None
        ),
    ),
    V(
        "markers and braces in a string",
        text=written("}} </tool_call> <think> ```"),
        calls=write("}} </tool_call> <think> ```"),
    ),
    V("name last", text=block('{"arguments": {"command": "ls"}, "name": "bash"}'), calls=(LS,)),
    V("parameters", text=block('{"name": "bash", "parameters": {"command": "ls"}}'), calls=(LS,)),
    V("no arguments", text=block('{"name": "ping"}'), calls=(PING,)),
    V("arguments null", text=block('{"name": "ping", "arguments": null}'), calls=(PING,)),
    V("arguments an empty string", text=block('{"name": "ping", "arguments": ""}'), calls=(PING,)),
    V(
        "other keys",
        text=block('{"type": "function", "id": 3, "name": "ping", "arguments": {}}'),
        calls=(PING,),
    ),
    V("over many lines", text=block('{\n  "name": "ping",\n  "arguments": {\n  }\n}'), calls=(PING,)),
    V("without a closer", text="<tool_call>\n" + ADD_J, calls=(ADD,)),
    V("no tools on offer", text=block(PING_J), content=block(PING_J), tools=()),
]

REASONING = [
    V(
        "reasoning before",
        text=f"<think>\nTwo numbers.\n</think>\n\n{block(ADD_J)}",
        reasoning="Two numbers.\n",
        calls=(ADD,),
    ),
    V(
        "reasoning opened by the prompt",
        text=f"Two numbers.\n</think>\n\nSo: {block(ADD_J)}",
        reasoning="Two numbers.\n",
        content="So: ",
        calls=(ADD,),
        reasoning_open=True,
    ),
    V("an empty thought", text=f"<think>\n\n</think>\n\n{block(ADD_J)}", calls=(ADD,)),
    V(
        "thoughts round calls",
        text=f"<think>a</think>{block(ADD_J)}<think>b</think>{block(PING_J)}",
        reasoning="ab",
        calls=(ADD, PING),
    ),
    V("a thought without end", text="<think>\nHm, let me", reasoning="Hm, let me"),
    V(
        "a closer that was forgotten",
        text=f"<think>\nI add.\n{block(ADD_J)}",
        reasoning="I add.\n",
        calls=(ADD,),
    ),
    V(
        "a draft is the call",
        text=f"<think>I shall say {block(ADD_J)}\nNow.</think>\n{block(ADD_J)}",
        reasoning="I shall say Now.",
        calls=(ADD,),
    ),
    V(
        "a draft, and another call",
        text=f"<think>{block(ADD_J)}</think>{block(PING_J)}",
        calls=(ADD, PING),
    ),
    V(
        "a draft that does not fit",
        text=f"<think>{block(ADD_J.replace('2', 'null'))}</think>{block(ADD_J)}",
        reasoning=block(ADD_J.replace("2", "null")),
        calls=(ADD,),
        notes=(BAD,),
    ),
    V(
        "a draft in a fence",
        text=f"<think>Like\n```\n{block(PING_J)}\n```\n</think>{block(ADD_J)}",
        reasoning=f"Like\n```\n{block(PING_J)}\n```\n",
        calls=(ADD,),
    ),
    V(
        "a draft without end",
        text=f'<think><tool_call>{{"name": "add", "arguments": {{"a": </think>{block(ADD_J)}',
        reasoning='<tool_call>{"name": "add", "arguments": {"a": ',
        calls=(ADD,),
        notes=(BAD,),
    ),
    V(
        "a draft that ends with the reply",
        text='<think>Hm.<tool_call>{"name": "ping", "arguments": {}}',
        reasoning="Hm.",
        calls=(PING,),
    ),
]

NO_CALLS = [
    V(
        "the marker in prose",
        text=f"Write <tool_call> and then JSON. {block(ADD_J)}",
        content="Write <tool_call> and then JSON. ",
        calls=(ADD,),
    ),
    V(
        "an example in a fence",
        text=f"So:\n```xml\n{block(ADD_J)}\n```\n",
        content=f"So:\n```xml\n{block(ADD_J)}\n```\n",
    ),
    V(
        "a call behind a fence",
        text=f"```\nx\n```\n{block(ADD_J)}",
        content="```\nx\n```\n",
        calls=(ADD,),
    ),
    V(
        "an unknown tool",
        text=block('{"name": "format_disk", "arguments": {"a": 1}}'),
        content=block('{"name": "format_disk", "arguments": {"a": 1}}'),
        notes=(BAD,),
    ),
    V(
        "an unknown tool, and a known one",
        text=block('{"name": "gone", "arguments": {}}') + block(PING_J),
        content=block('{"name": "gone", "arguments": {}}'),
        calls=(PING,),
        notes=(BAD,),
    ),
    V("a list of numbers", text=block("[1, 2]"), content=block("[1, 2]")),
    V(
        "arguments that are a list",
        text=block('{"name": "add", "arguments": [1, 2]}'),
        content=block('{"name": "add", "arguments": [1, 2]}'),
        notes=(BAD,),
    ),
    V(
        "two pairs of arguments",
        text=block('{"name": "ping", "arguments": {}, "parameters": {}}'),
        calls=(),
        broken=True,
    ),
]

VECTORS = [*PLAIN, *REASONING, *NO_CALLS]
