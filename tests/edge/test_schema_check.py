"""Schemas that an answer or a call is to be held to: what can never be kept is a 400 that names its place."""

import json

import pytest
from llguidance import LLMatcher

from cortex.edge.dialects import anthropic, openai_chat, openai_responses
from cortex.edge.dialects.schema_check import problem
from cortex.protocol.faults import Code, FaultError

TYPO = {"type": "strnig"}
DEEP = {"type": "object", "properties": {"x": TYPO}}


def held(schema):
    """Whether a grammar can be made of it, as the engine does."""
    grammar = LLMatcher.grammar_from_json_schema(json.dumps({**schema, "x-guidance": {"lenient": True}}))
    return not LLMatcher.validate_grammar(grammar)


def of(schema):
    return {"type": "object", "properties": {"x": schema}}


WRONG = [
    (of(TYPO), ".properties.x.type", "is 'strnig', which is no type of JSON; write string"),
    (of({"type": "STRING"}), ".properties.x.type", "write string"),
    (of({"type": "file"}), ".properties.x.type", "or leave it out"),
    (of({"type": ["string", "nul"]}), ".properties.x.type[1]", "write null"),
    (of({"anyOf": [{"type": "string"}, TYPO]}), ".properties.x.anyOf[1].type", "is 'strnig'"),
    (of({"type": "array", "items": TYPO}), ".properties.x.items.type", "is 'strnig'"),
    (of({"type": "array", "prefixItems": [TYPO]}), ".properties.x.prefixItems[0].type", "is 'strnig'"),
    (of({"type": "array", "items": [TYPO]}), ".properties.x.items[0].type", "is 'strnig'"),
    ({"type": "object", "additionalProperties": TYPO}, ".additionalProperties.type", "is 'strnig'"),
    ({"type": "object", "patternProperties": {"^a": TYPO}}, ".patternProperties.^a.type", "is 'strnig'"),
    ({**of({"$ref": "#/$defs/a"}), "$defs": {"a": of(TYPO)}}, ".$defs.a.properties.x.type", "is 'strnig'"),
    (
        {**of({"$ref": "#/definitions/b"}), "definitions": {}},
        ".properties.x.$ref",
        "is nowhere in the schema",
    ),
    (of("string"), ".properties.x", "must be a JSON schema"),
    (of(None), ".properties.x", "must be a JSON schema"),
]
HARMLESS = [
    {},
    of(True),
    of({}),
    of({"type": ["string", "null"], "enum": ["a", None]}),
    of({"type": "string", "nullable": True, "format": "whatever", "x-order": 1, "$comment": "type: strnig"}),
    of({"not": TYPO}),
    of({"if": TYPO, "then": TYPO}),
    of({"type": "string", "items": TYPO, "properties": {"a": TYPO}}),
    of({"type": "array", "contains": TYPO}),
    of({"default": TYPO, "examples": [TYPO], "description": "type strnig"}),
    {**of({"type": "string"}), "$defs": {"unused": TYPO}},
    {"type": "object", "properties": {"type": {"type": "string"}, "items": {"type": "integer"}}},
    of({"$ref": "#"}),
    {
        **of({"$ref": "#/definitions/n"}),
        "definitions": {"n": {"type": "object", "properties": {"n": {"$ref": "#/definitions/n"}}}},
    },
    {
        "$schema": "http://json-schema.org/draft-04/schema#",
        "id": "x",
        **of({"type": "integer", "minimum": 0}),
    },
]


@pytest.mark.parametrize(("schema", "at", "said"), WRONG)
def test_what_can_never_be_kept_is_found(schema, at, said):
    """Where it is, and what would do; the engine cannot make a grammar of it either."""
    found = problem(json.dumps(schema).encode())
    assert found is not None
    assert found.at == at
    assert said in found.predicate
    assert not held(schema)


@pytest.mark.parametrize("schema", HARMLESS)
def test_what_only_looks_odd_is_not(schema):
    """Drafts 4 to 2020-12, OpenAPI, and places at which no value is judged."""
    assert problem(json.dumps(schema).encode()) is None
    assert held(schema)


GOOD = {"type": "object", "properties": {}}
USER = [{"role": "user", "content": "hi"}]


def chat_tools(*schemas):
    return [
        {"type": "function", "function": {"name": f"t{n}", "parameters": one}}
        for n, one in enumerate(schemas)
    ]


def chat_body(**more):
    return openai_chat.parse, {"model": "m", "messages": USER, **more}


def messages_body(*schemas, **more):
    tools = [{"name": f"t{n}", "input_schema": one} for n, one in enumerate(schemas)]
    server = [{"type": "web_search_20250305", "name": "web_search"}]
    body = {"model": "m", "max_tokens": 1, "messages": USER, "tools": [*server, *tools], **more}
    return anthropic.parse, body


def responses_body(*schemas, **more):
    tools = [{"type": "function", "name": f"t{n}", "parameters": one} for n, one in enumerate(schemas)]
    return openai_responses.parse, {
        "model": "m",
        "input": "hi",
        "tools": [{"type": "web_search"}, *tools],
        **more,
    }


FORM = {"type": "json_schema", "name": "f", "schema": DEEP}


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        (
            chat_body(response_format={"type": "json_schema", "json_schema": {"name": "f", "schema": DEEP}}),
            "response_format.json_schema.schema.properties.x.type",
        ),
        (
            chat_body(tools=chat_tools(GOOD, GOOD, DEEP), tool_choice="required"),
            "tools[2].function.parameters.properties.x.type",
        ),
        (
            chat_body(
                tools=chat_tools(GOOD, DEEP), tool_choice={"type": "function", "function": {"name": "t1"}}
            ),
            "tools[1].function.parameters.properties.x.type",
        ),
        (messages_body(output_config={"format": FORM}), "output_config.format.schema.properties.x.type"),
        (messages_body(GOOD, DEEP, tool_choice={"type": "any"}), "tools[2].input_schema.properties.x.type"),
        (responses_body(text={"format": FORM}), "text.format.schema.properties.x.type"),
        (responses_body(GOOD, DEEP, tool_choice="required"), "tools[2].parameters.properties.x.type"),
    ],
)
def test_the_place_is_told_in_each_dialects_own_words(asked, param):
    """Counted as the client sent them, with those that are passed over."""
    parse, body = asked
    with pytest.raises(FaultError) as caught:
        parse(json.dumps(body).encode())
    assert (caught.value.fault.code, caught.value.fault.param) == (Code.INVALID_REQUEST, param)
    assert caught.value.fault.message.startswith(f"{param} is 'strnig'")


@pytest.mark.parametrize(
    "asked",
    [
        chat_body(tools=chat_tools(DEEP)),
        chat_body(tools=chat_tools(DEEP), tool_choice="none"),
        chat_body(tools=chat_tools(DEEP, GOOD), tool_choice={"type": "function", "function": {"name": "t1"}}),
        messages_body(DEEP, tool_choice={"type": "auto"}),
        responses_body(DEEP),
    ],
)
def test_a_tool_that_nothing_forces_may_have_any_schema(asked):
    """It is for the model to read."""
    parse, body = asked
    parse(json.dumps(body).encode())
