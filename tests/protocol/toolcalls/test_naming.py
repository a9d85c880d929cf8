"""Calls without a name: which tool their arguments name, and where that would be a guess."""

from __future__ import annotations

import json

import pytest
from toolcall_vectors import AGENT_TOOLS, STRING, TOOLS, tool

from cortex.protocol.request import ToolSpec
from cortex.protocol.toolcalls import infer_tool_name, try_repair_missing_name
from cortex.protocol.toolcalls.naming import SHAPES, hoisted
from cortex.protocol.toolcalls.offer import Offer
from cortex.protocol.toolcalls.steps import ALL, Step

FROM_THE_FIELD = '{"arguments":{"command":"mkdir -p /srv/site/doc/plan/{01-discovery,02-design}"}}'
"""What a model wrote again and again: all of a call but its name, with braces in a string."""

VALUES = {
    "command": "ls",
    "cwd": "/",
    "path": "a",
    "content": "",
    "old_text": "a",
    "new_text": "b",
    "line": 1,
    "limit": 2,
}
TABLE = [
    ("command", "bash"),
    ("command cwd", "bash"),
    ("path content", "write_file"),
    ("path old_text new_text", "edit_file"),
    ("path", None),
    ("path line", None),
    ("path line limit", None),
    ("path limit", None),
    ("command path", None),
    ("command cwd path", None),
    ("cwd", None),
    ("content", None),
    ("path content line", None),
    ("path old_text", None),
    ("path new_text", None),
    ("old_text new_text", None),
    ("path content old_text new_text", None),
    ("", None),
]
"""Sets of keys and the tool that they name, or none."""


def arguments_of(keys: str) -> dict[str, object]:
    return {key: VALUES[key] for key in keys.split()}


@pytest.mark.parametrize(("keys", "name"), TABLE)
def test_the_table_of_key_sets(keys: str, name: str | None) -> None:
    """Exactly these keys name a tool; one more or one less is a guess."""
    assert infer_tool_name(arguments_of(keys)) == name


def test_a_command_is_for_bash() -> None:
    """`command` alone is bash, with or without where to run it."""
    assert infer_tool_name({"command": "ls"}) == "bash"
    assert infer_tool_name({"command": "ls", "cwd": "/tmp"}) == "bash"


def test_the_body_from_the_field_is_repaired() -> None:
    """The body as it came from a model, with its braces in a string, becomes a call with the same arguments."""
    found = try_repair_missing_name(FROM_THE_FIELD)
    assert found is not None
    name, arguments = found
    assert name == "bash"
    assert json.loads(arguments) == json.loads(FROM_THE_FIELD)["arguments"]


@pytest.mark.parametrize("unknown", ["timeout", "path", "Command", ""])
def test_a_key_that_is_not_in_the_table_names_nothing(unknown: str) -> None:
    """A command with anything else may be any other agent's tool."""
    assert infer_tool_name({"command": "ls", unknown: 1}) is None


def test_only_keys_count_in_the_table() -> None:
    """Where no schemas are at hand, values of any type do."""
    assert infer_tool_name({"command": None}) == "bash"
    assert infer_tool_name({"path": 1, "content": []}) == "write_file"


@pytest.mark.parametrize("arguments", [None, "command", '{"command": "ls"}', ["command"], [], 5, True, 1.5])
@pytest.mark.parametrize("tools", [None, TOOLS])
def test_what_is_no_object_names_nothing(arguments: object, tools: tuple[ToolSpec, ...] | None) -> None:
    """A string, a list, a number or null is no set of arguments."""
    assert infer_tool_name(arguments, tools) is None


# ── by schema ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("keys", [keys for keys, name in TABLE if name])
def test_the_table_and_the_schemas_agree(keys: str) -> None:
    """Wherever the table names a tool, the schemas of the agent's own tools name the same one."""
    arguments = arguments_of(keys)
    assert infer_tool_name(arguments, AGENT_TOOLS) == infer_tool_name(arguments) is not None


def test_the_table_names_tools_of_the_agent() -> None:
    """No name stands in it that the agent does not offer."""
    assert set(SHAPES.values()) <= {one.name for one in AGENT_TOOLS}


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"path": "a"}, None),
        ({"path": "a", "line": 3}, "read_file"),
        ({"path": "a", "line": 3, "limit": 9}, "read_file"),
        ({"path": "a", "line": "3"}, None),
        ({"command": 5}, None),
        ({"command": "ls", "timeout": 5}, None),
        ({"a": 1, "b": 2}, "add"),
        ({"a": 1}, None),
        ({"city": "Köln", "unit": "celsius"}, "get_weather"),
        ({"city": "Köln", "unit": "kelvin"}, None),
        ({"query": "x", "filters": {"any": [1]}, "after": None}, "search"),
        ({}, None),
    ],
)
def test_the_one_tool_whose_schema_fits(arguments: dict[str, object], name: str | None) -> None:
    """What is required is there, nothing is unknown, types are right, and no other tool would take it."""
    assert infer_tool_name(arguments, TOOLS) == name


def test_two_tools_that_fit_are_a_guess() -> None:
    """So nothing is inferred, however unlike their names are."""
    twins = (tool("one", {"x": STRING}, "x"), tool("other", {"x": STRING}))
    assert infer_tool_name({"x": "a"}, twins) is None
    assert infer_tool_name({"x": "a"}, twins[:1]) == "one"


