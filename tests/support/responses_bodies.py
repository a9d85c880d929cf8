"""Bodies of OpenAI Responses, the items that clients put into them, and what becomes of them."""

import json

import pytest

from cortex.edge.dialects.openai_responses import parse
from cortex.protocol.faults import FaultError

LOOK = {
    "type": "function",
    "name": "look",
    "description": "Look.",
    "parameters": {"type": "object"},
    "strict": False,
}
CALL = {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": '{"at":1}'}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "seen"}
THOUGHT = {
    "type": "reasoning",
    "summary": [{"type": "summary_text", "text": "hm"}],
    "encrypted_content": "gAAA",
}
SAID = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Let me look."}]}
NAMESPACE = {"type": "namespace", "name": "mcp", "tools": [{"type": "function", "name": "inner"}]}
HOSTED = [
    NAMESPACE,
    {"type": "web_search"},
    {"type": "custom", "name": "patch", "format": {"type": "grammar"}},
]


def body(items="hi", **more):
    return json.dumps({"model": "demo", "input": items, **more}).encode()


def read(items="hi", **more):
    return parse(body(items, **more))


def spoken(parsed):
    return [(turn.role, turn.text, turn.reasoning, len(turn.tool_calls)) for turn in parsed.request.turns]


def refused(items="hi", **more):
    with pytest.raises(FaultError) as caught:
        read(items, **more)
    return caught.value.fault


def message(role, *texts):
    return {"role": role, "content": [{"type": "input_text", "text": text} for text in texts]}
