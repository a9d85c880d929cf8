"""What a tool's schema says of a value, and that no schema, however hostile, does harm."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex.protocol.toolcalls.schemas import DEPTH, fits, parsed, property_of, typed, types_of

POINT = {
    "type": "object",
    "properties": {"x": {"type": "integer"}, "y": {"$ref": "#/$defs/Length"}},
    "required": ["x"],
    "additionalProperties": False,
    "$defs": {"Length": {"type": ["number", "null"]}, "a/b~c": {"type": "string"}},
}


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "string"}, ["", "x"], [1, None, True, [], {}]),
        ({"type": "integer"}, [0, -5, 2.0, 10**30], [1.5, "1", True, None]),
        ({"type": "number"}, [0, 1.5, -1e300], ["1", False, None]),
        ({"type": "boolean"}, [True, False], [0, 1, "true"]),
        ({"type": "null"}, [None], [0, False, "", {}]),
        ({"type": "array"}, [[], [1, "x"]], [{}, "[]"]),
        ({"type": "array", "items": {"type": "integer"}}, [[], [1, 2]], [["x"], [1, None], 1]),
        ({"type": "array", "items": False}, [[]], [[1]]),
        ({"type": "object"}, [{}, {"any": 1}], [[], None]),
        ({"type": ["string", "null"]}, ["x", None], [1, []]),
        ({"type": "unheard of"}, [1, "x", None], []),
        ({"enum": ["a", 1, None]}, ["a", 1, 1.0, None], ["b", True, 2]),
        ({"enum": [True]}, [True], [1, 1.0, "true"]),
        ({"const": 1}, [1, 1.0], [True, 2, "1"]),
        ({"const": None}, [None], [0, False]),
        ({"const": {"a": [1]}}, [{"a": [1]}], [{"a": [2]}, {}]),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, ["x", None], [1]),
        ({"oneOf": [{"type": "string"}, {"type": "integer"}]}, ["x", 1], [None]),
        ({"allOf": [{"type": "integer"}, {"enum": [1, 2]}]}, [1], [3, "1"]),
        ({"anyOf": [{"type": "string"}], "oneOf": [{"const": "a"}]}, ["a"], ["b", 1]),
        (
            POINT,
            [{"x": 1}, {"x": 1, "y": 1.5}, {"x": 1, "y": None}],
            [{}, {"y": 1}, {"x": "1"}, {"x": 1, "z": 1}],
        ),
        ({"properties": {"x": {}}}, [{}, {"x": 1}, "no object"], [{"y": 1}]),
        ({"properties": {"x": {}}, "additionalProperties": True}, [{"y": 1}], []),
        ({"properties": {"x": {}}, "additionalProperties": {"type": "string"}}, [{"y": "a"}], [{"y": 1}]),
        ({"additionalProperties": {"type": "integer"}}, [{"y": 1}, {}], [{"y": "a"}]),
        ({"additionalProperties": False}, [{}], [{"y": 1}]),
        ({"properties": {}}, [{}], [{"y": 1}]),
        ({"properties": {"x": {}}, "patternProperties": {"^y": {}}}, [{"yy": 1}], []),
        ({"properties": {"x": False}}, [{}], [{"x": 1}]),
        ({"$ref": "#/$defs/S", "$defs": {"S": {"type": "string"}}}, ["x"], [1]),
        ({"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/B"}, "B": {"const": 1}}}, [1], [2]),
        (True, [1, None, {}], []),
        ({}, [1, None, {}], []),
        (False, [], [1, None, {}]),
    ],
)
def test_what_fits(schema: Any, good: list[Any], bad: list[Any]) -> None:
    """Types, required and unknown keys, items, alternatives, constants and references are looked at."""
    assert [value for value in good if not fits(schema, value)] == []
    assert [value for value in bad if fits(schema, value)] == []


def test_a_reference_is_read_from_the_root() -> None:
    """Also one that stands deep inside, one back to the root, and one whose name needs escapes."""
    tree = {
        "type": "object",
        "properties": {
            "value": {"$ref": "#/$defs/a~1b~0c"},
            "next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]},
        },
        "required": ["value"],
        "$defs": POINT["$defs"],
    }
    assert fits(tree, {"value": "x", "next": {"value": "y", "next": None}})
    assert not fits(tree, {"value": "x", "next": {"value": 1}})
    assert not fits(tree, {"value": "x", "next": {"next": None}})


@pytest.mark.parametrize(
    "reference", ["#/$defs/gone", "#/x/y/z", "https://example.org/s.json", "other", "", 5, None, []]
)
def test_a_reference_to_nothing_says_nothing(reference: Any) -> None:
    """Nothing is fetched, and what cannot be found forbids nothing."""
    assert fits({"$ref": reference}, {"any": 1})
    assert types_of({"$ref": reference}, {}) == frozenset()


@pytest.mark.parametrize(
    ("schema", "types"),
    [
        ({"type": "string"}, "string"),
        ({"type": ["integer", "null", 5]}, "integer null"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "string null"),
        ({"oneOf": [{"type": "string"}, {"enum": [1, 2.5]}]}, "string integer number"),
        ({"anyOf": [{"type": "string"}, {}]}, ""),
        ({"allOf": [{}, {"type": "object"}]}, "object"),
        ({"enum": ["a", None, True, [], {}]}, "string null boolean array object"),
        ({"const": 5}, "integer"),
        ({"$ref": "#/$defs/Length"}, "number null"),
        ({"title": "says nothing"}, ""),
        ({}, ""),
        (True, ""),
        (None, ""),
        ("string", ""),
        ([], ""),
        ({"type": 5}, ""),
    ],
)
def test_types_that_a_value_may_have(schema: Any, types: str) -> None:
    """All of them, or none where the schema leaves it open."""
    assert types_of(schema, POINT) == frozenset(types.split())


def test_the_schema_of_a_property() -> None:
    """Found behind a reference too; None where there is none."""
    assert property_of(POINT, "x") == {"type": "integer"}
    assert property_of({"$ref": "#/$defs/P", "$defs": {"P": POINT}}, "x") == {"type": "integer"}
    assert property_of(POINT, "z") is None
    assert [property_of(schema, "x") for schema in (None, True, [], "x", {"properties": []}, {})] == [
        None
    ] * 6


# ── bare text ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "types", "value"),
    [
        ("5", "string", "5"),
        (" true\n", "string", " true\n"),
        ("5", "integer", 5),
        (" -5 \n", "integer", -5),
        ("5.0", "integer", 5.0),
        ("5.5", "integer", "5.5"),
        ("1e3", "number", 1000.0),
        ("five", "integer", "five"),
        ("True", "boolean", True),
        ("false", "boolean", False),
        ("1", "boolean", "1"),
        ("None", "null", None),
        ("null", "string null", None),
        ("5", "string null", "5"),
        ("true", "string null", "true"),
        ("5", "string integer", "5"),
        ('{"a": [1]}', "object", {"a": [1]}),
        ("{'a': True}", "object", {"a": True}),
        ("{'a': {1, 2}}", "object", "{'a': {1, 2}}"),
        ('{"a": 1', "object", '{"a": 1'),
        ("[1, 2]", "array", [1, 2]),
        ("['a', None]", "array", ["a", None]),
        ("(1, 2)", "array", "(1, 2)"),
        ("[1]", "string array", [1]),
        ("[see note]", "string array", "[see note]"),
        ("[1]", "object", "[1]"),
        ('"quoted"', "integer", '"quoted"'),
        ("5", "", 5),
        ("word", "", "word"),
        ('{"a": 1}', "", {"a": 1}),
        ("NaN", "number", "NaN"),
        ("Infinity", "", "Infinity"),
        ("", "integer", ""),
        ("__import__('os')", "", "__import__('os')"),
        ("[__import__('os')]", "array", "[__import__('os')]"),
    ],
)
def test_bare_text_by_its_types(text: str, types: str, value: Any) -> None:
    """A value of these types, or the text exactly as it came; types as different as 5 and true are told apart."""
    found = typed(text, frozenset(types.split()))
    assert (found, type(found)) == (value, type(value))


@given(
    st.text(max_size=30),
    st.frozensets(st.sampled_from(["string", "integer", "number", "boolean", "object", "array", "null"])),
)
def test_bare_text_becomes_json_or_stays(text: str, types: frozenset[str]) -> None:
    """Whatever the text, the value can be written as JSON; a string is the text itself."""
    value = typed(text, types)
    assert isinstance(json.dumps(value), str)
    assert not isinstance(value, str) or value == text


# ── hostile schemas and texts ────────────────────────────────────────────────────────────────────────────────────


def nested(depth: int, key: str) -> Any:
    schema: Any = {"type": "string"}
    for _ in range(depth):
        schema = {key: [schema]} if key.endswith("Of") else {key: schema}
    return schema


LOOP = {"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/B"}, "B": {"$ref": "#/$defs/A"}}}
HOSTILE = {
    "itself": {"$ref": "#"},
    "in a circle": LOOP,
    "any of itself": {"anyOf": [{"$ref": "#"}]},
    "all of itself": {"allOf": [{"$ref": "#"}]},
    "items of itself": {"items": {"$ref": "#"}, "additionalProperties": {"$ref": "#"}},
    "deep alternatives": nested(10_000, "anyOf"),
    "deep conjunctions": nested(10_000, "allOf"),
    "deep items": nested(10_000, "items"),
    "a huge enum": {"enum": list(range(100_000))},
    "wrong everywhere": {
        "type": {}, "enum": 5, "anyOf": "x", "oneOf": {}, "allOf": 1, "required": "x", "properties": [1],
        "additionalProperties": 7, "items": [], "$defs": None,
    },
    "required of no names": {"required": [1, None, {}], "properties": {"x": 5}},
    "a text": "string", "a list": [1], "a number": 5, "null": None,
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("value", [None, 1, "x", [[[[1]]]], {"x": {"x": {"x": 1}}}, {}], ids=str)
def test_hostile_schemas_do_no_harm(name: str, value: Any) -> None:
    """They are answered at once, without an exception; what goes round in circles forbids nothing."""
    schema = HOSTILE[name]
    assert isinstance(fits(schema, value), bool)
    assert isinstance(types_of(schema, schema), frozenset)
    property_of(schema, "x")
    if "itself" in name or "circle" in name:
        assert fits(schema, value)


@pytest.mark.parametrize("key", ["anyOf", "oneOf", "allOf"])
def test_alternatives_that_multiply_end(key: str) -> None:
    """A schema that is twice itself would be looked at more often than there are atoms."""
    schema = {key: [{"$ref": "#"}, {"$ref": "#"}], "properties": {"x": {"$ref": "#"}}}
    assert isinstance(fits(schema, {"x": {"x": 1}}), bool)
    assert types_of(schema, schema) == frozenset()
    refusing = {key: [{"$ref": "#"}, {"$ref": "#"}], "type": "integer"}
    assert not fits(refusing, "x")


def test_what_lies_too_deep_fits() -> None:
    """A value deeper than anyone looks is not refused."""
    tree = {"properties": {"x": {"$ref": "#"}}, "additionalProperties": False}
    value: dict[str, Any] = {"unknown": 1}
    for _ in range(DEPTH):
        value = {"x": value}
    assert fits(tree, value)
    assert not fits(tree, value["x"]["x"])


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "(" * 100_000, "{'a':" * 20_000, "-" * 100_000, "9" * 100_000]
)
def test_hostile_text_stays_text_or_is_a_number(text: str) -> None:
    """No depth and no number of digits is an exception."""
    found = typed(text, frozenset({"array"}))
    assert found == text
    typed(text, frozenset())


def test_integers_of_any_length_are_read() -> None:
    """Very long ones as floats, for Python refuses to read them as integers."""
    assert parsed("1" * 100) == int("1" * 100)
    assert parsed("1" * 5_000) == float("inf")
    assert parsed('{"a": ' + "1" * 5_000 + "}") == {"a": float("inf")}
