"""Families that write a list of JSON objects behind a marker: Granite 3, Nemotron, Phi, Apriel and MiniMax M1."""

from __future__ import annotations

from functools import partial

from toolcall_vectors import Vector

ADD = ("add", {"a": 1, "b": 2})
PING = ("ping", {})
ADD_J = '{"name": "add", "arguments": {"a": 1, "b": 2}}'
PING_J = '{"name": "ping", "arguments": {}}'
BOTH = f"[{ADD_J}, {PING_J}]"
TAGS = ("search", {"query": "x", "tags": ["]", "a"]})
TAGS_J = '{"name": "search", "arguments": {"query": "x", "tags": ["]", "a"]}}'
GONE_J = '{"name": "gone", "arguments": {}}'
BAD = "malformed"

G = partial(Vector, family="granite")
GRANITE = [
    G("one call", text=f"<|tool_call|>[{ADD_J}]", calls=(ADD,)),
    G("two calls, text before", text=f"Sure.\n<|tool_call|> {BOTH}", content="Sure.\n", calls=(ADD, PING)),
    G("another marker", text=f"<tool_call>{BOTH}", calls=(ADD, PING)),
    G("an object without a list", text=f"<tool_call>{ADD_J}</tool_call>", calls=(ADD,)),
    G(
        "a marker before each object",
        text=f"<function_call> {ADD_J}\n<function_call> {PING_J}",
        calls=(ADD, PING),
    ),
    G("no end of the list", text=f"<|tool_call|>[{ADD_J}, {PING_J}", calls=(ADD, PING)),
    G("arrays hold brackets", text=f"<|tool_call|>[{TAGS_J}]", calls=(TAGS,)),
    G("a brace too few", text=f"<|tool_call|>[{ADD_J[:-1]}]", calls=(ADD,), notes=("brackets",)),
    G(
        "single quotes",
        text="<|tool_call|>[{'name': 'ping', 'arguments': {}}]",
        calls=(PING,),
        notes=("quotes",),
    ),
    G("an unknown tool", text=f"<|tool_call|>[{GONE_J}]", content=f"<|tool_call|>[{GONE_J}]", notes=(BAD,)),
    G(
        "sentences round a thought",
        text="Here is my thought process:\nTwo numbers.\n\nHere is my response:\nThree.",
        reasoning="Two numbers.\n\n",
        content="Three.",
    ),
    G(
        "other sentences round a thought",
        text=f"Here's my thought process: Two.\nHere is my response:<|tool_call|>[{ADD_J}]",
        reasoning="Two.\n",
        calls=(ADD,),
    ),
    G("a sentence without end", text="Here is my thought process: Two", reasoning="Two"),
    G(
        "the sentences in an answer",
        text="They say: Here is my thought process: x. Here is my response: y.",
        content="They say: Here is my thought process: x. Here is my response: y.",
    ),
    G(
        "tags round a thought and an answer",
        text="<think>Two.</think>\n<response>\nThree.\n</response>\n",
        reasoning="Two.",
        content="Three.",
    ),
    G(
        "tags of an answer in an answer",
        text="In XML: <response>x</response>",
        content="In XML: <response>x</response>",
    ),
    G("a closer of an answer alone", text="x</response>", content="x</response>"),
    G("a call inside a thought", text=f"<think>Two.<|tool_call|>[{ADD_J}]", reasoning="Two.", calls=(ADD,)),
    G(
        "a file cut in the middle",
        text='<|tool_call|>[{"name": "write_file", "arguments": {"path": "a", "content": "x',
        broken=True,
        cut=True,
    ),
]

