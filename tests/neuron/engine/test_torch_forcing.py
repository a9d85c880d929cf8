"""What a model is forced to write is what its family's parser reads: one call that fits its tool."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from llguidance import LLMatcher, LLTokenizer
from toolcall_vectors import calls_of, tool

from cortex.neuron.engine.torch.forcing import WRITINGS, grammar_of, thought_of
from cortex.protocol.deltas import ReasoningPiece, TextPiece
from cortex.protocol.request import ToolSpec
from cortex.protocol.toolcalls import KNOWN, parser_for
from cortex.protocol.toolcalls.families import FAMILIES
from cortex.protocol.toolcalls.offer import Offer

BYTES = LLTokenizer("byte")
TOOLS = (
    tool(
        "set_mode",
        {
            "mode": {"enum": ["fast", "slow"]},
            "level": {"type": "integer", "minimum": 0, "maximum": 9},
            "dry": {"type": "boolean"},
        },
        "mode",
        "level",
    ),
    tool("ping", {}),
)
PATIENCE = 2_000
"""Bytes that a call may have."""


def grammar(family: str, tools: tuple[ToolSpec, ...], *, parallel: bool = False) -> str:
    offered: list[tuple[ToolSpec, dict[str, Any]]] = [(one, json.loads(one.schema)) for one in tools]
    return grammar_of(WRITINGS[family], mark, tools=offered, parallel=parallel)


def mark(text: str) -> str:
    return json.dumps(text, ensure_ascii=False) if text else ""


def matcher(text: str) -> LLMatcher:
    found = LLMatcher(BYTES, LLMatcher.grammar_from_lark(text), log_level=0)
    assert not found.is_error(), found.get_error()
    return found


def walked(text: str, seed: int) -> str:
    """A text that the grammar allows, taken byte by byte at random; what may end does."""
    rng = random.Random(seed)
    walk = matcher(text)
    said = bytearray()
    while not walk.is_stopped() and len(said) < PATIENCE:
        if walk.is_accepting() and said:
            break
        mask = walk.compute_bitmask()
        allowed = [one for one in range(256) if mask[one // 8] >> (one % 8) & 1]
        byte = rng.choice(allowed)
        assert walk.consume_token(byte)
        said.append(byte)
    return said.decode()


def read(family: str, tools: tuple[ToolSpec, ...], text: str) -> tuple[tuple[str, dict[str, Any]], ...]:
    parser = parser_for(family, tools)
    pieces = [*parser.push(text), *parser.finish()]
    assert parser.notes == [], "nothing had to be repaired"
    return calls_of(pieces)


def test_every_family_with_a_writing_is_known() -> None:
    """A writing without a parser would be read by nobody."""
    assert set(WRITINGS) <= set(KNOWN)


@pytest.mark.parametrize("family", WRITINGS)
def test_a_forced_call_is_read_as_one(family: str) -> None:
    """Random texts that the grammar allows are one call of a tool on offer, whose arguments fit."""
    text = grammar(family, TOOLS)
    for seed in range(8):
        said = walked(text, seed)
        [(name, arguments)] = read(family, TOOLS, said)
        assert Offer(TOOLS).fits(name, arguments), said


FREE = (tool("write_file", {"path": {"type": "string"}, "content": {"type": "string"}}, "path", "content"),)


@pytest.mark.parametrize("family", ["qwen-xml", "seed-oss", "minimax-m2", "glm"])
def test_bare_text_is_free_up_to_what_ends_it(family: str) -> None:
    """Where strings are written without quotes, a value may be any text that does not end itself."""
    before, after = WRITINGS[family].parameter[:-2], WRITINGS[family].parameter[-1]
    head = "".join(before)
    value = 'def f():\n\treturn "<b>" & 1\n'
    parameters = "".join(
        head.replace("{key}", key) + written + after
        for key, written in (("path", "a.py"), ("content", value))
    )
    writing = WRITINGS[family]
    call = "".join(writing.call).replace("{name}", "write_file").replace("{parameters}", parameters)
    said = writing.start + call + writing.end
    walk = matcher(grammar(family, FREE))
    assert all(walk.consume_token(byte) for byte in said.encode())
    assert walk.is_accepting()
    assert read(family, FREE, said) == (("write_file", {"path": "a.py", "content": value}),)


@pytest.mark.parametrize("family", [name for name, writing in WRITINGS.items() if not writing.alone])
def test_several_calls_may_follow_one_another(family: str) -> None:
    """Where a client takes parallel calls, two in the family's own writing are allowed, and are read as two."""
    one = walked(grammar(family, TOOLS[1:]), 1)
    writing = WRITINGS[family]
    body = one[len(writing.start) : len(one) - len(writing.end)]
    two = writing.start + body + writing.between + body + writing.end
    walk = matcher(grammar(family, TOOLS[1:], parallel=True))
    assert all(walk.consume_token(byte) for byte in two.encode()), two
    assert walk.is_accepting()
    assert read(family, TOOLS[1:], two) == (("ping", {}), ("ping", {}))


ANSWER = {
    "type": "object",
    "properties": {"ok": {"type": "boolean"}},
    "required": ["ok"],
    "additionalProperties": False,
    "x-guidance": {"whitespace_pattern": " ?"},
}


@pytest.mark.parametrize("family", WRITINGS)
def test_a_model_has_the_choice_of_a_call_and_an_answer(family: str) -> None:
    """What the grammar allows is read as one call, or as the JSON that was asked for; both may follow a thought."""
    offered = [(one, json.loads(one.schema)) for one in TOOLS]
    thought = thought_of(family, "<think>[THINK]<seed:think><|START_THINKING|>")
    text = grammar_of(WRITINGS[family], mark, tools=offered, answer=ANSWER, thought=thought)
    calls = answers = 0
    for seed in range(40):
        said = walked(text, seed)
        if thought is not None and said.startswith(thought.opener):
            said = said.replace(thought.opener, f"{thought.opener}hm{closer(family)}", 1)
        parser = parser_for(family, TOOLS)
        pieces = [*parser.push(said), *parser.finish()]
        found = calls_of(pieces)
        if found:
            calls += 1
            [(name, arguments)] = found
            assert Offer(TOOLS).fits(name, arguments), said
        else:
            answers += 1
            assert json.loads("".join(one.text for one in pieces if isinstance(one, TextPiece))) in (
                {"ok": True},
                {"ok": False},
            ), said
        assert {one.text for one in pieces if isinstance(one, ReasoningPiece)} <= {"hm"}
    assert calls
    assert answers


def closer(family: str) -> str:
    return "<|end|>" if family == "harmony" else FAMILIES[family].thinking[0][1]


@pytest.mark.parametrize("family", ["hermes", "harmony", "qwen-xml", "pythonic"])
def test_a_strict_tool_is_kept_to_all_of_its_schema_or_refused(family: str) -> None:
    """What a grammar cannot say is passed over for others, and for a strict one too where no call is demanded."""
    schema = {
        "type": "object",
        "properties": {"n": {"type": "array", "uniqueItems": True}},
        "required": ["n"],
    }
    data = json.dumps(schema).encode()
    tools = {strict: ToolSpec(name="f", schema=data, strict=strict) for strict in (False, True)}
    matcher(grammar(family, (tools[False],)))
    text = grammar(family, (tools[True],))
    found = LLMatcher(BYTES, LLMatcher.grammar_from_lark(text), log_level=0)
    assert "uniqueItems" in found.get_error()
    free = grammar_of(WRITINGS[family], mark, tools=[(tools[True], schema)], answer=ANSWER)
    matcher(free)
