"""DeepSeek V3.2 and V4: tags of their own round every part, which say whether a value is text."""

from __future__ import annotations

from toolcall_vectors import Vector

F = "deepseek-dsml"
D = "\uff5cDSML\uff5c"
OPEN, CLOSE = f"<{D}function_calls>", f"</{D}function_calls>"


def parameter(key: str, value: str, *, text: bool | None = True) -> str:
    said = "" if text is None else f' string="{str(text).lower()}"'
    return f'<{D}parameter name="{key}"{said}>{value}</{D}parameter>\n'


def invoke(name: str, *parameters: str) -> str:
    return f'<{D}invoke name="{name}">\n{"".join(parameters)}</{D}invoke>\n'


def block(*calls: str) -> str:
    return f"{OPEN}\n{''.join(calls)}{CLOSE}"


ONE = invoke("add", parameter("a", "1", text=False), parameter("b", "2", text=False))
ADDED = ("add", {"a": 1, "b": 2})
PING = invoke("ping")
PINGED = ("ping", {})


def writing(content: str) -> str:
    return block(invoke("write_file", parameter("path", "a.py"), parameter("content", content)))


def wrote(content: str) -> tuple[tuple[str, dict[str, str]], ...]:
    return (("write_file", {"path": "a.py", "content": content}),)


def searching(key: str, value: str, *, text: bool | None = None) -> str:
    return block(invoke("search", parameter("query", "x"), parameter(key, value, text=text)))


def searched(**more: object) -> tuple[tuple[str, dict[str, object]], ...]:
    return (("search", {"query": "x", **more}),)


