"""Qwen XML: Qwen3-Coder, Qwen3.5 and later, Nemotron 3, Step-3.5; and the same body where Hermes has its JSON."""

from __future__ import annotations

from toolcall_vectors import INTEGER, STRING, Vector, tool

from cortex.protocol.request import ToolSpec

F = "qwen-xml"
ADD = (
    "<tool_call>\n<function=add>\n<parameter=a>\n1\n</parameter>\n<parameter=b>\n2\n</parameter>\n"
    "</function>\n</tool_call>"
)
ADDED = ("add", {"a": 1, "b": 2})
PING = "<tool_call>\n<function=ping>\n</function>\n</tool_call>"
PINGED = ("ping", {})
HEAD = "<tool_call>\n<function=write_file>\n<parameter=path>\na.py\n</parameter>\n<parameter=content>\n"
TAIL = "\n</parameter>\n</function>\n</tool_call>"


def wrote(content: str) -> tuple[tuple[str, dict[str, str]], ...]:
    return (("write_file", {"path": "a.py", "content": content}),)


def searching(key: str, value: str) -> str:
    return (
        f"<tool_call>\n<function=search>\n<parameter=query>\nx\n</parameter>\n<parameter={key}>\n{value}\n"
        "</parameter>\n</function>\n</tool_call>"
    )


def searched(**more: object) -> tuple[tuple[str, dict[str, object]], ...]:
    return (("search", {"query": "x", **more}),)


OPEN = ToolSpec(name="open")
ODD = tool(
    "odd",
    {
        "n": {"anyOf": [INTEGER, {"type": "null"}]},
        "any": {},
        "s_or_list": {"type": ["string", "array"]},
        "größe": STRING,
    },
)


def odd(key: str, value: str) -> str:
    return f"<tool_call>\n<function=odd>\n<parameter={key}>\n{value}\n</parameter>\n</function>\n</tool_call>"


