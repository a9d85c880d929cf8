"""GLM 4.5 to 4.7 and those that write alike: the name bare, then keys and values in turn."""

from __future__ import annotations

from toolcall_vectors import Vector

F = "glm"
ADD = (
    "<tool_call>add\n<arg_key>a</arg_key>\n<arg_value>1</arg_value>\n"
    "<arg_key>b</arg_key>\n<arg_value>2</arg_value>\n</tool_call>"
)
TIGHT = ADD.replace("\n", "")
ADDED = ("add", {"a": 1, "b": 2})
PING = "<tool_call>ping</tool_call>"
PINGED = ("ping", {})
HEAD = "<tool_call>write_file\n<arg_key>path</arg_key>\n<arg_value>a.py</arg_value>\n<arg_key>content</arg_key>\n<arg_value>"
TAIL = "</arg_value>\n</tool_call>"


def wrote(content: str) -> tuple[tuple[str, dict[str, str]], ...]:
    return (("write_file", {"path": "a.py", "content": content}),)


def searching(key: str, value: str) -> str:
    return (
        "<tool_call>search<arg_key>query</arg_key><arg_value>x</arg_value>"
        f"<arg_key>{key}</arg_key><arg_value>{value}</arg_value></tool_call>"
    )


def searched(**more: object) -> tuple[tuple[str, dict[str, object]], ...]:
    return (("search", {"query": "x", **more}),)