N = partial(Vector, family="nemotron")
NEMOTRON = [
    N("one call", text=f"<TOOLCALL>[{ADD_J}]</TOOLCALL>", calls=(ADD,)),
    N(
        "two calls, text around",
        text=f"Sure.\n<TOOLCALL>{BOTH}</TOOLCALL>\nDone.",
        content="Sure.\nDone.",
        calls=(ADD, PING),
    ),
    N(
        "arguments as a string",
        text='<TOOLCALL>[{"name": "add", "arguments": "{\\"a\\": 1, \\"b\\": 2}"}]</TOOLCALL>',
        calls=(ADD,),
        notes=("string",),
    ),
    N("no closer", text=f"<TOOLCALL>[{ADD_J}]", calls=(ADD,)),
    N("no end of the list", text=f"<TOOLCALL>[{ADD_J}</TOOLCALL>", calls=(ADD,)),
    N("braces too few", text=f"<TOOLCALL>[{ADD_J[:-2]}]</TOOLCALL>", calls=(ADD,), notes=("brackets",)),
    N(
        "opened by the prompt",
        text=f"I add.\n</think>\n\n<TOOLCALL>[{ADD_J}]</TOOLCALL>",
        reasoning="I add.\n",
        calls=(ADD,),
        reasoning_open=True,
    ),
    N("a token that leaks", text=f"<SPECIAL_12><TOOLCALL>[{ADD_J}]</TOOLCALL><SPECIAL_12>", calls=(ADD,)),
    N("the marker in prose", text="Use <TOOLCALL> for it.", content="Use <TOOLCALL> for it."),
    N(
        "an unknown tool",
        text=f"<TOOLCALL>[{GONE_J}]</TOOLCALL>",
        content=f"<TOOLCALL>[{GONE_J}]</TOOLCALL>",
        notes=(BAD,),
    ),
    N(
        "a draft is the call",
        text=f"<TOOLCALL>[{ADD_J}]</TOOLCALL></think><TOOLCALL>[{ADD_J}]</TOOLCALL>",
        calls=(ADD,),
        reasoning_open=True,
    ),
    N(
        "a file cut in the middle",
        text='<TOOLCALL>[{"name": "write_file", "arguments": {"path": "a", "content": "x',
        broken=True,
        cut=True,
    ),
]

P = partial(Vector, family="phi")
PHI = [
    P("one call", text=f"functools[{ADD_J}]", calls=(ADD,)),
    P("two calls", text=f"functools{BOTH}", calls=(ADD, PING)),
    P("markers", text=f"<|tool_call|>{BOTH}<|/tool_call|>", calls=(ADD, PING)),
    P("parameters", text='functools[{"name": "ping", "parameters": {}}]', calls=(PING,)),
    P("arrays hold brackets", text=f"functools[{TAGS_J}]", calls=(TAGS,)),
    P(
        "the module in prose",
        text="Use functools.cache or functools[0].",
        content="Use functools.cache or functools[0].",
    ),
    P("no end of the list", text=f"functools[{ADD_J}", calls=(ADD,)),
    P("a brace too many", text=f"functools[{ADD_J}}}]", calls=(ADD,), notes=("braces",)),
    P("an unknown tool", text=f"functools[{GONE_J}]", content=f"functools[{GONE_J}]", notes=(BAD,)),
    P(
        "a file cut in the middle",
        text='functools[{"name": "write_file", "arguments": {"path": "a", "content": "x',
        broken=True,
        cut=True,
    ),
    P("cut within the marker", text="functoo", content="functoo", cut=True),
]

A = partial(Vector, family="apriel")
APRIEL = [
    A("a list", text=f"<tool_calls>{BOTH}</tool_calls>", calls=(ADD, PING)),
    A("a call in each line", text=f"<tool_calls>\n{ADD_J}\n{PING_J}\n</tool_calls>", calls=(ADD, PING)),
    A(
        "reasoning before",
        text=f"<think>hm</think>\nSure. <tool_calls>[{ADD_J}]</tool_calls>",
        reasoning="hm",
        content="Sure. ",
        calls=(ADD,),
    ),
    A(
        "an unknown tool",
        text=f"<tool_calls>[{GONE_J}]</tool_calls>",
        content=f"<tool_calls>[{GONE_J}]</tool_calls>",
        notes=(BAD,),
    ),
]

VECTORS = [*GRANITE, *NEMOTRON, *PHI, *APRIEL]
