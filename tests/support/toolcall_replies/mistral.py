"""Mistral: `[TOOL_CALLS]` and a list of JSON objects, or since version 11 a name and its arguments."""

from __future__ import annotations

from functools import partial

from toolcall_vectors import Vector

from cortex.protocol.toolcalls.steps import ALL, Step

V = partial(Vector, family="mistral")
ADD = ("add", {"a": 1, "b": 2})
PING = ("ping", {})
ADD_J = '{"name": "add", "arguments": {"a": 1, "b": 2}}'
PING_J = '{"name": "ping", "arguments": {}}'
ARGS = '{"a": 1, "b": 2}'
WRITTEN = ("write_file", {"path": "a", "content": "] [TOOL_CALLS] }"})
BAD = "malformed"

LISTS = [
    V("one call", text=f"[TOOL_CALLS] [{ADD_J}]", calls=(ADD,)),
    V(
        "two calls, text before",
        text=f"Sure.[TOOL_CALLS][{ADD_J}, {PING_J}]",
        content="Sure.",
        calls=(ADD, PING),
    ),
    V("over many lines", text=f"[TOOL_CALLS] [\n  {ADD_J},\n  {PING_J}\n]", calls=(ADD, PING)),
    V(
        "an id in the object",
        text='[TOOL_CALLS][{"id": "abcDEF123", "name": "ping", "arguments": {}}]',
        calls=(PING,),
    ),
    V("an object without a list", text=f"[TOOL_CALLS]{ADD_J}", calls=(ADD,)),
    V("no end of the list", text=f"[TOOL_CALLS] [{ADD_J}", calls=(ADD,)),
    V(
        "a marker in a string",
        text='[TOOL_CALLS][{"name": "write_file", "arguments": {"path": "a", "content": "] [TOOL_CALLS] }"}}]',
        calls=(WRITTEN,),
    ),
    V("text behind", text=f"[TOOL_CALLS] [{ADD_J}]\nDone.", calls=(ADD,), content="Done."),
    V(
        "single quotes",
        text="[TOOL_CALLS] [{'name': 'ping', 'arguments': {}}]",
        calls=(PING,),
        notes=("quotes",),
    ),
    V("a brace too few", text=f"[TOOL_CALLS] [{ADD_J[:-1]}]", calls=(ADD,), notes=("brackets",)),
    V("a brace too many", text=f"[TOOL_CALLS] [{ADD_J}}}]", calls=(ADD,), notes=("braces",)),
    V(
        "arguments as a string",
        text='[TOOL_CALLS][{"name": "add", "arguments": "{\\"a\\": 1, \\"b\\": 2}"}]',
        calls=(ADD,),
        notes=("string",),
    ),
    V(
        "an unknown tool",
        text='[TOOL_CALLS] [{"name": "gone", "arguments": {}}]',
        content='[TOOL_CALLS] [{"name": "gone", "arguments": {}}]',
        notes=(BAD,),
    ),
    V(
        "an unknown tool behind a known one",
        text=f'[TOOL_CALLS] [{ADD_J}, {{"name": "gone"}}]',
        calls=(ADD,),
        content=', {"name": "gone"}]',
        notes=(BAD,),
    ),
    V("an empty list", text="[TOOL_CALLS] []", content="[TOOL_CALLS] []"),
]

