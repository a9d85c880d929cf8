"""What a person has just sent, in every dialect: there an image that cannot be seen is an error, and nowhere else."""

from __future__ import annotations

import base64
import io
import json

import PIL.Image
import pytest

from cortex.edge.dialects import anthropic, openai_chat, openai_responses
from cortex.edge.dialects.conversation import just_sent
from cortex.edge.images import for_model
from cortex.protocol.faults import FaultError
from cortex.protocol.request import Chat


def pixel() -> str:
    out = io.BytesIO()
    PIL.Image.new("RGB", (1, 1)).save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


DATA = pixel()
ADDRESS = f"data:image/png;base64,{DATA}"

# A letter for each message: what a person says (u), with an image (I), with a part that says nothing (N); what the
# model says (a), the call of a tool (c) and its result (r), with an image (R); a result with an image beside it (B).
FRESH = ["I", "uaI", "sIs", "ucraI", "IaI"]
OLD = ["Iau", "Icr", "Ia", "Iu", "ucB", "ucR", "ucrI", "IcRaus", "Icrcr", "uaIcrs", "IaB"]


def of_anthropic(letters: str) -> Chat:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": DATA}}
    result = {"type": "tool_result", "tool_use_id": "t", "content": "seen"}
    said = {
        "u": ("user", "hi"),
        "I": ("user", [{"type": "text", "text": "look"}, image]),
        "N": ("user", [{"type": "text", "text": "look"}, {"type": "text"}, {"type": "document"}]),
        "a": ("assistant", "ok"),
        "c": ("assistant", [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]),
        "r": ("user", [result]),
        "R": ("user", [{**result, "content": [image]}]),
        "B": ("user", [result, image]),
        "s": ("system", "note"),
    }
    messages = [{"role": said[one][0], "content": said[one][1]} for one in letters]
    return anthropic.parse_count(json.dumps({"model": "blind", "messages": messages}).encode())


def of_chat(letters: str) -> Chat:
    image = {"type": "image_url", "image_url": {"url": ADDRESS}}
    result = {"role": "tool", "tool_call_id": "t", "content": "seen"}
    said = {
        "u": [{"role": "user", "content": "hi"}],
        "I": [{"role": "user", "content": [{"type": "text", "text": "look"}, image]}],
        "N": [
            {
                "role": "user",
                "content": [{"type": "text", "text": "look"}, {"type": "text"}, {"type": "file"}],
            }
        ],
        "a": [{"role": "assistant", "content": "ok"}],
        "c": [
            {"role": "assistant", "tool_calls": [{"id": "t", "function": {"name": "f", "arguments": "{}"}}]}
        ],
        "r": [result],
        "R": [{**result, "content": [image]}],
        "B": [result, {"role": "user", "content": [image]}],
        "s": [{"role": "developer", "content": "note"}],
    }
    messages = [message for one in letters for message in said[one]]
    return openai_chat.parse(json.dumps({"model": "blind", "messages": messages}).encode()).request


def of_responses(letters: str) -> Chat:
    image = {"type": "input_image", "image_url": ADDRESS}
    look = {"type": "input_text", "text": "look"}
    result = {"type": "function_call_output", "call_id": "t", "output": "seen"}
    said = {
        "u": [{"role": "user", "content": "hi"}],
        "I": [{"role": "user", "content": [look, image]}],
        "N": [{"role": "user", "content": [look, {"type": "input_text"}, {"type": "input_file"}]}],
        "a": [{"type": "reasoning", "summary": []}, {"role": "assistant", "content": "ok"}],
        "c": [{"type": "function_call", "call_id": "t", "name": "f", "arguments": "{}"}],
        "r": [result],
        "R": [{**result, "output": [image]}],
        "B": [result, {"role": "user", "content": [image]}],
        "s": [{"role": "developer", "content": "note"}],
    }
    items = [item for one in letters for item in said[one]]
    return openai_responses.parse(json.dumps({"model": "blind", "input": items}).encode()).request


DIALECTS = [of_anthropic, of_chat, of_responses]


@pytest.mark.parametrize("letters", FRESH)
@pytest.mark.parametrize("read", DIALECTS)
def test_an_image_that_a_person_has_just_sent_is_refused(read, letters):
    """By a model that sees none: saying nothing would make it guess."""
    chat = read(letters)
    with pytest.raises(FaultError, match="holds an image, and blind sees none"):
        for_model(chat, sees=False)


@pytest.mark.parametrize("letters", OLD)
@pytest.mark.parametrize("read", DIALECTS)
def test_no_loop_of_an_agent_breaks_because_an_image_was_sent(read, letters):
    """In a result, beside one, in an older message, or with an answer behind it: a word stands for it."""
    shown = for_model(read(letters), sees=False)
    assert any("[image omitted]" in turn.text for turn in shown.turns)


@pytest.mark.parametrize("read", DIALECTS)
def test_what_says_nothing_is_refused_only_where_it_was_just_sent(read):
    """A text that is null, a document that holds none: the answer to them was an error, or they came from elsewhere."""
    with pytest.raises(FaultError, match="is required"):
        read("uaN")
    assert read("Nau").turns[0].text.startswith("look")


@pytest.mark.parametrize(
    ("roles", "place"),
    [
        ((), -1),
        (("system",), -1),
        (("user",), 0),
        (("user", "system"), 0),
        (("user", "assistant"), -1),
        (("user", "user"), 1),
        (("tool", "system", "user"), -1),
        (("tool", "user", "user"), 2),
        (("tool", "assistant", "user"), 2),
    ],
)
def test_who_has_the_last_word(roles, place):
    """What stands directly behind the result of a tool is an agent's, whoever is said to have written it."""
    assert just_sent(roles) == place