USUAL = [
    Vector("one call", F, ADD, calls=(ADDED,)),
    Vector("without line breaks", F, TIGHT, calls=(ADDED,)),
    Vector("text round it", F, f"Sure.\n{ADD}\nDone.", "Sure.\nDone.", calls=(ADDED,)),
    Vector("two calls", F, f"{ADD}\n{TIGHT}", calls=(ADDED, ADDED)),
    Vector("no arguments", F, PING, calls=(PINGED,)),
    Vector("no arguments, with a line break", F, "<tool_call>ping\n</tool_call>", calls=(PINGED,)),
    Vector("no arguments, then a call", F, f"{PING}{TIGHT}", calls=(PINGED, ADDED)),
    Vector("reasoning first", F, f"<think>Hm.</think>\n{ADD}", reasoning="Hm.", calls=(ADDED,)),
    Vector("reasoning is open", F, f"Hm.</think>{TIGHT}", "", "Hm.", (ADDED,), reasoning_open=True),
    Vector("an end of reasoning alone", F, f"\n</think>\n{TIGHT}", calls=(ADDED,)),
    Vector("reasoning between calls", F, f"{PING}<think>So.</think>{PING}", "", "So.", (PINGED, PINGED)),
    Vector("reasoning never closed", F, "Hm.", reasoning="Hm.", reasoning_open=True),
    Vector("hermes json in the block", F, '<tool_call>{"name": "ping"}</tool_call>', calls=(PINGED,)),
]
WILD = [
    Vector("json behind the name", F, '<tool_call>add {"a": 1, "b": 2}</tool_call>', calls=(ADDED,)),
    Vector(
        "json below the name", F, '<tool_call>add\n{"a": 1, "b": 2}\n</tool_call>ok', "ok", calls=(ADDED,)
    ),
    Vector(
        "json next to the name",
        F,
        '<tool_call>add{"a": 1, "b": 2,}</tool_call>',
        "",
        "",
        (ADDED,),
        ("commas",),
    ),
    Vector(
        "a key closed twice",
        F,
        TIGHT.replace("a</arg_key>", "a</arg_key></arg_key>"),
        "",
        "",
        (ADDED,),
        ("braces",),
    ),
    Vector(
        "a name behind which a value is closed",
        F,
        "<tool_call>ping</arg_value></tool_call>",
        "",
        "",
        (PINGED,),
        ("braces",),
    ),
    Vector(
        "a value that is not opened", F, ADD.replace("<arg_value>1", "1"), "", "", (ADDED,), ("brackets",)
    ),
    Vector(
        "a value that is not closed", F, TIGHT.replace("2</arg_value>", "2"), "", "", (ADDED,), ("brackets",)
    ),
    Vector(
        "a block that is not closed", F, TIGHT.removesuffix("</tool_call>"), "", "", (ADDED,), ("brackets",)
    ),
    Vector("a bare name at the end", F, "<tool_call>ping", "", "", (PINGED,), ("brackets",)),
    Vector("a bare name that needs arguments", F, "<tool_call>add", "<tool_call>add"),
    Vector(
        "a name, then the next call", F, f"<tool_call>ping\n{PING}", "", "", (PINGED, PINGED), ("brackets",)
    ),
    Vector("a doubled opener", F, f"<tool_call>{TIGHT}", "<tool_call>", calls=(ADDED,)),
    Vector("a call inside reasoning", F, f"Hm.{TIGHT}</think>", "", "Hm.", (ADDED,), reasoning_open=True),
    Vector("a draft that comes again", F, f"{TIGHT}</think>{TIGHT}", calls=(ADDED,), reasoning_open=True),
    Vector(
        "a draft of a word", F, "No <tool_call>s.</think>Hi", "Hi", "No <tool_call>s.", reasoning_open=True
    ),
    Vector("a call in a fence", F, f"```\n{TIGHT}\n```", f"```\n{TIGHT}\n```"),
    Vector(
        "the marker in prose",
        F,
        "A <tool_call> tag, and </tool_call>.",
        "A <tool_call> tag, and </tool_call>.",
    ),
    Vector("a tool's name in prose", F, "A <tool_call>ping is small.", "A <tool_call>ping is small."),
    Vector(
        "an unknown tool", F, TIGHT.replace("add", "sub"), TIGHT.replace("add", "sub"), notes=("malformed",)
    ),
    Vector(
        "an unknown tool without arguments",
        F,
        "<tool_call>pong</tool_call>",
        "<tool_call>pong</tool_call>",
        notes=("malformed",),
    ),
    Vector("a tool in another case", F, TIGHT.replace("add", "ADD"), "", "", (ADDED,), ("name",)),
    Vector("nothing in the block", F, "<tool_call></tool_call>", "<tool_call></tool_call>"),
    Vector(
        "a name that is too long",
        F,
        f"<tool_call>{'x' * 200}</tool_call>",
        f"<tool_call>{'x' * 200}</tool_call>",
    ),
    Vector("a key that comes twice", F, HEAD + "x</arg_value><arg_key>path</arg_key>", broken=True),
    Vector("spaces round a key", F, TIGHT.replace(">a<", "> a\n<"), calls=(ADDED,)),
]
VALUES = [
    Vector("nothing is trimmed", F, HEAD + "\n  x \n" + TAIL, calls=wrote("\n  x \n")),
    Vector("an empty string", F, HEAD + TAIL, calls=wrote("")),
    Vector("a string that looks like a number", F, HEAD + "007" + TAIL, calls=wrote("007")),
    Vector("any language", F, HEAD + "größe 漢字 😀" + TAIL, calls=wrote("größe 漢字 😀")),
    Vector("quotes", F, HEAD + '{"a": "\\n"}' + TAIL, calls=wrote('{"a": "\\n"}')),
    Vector("the closer in a file", F, HEAD + "a</arg_value>\nb" + TAIL, calls=wrote("a</arg_value>\nb")),
    Vector("the closer twice", F, HEAD + "a</arg_value>\n" + TAIL, calls=wrote("a</arg_value>\n")),
    Vector(
        "the block's closer in a file", F, HEAD + "a</tool_call>\nb" + TAIL, calls=wrote("a</tool_call>\nb")
    ),
    Vector("a call in a file", F, HEAD + PING + "\n" + TAIL, calls=wrote(PING + "\n")),
    Vector("a key in a file", F, HEAD + "<arg_key>k</arg_key>" + TAIL, calls=wrote("<arg_key>k</arg_key>")),
    Vector(
        "a closer and half a key in a file",
        F,
        HEAD + "</arg_value><arg_kex>" + TAIL,
        calls=wrote("</arg_value><arg_kex>"),
    ),
    Vector("an integer", F, searching("page", "7"), calls=searched(page=7)),
    Vector("a boolean", F, searching("exact", "true"), calls=searched(exact=True)),
    Vector("an array on lines of its own", F, searching("tags", '\n["a"]\n'), calls=searched(tags=["a"])),
    Vector(
        "an object", F, searching("filters", '{"a": {"b": []}}'), calls=searched(filters={"a": {"b": []}})
    ),
    Vector("a null", F, searching("after", "null"), calls=searched(after=None)),
    Vector("text that is no number", F, searching("boost", " high "), calls=searched(boost=" high ")),
]
CUT = [
    Vector("cut in a file", F, HEAD + "def f(", broken=True, cut=True),
    Vector("cut behind a value", F, HEAD + "x</arg_value>", broken=True, cut=True),
    Vector("cut behind a bare name", F, "<tool_call>ping", "<tool_call>ping", cut=True),
    Vector("cut in the first number", F, TIGHT[:40], TIGHT[:40], notes=("malformed",), cut=True),
    Vector("a file without end", F, HEAD + "def f(", broken=True),
    Vector("a key at the end", F, HEAD + "x</arg_value><arg_key>k", broken=True),
]
VECTORS = [*USUAL, *WILD, *VALUES, *CUT]
