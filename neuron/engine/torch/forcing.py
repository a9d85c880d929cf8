"""The grammar that leaves a model no choice but to call a tool, or to answer in JSON, in its family's own writing.

Parsers read many variants of a format; this is the one that the family's template shows the model. A grammar is text in
llguidance's dialect of Lark. What of it is a special token is named by number (`mark`), for its text may not stand there.

What a model thinks is free: a grammar holds the beginning of it alone, which the model may leave out, and goes on behind
its end. What is between is kept from it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from cortex.protocol.request import ToolSpec
from cortex.protocol.toolcalls.families import FAMILIES
from cortex.protocol.toolcalls.schemas import property_of, types_of

NAME, ARGUMENTS, BODY, PARAMETERS = "{name}", "{arguments}", "{body}", "{parameters}"
KEY, VALUE = "{key}", "{value}"

JSON_OPTIONS: dict[str, Any] = {"whitespace_pattern": " ?"}


@dataclass(frozen=True)
class Writing:
    """`call` holds literals and the places of NAME, ARGUMENTS (as JSON), BODY (an object of both) or PARAMETERS.

    `keys` are what BODY calls the name and the arguments. `parameter` is how one of the arguments is written where they
    are not JSON: literals and the places of KEY and VALUE, of which the literal behind VALUE ends it.
    """

    call: tuple[str, ...]
    start: str = ""
    between: str = ""
    end: str = ""
    keys: tuple[str, str] = ("name", "arguments")
    parameter: tuple[str, ...] = ()
    alone: bool = False
    """Whether there is never a second call."""
    literals: bool = False
    """Whether parameters are `key=value` with commas between, and strings are in quotes."""
    answer: str = ""
    """What stands before an answer that is no call."""


@dataclass(frozen=True)
class Thought:
    """What opens a model's reasoning, and what may follow its end, in Lark, `mark` and all."""

    opener: str
    behind: str = ""
    gap: bool = True
    """Whether new lines may follow."""


THOUGHTS = {"harmony": Thought("<|channel|>analysis<|message|>", "<|start|>assistant", gap=False)}
"""Families that write more than a pair of markers."""


def thought_of(family: str, template: str) -> Thought | None:
    """How a model begins to think by itself, if its chat template knows of it."""
    if family in THOUGHTS:
        return THOUGHTS[family]
    row = FAMILIES.get(family)
    opener = row.thinking[0][0] if row is not None and row.thinking else ""
    return Thought(opener) if opener and opener in template else None


def _listed(start: str, end: str, **more: Any) -> Writing:
    return Writing((BODY,), start=start + "[", between=", ", end="]" + end, **more)


def _python(start: str, end: str, *, between: str = ", ") -> Writing:
    return Writing(
        (NAME, "(", PARAMETERS, ")"),
        start=start,
        between=between,
        end=end,
        parameter=(KEY, "=", VALUE, ""),
        literals=True,
    )


_HERMES = Writing(("<tool_call>\n", BODY, "\n</tool_call>"), between="\n")