BARE = f'{OPEN}<{D}invoke name="add"><parameter name="a">1</parameter><parameter name="b">2</parameter></{D}invoke>{CLOSE}'
USUAL = [
    Vector("one call", F, "\n\n" + block(ONE), calls=(ADDED,)),
    Vector("text before", F, "Sure.\n\n" + block(ONE), "Sure.\n\n", calls=(ADDED,)),
    Vector("text behind", F, block(ONE) + "\nDone.", "Done.", calls=(ADDED,)),
    Vector("two calls in a block", F, block(ONE, PING), calls=(ADDED, PINGED)),
    Vector("two blocks", F, f"{block(ONE)}\n\n{block(PING)}", calls=(ADDED, PINGED)),
    Vector("the wrapper of V4", F, block(ONE).replace("function_calls", "tool_calls"), calls=(ADDED,)),
    Vector("reasoning first", F, f"Hm.</think>\n\n{block(ONE)}", "", "Hm.", (ADDED,), reasoning_open=True),
    Vector("an end of reasoning alone", F, f"</think>{block(PING)}", calls=(PINGED,)),
    Vector("reasoning never closed", F, "<think>Hm.", reasoning="Hm."),
    Vector("tools are not on offer", F, block(PING), block(PING), tools=()),
]
WILD = [
    Vector("no wrapper", F, f"Go.\n\n{ONE}{PING}", "Go.\n\n", calls=(ADDED, PINGED)),
    Vector("a wrapper without end", F, f"{OPEN}\n{ONE}", calls=(ADDED,)),
    Vector("a wrapper with the other's end", F, f"{OPEN}\n{ONE}</{D}tool_calls>x", "x", calls=(ADDED,)),
    Vector("a wrapper misspelt", F, f"<{D}toolcalls>\n{ONE}</{D}tool_calls>", calls=(ADDED,)),
    Vector("a wrapper in the singular", F, f"<{D}function_call>\n{PING}</{D}function_call>", calls=(PINGED,)),
    Vector("parameters without DSML", F, BARE, calls=(ADDED,)),
    Vector(
        "a call that is not closed",
        F,
        block(ONE.replace(f"</{D}invoke>\n", "")),
        "",
        "",
        (ADDED,),
        ("brackets",),
    ),
    Vector(
        "a parameter that is not closed",
        F,
        block(ONE.replace(f"2</{D}parameter>", "2")),
        "",
        "",
        (ADDED,),
        ("brackets",),
    ),
    Vector(
        "nothing is closed at the end",
        F,
        (OPEN + ONE).removesuffix(f"</{D}invoke>\n"),
        "",
        "",
        (ADDED,),
        ("brackets",),
    ),
    Vector(
        "a call inside reasoning", F, f"Hm.{block(ONE)}</think>\n", "", "Hm.", (ADDED,), reasoning_open=True
    ),
    Vector(
        "drafts that come again",
        F,
        f"{block(ONE, PING)}</think>{block(ONE, PING)}",
        calls=(ADDED, PINGED),
        reasoning_open=True,
    ),
    Vector("a call in a fence", F, f"```xml\n{block(ONE)}\n```", f"```xml\n{block(ONE)}\n```"),
    Vector("an unknown tool", F, block(invoke("pong")), block(invoke("pong")), notes=("malformed",)),
    Vector("the marker in prose", F, f"{OPEN} opens calls.", f"{OPEN} opens calls."),
    Vector(
        "json behind the name",
        F,
        f'{OPEN}<{D}invoke name="add">{{"a":1,"b":2}}</{D}invoke>{CLOSE}',
        calls=(ADDED,),
    ),
]
PLAIN_TAIL = '</parameter>\n<parameter name="y">'
VALUES = [
    Vector("text that looks like a number", F, writing("42"), calls=wrote("42")),
    Vector("nothing is trimmed", F, writing("\n x \n"), calls=wrote("\n x \n")),
    Vector("an empty string", F, writing(""), calls=wrote("")),
    Vector("any language", F, writing("größe 漢字 😀 ｜"), calls=wrote("größe 漢字 😀 ｜")),
    Vector("the closer in a file", F, writing(f"a</{D}parameter>\nb"), calls=wrote(f"a</{D}parameter>\nb")),
    Vector("the plain closer in a file", F, writing(PLAIN_TAIL), calls=wrote(PLAIN_TAIL)),
    Vector("the wrapper's end in a file", F, writing(CLOSE + "\n."), calls=wrote(CLOSE + "\n.")),
    Vector("json that is said to be none", F, searching("boost", "2", text=True), calls=searched(boost=2)),
    Vector("json", F, searching("tags", '["a", "b"]', text=False), calls=searched(tags=["a", "b"])),
    Vector("a json string", F, searching("after", '"x\\n"', text=False), calls=searched(after="x\n")),
    Vector("a null", F, searching("after", "null", text=False), calls=searched(after=None)),
    Vector("the word null", F, searching("after", "null", text=True), calls=searched(after="null")),
    Vector(
        "text that is said to be json",
        F,
        searching("after", "noon", text=False),
        calls=searched(after="noon"),
    ),
    Vector(
        "a number for a string",
        F,
        block(invoke("bash", parameter("command", "5", text=False))),
        calls=(("bash", {"command": "5"}),),
    ),
    Vector("an unknown key with json", F, searching("page", "3", text=False), calls=searched(page=3)),
    Vector("an unknown key with text", F, searching("page", "3", text=True), calls=searched(page="3")),
    Vector("an unknown key that says nothing", F, searching("page", "3"), calls=searched(page=3)),
    Vector("a boolean by the schema", F, searching("exact", "true"), calls=searched(exact=True)),
]
CUT = [
    Vector("cut in a file", F, writing("def f(")[:150], broken=True, cut=True),
    Vector("cut behind a parameter", F, OPEN + ONE.removesuffix(f"</{D}invoke>\n"), broken=True, cut=True),
    Vector("cut in the wrapper", F, OPEN[:9], OPEN[:9], cut=True),
    Vector("cut behind the call", F, OPEN + ONE, calls=(ADDED,), cut=True),
]
VECTORS = [*USUAL, *WILD, *VALUES, *CUT]
