"""What a model sees of items that were made elsewhere, and what a response repeats of its request."""

import json

import pytest
from responses_bodies import (
    LOOK,
    SAID,
    THOUGHT,
    message,
    read,
)

from cortex.edge.dialects.openai_responses import parse
from cortex.edge.dialects.sealed import sealed


@pytest.mark.parametrize(
    ("items", "told"),
    [
        (
            [
                {
                    "type": "local_shell_call",
                    "call_id": "c",
                    "action": {"command": ["ls"]},
                    "status": "completed",
                },
                {"type": "local_shell_call_output", "call_id": "c", "output": "a.py"},
            ],
            [("local_shell", '{"action":{"command": ["ls"]}}', "c"), ("a.py", "c")],
        ),
        (
            [
                {"type": "shell_call", "id": "s", "call_id": "c", "action": {"commands": ["ls"]}},
                {"type": "shell_call_output", "call_id": "c", "output": [{"stdout": "a"}]},
            ],
            [("shell", '{"action":{"commands": ["ls"]}}', "c"), ('[{"stdout": "a"}]', "c")],
        ),
        (
            [
                {
                    "type": "mcp_call",
                    "id": "m",
                    "name": "x",
                    "server_label": "s",
                    "arguments": "{}",
                    "output": "5",
                }
            ],
            [("mcp", '{"name":"x","server_label":"s","arguments":"{}"}', "m"), ("5", "m")],
        ),
        (
            [{"type": "mcp_call", "id": "m", "name": "x", "output": None, "error": "no such host"}],
            [("mcp", '{"name":"x","error":"no such host"}', "m"), ("no such host", "m")],
        ),
        (
            [{"type": "web_search_call", "id": "w", "action": {"query": "q"}, "status": "completed"}],
            [("web_search", '{"action":{"query": "q"}}', "w"), ("[result omitted]", "w")],
        ),
        (
            [{"type": "image_generation_call", "id": "i", "result": "AAAA"}],
            [("image_generation", "{}", "i"), ("[image omitted]", "i")],
        ),
        (
            [{"type": "computer_call_output", "call_id": "c", "output": {"image_url": "data:,"}}],
            [("[image omitted]", "c")],
        ),
        ([{"type": "mcp_list_tools", "id": "l", "tools": []}], []),
        (
            [{"type": "agent_message", "author": "a", "content": [{"type": "input_text", "text": "done"}]}],
            [("done", "")],
        ),
    ],
)
def test_what_was_done_elsewhere_is_seen(items, told):
    """Calls of tools that nobody offers here, and what came of them: a conversation without them would be another."""
    turns = read([message("user", "x"), *items]).request.turns[1:]
    seen = []
    for turn in turns:
        seen += [(call.name, call.arguments.decode(), call.id) for call in turn.tool_calls]
        if turn.text:
            seen.append((turn.text, turn.tool_call_id))
    assert seen == told


def test_a_custom_call_is_a_call():
    """Its plain text becomes an argument."""
    call = {"type": "custom_tool_call", "call_id": "c", "name": "patch", "input": 'a "b"'}
    done = {"type": "custom_tool_call_output", "call_id": "c", "output": "ok"}
    parsed = read([message("user", "x"), call, done])
    assert parsed.request.turns[1].tool_calls[0].arguments == b'{"input":"a \\"b\\""}'
    assert parsed.request.turns[2].tool_call_id == "c"


def test_settings_are_repeated_on_one_line():
    """However a client has written them: the data of an event ends where its line does."""
    given = {
        "metadata": {"a": "b"},
        "tools": [{**LOOK, "parameters": {"type": "object", "properties": {"n": {"maximum": 1e30}}}}],
        "reasoning": {"effort": "low", "summary": "auto"},
        "text": {
            "format": {"type": "json_schema", "name": "x", "schema": {"type": "object"}},
            "verbosity": "low",
        },
        "tool_choice": {"type": "function", "name": "look"},
    }
    pretty = json.dumps({"model": "demo", "input": "hi", **given}, indent=2).replace("\n", "\r\n")
    settings = parse(pretty.encode()).settings
    assert not {b"\n"[0], b"\r"[0]} & set(settings)
    told = json.loads(b"{" + settings + b"}")
    assert {name: told[name] for name in given} == given


def test_settings_of_a_silent_request_are_the_defaults():
    """Every field that clients look for has a value."""
    told = json.loads(b"{" + read().settings + b"}")
    assert told["text"] == {"format": {"type": "text"}}
    assert (told["tool_choice"], told["tools"], told["truncation"]) == ("auto", [], "disabled")
    assert told["reasoning"] == {"effort": None, "summary": None}


def test_what_was_thought_comes_back_sealed():
    """Ours is read; another's, or one that was changed, is left out for the summary."""
    own = sealed("all of it\U0001f600")
    for sent, heard in (
        ({"encrypted_content": own, "summary": []}, "all of it\U0001f600"),
        ({"encrypted_content": own[:-4] + "AAAA", "summary": THOUGHT["summary"]}, "hm"),
        ({"encrypted_content": "cortex1-*", "summary": THOUGHT["summary"]}, "hm"),
        ({"encrypted_content": None, "summary": THOUGHT["summary"]}, "hm"),
    ):
        parsed = read([message("user", "x"), {"type": "reasoning", **sent}, SAID])
        assert parsed.request.turns[1].reasoning == heard
