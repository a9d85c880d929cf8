"""A tool that is strict, in every dialect."""

import json

import pytest

from cortex.edge.dialects import anthropic, openai_chat, openai_responses
from cortex.protocol.codec import decode_request, encode_request
from cortex.protocol.request import Chat

SCHEMA = {"type": "object"}
HI = [{"role": "user", "content": "hi"}]


def of_chat(strict: object) -> Chat:
    function = {"name": "look", "parameters": SCHEMA, "strict": strict}
    body = {"model": "m", "messages": HI, "tools": [{"type": "function", "function": function}]}
    return openai_chat.parse(json.dumps(body).encode()).request


def of_functions(strict: object) -> Chat:
    body = {"model": "m", "messages": HI, "functions": [{"name": "look", "parameters": SCHEMA, "strict": strict}]}  # fmt: skip
    return openai_chat.parse(json.dumps(body).encode()).request


def of_responses(strict: object) -> Chat:
    tool = {"type": "function", "name": "look", "parameters": SCHEMA, "strict": strict}
    return openai_responses.parse(json.dumps({"model": "m", "input": "hi", "tools": [tool]}).encode()).request


def of_messages(strict: object) -> Chat:
    tool = {"name": "look", "input_schema": SCHEMA, "strict": strict}
    return anthropic.parse(json.dumps({"model": "m", "messages": HI, "tools": [tool]}).encode()).request


@pytest.mark.parametrize("read", [of_chat, of_functions, of_responses, of_messages])
@pytest.mark.parametrize("strict", [True, False, None])
def test_strict_arrives_with_its_tool(read, strict):
    """As the client said it; silence is no."""
    [tool] = decode_request(encode_request(read(strict))).tools
    assert (tool.name, tool.strict) == ("look", bool(strict))
