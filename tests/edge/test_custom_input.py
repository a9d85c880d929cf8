"""The text of a custom tool, read from the arguments of a function while they stream."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex.edge.dialects.custom_input import Grammar, InputReader, arguments_of, described


def read(*pieces):
    reader = InputReader()
    return "".join([*(reader.take(piece) for piece in pieces), reader.end()])


@given(st.text(), st.booleans(), st.lists(st.integers(0, 200), max_size=6))
def test_a_text_is_read_in_any_pieces(text, ascii_only, cuts):
    """Escapes and surrogate pairs may be cut anywhere."""
    arguments = json.dumps({"input": text}, ensure_ascii=ascii_only)
    places = [0, *sorted(cut % (len(arguments) + 1) for cut in cuts), len(arguments)]
    pieces = [arguments[begin:end] for begin, end in itertools.pairwise(places)]
    assert read(*pieces) == text == json.loads(arguments_of(text))["input"]


def test_a_text_is_told_while_it_streams():
    """Nothing but an escape that is not whole is held back."""
    reader = InputReader()
    pieces = ('{"inp', 'ut": "a', "b\\", "nc\\ud8", "3d", "\\ude00", 'd"', "}")
    assert [reader.take(piece) for piece in pieces] == ["", "a", "b", "\nc", "", "\U0001f600", "d", ""]
    assert reader.end() == ""


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("*** Begin Patch", "*** Begin Patch"),
        ('{"patch": "a\\nb"}', "a\nb"),
        ('{"path": "x", "input": "a"}', "a"),
        ('{"path": "x", "text": "a"}', '{"path": "x", "text": "a"}'),
        ('{"input": 5}', '{"input": 5}'),
        ("{}", ""),
        ("", ""),
        ('{"input": "cut', "cut"),
        ('{"input": "a\\ud83dx"}', "a\ufffdx"),
        ('{"input": "a\\ude00x"}', "a\ufffdx"),
        ('{"input": "a\\u12x"}', "a\ufffd12x"),
        ('{"input": "a\nb\\q"}', "a\nbq"),
        (" " * 99 + '{"input": "late"}', "late"),
    ],
)
def test_what_is_written_in_another_way_is_not_lost(arguments, text):
    """The only field is meant, or all that the model wrote; half a surrogate pair is a sign that is not known."""
    assert read(arguments) == text
    assert read(*arguments) == text


def test_a_grammar_is_told_to_the_model():
    """Behind the description; nothing else holds the model to it."""
    grammar = Grammar(type="grammar", syntax="lark", definition="start: /a+/")
    assert described("Patches.", grammar).startswith(
        "Patches.\n\nThe input must follow this lark grammar:\nstart"
    )
    assert described("", grammar).startswith("The input must")
    assert described("Patches.", Grammar(type="text")) == described("Patches.", None) == "Patches."
