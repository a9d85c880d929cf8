"""Calls written between tags as models write them, and the values that such a call can hold."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from hypothesis import strategies as st
from toolcall_texts import STRINGS, VALUES
from toolcall_vectors import STRING, tool

TOOL = tool(
    "do_it",
    {
        "text": STRING,
        "größe": STRING,
        "choice": {"enum": ["a", "b"]},
        "count": {"type": "integer"},
        "ratio": {"type": "number"},
        "sure": {"type": "boolean"},
        "nothing": {"type": "null"},
        "list": {"type": "array"},
        "object": {"type": "object", "additionalProperties": True},
        "maybe": {"type": ["integer", "null"]},
    },
)
DSML = "\uff5cDSML\uff5c"


def bare(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def qwen(name: str, arguments: Mapping[str, Any]) -> str:
    inside = "".join(f"<parameter={key}>\n{bare(value)}\n</parameter>\n" for key, value in arguments.items())
    return f"<tool_call>\n<function={name}>\n{inside}</function>\n</tool_call>"


def qwen_without_opener(name: str, arguments: Mapping[str, Any]) -> str:
    return qwen(name, arguments).removeprefix("<tool_call>\n")


def seed(name: str, arguments: Mapping[str, Any]) -> str:
    inside = "".join(f"<parameter={key}>{bare(value)}</parameter>\n" for key, value in arguments.items())
    return f"<seed:tool_call>\n<function={name}>\n{inside}</function>\n</seed:tool_call>"


def minimax(name: str, arguments: Mapping[str, Any]) -> str:
    inside = "".join(
        f'<parameter name="{key}">{bare(value)}</parameter>\n' for key, value in arguments.items()
    )
    return f'<minimax:tool_call>\n<invoke name="{name}">\n{inside}</invoke>\n</minimax:tool_call>'


def glm(name: str, arguments: Mapping[str, Any]) -> str:
    pairs = (
        f"\n<arg_key>{key}</arg_key>\n<arg_value>{bare(value)}</arg_value>"
        for key, value in arguments.items()
    )
    return f"<tool_call>{name}{''.join(pairs)}\n</tool_call>"


def glm_tight(name: str, arguments: Mapping[str, Any]) -> str:
    pairs = (
        f"<arg_key>{key}</arg_key><arg_value>{bare(value)}</arg_value>" for key, value in arguments.items()
    )
    return f"<tool_call>{name}{''.join(pairs)}</tool_call>"


def dsml(name: str, arguments: Mapping[str, Any], block: str = "function_calls") -> str:
    inside = ""
    for key, value in arguments.items():
        text = str(isinstance(value, str)).lower()
        inside += f'<{DSML}parameter name="{key}" string="{text}">{bare(value)}</{DSML}parameter>\n'
    return f'<{DSML}{block}>\n<{DSML}invoke name="{name}">\n{inside}</{DSML}invoke>\n</{DSML}{block}>'


def functionary(name: str, arguments: Mapping[str, Any]) -> str:
    return f"<function={name}>{json.dumps(arguments)}</function>"


WRITERS: list[tuple[str, Callable[[str, Mapping[str, Any]], str]]] = [
    ("qwen-xml", qwen),
    ("qwen-xml", qwen_without_opener),
    ("hermes", qwen),
    ("seed-oss", seed),
    ("minimax-m2", minimax),
    ("glm", glm),
    ("glm", glm_tight),
    ("deepseek-dsml", dsml),
    ("functionary", functionary),
]

TAGS = {
    "qwen-xml": ["<tool_call>", "</tool_call>", "<function=", "do_it>", "<parameter=", "text>", "</parameter>", "</function>"],
    "seed-oss": ["<seed:tool_call>", "</seed:tool_call>", "<function=do_it>", "<parameter=count>", "<parameter=text>", "</parameter>", "</function>", "<seed:think>", "</seed:think>"],
    "minimax-m2": ["<minimax:tool_call>", "</minimax:tool_call>", '<invoke name="', 'do_it">', '<parameter name="text">', "</parameter>", "</invoke>"],
    "glm": ["<tool_call>", "</tool_call>", "do_it", "<arg_key>", "text", "count", "</arg_key>", "<arg_value>", "</arg_value>"],
    "deepseek-dsml": [f"<{DSML}tool_calls>", f"</{DSML}tool_calls>", f'<{DSML}invoke name="do_it">', f'<{DSML}parameter name="text" string="true">', '<parameter name="count">', "</parameter>", f"</{DSML}parameter>", f"</{DSML}invoke>"],
    "functionary": ["<function=", "do_it>", "</function>"],
}  # fmt: skip
"""What the text of each family is made of."""

_CLOSERS = st.sampled_from(sorted({tag for tags in TAGS.values() for tag in tags}))
TEXTS = st.lists(STRINGS | _CLOSERS | st.sampled_from(["\n", " ", "5", "null", "</"]), max_size=6).map(
    "".join
)
# Where a closer of a value is followed by what may follow it nobody can tell that it is none.
_END = rf"</(?:{DSML})?(?:parameter|arg_value|function|invoke|tool_call|tool_calls|seed:tool_call|minimax:tool_call)>"
_START = rf"<(?:parameter=|parameter name=|{DSML}parameter name=|arg_key>)"
_AMBIGUOUS = re.compile(rf"{_END}\s*(?:{_END}|{_START})")


def tellable(text: str) -> bool:
    return not _AMBIGUOUS.search(text + "</") and not re.search(rf"{_END}\s*\Z", text)


_FLOATS = st.floats(allow_nan=False, allow_infinity=False)
ARGUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "text": TEXTS.filter(tellable),
        "größe": TEXTS.filter(tellable),
        "choice": st.sampled_from(["a", "b"]),
        "count": st.integers(),
        "ratio": _FLOATS,
        "sure": st.booleans(),
        "nothing": st.none(),
        "list": st.lists(VALUES, max_size=3),
        "object": st.dictionaries(STRINGS, VALUES, max_size=3),
        "maybe": st.none() | st.integers(),
    },
)
