"""MiniMax M2: several invocations in one block, thought between them."""

from __future__ import annotations

from toolcall_vectors import Vector

F = "minimax-m2"
OPEN, CLOSE = "<minimax:tool_call>", "</minimax:tool_call>"


def invoke(name: str, **parameters: str) -> str:
    inside = "".join(f'<parameter name="{key}">{value}</parameter>\n' for key, value in parameters.items())
    return f'<invoke name="{name}">\n{inside}</invoke>\n'


def block(*calls: str) -> str:
    return f"{OPEN}\n{''.join(calls)}{CLOSE}"


ADD = invoke("add", a="1", b="2")
ADDED = ("add", {"a": 1, "b": 2})
PING = invoke("ping")
PINGED = ("ping", {})


def writing(content: str) -> str:
    return block(invoke("write_file", path="a.py", content=content))


def wrote(content: str) -> tuple[tuple[str, dict[str, str]], ...]:
    return (("write_file", {"path": "a.py", "content": content}),)


VECTORS = [
    Vector("one call", F, block(ADD), calls=(ADDED,)),
    Vector("text round it", F, f"So.\n{block(ADD)}\nDone.", "So.\nDone.", calls=(ADDED,)),
    Vector("without line breaks", F, block(ADD).replace("\n", ""), calls=(ADDED,)),
    Vector("several in a block", F, block(ADD, PING, ADD), calls=(ADDED, PINGED, ADDED)),
    Vector(
        "the same parameter in the next",
        F,
        block(invoke("bash", command="a"), invoke("bash", command="b")),
        calls=(("bash", {"command": "a"}), ("bash", {"command": "b"})),
    ),
    Vector("an empty one", F, block('<invoke name="ping"></invoke>'), calls=(PINGED,)),
    Vector("two blocks", F, block(ADD) + "\n" + block(PING), calls=(ADDED, PINGED)),
    Vector(
        "reasoning is open", F, f"Hm.\n</think>\n\n{block(ADD)}", "", "Hm.\n", (ADDED,), reasoning_open=True
    ),
    Vector(
        "thought between blocks",
        F,
        f"{block(PING)}\n<think>So.</think>\n{block(ADD)}",
        "",
        "So.",
        (PINGED, ADDED),
    ),
    Vector(
        "calls inside thought",
        F,
        f"Hm.{block(ADD, PING)}</think>",
        "",
        "Hm.",
        (ADDED, PINGED),
        reasoning_open=True,
    ),
    Vector(
        "calls inside thought that come again",
        F,
        f"Hm.{block(ADD)}</think>{block(ADD)}",
        "",
        "Hm.",
        (ADDED,),
        reasoning_open=True,
    ),
    Vector("thought never closed", F, "Hm.", reasoning="Hm.", reasoning_open=True),
    Vector("no block round it", F, "Go. " + ADD + "ok", "Go. ok", calls=(ADDED,)),
    Vector("a block that is not closed", F, f"{OPEN}{ADD}", calls=(ADDED,)),
    Vector(
        "a call that is not closed", F, block(ADD.replace("</invoke>\n", "")), "", "", (ADDED,), ("brackets",)
    ),
    Vector(
        "a parameter that is not closed",
        F,
        block(ADD.replace("2</parameter>", "2")),
        "",
        "",
        (ADDED,),
        ("brackets",),
    ),
    Vector("a name without quotes", F, block(ADD.replace('"add"', "add")), calls=(ADDED,)),
    Vector("json behind the name", F, block('<invoke name="add">{"a":1,"b":2}</invoke>'), calls=(ADDED,)),
    Vector("a key that comes twice", F, block(ADD.replace('name="b"', 'name="a"')), broken=True),
    Vector("an unknown tool", F, block(invoke("pong")), block(invoke("pong")), notes=("malformed",)),
    Vector(
        "an unknown tool and a known one",
        F,
        block(invoke("pong"), ADD),
        f"{OPEN}\n{invoke('pong')}",
        calls=(ADDED,),
        notes=("malformed",),
    ),
    Vector("the marker in prose", F, f"{OPEN} is a tag.", f"{OPEN} is a tag."),
    Vector("a string that looks like a boolean", F, writing("true"), calls=wrote("true")),
    Vector("nothing is trimmed", F, writing("\nx\n"), calls=wrote("\nx\n")),
    Vector("any language", F, writing("größe 漢字 😀"), calls=wrote("größe 漢字 😀")),
    Vector("the closer in a file", F, writing("a</parameter> b"), calls=wrote("a</parameter> b")),
    Vector("the call's closer in a file", F, writing("a</invoke> b"), calls=wrote("a</invoke> b")),
    Vector(
        "an array",
        F,
        block(invoke("search", query="x", tags='["a"]')),
        calls=(("search", {"query": "x", "tags": ["a"]}),),
    ),
    Vector(
        "a null",
        F,
        block(invoke("search", query="x", after="null")),
        calls=(("search", {"query": "x", "after": None}),),
    ),
    Vector("cut in a file", F, writing("def f(")[:-50], broken=True, cut=True),
    Vector("cut in a name", F, f'{OPEN}\n<invoke name="ad', f'{OPEN}\n<invoke name="ad', cut=True),
]
