"""Readers that delegate: how the head of a call is read, and how its first characters choose who reads it."""

from __future__ import annotations

import re

import pytest
from toolcall_texts import TOOLS, Reading, call_id, call_pieces, read

from cortex.protocol.deltas import TextPiece
from cortex.protocol.toolcalls.bodies import LONGEST_HEAD, Headed, Sniffing
from cortex.protocol.toolcalls.envelope import Envelope
from cortex.protocol.toolcalls.family import Family, Form
from cortex.protocol.toolcalls.offer import Offer
from cortex.protocol.toolcalls.reading import MarkedParser

FAMILY = Family(
    "made up",
    (
        Form(lambda offer: Headed(offer, re.compile(r"\s*(?P<name>\S+)\s*")), ("<head>",), ("</head>",)),
        Form(
            lambda offer: Sniffing(offer, {"{": Envelope}, skip="```json"), ("<sniff>",), ("```", "</sniff>")
        ),
    ),
)
ADDED = call_pieces(0, "add", '{"a": 1}')


def both_ways(text: str) -> Reading:
    """What a text means; at once, one character at a time and cut in two anywhere it means the same."""
    ways = [[text], list(text), *([text[:at], text[at:]] for at in range(1, len(text)))]
    first, *others = (read(way, parser()) for way in ways)
    assert all(other == first for other in others)
    return first


def parser() -> MarkedParser:
    return MarkedParser(FAMILY, Offer(TOOLS), reasoning_open=False, call_id=call_id)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ('<head>add\n{"a": 1}</head>', ADDED),
        ('<head>subtract {"a": 1}</head>', [TextPiece('<head>subtract {"a": 1}</head>')]),
        ('<sniff>```json\n{"name": "add", "arguments": {"a": 1}}\n```', ADDED),
        ('<sniff> {"name": "add", "arguments": {"a": 1}}</sniff>', ADDED),
        ("<sniff>```", [TextPiece("<sniff>```")]),
        ("<sniff>``x", [TextPiece("<sniff>``x")]),
        ("<think><sniff>``</think>x", None),
    ],
)
def test_bodies_that_delegate(text: str, pieces: list | None) -> None:
    """They read the same however the text is cut, also within what may be skipped."""
    reading = both_ways(text)
    assert pieces is None or reading.pieces == pieces


@pytest.mark.parametrize("size", [LONGEST_HEAD - 1, LONGEST_HEAD, LONGEST_HEAD + 9])
def test_a_head_that_is_too_long_ends_where_it_is_too_long(size: int) -> None:
    """What stands behind it is read as text, so that a call there is found, however it came."""
    text = "<head>" + "x" * size + '<head>add {"a": 1}</head>'
    if size < LONGEST_HEAD:
        assert both_ways(text).pieces == [TextPiece(text)]
    else:
        assert both_ways(text).pieces == [TextPiece("<head>" + "x" * size), *ADDED]


def test_a_draft_that_waits_ends_with_its_reasoning() -> None:
    """A body that wants to see more does not hold back what follows its reasoning."""
    reading = both_ways('<think><sniff>`</think><sniff>{"name": "add", "arguments": {"a": 1}}</sniff>')
    assert reading.pieces[1:] == ADDED