USUAL = [
    Vector("one call", F, ADD, calls=(ADDED,)),
    Vector("text before", F, "Sure.\n\n" + ADD + "\n", content="Sure.\n\n", calls=(ADDED,)),
    Vector("text behind", F, ADD + "\nDone.", content="Done.", calls=(ADDED,)),
    Vector("no arguments", F, PING, calls=(PINGED,)),
    Vector("two calls", F, ADD + "\n" + PING, calls=(ADDED, PINGED)),
    Vector("three calls with text between", F, f"{PING}a{ADD}b{PING}", "ab", calls=(PINGED, ADDED, PINGED)),
    Vector("all on one line", F, ADD.replace("\n", ""), calls=(ADDED,)),
    Vector("windows line breaks round tags", F, ADD.replace(">\n<", ">\r\n<"), calls=(ADDED,)),
    Vector(
        "reasoning first",
        F,
        "<think>\nI must add.\n</think>\n\n" + ADD,
        reasoning="I must add.\n",
        calls=(ADDED,),
    ),
    Vector("reasoning is open", F, "Hm.\n</think>\n\n" + ADD, "", "Hm.\n", (ADDED,), reasoning_open=True),
    Vector("an empty think block", F, "<think>\n\n</think>\n\n" + ADD, calls=(ADDED,)),
    Vector("reasoning never closed", F, "<think>\nHm", reasoning="Hm"),
    Vector("tools are not on offer", F, ADD, content=ADD, tools=()),
    Vector("hermes json in the block", F, '<tool_call>\n{"name": "ping"}\n</tool_call>', calls=(PINGED,)),
    Vector(
        "json behind the name",
        F,
        '<tool_call>\n<function=add>\n{"a": 1, "b": 2}\n</function>\n</tool_call>',
        calls=(ADDED,),
    ),
]
WILD = [
    Vector("the opener is missing", F, ADD.removeprefix("<tool_call>\n"), calls=(ADDED,)),
    Vector("the opener is missing behind text", F, "Now " + ADD[12:] + "ok", "Now ok", calls=(ADDED,)),
    Vector("opener and closer are missing", F, ADD[12:-13], calls=(ADDED,)),
    Vector(
        "a parameter is closed by the function",
        F,
        ADD.replace("2\n</parameter>", "2"),
        calls=(ADDED,),
        notes=("brackets",),
    ),
    Vector(
        "a parameter is closed by the function, and the text ends",
        F,
        ADD.replace("2\n</parameter>", "2").removesuffix("\n</tool_call>"),
        calls=(ADDED,),
        notes=("brackets",),
    ),
    Vector(
        "a parameter is closed by the block",
        F,
        ADD.replace("2\n</parameter>\n</function>", "2"),
        calls=(ADDED,),
        notes=("brackets",),
    ),
    Vector(
        "the function is not closed", F, ADD.replace("</function>\n", ""), "", "", (ADDED,), ("brackets",)
    ),
    Vector(
        "the text ends behind a parameter",
        F,
        ADD.removesuffix("</function>\n</tool_call>"),
        calls=(ADDED,),
        notes=("brackets",),
    ),
    Vector("the block is not closed", F, ADD.removesuffix("</tool_call>"), calls=(ADDED,)),
    Vector("blocks are not closed", F, f"{ADD[:-12]}{PING[:-12]}{ADD[:-12]}", "", "", (ADDED, PINGED, ADDED)),
    Vector(
        "two functions in a block",
        F,
        ADD[:-12] + PING[12:],
        calls=(ADDED, PINGED),
    ),
    Vector(
        "a second end of reasoning",
        F,
        "Hm</think>\n\n</think>\n\n" + ADD,
        "",
        "Hm",
        (ADDED,),
        reasoning_open=True,
    ),
    Vector("an end of reasoning alone", F, "</think>\n\nHi", content="Hi"),
    Vector("an end of reasoning in an answer", F, "Write </think> last.", content="Write </think> last."),
    Vector(
        "a call before the end of reasoning",
        F,
        f"Hm.\n{ADD}\n</think>\n\n",
        reasoning="Hm.\n",
        calls=(ADDED,),
        reasoning_open=True,
    ),
    Vector(
        "a draft that comes again",
        F,
        f"Hm.\n{ADD}\n</think>\n\n{ADD}\n{ADD}",
        reasoning="Hm.\n",
        calls=(ADDED, ADDED),
        reasoning_open=True,
    ),
    Vector(
        "a draft that does not fit",
        F,
        f"Say {ADD.replace('2', 'two')} or so.\n</think>\n\n{ADD}",
        reasoning=f"Say {ADD.replace('2', 'two')} or so.\n",
        calls=(ADDED,),
        notes=("malformed",),
        reasoning_open=True,
    ),
    Vector(
        "a draft without its end",
        F,
        "I do <tool_call>\n<function=ping>\n</think>\nYes.",
        "Yes.",
        "I do ",
        (PINGED,),
        ("brackets",),
        reasoning_open=True,
    ),
    Vector(
        "drafts without opener",
        F,
        f"{ADD[12:]}\n{PING[12:]}</think>{PING}",
        calls=(ADDED, PINGED),
        reasoning_open=True,
    ),
    Vector("a call in a fence", F, f"```\n{ADD}\n```", content=f"```\n{ADD}\n```"),
    Vector("a tool in another case", F, ADD.replace("=add", "=Add"), "", "", (ADDED,), ("name",)),
    Vector(
        "a tool in a namespace", F, PING.replace("=ping", "=functions.ping"), "", "", (PINGED,), ("name",)
    ),
    Vector(
        "an unknown tool", F, PING.replace("ping", "pong"), PING.replace("ping", "pong"), notes=("malformed",)
    ),
    Vector(
        "an unknown tool, then a known one",
        F,
        PING.replace("ping", "pong") + "\n" + ADD,
        content=PING.replace("ping", "pong") + "\n",
        calls=(ADDED,),
        notes=("malformed",),
    ),
    Vector(
        "the markers in prose",
        F,
        "<tool_call> wraps <function=…>.",
        "<tool_call> wraps <function=…>.",
        notes=("malformed",),
    ),
    Vector("a function without end of name", F, "<function=add", content="<function=add"),
    Vector("a function of the text's own", F, "f <function=g(x) = y", content="f <function=g(x) = y"),
    Vector(
        "a known name in prose",
        F,
        "Use <function=add> for it.",
        content="Use <function=add> for it.",
        notes=("malformed",),
    ),
    Vector(
        "a name that is too long",
        F,
        f"<function={'x' * 200}>",
        content=f"<function={'x' * 200}>",
    ),
    Vector(
        "needed arguments are missing", F, "<function=add>", content="<function=add>", notes=("malformed",)
    ),
    Vector(
        "a key that comes twice", F, HEAD + "x\n</parameter>\n<parameter=path>\nb\n</parameter>", broken=True
    ),
    Vector("half a pair of surrogates", F, HEAD + "x\ud800y" + TAIL, broken=True),
]
VALUES = [
    Vector("a string that looks like a number", F, HEAD + "42" + TAIL, calls=wrote("42")),
    Vector("a string that looks like null", F, HEAD + "null" + TAIL, calls=wrote("null")),
    Vector("a string that looks like an object", F, HEAD + '{"a": 1}' + TAIL, calls=wrote('{"a": 1}')),
    Vector("an empty string", F, HEAD + TAIL, calls=wrote("")),
    Vector("a string of spaces", F, HEAD + "  \t" + TAIL, calls=wrote("  \t")),
    Vector("one line break each side is the tags'", F, HEAD + "\n x \n" + TAIL, calls=wrote("\n x \n")),
    Vector("line breaks alone", F, HEAD + "\n\n" + TAIL, calls=wrote("\n\n")),
    Vector("quotes and backslashes", F, HEAD + '"\\n" \\' + TAIL, calls=wrote('"\\n" \\')),
    Vector("control characters", F, HEAD + "\x00\x1b\x7f\r\n\f" + TAIL, calls=wrote("\x00\x1b\x7f\r\n\f")),
    Vector("any language", F, HEAD + "größe 漢字 😀 \u2028" + TAIL, calls=wrote("größe 漢字 😀 \u2028")),
    Vector("entities stay", F, HEAD + "a &lt; b &amp;" + TAIL, calls=wrote("a &lt; b &amp;")),
    Vector("markup", F, HEAD + "<a href='x'>y</a> < </p" + TAIL, calls=wrote("<a href='x'>y</a> < </p")),
    Vector("the closer in a file", F, HEAD + "x\n</parameter>\ny" + TAIL, calls=wrote("x\n</parameter>\ny")),
    Vector(
        "the closer twice",
        F,
        HEAD + "x\n</parameter>\n\n</parameter>\n" + TAIL,
        calls=wrote("x\n</parameter>\n\n</parameter>\n"),
    ),
    Vector(
        "the function's closer in a file",
        F,
        HEAD + "a</function>b\n</function>\n\nc" + TAIL,
        calls=wrote("a</function>b\n</function>\n\nc"),
    ),
    Vector("the block's closer in a file", F, HEAD + "a</tool_call>b" + TAIL, calls=wrote("a</tool_call>b")),
    Vector(
        "a call's beginning in a file",
        F,
        HEAD + "<tool_call>\n<function=add>" + TAIL,
        calls=wrote("<tool_call>\n<function=add>"),
    ),
    Vector(
        "a parameter's beginning in a file", F, HEAD + "<parameter=x>" + TAIL, calls=wrote("<parameter=x>")
    ),
    Vector(
        "a closer and half a tag in a file",
        F,
        HEAD + "</parameter> <parameter= x" + TAIL,
        calls=wrote("</parameter> <parameter= x"),
    ),
    Vector("think tags in a file", F, HEAD + "<think>x</think>" + TAIL, calls=wrote("<think>x</think>")),
    Vector("an integer", F, searching("limit", "7"), calls=searched(limit=7)),
    Vector("a boolean", F, searching("exact", "true"), calls=searched(exact=True)),
    Vector("a boolean as Python has it", F, searching("exact", "False"), calls=searched(exact=False)),
    Vector("a number", F, searching("boost", "-1.50e3"), calls=searched(boost=-1500.0)),
    Vector("a number with spaces", F, searching("boost", "  3 "), calls=searched(boost=3)),
    Vector("an array", F, searching("tags", '["a",\n "b"]'), calls=searched(tags=["a", "b"])),
    Vector("an array as Python has it", F, searching("tags", "['a', 'b']"), calls=searched(tags=["a", "b"])),
    Vector("an object", F, searching("filters", '{"a": [null]}'), calls=searched(filters={"a": [None]})),
    Vector("a null", F, searching("after", "null"), calls=searched(after=None)),
    Vector("a string where null may stand", F, searching("after", "5"), calls=searched(after="5")),
    Vector("text that is no boolean", F, searching("exact", "maybe"), calls=searched(exact="maybe")),
    Vector("broken json", F, searching("tags", '["a", '), calls=searched(tags='["a", ')),
    Vector("an unknown key", F, searching("page", "3"), calls=searched(page=3)),
    Vector("an unknown key with text", F, searching("lang", "de\nen"), calls=searched(lang="de\nen")),
    Vector("an endless number", F, searching("boost", "1e999"), calls=searched(boost=float("inf"))),
    Vector(
        "no schema",
        F,
        PING.replace("ping>", "open>\n<parameter=x>\n[1]\n</parameter>"),
        calls=(("open", {"x": [1]}),),
        tools=(OPEN,),
    ),
    Vector(
        "no schema and no json",
        F,
        PING.replace("ping>", "open>\n<parameter=x>\na b\n</parameter>"),
        calls=(("open", {"x": "a b"}),),
        tools=(OPEN,),
    ),
    Vector("one of two types", F, odd("n", "5"), calls=(("odd", {"n": 5}),), tools=(ODD,)),
    Vector("the other of two types", F, odd("n", "None"), calls=(("odd", {"n": None}),), tools=(ODD,)),
    Vector("any type", F, odd("any", "true"), calls=(("odd", {"any": True}),), tools=(ODD,)),
    Vector(
        "a list where text may stand",
        F,
        odd("s_or_list", "[1]"),
        calls=(("odd", {"s_or_list": [1]}),),
        tools=(ODD,),
    ),
    Vector(
        "text where a list may stand",
        F,
        odd("s_or_list", "[1"),
        calls=(("odd", {"s_or_list": "[1"}),),
        tools=(ODD,),
    ),
    Vector("a key in any language", F, odd("größe", "1"), calls=(("odd", {"größe": "1"}),), tools=(ODD,)),
    Vector("a key in quotes", F, odd('"n"', "1"), calls=(("odd", {"n": 1}),), tools=(ODD,)),
]
CUT = [
    Vector("cut in a file", F, HEAD + "def f(", broken=True, cut=True),
    Vector("cut behind a closer", F, HEAD + "x\n</parameter>", broken=True, cut=True),
    Vector("cut behind the function", F, HEAD + "x\n</parameter>\n</function>", calls=wrote("x"), cut=True),
    Vector("cut in the name", F, "<tool_call>\n<function=wri", "<tool_call>\n<function=wri", cut=True),
    Vector("cut before anything left", F, HEAD[:45], HEAD[:45], notes=("malformed",), cut=True),
    Vector("cut in a number", F, ADD[:48], ADD[:48], notes=("malformed",), cut=True),
    Vector("a file without end", F, HEAD + "def f(", broken=True),
    Vector("the beginning of a parameter at the end", F, HEAD + "x\n</parameter>\n<param", broken=True),
]
H = "hermes"
IN_HERMES = [
    Vector("xml in the block", H, ADD, calls=(ADDED,)),
    Vector("xml and json", H, f'{PING}\n<tool_call>{{"name":"ping"}}</tool_call>', calls=(PINGED, PINGED)),
    Vector(
        "xml whose function is not closed",
        H,
        ADD.replace("</function>\n", ""),
        "",
        "",
        (ADDED,),
        ("brackets",),
    ),
    Vector(
        "xml with json for arguments",
        H,
        '<tool_call><function=add>{"a":1,"b":2}</function></tool_call>x',
        "x",
        "",
        (ADDED,),
    ),
    Vector("xml cut in a file", H, HEAD + "def f(", broken=True, cut=True),
    Vector("other xml", H, "<tool_call><add/></tool_call>", "<tool_call><add/></tool_call>"),
]
VECTORS = [*USUAL, *WILD, *VALUES, *CUT, *IN_HERMES]
