"""Bodies of OpenAI Responses as clients were seen to send them, and what they become."""

from __future__ import annotations

from typing import Any

from client_shapes import LOOP, OFFERED, PERSON, SCHEMA, STRICT, TALK, USED, Shape, user

FLAT = {"type": "function", "name": "read", "description": "Reads.", "parameters": SCHEMA, "strict": False}
FUNCTION_CALL = {"type": "function_call", "call_id": "call_1", "name": "read", "arguments": USED}
FUNCTION_OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "print(1)"}


def said(role: str, *texts: str) -> dict[str, Any]:
    kind = "output_text" if role == "assistant" else "input_text"
    return {"role": role, "content": [{"type": kind, "text": one} for one in texts]}


def message(role: str, *texts: str) -> dict[str, Any]:
    return {"type": "message", **said(role, *texts)}


RESPONSES = [
    Shape(
        "Codex",
        "responses",
        {
            "input": [
                message("developer", "You are Codex."),
                message("developer", "<permissions>"),
                message("user", "<environment_context>"),
                message("user", "look"),
                {
                    "type": "reasoning",
                    "id": "rs_1",
                    "summary": [],
                    "content": None,
                    "encrypted_content": "gAAA",
                },
                {**message("assistant", "I look."), "id": "msg_1", "phase": "commentary"},
                {**FUNCTION_CALL, "id": "fc_1"},
                {
                    **FUNCTION_OUTPUT,
                    "output": [
                        {"type": "input_text", "text": "print(1)"},
                        {"type": "input_image", "image_url": "data:image/png;base64,AAAA"},
                    ],
                },
            ],
            "tools": [
                FLAT,
                {
                    "type": "namespace",
                    "name": "agents",
                    "description": "",
                    "tools": [{**FLAT, "name": "spawn"}],
                },
                {"type": "web_search", "external_web_access": False},
            ],
            "tool_choice": "auto",
            "parallel_tool_calls": True,
            "reasoning": {"summary": "auto"},
            "store": False,
            "stream": True,
            "include": ["reasoning.encrypted_content"],
            "prompt_cache_key": "k",
            "client_metadata": {"x-codex-installation-id": "i"},
            "text": {
                "format": {
                    "type": "json_schema",
                    "name": "codex_output_schema",
                    "schema": PERSON,
                    "strict": True,
                }
            },
        },
        [
            "system: You are Codex.",
            "system: <permissions>",
            "user: <environment_context>",
            *LOOP[:2],
            LOOP[2] + "|[image omitted]",
        ],
        {**OFFERED, "tools": ["read", "agents__spawn"], "response_format": STRICT, "stream": True},
    ),
    Shape(
        "opencode",
        "responses",
        {
            "input": [
                {"role": "developer", "content": "Be brief."},
                said("user", "look"),
                said("assistant", "I look."),
                FUNCTION_CALL,
                FUNCTION_OUTPUT,
            ],
            "tools": [FLAT],
            "tool_choice": "auto",
            "max_output_tokens": 32000,
            "prompt_cache_key": "k",
            "store": False,
            "stream": True,
        },
        [TALK[0], *LOOP],
        {**OFFERED, "sampling": {"max_tokens": 32000}, "stream": True},
    ),
    Shape(
        "LangChain, structured",
        "responses",
        {
            "input": [{"type": "message", **user("hi")}],
            "text": {"format": {"type": "json_schema", "name": "Person", "schema": PERSON, "strict": True}},
            "stream": False,
        },
        ["user: hi"],
        {"response_format": STRICT},
    ),
    Shape(
        "LangChain, structured by a tool",
        "responses",
        {
            "input": [{"type": "message", **user("hi")}],
            "tools": [FLAT],
            "tool_choice": {"type": "function", "name": "read"},
            "parallel_tool_calls": False,
            "stream": False,
        },
        ["user: hi"],
        {**OFFERED, "tool_choice": {"mode": "named", "name": "read", "parallel": False}},
    ),
    Shape(
        "pydantic-ai",
        "responses",
        {
            "input": [user("hi")],
            "instructions": "Be brief.",
            "tools": [FLAT],
            "tool_choice": "required",
            "include": ["reasoning.encrypted_content"],
            "stream": False,
        },
        TALK,
        {**OFFERED, "tool_choice": {"mode": "required"}},
    ),
    Shape(
        "the openai SDK",
        "responses",
        {"input": "hi", "instructions": "Be brief.", "temperature": 0.5, "reasoning": {"effort": "low"}},
        TALK,
        {"sampling": {"temperature": 0.5}, "thinking": True, "effort": "low"},
    ),
]
