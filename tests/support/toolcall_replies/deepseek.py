"""DeepSeek V3, R1 and V3.1: a head between full-width bars, then JSON, in a fence or not."""

from __future__ import annotations

from functools import partial

from toolcall_vectors import Vector

V = partial(Vector, family="deepseek")
ADD = ("add", {"a": 1, "b": 2})
PING = ("ping", {})
ARGS = '{"a": 1, "b": 2}'
BAD = "malformed"


def mark(word: str) -> str:
    return "<\uff5c" + word.replace(" ", "\u2581") + "\uff5c>"


BEGIN, END, SEP = mark("tool call begin"), mark("tool call end"), mark("tool sep")


def v3(name: str, arguments: str) -> str:
    return f"{BEGIN}function{SEP}{name}\n```json\n{arguments}\n```{END}"


def v31(name: str, arguments: str) -> str:
    return f"{BEGIN}{name}{SEP}{arguments}{END}"


def section(*calls: str, between: str = "") -> str:
    return mark("tool calls begin") + between.join(calls) + mark("tool calls end")


FENCED = v3("add", ARGS)
SHORT = v31("add", ARGS)
GONE = v3("gone", "{}")

VECTORS = [
    V("a fence", text=section(FENCED), calls=(ADD,)),
    V("two fences", text=section(FENCED, v3("ping", "{}"), between="\n"), calls=(ADD, PING)),
    V("a head alone", text=section(SHORT), calls=(ADD,)),
    V("two heads", text=section(SHORT, v31("ping", "{}")), calls=(ADD, PING)),
    V("text before", text=f"I add.\n{section(FENCED)}", content="I add.\n", calls=(ADD,)),
    V("text behind", text=f"{section(SHORT)}\nDone.", content="Done.", calls=(ADD,)),
    V("no section", text=f"Well. {SHORT}", content="Well. ", calls=(ADD,)),
    V("no end of the section", text=section(FENCED).removesuffix(mark("tool calls end")), calls=(ADD,)),
    V("no end at all", text=f"{BEGIN}add{SEP}{ARGS}", calls=(ADD,)),
    V("no end of a fence", text=section(f"{BEGIN}function{SEP}add\n```json\n{ARGS}\n{END}"), calls=(ADD,)),
    V("no fence behind the word", text=section(f"{BEGIN}function{SEP}add\n{ARGS}{END}"), calls=(ADD,)),
    V("another fence", text=section(f"{BEGIN}function{SEP}add\n```\n{ARGS}\n```{END}"), calls=(ADD,)),
    V(
        "an end between calls is missing",
        text=section(f"{BEGIN}add{SEP}{ARGS}", v31("ping", "{}")),
        calls=(ADD, PING),
    ),
    V("a name alone", text=section(f"{BEGIN}ping{SEP}{END}"), calls=(PING,)),
    V("a brace too few", text=section(v31("add", ARGS[:-1])), calls=(ADD,), notes=("brackets",)),
    V("a brace too few in a fence", text=section(v3("add", ARGS[:-1])), calls=(ADD,), notes=("brackets",)),
    V("a brace too many", text=section(v31("add", ARGS + "}")), calls=(ADD,), notes=("braces",)),
    V("a brace and a fence too many", text=section(v3("add", ARGS + "}")), calls=(ADD,), notes=("braces",)),
    V(
        "a fence in a string",
        text=section(v3("write_file", '{"path": "a", "content": "```json\\n{}\\n```"}')),
        calls=(("write_file", {"path": "a", "content": "```json\n{}\n```"}),),
    ),
    V("a namespace", text=section(v31("functions.add", ARGS)), calls=(ADD,), notes=("name",)),
    V("an unknown tool", text=section(GONE), content=section(GONE), notes=(BAD,)),
    V(
        "a known tool behind an unknown one",
        text=section(GONE, FENCED),
        content=mark("tool calls begin") + GONE,
        calls=(ADD,),
        notes=(BAD,),
    ),
    V(
        "the marker in prose",
        text=f"{BEGIN} begins a call. {SHORT}",
        content=f"{BEGIN} begins a call. ",
        calls=(ADD,),
    ),
    V(
        "the section in prose",
        text=f"{mark('tool calls begin')} is a token.",
        content=f"{mark('tool calls begin')} is a token.",
    ),
    V("an example in a fence", text=f"```\n{SHORT}\n```\n", content=f"```\n{SHORT}\n```\n"),
    V(
        "reasoning before",
        text=f"<think>\nI add.\n</think>\n\n{section(FENCED)}",
        reasoning="I add.\n",
        calls=(ADD,),
    ),
    V(
        "opened by the prompt",
        text=f"I add.\n</think>\n\n{section(SHORT)}",
        reasoning="I add.\n",
        calls=(ADD,),
        reasoning_open=True,
    ),
    V("a closer without reasoning", text=f"</think>\n{section(SHORT)}", calls=(ADD,)),
    V(
        "a call inside a thought",
        text=f"I add.\n{SHORT}",
        reasoning="I add.\n",
        calls=(ADD,),
        reasoning_open=True,
    ),
    V(
        "a draft is the call",
        text=f"Say {SHORT}\n</think>{section(SHORT)}",
        reasoning="Say ",
        calls=(ADD,),
        reasoning_open=True,
    ),
    V(
        "a draft that does not fit",
        text=f"{v31('add', '{}')}</think>So.",
        reasoning=v31("add", "{}"),
        content="So.",
        notes=(BAD,),
        reasoning_open=True,
    ),
    V(
        "a file cut in the middle",
        text=f'{BEGIN}write_file{SEP}{{"path": "a", "content": "x',
        broken=True,
        cut=True,
    ),
    V(
        "cut within the head",
        text=f"{BEGIN}function{SEP}add\n``",
        content=f"{BEGIN}function{SEP}add\n``",
        cut=True,
    ),
    V(
        "a tool of the name function",
        text=section(v31("function", "{}")),
        content=section(v31("function", "{}")),
        notes=(BAD,),
    ),
]
