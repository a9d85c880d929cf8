"""What a client reads when its body has the wrong shape."""

import json

import pytest

from cortex.edge.dialects.openai_chat_body import read
from cortex.protocol.faults import FaultError


def body(**fields):
    return json.dumps({"model": "demo", "messages": [], **fields}).encode()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (body(model=3), "model must be a string, not an integer."),
        (body(model=None), "model must be a string, not null."),
        (body(messages="x"), "messages must be an array, not a string."),
        (body(messages=[3]), "messages[0] must be an object, not an integer."),
        (
            body(messages=[{"role": "user", "content": True}]),
            "messages[0].content must be a string or an array, not a boolean.",
        ),
        (body(temperature="x"), "temperature must be a number, not a string."),
        (body(n="1"), "n must be an integer, not a string."),
        (body(stream=1), "stream must be a boolean, not an integer."),
        (body(tools={}), "tools must be an array, not an object."),
        (body(tool_choice=[]), "tool_choice must be a string or an object, not an array."),
        (body(logit_bias={"1": "x"}), "logit_bias holds a value that must be a number, not a string."),
        (b"[]", "The body must be an object, not an array."),
        (b"null", "The body must be an object, not null."),
        (b"{}", "model is required."),
        (b"{", "The body is not valid JSON: it ends too early."),
        (b"{'a': 1}", "The body is not valid JSON: object keys must be strings (byte 1)."),
        (b"\xff", "The body is not valid UTF-8 at byte 0; encode it as UTF-8."),
        (b" ", "The body is empty; send a JSON object."),
    ],
)
def test_a_wrong_type_is_told_in_the_words_of_json(data, message):
    """A sentence with the field, what it must be and what it is: string, number, integer, boolean, array, object, null."""
    with pytest.raises(FaultError) as caught:
        read(data)
    assert caught.value.fault.message == message
