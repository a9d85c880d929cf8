"""The accounting line of an agent is not shown to a model, and nothing else is left out."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex.edge.billing import LONGEST, MARK, without_billing
from cortex.edge.dialects import openai_chat
from cortex.edge.submitting import encoded
from cortex.protocol.codec import decode_request
from cortex.protocol.request import Chat, Complete, Count, Embed, Image, Text, Turn

LINE = f"{MARK} cc_version=2.1.197.a1b; cc_entrypoint=cli;"
TEXTS = st.text(st.sampled_from("ab \n:x-"), max_size=8)


def said(role, *texts):
    return Turn(role=role, parts=tuple(Text(text=text) for text in texts))


def shown(*turns):
    """The turns that are left, as role and texts."""
    chat = without_billing(Chat(model="m", turns=turns))
    return [(turn.role, *(part.text for part in turn.parts)) for turn in chat.turns]


@pytest.mark.parametrize(
    ("texts", "left"),
    [
        ((LINE, "You are Claude."), ("You are Claude.",)),
        ((LINE + "\nYou are Claude.\nBe kind.",), ("You are Claude.\nBe kind.",)),
        ((LINE + "\r\n", "You."), ("You.",)),
        ((LINE.upper() + "\n\nYou.",), ("\nYou.",)),
        (("\n " + LINE + "\nYou.",), ("You.",)),
        ((LINE, LINE + "\n", "You."), ("You.",)),
        (("You.", LINE), ("You.", LINE)),
        (("You.\n" + LINE,), ("You.\n" + LINE,)),
        ((LINE + "x" * LONGEST,), (LINE + "x" * LONGEST,)),
        ((MARK[:-1],), (MARK[:-1],)),
    ],
)
def test_the_line_goes_from_the_front(texts, left):
    """As a block or as a line, more than one too; further on, or swollen by something else, it stays."""
    assert shown(said("system", *texts), said("user", "hi")) == [("system", *left), ("user", "hi")]


def test_a_turn_that_holds_nothing_else_goes_with_it():
    """And so it does in the middle of a conversation."""
    turns = (said("system", LINE), said("user", LINE), said("system", LINE, "Go on."), said("system"))
    assert shown(*turns) == [("user", LINE), ("system", "Go on."), ("system",)]
    assert shown(said("system", LINE)) == [("system", LINE)], "a chat needs a turn"


@given(
    st.lists(
        st.tuples(st.sampled_from(["system", "user", "assistant"]), st.lists(TEXTS, max_size=3)), max_size=5
    )
)
def test_what_has_no_such_line_is_the_very_same(turns):
    """No copy is made."""
    chat = Chat(model="m", turns=tuple(said(role, *texts) for role, texts in turns))
    assert without_billing(chat) is chat
    count = Count(chat=chat)
    assert without_billing(count) is count


@given(st.lists(TEXTS.filter(str.strip), max_size=3))
def test_only_the_line_is_lost(texts):
    """Whatever follows it."""
    assert shown(said("system", LINE, *texts)) == [("system", *(texts or [LINE]))]


def test_other_requests_pass():
    """An image in front, a prompt, texts to embed."""
    image = Chat(model="m", turns=(Turn(role="system", parts=(Image(attachment=1, mime="image/png"),)),))
    for request in (image, Complete(model="m", prompt=LINE), Embed(model="m", inputs=(LINE,))):
        assert without_billing(request) is request


@pytest.mark.parametrize(
    "content", [LINE + "\nBe kind.", [{"type": "text", "text": LINE}, {"type": "text", "text": "Be kind."}]]
)
def test_no_request_leaves_with_it(content):
    """It is taken out where every request is encoded, so that no dialect has to think of it; a count sees the same."""
    messages = [{"role": "system", "content": content}, {"role": "user", "content": "hi"}]
    body = json.dumps({"model": "m", "messages": messages}).encode()
    chat = openai_chat.parse(body).request
    for request in (chat, Count(chat=chat)):
        sent = encoded(request, "send less")
        assert MARK.encode() not in sent
        assert b"Be kind." in sent
    assert decode_request(encoded(chat, "send less")).turns[0] == said("system", "Be kind.")
