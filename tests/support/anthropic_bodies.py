"""Bodies as Anthropic's clients send them, in short, and what is read from them."""

import json

import pytest

from cortex.edge.dialects.anthropic import parse
from cortex.protocol.faults import FaultError

USER = {"role": "user", "content": "hi"}
TOOL = {"name": "look", "description": "Looks.", "input_schema": {"type": "object"}}
SEARCH = {"type": "web_search_20260318", "name": "web_search", "max_uses": 3}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"at": 1.50}}
PIXEL = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}


def body(**fields):
    return json.dumps({"model": "demo", "max_tokens": 64, "messages": [USER], **fields}).encode()


def chat(**fields):
    return parse(body(**fields)).request


def turns(*messages, **fields):
    return chat(messages=list(messages), **fields).turns


def user(*blocks):
    return {"role": "user", "content": list(blocks)}


def said(*blocks):
    return {"role": "assistant", "content": list(blocks)}


def text(what):
    return {"type": "text", "text": what, "cache_control": {"type": "ephemeral"}}


def result(content, id_="toolu_1", **more):
    return {"type": "tool_result", "tool_use_id": id_, "content": content, **more}


def refused(**fields):
    with pytest.raises(FaultError) as caught:
        parse(body(**fields))
    return caught.value.fault


PDF = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "aGk="}}
