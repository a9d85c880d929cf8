"""The ids of calls: the model's own where its template takes them, else new ones of the form that it takes."""

from __future__ import annotations

import pytest
from toolcall_vectors import TOOLS

from cortex.protocol.deltas import ToolStart
from cortex.protocol.toolcalls import call_ids, parser_for
from cortex.protocol.toolcalls.json_families import nine


def ids(family: str, text: str) -> list[str]:
    parser = parser_for(family, TOOLS, call_id="call_{}abcdef012345".format)
    pieces = [*parser.push(text), *parser.finish()]
    return [piece.id for piece in pieces if isinstance(piece, ToolStart)]


def kimi(*given: str) -> str:
    return "".join(
        f"<|tool_call_begin|>{id_}<|tool_call_argument_begin|>{{}}<|tool_call_end|>" for id_ in given
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[TOOL_CALLS]ping[CALL_ID]aB3dE6gH9[ARGS]{}", ["aB3dE6gH9"]),
        ('[TOOL_CALLS][{"id": "aB3dE6gH9", "name": "ping", "arguments": {}}]', ["aB3dE6gH9"]),
        ("[TOOL_CALLS]ping[CALL_ID]aB3dE6gH9[ARGS]{}" * 2, ["aB3dE6gH9", "def012345"]),
        ("[TOOL_CALLS]ping[CALL_ID]short[ARGS]{}", ["def012345"]),
        ('[TOOL_CALLS][{"id": 123456789, "name": "ping", "arguments": {}}]', ["def012345"]),
        ('[TOOL_CALLS][{"id": "ünïcödéñß", "name": "ping", "arguments": {}}]', ["def012345"]),
    ],
)
def test_mistral_has_ids_of_nine_characters(text: str, expected: list[str]) -> None:
    """A valid id is kept, unless another call has it already; every other one is replaced."""
    assert ids("mistral", text) == expected


@pytest.mark.parametrize("given", ["call_0123456789abcdef01234567", "x", "", "call-ü-1", "functions.add:0"])
def test_any_id_becomes_one_of_nine_characters(given: str) -> None:
    """Letters and digits only, and an id of that form stays what it is."""
    made = nine(given)
    assert len(made) == 9
    assert made.isascii()
    assert made.isalnum()
    assert nine(made) == made


def test_ids_of_nine_characters_differ() -> None:
    """Those of one request's calls are different ones."""
    made = {nine(call_ids("r", choice)(index)) for choice in range(4) for index in range(50)}
    assert len(made) == 200


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["functions.ping:7"], ["functions.ping:7"]),
        (["functions.ping:7", "functions.ping:8"], ["functions.ping:7", "functions.ping:8"]),
        (["functions.ping:7", "functions.ping:7"], ["functions.ping:7", "call_1abcdef012345"]),
        (["functions_ping_2"], ["functions.ping:2"]),
        (["functionsping5"], ["functions.ping:5"]),
        (["ping:5"], ["functions.ping:5"]),
        (["ping"], ["call_0abcdef012345"]),
        (["functions.Ping:0"], ["functions.Ping:0"]),
    ],
)
def test_kimi_keeps_the_ids_that_name_tools(given: list[str], expected: list[str]) -> None:
    """The model finds them again in the history; wild ones get the form that it has learned."""
    assert ids("kimi", kimi(*given)) == expected


def test_commands_ids_are_not_kept() -> None:
    """They count from 0 in every reply, so that two replies would have the same ones."""
    action = '<|START_ACTION|>[{"tool_call_id": "0", "tool_name": "ping", "parameters": {}}]<|END_ACTION|>'
    assert ids("command", action) == ["call_0abcdef012345"]
