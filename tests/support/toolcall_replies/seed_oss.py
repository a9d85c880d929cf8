"""Seed-OSS: as Qwen XML in a block of its own, values without line breaks and at times as Python writes them."""

from __future__ import annotations

from toolcall_vectors import Vector

F = "seed-oss"
ADD = (
    "<seed:tool_call>\n<function=add>\n<parameter=a>1</parameter>\n<parameter=b>2</parameter>\n</function>\n"
    "</seed:tool_call>"
)
ADDED = ("add", {"a": 1, "b": 2})


def searching(key: str, value: str) -> str:
    inside = f"<parameter=query>x</parameter>\n<parameter={key}>{value}</parameter>\n"
    return f"<seed:tool_call>\n<function=search>\n{inside}</function>\n</seed:tool_call>"


def searched(**more: object) -> tuple[tuple[str, dict[str, object]], ...]:
    return (("search", {"query": "x", **more}),)


THOUGHT = "<seed:think>Hm.\n</seed:think>\n"
VECTORS = [
    Vector("one call", F, ADD, calls=(ADDED,)),
    Vector("text round it", F, f"So: {ADD}\nDone.", "So: Done.", calls=(ADDED,)),
    Vector("two calls", F, ADD + ADD, calls=(ADDED, ADDED)),
    Vector("reasoning first", F, THOUGHT + ADD, "", "Hm.\n", (ADDED,)),
    Vector("reasoning is open", F, THOUGHT[12:] + ADD, "", "Hm.\n", (ADDED,), reasoning_open=True),
    Vector("other think tags are text", F, "<think>a</think>", "<think>a</think>"),
    Vector("a call inside reasoning", F, f"Hm.{ADD}</seed:think>", "", "Hm.", (ADDED,), reasoning_open=True),
    Vector("the opener is missing", F, ADD[16:], calls=(ADDED,)),
    Vector("the function is not closed", F, ADD.replace("</function>", ""), "", "", (ADDED,), ("brackets",)),
    Vector(
        "a parameter is not closed", F, ADD.replace("2</parameter>", "2"), "", "", (ADDED,), ("brackets",)
    ),
    Vector(
        "an object as Python has it",
        F,
        searching("filters", "{'a': True, 'b': None}"),
        calls=searched(filters={"a": True, "b": None}),
    ),
    Vector(
        "an array as Python has it", F, searching("tags", "['a', \"b\"]"), calls=searched(tags=["a", "b"])
    ),
    Vector("a boolean as Python has it", F, searching("exact", "True"), calls=searched(exact=True)),
    Vector("nothing as Python has it", F, searching("after", "None"), calls=searched(after=None)),
    Vector(
        "a string that looks like Python", F, searching("query2", "{'a': 1"), calls=searched(query2="{'a': 1")
    ),
    Vector("half a pair of surrogates as Python has it", F, searching("tags", "['\\ud800']"), broken=True),
    Vector("nothing is trimmed", F, searching("after", "\n x\n"), calls=searched(after="\n x\n")),
    Vector("the marker in prose", F, "Use <seed:tool_call>.", "Use <seed:tool_call>."),
    Vector("cut in a value", F, searching("after", "noon")[:100], broken=True, cut=True),
]
