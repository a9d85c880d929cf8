"""Hashes of a conversation's beginnings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from cortex.edge.prefix import FIRST, LAST, SEARCHED, blocks, without_volatile
from cortex.protocol.request import Chat, Sampling, Text, ToolCall, ToolSpec, Turn

TEXTS = st.text("ab\n:;1", max_size=6)
PARTS = st.builds(lambda text: Text(text=text), TEXTS)
CALLS = st.builds(ToolCall, id=TEXTS, name=TEXTS, arguments=st.binary(max_size=4))
TURNS = st.builds(
    Turn,
    role=st.sampled_from(["system", "user", "assistant", "tool"]),
    parts=st.lists(PARTS, max_size=2).map(tuple),
    tool_calls=st.lists(CALLS, max_size=2).map(tuple),
    name=TEXTS,
)
TOOLS = st.lists(
    st.builds(ToolSpec, name=st.text("ab", min_size=1, max_size=4), description=TEXTS), max_size=2
)
CHATS = st.builds(
    lambda turns, tools: Chat(model="m", turns=tuple(turns), tools=tuple(tools)),
    st.lists(TURNS, max_size=8),
    TOOLS,
)


def said(role, text):
    return Turn(role=role, parts=(Text(text=text),))


def chat(*turns, **rest):
    return Chat(model="m", turns=turns, **rest)


@given(CHATS, st.lists(TURNS, max_size=4))
def test_a_longer_conversation_begins_with_the_shorter_ones_blocks(short: Chat, more) -> None:
    """Once its head is told: then each turn that is added adds a block, and changes none before it."""
    head_is_told = any(turn.role != "system" for turn in short.turns)
    if more and not head_is_told and more[0].role == "system":
        more = [said("user", "a"), *more]
    longer = structs.replace(short, turns=(*short.turns, *more))
    known, found = blocks(short, "p"), blocks(longer, "p")
    assert found[: len(known)] == known
    assert len(found) == len(known) + len(more)


@given(CHATS)
def test_nobody_shares_a_block_with_anybody_else(asked: Chat) -> None:
    """Another principal has other hashes for the same words, and another model too."""
    mine = {digest for digest, _ in blocks(asked, "p")}
    for other in (blocks(asked, "q"), blocks(structs.replace(asked, model="n"), "p")):
        assert mine.isdisjoint(digest for digest, _ in other)


@given(CHATS, CHATS)
def test_a_block_tells_all_that_came_before_it(one: Chat, other: Chat) -> None:
    """The bytes covered grow, no hash comes twice, and different conversations end differently."""
    found = blocks(one, "p")
    covered = [size for _, size in found]
    assert covered == sorted(set(covered))
    assert len({digest for digest, _ in found}) == len(found)
    if found and blocks(other, "p")[-1:] == found[-1:]:
        assert blocks(other, "p") == found


def test_tools_and_system_are_one_block_before_the_turns() -> None:
    """A system turn further on is a turn like any other; without tools and system there is no head."""
    tool = ToolSpec(name="look")
    assert len(blocks(chat(said("user", "a")), "p")) == 1
    assert (
        len(blocks(chat(said("system", "s"), said("system", "t"), said("user", "a"), tools=(tool,)), "p"))
        == 2
    )
    assert len(blocks(chat(said("user", "a"), said("system", "s")), "p")) == 2


def test_only_what_is_read_counts() -> None:
    """Sampling, ids of calls and reasoning leave the hashes as they are; what is said and called does not."""
    call = ToolCall(id="1", name="f", arguments=b"{}")
    turn = Turn(role="assistant", parts=(Text(text="x"),), tool_calls=(call,), reasoning="hm")
    known = blocks(chat(turn), "p")
    renamed = structs.replace(turn, reasoning="", tool_calls=(structs.replace(call, id="2"),))
    assert blocks(chat(renamed, sampling=Sampling(seed=7)), "p") == known
    assert blocks(chat(structs.replace(turn, tool_calls=())), "p") != known
    assert blocks(chat(said("user", "x")), "p") != blocks(chat(said("assistant", "x")), "p")


def test_a_long_conversation_keeps_its_ends() -> None:
    """64 at most: the first eight and the last; the next request finds nearly all of them again."""
    turns = tuple(said("user", str(index)) for index in range(200))
    found = blocks(chat(*turns), "p")
    assert len(found) == FIRST + LAST == 64
    longer = blocks(chat(*turns, said("assistant", "x"), said("user", "y")), "p")
    assert len(set(found) & set(longer)) == 62
    assert found[-1] in longer
    assert found[:FIRST] == longer[:FIRST] == blocks(chat(*turns[:FIRST]), "p")


@pytest.mark.parametrize(
    "line",
    [
        "x-anthropic-billing-header: cc_version=2.1.197.f3a; cc_entrypoint=cli;",
        "Today's date: 2026-11-23",
        "  - Today's date is Monday, November 23, 2026.",
        "Current time: 14:03:22 CET",
        "The current date is 23 Nov 2026",
        "current date: 23.11.2026",
        "Now: 2026-11-23T14:03:22Z",
        "Session ID: 0e8d2c1a-77aa-4b1c-9a53-1f0c6f5d2a11",
    ],
)
def test_a_line_that_tells_the_time_does_not_count(line: str) -> None:
    """In a leading system turn, wherever it stands in it."""
    for frame in ("{}\nYou help.\nBe brief.", "You help.\n{}\nBe brief.", "You help.\nBe brief.\n{}"):
        told = frame.format(line)
        later = frame.format(line.replace("23", "24").replace("f3a", "b07").replace("0e8d2c1a", "11112222"))
        assert blocks(chat(said("system", told)), "p") == blocks(chat(said("system", later)), "p")
    assert blocks(chat(said("user", line)), "p") != blocks(chat(said("user", line + "!")), "p")


@pytest.mark.parametrize(
    "text",
    [
        "You help. Be brief.",
        "Know the updates to 3:1 ratios.",
        "The library was released on 2026-11-23.",
        "Use a date such as " + "x" * 200 + " 2026-11-23",
        "",
    ],
)
def test_other_lines_count(text: str) -> None:
    """A word or a number alone makes no line volatile, nor does a time in a long one."""
    assert without_volatile(text.encode()) == text.encode()


def test_only_the_first_lines_are_searched() -> None:
    """What stands far down is content; a line is never cut in two."""
    date = b"Today's date: 2026-11-23"
    padding = b"x" * (SEARCHED - 10)
    assert without_volatile(padding + b"\n" + date + b"\nend") == padding + b"\n" + date + b"\nend"
    assert without_volatile(date + b"\n" + padding + b"\n" + date) == padding + b"\n" + date
