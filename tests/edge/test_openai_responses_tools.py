"""Tools of a Responses body → what is offered to the model."""

import json

import pytest

from cortex.edge.dialects.openai_responses import parse
from cortex.edge.dialects.openai_responses_tools import Told, full_name
from cortex.protocol.faults import FaultError

PATCH = {"type": "custom", "name": "patch", "description": "Patches."}
INNER = {"type": "function", "name": "inner", "description": "In.", "parameters": {"type": "object"}}
AT = {
    "type": "namespace",
    "name": "mcp__at__",
    "description": "",
    "tools": [INNER, PATCH, {"type": "web_search"}],
}


def read(**more):
    return parse(json.dumps({"model": "demo", "input": "hi", **more}).encode())


def names(parsed):
    return [tool.name for tool in parsed.request.tools]


def refused(**more):
    with pytest.raises(FaultError) as caught:
        read(**more)
    return caught.value.fault


def test_a_custom_tool_is_a_function_of_one_string():
    """To the model; its client is told the text."""
    parsed = read(tools=[PATCH])
    [tool] = parsed.request.tools
    assert (tool.name, tool.description) == ("patch", "Patches.")
    assert json.loads(tool.schema)["required"] == ["input"]
    assert parsed.told == {"patch": Told("patch", custom=True)}


def test_tools_of_a_namespace_are_offered_under_both_names():
    """Hosted ones among them are not."""
    parsed = read(tools=[INNER, AT])
    assert names(parsed) == ["inner", "mcp__at__inner", "mcp__at__patch"]
    assert parsed.told["mcp__at__patch"] == Told("patch", "mcp__at__", custom=True)
    assert "inner" not in parsed.told
    assert full_name("crm", "find") == "crm__find"


def test_items_may_bring_tools():
    """They are offered with those of the body, and say nothing themselves."""
    more = {"type": "additional_tools", "role": "developer", "tools": [PATCH]}
    parsed = read(input=[more, {"role": "user", "content": "hi"}], tools=[INNER])
    assert names(parsed) == ["inner", "patch"]
    assert len(parsed.request.turns) == 1


@pytest.mark.parametrize(
    ("choice", "mode", "name", "left"),
    [
        ({"type": "custom", "name": "patch"}, "named", "mcp__at__patch", 2),
        ({"type": "function", "name": "inner", "namespace": "mcp__at__"}, "named", "mcp__at__inner", 2),
        ("required", "required", "", 2),
        (
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "custom", "name": "patch"}]},
            "required",
            "",
            1,
        ),
    ],
)
def test_tools_are_chosen_as_their_client_knows_them(choice, mode, name, left):
    """With or without the namespace, where one tool alone has the name."""
    parsed = read(tools=[AT], tool_choice=choice)
    assert (parsed.request.tool_choice.mode, parsed.request.tool_choice.name) == (mode, name)
    assert len(parsed.request.tools) == left


@pytest.mark.parametrize(
    ("param", "more"),
    [
        ("tools[0].tools[1].name", {"tools": [{**AT, "tools": [INNER, INNER]}]}),
        ("tools[0].name", {"tools": [{"type": "custom"}]}),
        (
            "tools[0].format.definition",
            {"tools": [{**PATCH, "format": {"type": "grammar", "definition": 5}}]},
        ),
        ("tools", {"tools": [{**AT, "tools": [{**INNER, "name": f"n{index}"} for index in range(512)]}]}),
        ("tool_choice.name", {"tools": [INNER, AT], "tool_choice": {"type": "custom", "name": "look"}}),
        ("tool_choice.name", {"tools": [AT], "tool_choice": {"name": "inner", "namespace": "other"}}),
    ],
)
def test_what_cannot_be_offered_is_refused_by_name(param, more):
    """The field, and a sentence about it."""
    assert refused(**more).param == param
