"""Bodies of Anthropic Messages as clients were seen to send them, and what they become."""

from __future__ import annotations

from client_shapes import LOOP, OFFERED, PERSON, SCHEMA, STRICT, TALK, Shape, parts, system, text, user

CACHED = {"cache_control": {"type": "ephemeral"}}
ADAPTIVE = {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}
THINKS = {"thinking": True, "effort": "high"}
TOOL = {"name": "read", "description": "Reads.", "input_schema": SCHEMA}
TOOL_USE = {"type": "tool_use", "id": "call_1", "name": "read", "input": {"path": "a.py"}}
TOOL_RESULT = {"type": "tool_result", "tool_use_id": "call_1", "content": "print(1)"}

MESSAGES = [
    Shape(
        "Claude Code",
        "messages",
        {
            "system": [
                text("x-anthropic-billing-header: cc_version=2.1.197.f2c; cch=8d9a1;"),
                text("You are an agent.", **CACHED),
                text("How to work.", **CACHED),
            ],
            "messages": [
                user([text("<system-reminder>"), text("look", **CACHED)]),
                system("Tools that are loaded later: none."),
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": "Hm.", "signature": ""},
                        text("I look."),
                        TOOL_USE,
                    ],
                },
                user([{**TOOL_RESULT, **CACHED}]),
            ],
            "tools": [TOOL],
            "max_tokens": 32000,
            "metadata": {"user_id": '{"device_id":"d"}'},
            "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
            "stream": True,
            **ADAPTIVE,
        },
        [
            "system: You are an agent.|How to work.",
            "user: <system-reminder>|look",
            "system: Tools that are loaded later: none.",
            'assistant (Hm.): I look. > call_1 read {"path": "a.py"}',
            LOOP[2],
        ],
        {**OFFERED, "sampling": {"max_tokens": 32000}, **THINKS, "stream": True},
    ),
    Shape(
        "Claude Code, of a smaller model",
        "messages",
        {
            "system": [text("You are an agent.", **CACHED)],
            "messages": [user([text("hi", **CACHED)])],
            "tools": [TOOL],
            "max_tokens": 64000,
            "thinking": {"type": "enabled", "budget_tokens": 31999},
            "stream": True,
        },
        ["system: You are an agent.", "user: hi"],
        {**OFFERED, "sampling": {"max_tokens": 64000}, **THINKS, "stream": True},
    ),
    Shape(
        "Claude Code's title",
        "messages",
        {
            "system": [text("Make a title.")],
            "messages": [user([text("look")])],
            "tools": [],
            "max_tokens": 32000,
            "output_config": {"format": {"type": "json_schema", "schema": PERSON}},
            "stream": True,
        },
        ["system: Make a title.", "user: look"],
        {"sampling": {"max_tokens": 32000}, "response_format": STRICT, "stream": True},
    ),
    Shape(
        "opencode",
        "messages",
        {
            "system": [text("Be brief.", **CACHED)],
            "messages": [
                user([text("look")]),
                {"role": "assistant", "content": [text("I look."), {**TOOL_USE, **CACHED}]},
                user([{**TOOL_RESULT, **CACHED}]),
            ],
            "tools": [TOOL],
            "tool_choice": {"type": "auto"},
            "max_tokens": 32000,
            "stream": True,
        },
        [TALK[0], *LOOP],
        {**OFFERED, "sampling": {"max_tokens": 32000}, "stream": True},
    ),
    Shape(
        "LangChain, any tool",
        "messages",
        {"messages": [user("hi")], "tools": [TOOL], "tool_choice": {"type": "any"}, "max_tokens": 4096},
        ["user: hi"],
        {**OFFERED, "tool_choice": {"mode": "required"}, "sampling": {"max_tokens": 4096}},
    ),
    Shape(
        "LangChain, structured",
        "messages",
        {
            "messages": [user("hi")],
            "tools": [TOOL],
            "tool_choice": {"type": "tool", "name": "read", "disable_parallel_tool_use": True},
            "max_tokens": 4096,
        },
        ["user: hi"],
        {
            **OFFERED,
            "tool_choice": {"mode": "named", "name": "read", "parallel": False},
            "sampling": {"max_tokens": 4096},
        },
    ),
    Shape(
        "litellm",
        "messages",
        {
            "system": parts("Be brief."),
            "messages": [user(parts("hi"))],
            "max_tokens": 4096,
            "temperature": 0.2,
            "top_k": 5,
            "stop_sequences": ["END"],
        },
        TALK,
        {"sampling": {"max_tokens": 4096, "temperature": 0.2, "top_k": 5, "stop": ("END",)}},
    ),
    Shape(
        "pydantic-ai",
        "messages",
        {
            "system": "Be brief.",
            "messages": [user(parts("hi"))],
            "tools": [TOOL],
            "tool_choice": {"type": "any"},
            "max_tokens": 16384,
            "stream": False,
        },
        TALK,
        {**OFFERED, "tool_choice": {"mode": "required"}, "sampling": {"max_tokens": 16384}},
    ),
]