WRITINGS: dict[str, Writing] = {
    "hermes": _HERMES,
    "ernie": _HERMES,
    "mistral": _listed("[TOOL_CALLS]", ""),
    "llama": Writing((BODY,), between="; ", keys=("name", "parameters")),
    "deepseek": Writing(
        (
            "<｜tool▁call▁begin｜>function<｜tool▁sep｜>",
            NAME,
            "\n```json\n",
            ARGUMENTS,
            "\n```<｜tool▁call▁end｜>",
        ),
        start="<｜tool▁calls▁begin｜>",
        between="\n",
        end="<｜tool▁calls▁end｜>",
    ),
    "kimi": Writing(
        (
            "<|tool_call_begin|>functions.",
            NAME,
            ":0<|tool_call_argument_begin|>",
            ARGUMENTS,
            "<|tool_call_end|>",
        ),
        start="<|tool_calls_section_begin|>",
        end="<|tool_calls_section_end|>",
        alone=True,
    ),
    "granite": _listed("<|tool_call|>", ""),
    "nemotron": _listed("<TOOLCALL>", "</TOOLCALL>"),
    "apriel": _listed("<tool_calls>", "</tool_calls>"),
    "command": _listed("<|START_ACTION|>", "<|END_ACTION|>", keys=("tool_name", "parameters")),
    "phi": _listed("functools", ""),
    "xlam": _listed("", ""),
    "functionary": Writing(("<function=", NAME, ">", ARGUMENTS, "</function>")),
    "harmony": Writing(
        (" to=functions.", NAME, "<|channel|>commentary <|constrain|>json<|message|>", ARGUMENTS, "<|call|>"),
        alone=True,
        answer="<|channel|>final<|message|>",
    ),
    "pythonic": _python("[", "]"),
    "lfm2": _python("<|tool_call_start|>[", "]<|tool_call_end|>"),
    "olmo": _python("<function_calls>", "</function_calls>", between="\n"),
    "qwen-xml": Writing(
        ("<tool_call>\n<function=", NAME, ">\n", PARAMETERS, "</function>\n</tool_call>"),
        between="\n",
        parameter=("<parameter=", KEY, ">\n", VALUE, "\n</parameter>\n"),
    ),
    "seed-oss": Writing(
        ("<seed:tool_call>\n<function=", NAME, ">\n", PARAMETERS, "</function>\n</seed:tool_call>"),
        between="\n",
        parameter=("<parameter=", KEY, ">", VALUE, "</parameter>\n"),
    ),
    "minimax-m2": Writing(
        ('<invoke name="', NAME, '">\n', PARAMETERS, "</invoke>\n"),
        start="<minimax:tool_call>\n",
        end="</minimax:tool_call>",
        parameter=('<parameter name="', KEY, '">', VALUE, "</parameter>\n"),
    ),
    "glm": Writing(
        ("<tool_call>", NAME, "\n", PARAMETERS, "</tool_call>"),
        between="\n",
        parameter=("<arg_key>", KEY, "</arg_key>\n<arg_value>", VALUE, "</arg_value>\n"),
    ),
}
"""The families of which a call can be forced."""


Tools = Sequence[tuple[ToolSpec, dict[str, Any]]]
"""Tools, each with its schema."""
Mark = Callable[[str], str]


def grammar_of(
    writing: Writing,
    mark: Mark,
    *,
    tools: Tools = (),
    parallel: bool = False,
    answer: dict[str, Any] | None = None,
    thought: Thought | None = None,
) -> str:
    """Lark for a call of one of these tools (for several if they may be `parallel`), or for an answer of this schema.

    With both the model has the choice, and of a tool's schema as much is kept as can be, be it strict or not.
    `thought`: it may think before.
    """
    rules: list[str] = []
    if tools:
        rules += _calls(_Way(writing, mark, demanded=answer is None), tools, parallel=parallel)
    if answer is not None:
        parts = (mark(writing.answer), f"%json {json.dumps(answer)}")
        rules.append(f"answer: {' '.join(part for part in parts if part)}")
    start = " | ".join(name for name, wanted in (("calls", tools), ("answer", answer is not None)) if wanted)
    if thought is not None:
        gap = r"/\n{0,4}/" if thought.gap else ""
        rules.append(
            " ".join(part for part in ("thought:", mark(thought.opener), gap, mark(thought.behind)) if part)
        )
        start = f"thought? ({start})"
    return "\n".join([f"start: {start}", *rules]) + "\n"


class _Way(NamedTuple):
    """How calls are written, and whether nothing of a strict tool's schema may be passed over."""

    writing: Writing
    mark: Mark
    demanded: bool
    strict: bool = False

    def json(self, schema: dict[str, Any]) -> str:
        """What is JSON of this schema."""
        options = {**JSON_OPTIONS, "lenient": not self.strict}
        return "%json " + json.dumps({**schema, "x-guidance": options})


