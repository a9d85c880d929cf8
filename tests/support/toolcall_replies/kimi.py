"""Kimi K2: ids that name the tool, `functions.NAME:N`, then the arguments."""

from __future__ import annotations

from functools import partial

from toolcall_vectors import INTEGER, TOOLS, Vector, tool

from cortex.protocol.toolcalls.steps import ALL, Step

V = partial(Vector, family="kimi")
ADD = ("add", {"a": 1, "b": 2})
PING = ("ping", {})
ARGS = '{"a": 1, "b": 2}'
BEGIN, ARGUMENTS, END = "<|tool_call_begin|>", "<|tool_call_argument_begin|>", "<|tool_call_end|>"
FIRST, LAST = "<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"
BAD = "malformed"


def call(id_: str, arguments: str = ARGS) -> str:
    return f"{BEGIN}{id_}{ARGUMENTS}{arguments}{END}"


def section(*calls: str) -> str:
    return FIRST + "".join(calls) + LAST


ONE = section(call("functions.add:0"))

VECTORS = [
    V("one call", text=ONE, calls=(ADD,)),
    V("two calls", text=section(call("functions.add:3"), call("functions.ping:4", "{}")), calls=(ADD, PING)),
    V("text before and behind", text=f"Sure.\n{ONE}Done.", content="Sure.\nDone.", calls=(ADD,)),
    V("spaces", text=f"{FIRST}\n{BEGIN} functions.add:0\n{ARGUMENTS} {ARGS}\n{END}\n{LAST}", calls=(ADD,)),
    V(
        "the same id twice",
        text=section(call("functions.ping:0", "{}"), call("functions.ping:0", "{}")),
        calls=(PING, PING),
    ),
    V("another word for the section", text=ONE.replace("calls_section", "call_section"), calls=(ADD,)),
    V("no section", text=call("functions.add:0"), calls=(ADD,)),
    V("no end of the section", text=ONE.removesuffix(LAST), calls=(ADD,)),
    V("no end at all", text=ONE.removesuffix(END + LAST), calls=(ADD,)),
    V(
        "no end between calls",
        text=section(f"{BEGIN}functions.add:0{ARGUMENTS}{ARGS}", call("functions.ping:1", "{}")),
        calls=(ADD, PING),
    ),
    V("no marker of arguments", text=section(f"{BEGIN}functions.add:0{ARGS}{END}"), calls=(ADD,)),
    V("underscores for points", text=section(call("functions_add_1")), calls=(ADD,), notes=("name",)),
    V("nothing for points", text=section(call("functionsadd5")), calls=(ADD,), notes=("name",)),
    V("a name alone", text=section(call("add")), calls=(ADD,)),
    V("a name and a number", text=section(call("add:0")), calls=(ADD,), notes=("name",)),
    V(
        "a name that ends in a digit",
        text=section(call("functions_add2", '{"a": 1}'), call("functions_add2_7", '{"a": 1}')),
        calls=(("add2", {"a": 1}), ("add2", {"a": 1})),
        notes=("name",),
        tools=(*TOOLS, tool("add2", {"a": INTEGER}, "a")),
    ),
    V(
        "the name inside",
        text=section(call("call_x", '{"name": "add", "arguments": {"a": 1, "b": 2}}')),
        calls=(ADD,),
    ),
    V(
        "the name inside, behind a wild id",
        text=section(call("chatcmpl-tool-9f", '{"arguments": {"a": 1, "b": 2}, "name": "add"}')),
        calls=(ADD,),
    ),
    V("an id of nothing", text=section(call("call_x")), content=section(call("call_x")), notes=(BAD,)),
    V(
        "a wild id that may not be mended",
        text=section(call("functions_add_1")),
        content=section(call("functions_add_1")),
        notes=(BAD,),
        steps=ALL - {Step.NAME},
    ),
    V("another case", text=section(call("functions.Add:0")), calls=(ADD,), notes=("name",)),
    V("a brace too few", text=section(call("functions.add:0", ARGS[:-1])), calls=(ADD,), notes=("brackets",)),
    V("braces too many", text=section(call("functions.add:0", ARGS + "}}")), calls=(ADD,), notes=("braces",)),
    V("no arguments where none are needed", text=f"{FIRST}{BEGIN}functions.ping:0{ARGUMENTS}", calls=(PING,)),
    V(
        "an unknown tool",
        text=section(call("functions.gone:0")),
        content=section(call("functions.gone:0")),
        notes=(BAD,),
    ),
    V(
        "the marker in prose",
        text=f"Write {BEGIN} first. {ONE}",
        content=f"Write {BEGIN} first. ",
        calls=(ADD,),
    ),
    V("the section in prose", text=f"{FIRST} begins it.", content=f"{FIRST} begins it."),
    V("reasoning before", text=f"<think>I add.</think>{ONE}", reasoning="I add.", calls=(ADD,)),
    V(
        "a call inside a thought",
        text=f"<think>I add.{call('functions.add:0')}",
        reasoning="I add.",
        calls=(ADD,),
    ),
    V("a draft is the call", text=f"<think>{call('functions.add:0')}</think>{ONE}", calls=(ADD,)),
    V(
        "a file cut in the middle",
        text=f'{FIRST}{BEGIN}functions.write_file:0{ARGUMENTS}{{"path": "a", "content": "x',
        broken=True,
        cut=True,
    ),
    V(
        "cut within the id",
        text=f"{FIRST}{BEGIN}functions.add",
        content=f"{FIRST}{BEGIN}functions.add",
        cut=True,
    ),
    V(
        "cut within the marker",
        text=f"{FIRST}{BEGIN}functions.add:0<|tool_",
        content=f"{FIRST}{BEGIN}functions.add:0<|tool_",
        cut=True,
    ),
]
