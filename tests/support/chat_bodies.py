"""Bodies of OpenAI chats, and what becomes of them."""

import json

import pytest

from cortex.edge.dialects.openai_chat import parse
from cortex.protocol.faults import FaultError

USER = {"role": "user", "content": "hi"}
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}


def body(**fields):
    return json.dumps({"model": "demo", "messages": [USER], **fields}).encode()


def chat(**fields):
    return parse(body(**fields)).request


def refused(data):
    with pytest.raises(FaultError) as caught:
        parse(data if isinstance(data, bytes) else body(**data))
    return caught.value.fault


def nested(depth):
    value = 1
    for _ in range(depth):
        value = [value]
    return value
