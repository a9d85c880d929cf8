"""Hermes without its marker: in other tags, bare or in a fence, as Qwen2.5-Coder writes; and answers that are JSON."""

from __future__ import annotations

from toolcall_vectors import tool

from toolcall_replies.hermes import ADD, ADD_J, BAD, LS, LS_J, PING_J, V, block

FENCED = f"```json\n{ADD_J}\n```"
VECTORS = [
    V("in the tags of the tools", text=f"<tools>\n{ADD_J}\n</tools>", calls=(ADD,)),
    V(
        "the tools themselves",
        text='<tools>{"name": "add", "parameters": {"type": "object", "properties": {}}}</tools>',
        content='<tools>{"name": "add", "parameters": {"type": "object", "properties": {}}}</tools>',
        notes=(BAD,),
    ),
    V("bare", text=f"\n{ADD_J}\n", calls=(ADD,)),
    V("bare behind a thought", text=f"<think>hm</think>\n\n{ADD_J}", reasoning="hm", calls=(ADD,)),
    V("bare, its closer alone", text=ADD_J + "\n</tool_call>", calls=(ADD,)),
    V("bare, but behind text", text="Say " + ADD_J, content="Say " + ADD_J),
    V(
        "bare, and it does not fit",
        text='{"name": "add", "arguments": {"a": "x"}}',
        content='{"name": "add", "arguments": {"a": "x"}}',
        notes=(BAD,),
    ),
    V(
        "bare, another tool",
        text='{"name": "gone", "arguments": {}}',
        content='{"name": "gone", "arguments": {}}',
    ),
    V(
        "bare, without a name",
        text='{"arguments": {"command": "ls"}}',
        content='{"arguments": {"command": "ls"}}',
    ),
    V("bare, without arguments", text='{"name": "ping"}', content='{"name": "ping"}', notes=(BAD,)),
    V("bare, cut", text=ADD_J[:-1], content=ADD_J[:-1], notes=(BAD,), cut=True),
    V(
        "an object as the answer",
        text='{"x": 1, "y": {"name": "add"}}',
        content='{"x": 1, "y": {"name": "add"}}',
    ),
    V(
        "a person as the answer",
        text='{"name": "Bob"}',
        content='{"name": "Bob"}',
    ),
    V(
        "a person with the name of a tool as the answer",
        text='{"name": "Bash", "arguments": {"command": "ls"}}',
        content='{"name": "Bash", "arguments": {"command": "ls"}}',
        tools=(tool("bash", {"command": {}}),),
    ),
    V("numbers as the answer", text="[1]", content="[1]"),
    V("in a fence", text=FENCED, calls=(ADD,)),
    V("in two fences", text=f"{FENCED}\n{FENCED}", calls=(ADD, ADD)),
    V("in a fence, with text behind", text=f"{FENCED}\nI add.", calls=(ADD,), content="I add."),
    V("in a fence behind text", text=f"So:\n{FENCED}", content=f"So:\n{FENCED}"),
    V(
        "an answer in a fence",
        text='```json\n{"x": 1}\n```\n' + block(ADD_J),
        content='```json\n{"x": 1}\n```\n',
        calls=(ADD,),
    ),
    V(
        "code in a fence",
        text="```python\nprint(1)\n```\n" + block(ADD_J),
        content="```python\nprint(1)\n```\n",
        calls=(ADD,),
    ),
    V(
        "a fence that goes on",
        text=f"```json\n{ADD_J}\n{block(PING_J)}\n```\n{block(LS_J)}",
        calls=(ADD, LS),
        content=f"{block(PING_J)}\n```\n",
    ),
]