def _calls(way: _Way, tools: Tools, *, parallel: bool) -> list[str]:
    rules = [
        _rules(way._replace(strict=tool.strict and way.demanded), f"call_{number}", tool.name, schema)
        for number, (tool, schema) in enumerate(tools)
    ]
    writing, mark = way.writing, way.mark
    one = " | ".join(f"call_{number}" for number in range(len(tools)))
    more = (
        f" ({mark(writing.between)} call)*" if parallel and writing.between else " call*" if parallel else ""
    )
    all_ = " ".join(part for part in (mark(writing.start), f"call{more}", mark(writing.end)) if part)
    return [f"calls: {all_}", f"call: {one}", *rules]


def _rules(way: _Way, rule: str, name: str, schema: dict[str, Any]) -> str:
    """The rules of one tool's call."""
    writing = way.writing
    parts: list[str] = []
    rules: list[str] = []
    for part in writing.call:
        match part:
            case "{name}":
                parts.append(json.dumps(name))
            case "{arguments}":
                parts.append(way.json(schema))
            case "{body}":
                of_name, of_arguments = writing.keys
                body = {
                    "type": "object",
                    "properties": {of_name: {"const": name}, of_arguments: schema},
                    "required": [of_name, of_arguments],
                    "additionalProperties": False,
                }
                parts.append(way.json(body))
            case "{parameters}":
                parts.append(f"{rule}_all")
                rules = _parameters(way, rule, schema)
            case _:
                parts.append(way.mark(part))
    return "\n".join([f"{rule}: {' '.join(part for part in parts if part)}", *rules])


def _parameters(way: _Way, rule: str, schema: dict[str, Any]) -> list[str]:
    """The rules of a call's parameters: those that are required, then those that are not, each in the schema's order."""
    required = [key for key in _keys(schema) if key in schema.get("required", ())]
    optional = [key for key in _keys(schema) if key not in required]
    rules: list[str] = []
    sequence: list[str] = []
    for number, key in enumerate([*required, *optional]):
        found = f"{rule}_{number}"
        rules += _parameter(way, found, key, schema)
        comma = '", " ' if way.writing.literals and sequence else ""
        sequence.append(f"{comma}{found}" if key in required else f"({comma}{found})?")
    if way.writing.literals and not required:
        # Without anything before it, none of them begins with a comma: one at most is simplest.
        sequence = (
            ["(" + " | ".join(f"{rule}_{number}" for number in range(len(optional))) + ")?"]
            if optional
            else []
        )
    return [f"{rule}_all: {' '.join(sequence)}" if sequence else f'{rule}_all: ""', *rules]


def _parameter(way: _Way, rule: str, key: str, schema: dict[str, Any]) -> list[str]:
    writing, mark = way.writing, way.mark
    before, after = "", writing.parameter[-1]
    parts = []
    for part in writing.parameter[:-1]:
        if part == KEY:
            before += key
        elif part == VALUE:
            parts.append(mark(before))
        else:
            before += part
    one = property_of(schema, key)
    types = types_of(one, schema)
    if not writing.literals and (not types or "string" in types):
        # Bare text, up to what ends it. A choice of few strings is each of them.
        values = one.get("enum") if isinstance(one, dict) else None
        if isinstance(values, list) and values and all(isinstance(value, str) for value in values):
            choice = " | ".join(json.dumps(value) for value in values)
            return [f"{rule}: {' '.join(parts)} ({choice}) {mark(after)}"]
        return [f"{rule}: {' '.join(parts)} {rule}_v", f"{rule}_v[suffix={json.dumps(after)}]: /(?s:.*)/"]
    whole = {**one, "$defs": schema["$defs"]} if isinstance(one, dict) and "$defs" in schema else one
    parts.append(way.json(whole if isinstance(whole, dict) else {}))
    if after:
        parts.append(mark(after))
    return [f"{rule}: {' '.join(parts)}"]


def _keys(schema: dict[str, Any]) -> list[str]:
    properties = schema.get("properties")
    return list(properties) if isinstance(properties, dict) else []