HEADS = [
    V("a name and arguments", text=f"[TOOL_CALLS]add[ARGS]{ARGS}", calls=(ADD,)),
    V("an id", text=f"[TOOL_CALLS]add[CALL_ID]abcDEF123[ARGS]{ARGS}", calls=(ADD,)),
    V("an id that is none", text=f"[TOOL_CALLS]add[CALL_ID]call_7[ARGS]{ARGS}", calls=(ADD,)),
    V("no marker of arguments", text=f"[TOOL_CALLS]add{ARGS}", calls=(ADD,)),
    V("an id, and no marker of arguments", text=f"[TOOL_CALLS]add[CALL_ID]abcDEF123{ARGS}", calls=(ADD,)),
    V(
        "two calls, text before, with a head",
        text=f"I add.\n[TOOL_CALLS]add[ARGS]{ARGS}[TOOL_CALLS]ping[ARGS]{{}}",
        content="I add.\n",
        calls=(ADD, PING),
    ),
    V(
        "two calls with one id",
        text="[TOOL_CALLS]ping[CALL_ID]abcDEF123[ARGS]{}[TOOL_CALLS]ping[CALL_ID]abcDEF123[ARGS]{}",
        calls=(PING, PING),
    ),
    V("spaces", text=f"[TOOL_CALLS] add [ARGS] {ARGS}", calls=(ADD,)),
    V("text behind, with a head", text=f"[TOOL_CALLS]add[ARGS]{ARGS} Done.", calls=(ADD,), content="Done."),
    V("a name alone", text="[TOOL_CALLS]ping", calls=(PING,)),
    V("a name alone that needs arguments", text="[TOOL_CALLS]add", content="[TOOL_CALLS]add"),
    V("a name alone, cut", text="[TOOL_CALLS]ping", content="[TOOL_CALLS]ping", cut=True),
    V("a namespace", text=f"[TOOL_CALLS]functions.add[ARGS]{ARGS}", calls=(ADD,), notes=("name",)),
    V(
        "a brace too few, with a head",
        text=f"[TOOL_CALLS]add[ARGS]{ARGS[:-1]}[TOOL_CALLS]ping[ARGS]{{}}",
        calls=(ADD, PING),
        notes=("brackets",),
    ),
    V(
        "single quotes, True, a comma",
        text="[TOOL_CALLS]search[ARGS]{'query': 'x', 'exact': True,}",
        calls=(("search", {"query": "x", "exact": True}),),
        notes=("quotes", "words", "commas"),
    ),
    V(
        "single quotes, not allowed",
        text="[TOOL_CALLS]search[ARGS]{'query': 'x'}",
        broken=True,
        steps=ALL - {Step.QUOTES},
    ),
    V(
        "an unknown tool, with a head",
        text=f"[TOOL_CALLS]gone[ARGS]{ARGS}",
        content=f"[TOOL_CALLS]gone[ARGS]{ARGS}",
        notes=(BAD,),
    ),
    V(
        "the marker in prose",
        text=f"The token [TOOL_CALLS] begins a call. [TOOL_CALLS]add[ARGS]{ARGS}",
        content="The token [TOOL_CALLS] begins a call. ",
        calls=(ADD,),
    ),
    V("the marker at the end of prose", text="It is [TOOL_CALLS].", content="It is [TOOL_CALLS]."),
    V(
        "a file cut in the middle",
        text='[TOOL_CALLS]write_file[ARGS]{"path": "a", "content": "x = ',
        broken=True,
        cut=True,
    ),
    V("cut within the head", text="[TOOL_CALLS]add[CALL_", content="[TOOL_CALLS]add[CALL_", cut=True),
    V("cut behind the marker", text="Well.[TOOL_CALLS]", content="Well.[TOOL_CALLS]", cut=True),
]

REASONING = [
    V(
        "reasoning before",
        text=f"[THINK]I add.[/THINK]Yes.[TOOL_CALLS]add[ARGS]{ARGS}",
        reasoning="I add.",
        content="Yes.",
        calls=(ADD,),
    ),
    V(
        "reasoning of Magistral's first version",
        text=f"<think>\nI add.\n</think>\n[TOOL_CALLS]add{ARGS}",
        reasoning="I add.\n",
        calls=(ADD,),
    ),
    V("a thought without end", text="[THINK]I add", reasoning="I add"),
    V(
        "a call inside a thought",
        text=f"[THINK]I add.[TOOL_CALLS]add[ARGS]{ARGS}",
        reasoning="I add.",
        calls=(ADD,),
    ),
    V(
        "a draft is the call",
        text=f"[THINK]Say [TOOL_CALLS]add[ARGS]{ARGS}[/THINK][TOOL_CALLS]add[ARGS]{ARGS}",
        reasoning="Say ",
        calls=(ADD,),
    ),
    V(
        "a draft that does not fit",
        text="[THINK][TOOL_CALLS]add[ARGS]{}[/THINK]So.",
        reasoning="[TOOL_CALLS]add[ARGS]{}",
        content="So.",
        notes=(BAD,),
    ),
    V("opened by the prompt", text="Hm.[/THINK]Yes.", reasoning="Hm.", content="Yes.", reasoning_open=True),
]

VECTORS = [*LISTS, *HEADS, *REASONING]