@pytest.mark.parametrize(
    "schema", [b"{}", b'{"type": "object"}', b"true", b"[]", b'"x"', b'{"properties": []}']
)
def test_a_tool_that_says_nothing_of_its_arguments_is_never_inferred(schema: bytes) -> None:
    """It takes anything, and so is no evidence; nor does it stand in the way of a tool that says more."""
    anything = ToolSpec(name="anything", schema=schema)
    assert infer_tool_name({"x": 1}, [anything]) is None
    assert infer_tool_name({"command": "ls"}, [anything, *AGENT_TOOLS]) == "bash"


def test_no_tools_at_all_name_nothing() -> None:
    """An empty offer is an offer, not the lack of one."""
    assert infer_tool_name({"command": "ls"}, ()) is None


# ── a whole body ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (FROM_THE_FIELD, "bash"),
        (f"\n  {FROM_THE_FIELD}\t\n", "bash"),
        ('{"arguments": {"path": "a.py", "content": "é"}}', "write_file"),
        ('{"arguments": {"path": "a", "old_text": "x", "new_text": "y"}}', "edit_file"),
        ('{"id": 1, "type": "function", "arguments": {"command": "ls", "cwd": "/"}}', "bash"),
    ],
)
def test_a_body_that_lacks_only_its_name(body: str, name: str) -> None:
    """It gets its name, and its arguments mean what they meant."""
    found = try_repair_missing_name(body)
    assert found is not None
    assert found[0] == name
    assert json.loads(found[1]) == json.loads(body)["arguments"]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "   ",
        "ls -l",
        "null",
        "[]",
        '[{"arguments": {"command": "ls"}}]',
        "{}",
        '{"command": "ls"}',
        '{"parameters": {"command": "ls"}}',
        '{"name": "bash", "arguments": {"command": "ls"}}',
        '{"name": null, "arguments": {"command": "ls"}}',
        '{"name": "", "arguments": {"command": "ls"}}',
        '{"name": 5, "arguments": {"command": "ls"}}',
        '{"arguments": "{\\"command\\": \\"ls\\"}"}',
        '{"arguments": ["ls"]}',
        '{"arguments": null}',
        '{"arguments": {}}',
        '{"arguments": {"path": "a"}}',
        '{"arguments": {"command": "ls", "x": 1}}',
        FROM_THE_FIELD[:-1],
        FROM_THE_FIELD[:-2],
        FROM_THE_FIELD[:40],
        FROM_THE_FIELD + "}",
        FROM_THE_FIELD + "}}}",
        FROM_THE_FIELD + " done",
        "{'arguments': {'command': 'ls'}}",
        "[" * 100_000,
        '{"arguments":' * 100_000,
    ],
    ids=lambda body: body[:50],
)
def test_every_other_body_is_left_alone(body: str) -> None:
    """A name of any kind, arguments that are no object, cut or extra characters: nothing is guessed, nothing raised."""
    assert try_repair_missing_name(body) is None


# ── a name among the arguments ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("arguments", "steps", "expected"),
    [
        ('{"name": "bash", "command": "ls"}', ALL, ("bash", {"command": "ls"}, Step.HOISTED)),
        ('{"command": "ls", "name": "Bash"}', ALL, ("bash", {"command": "ls"}, Step.HOISTED)),
        ('{"command": "ls"}', ALL, ("bash", {"command": "ls"}, Step.INFERRED)),
        ('{"name": "bash", "command": "ls"}', ALL - {Step.HOISTED}, None),
        ('{"command": "ls"}', ALL - {Step.INFERRED}, None),
        ('{"name": "bash", "path": "a"}', ALL, None),
        ('{"name": "gone", "command": "ls"}', ALL, None),
        ('{"name": 5, "command": "ls"}', ALL, None),
        ('{"name": "ping"}', ALL, ("ping", {}, Step.HOISTED)),
        ("{}", ALL, None),
    ],
)
def test_a_name_is_hoisted_or_inferred(
    arguments: str, steps: frozenset[Step], expected: tuple[str, dict[str, object], Step] | None
) -> None:
    """A name among the arguments counts where that tool takes all the others; else their shape decides."""
    found = hoisted(arguments, Offer(TOOLS, steps))
    if expected is None:
        assert found is None
    else:
        assert found is not None
        assert (found[0], json.loads(found[1]), found[2][-1].step) == expected


def test_a_parameter_called_name_is_not_the_name_of_the_tool() -> None:
    """Where the tool has such a parameter, it is left where it is."""
    greet = tool("greet", {"name": STRING}, "name")
    found = hoisted('{"name": "greet"}', Offer([greet]))
    assert found is not None
    assert (found[0], json.loads(found[1]), found[2][0].step) == ("greet", {"name": "greet"}, Step.INFERRED)


def test_hoisting_keeps_the_values_as_they_were_written() -> None:
    """Numbers keep their digits and keys their order."""
    loose = ToolSpec(name="loose", schema=b'{"properties": {}, "additionalProperties": true}')
    found = hoisted('{"b": 1.10, "name": "loose", "a": 10000000000000000000001}', Offer([loose]))
    assert found is not None
    assert found[1] == '{"b":1.10,"a":10000000000000000000001}'
