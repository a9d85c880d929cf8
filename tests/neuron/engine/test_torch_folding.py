"""Templates that take a system turn in front and nowhere else: a conversation with others in it is rendered all the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from cortex.neuron.demo import model_path
from cortex.neuron.engine.torch.folding import system_first
from cortex.neuron.engine.torch.template import render
from cortex.protocol.faults import FaultError
from cortex.protocol.request import Chat, Text, ToolCall, Turn

REFUSES = """\
{%- for message in messages -%}
{%- if message.role == "system" and not loop.first -%}{{ raise_exception("System message must be at the beginning") }}
{%- endif -%}
{%- if message.role == "user" and not loop.first and loop.previtem.role == "user" -%}{{ raise_exception("No twins") }}
{%- endif -%}
{%- for call in message.tool_calls or () -%}{{ call.function.arguments.items() | list }}{%- endfor -%}
[{{ message.role }}: {{ message.content }}]
{%- endfor -%}"""
ALLOWS = "{%- for message in messages -%}[{{ message.role }}: {{ message.content }}]{%- endfor -%}"


def turn(role, text="", **more):
    return Turn(role=role, parts=(Text(text=text),), **more)


def rendered(template, *turns):
    tokenizer = AutoTokenizer.from_pretrained(model_path())
    tokenizer.chat_template = template
    prompt = render(Chat(model="m", turns=turns), tokenizer, 2048)
    return tokenizer.decode(prompt.ids)


AGENTS = (
    turn("system", "top"),
    turn("system", "more"),
    turn("user", "a"),
    turn("system", "note"),
    turn("assistant", "b"),
    turn("system", "late"),
    turn("user", "c"),
)


def test_a_template_that_allows_it_sees_each_turn_in_its_place():
    """Nothing is changed that need not be."""
    assert rendered(ALLOWS, *AGENTS) == "".join(f"[{one.role}: {one.text}]" for one in AGENTS)


def test_a_template_that_refuses_it_sees_the_user_say_it():
    """In its place; leading ones are one, and roles alternate."""
    expected = "[system: top\nmore][user: a\nnote][assistant: b][user: late\nc]"
    assert rendered(REFUSES, *AGENTS) == expected


def test_both_cures_at_once():
    """A call whose arguments were malformed, and a system turn behind the first."""
    call = ToolCall(id="c", name="f", arguments=b'{"a": ')
    said = turn("assistant", "b", tool_calls=(call,))
    text = rendered(
        REFUSES, turn("user", "a"), said, turn("tool", "r", tool_call_id="c"), turn("system", "n")
    )
    assert text.endswith("[tool: r][user: n]")
    assert "malformed_arguments" in text


def test_the_first_refusal_is_told():
    """What the template says about the conversation as the client sent it."""
    with pytest.raises(FaultError, match="System message must be at the beginning"):
        rendered(REFUSES + '{{ raise_exception("never") }}', turn("user", "a"), turn("system", "b"))


ROLES = st.sampled_from(["system", "user", "assistant", "tool"])


@given(st.lists(ROLES, max_size=8))
def test_no_word_is_lost_and_none_moves(roles):
    """At most one system turn, in front; the texts in their order; what is folded once stays as it is."""
    turns = tuple(turn(role, str(index)) for index, role in enumerate(roles))
    folded = system_first(turns)
    assert [part.text for one in folded for part in one.parts] == [one.text for one in turns]
    assert all(one.role != "system" for one in folded[1:])
    assert system_first(folded) == folded
