"""Bodies of OpenAI chat as clients were seen to send them, and what they become."""

from __future__ import annotations

from client_shapes import LOOP, OFFERED, PERSON, SCHEMA, STRICT, TALK, USED, Shape, parts, system, user

FUNCTION = {"type": "function", "function": {"name": "read", "description": "Reads.", "parameters": SCHEMA}}
CALLED = {
    "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "read", "arguments": USED}}]
}
NAMED = {"type": "function", "function": {"name": "read"}}

CHAT = [
    Shape(
        "opencode",
        "chat",
        {
            "messages": [
                system("Be brief."),
                user("look"),
                {"role": "assistant", "content": "", "reasoning_content": "Hm.", **CALLED},
                {"role": "tool", "tool_call_id": "call_1", "content": "print(1)"},
            ],
            "max_tokens": 32000,
            "tools": [FUNCTION],
            "tool_choice": "auto",
            "stream": True,
            "stream_options": {"include_usage": True},
        },
        [TALK[0], "user: look", f"assistant (Hm.):  > call_1 read {USED}", "tool call_1: print(1)"],
        {**OFFERED, "sampling": {"max_tokens": 32000}, "stream": True, "include_usage": True},
    ),
    Shape(
        "opencode's title",
        "chat",
        {
            "messages": [system("Make a title."), user("Generate a title:\n"), user("look")],
            "max_tokens": 32000,
            "stream": True,
            "stream_options": {"include_usage": True},
        },
        ["system: Make a title.", "user: Generate a title:\n", "user: look"],
        {"sampling": {"max_tokens": 32000}, "stream": True, "include_usage": True},
    ),
    Shape(
        "Cline",
        "chat",
        {
            "messages": [
                system("Be brief."),
                user(parts("look", "<environment_details>")),
                {"role": "assistant", "content": None, **CALLED},
                {"role": "tool", "tool_call_id": "call_1", "content": "print(1)"},
            ],
            "tools": [FUNCTION],
            "tool_choice": "auto",
            "stream": True,
            "stream_options": {"include_usage": True},
        },
        [
            TALK[0],
            "user: look|<environment_details>",
            f"assistant:  > call_1 read {USED}",
            "tool call_1: print(1)",
        ],
        {**OFFERED, "stream": True, "include_usage": True},
    ),
    Shape(
        "Qwen Code",
        "chat",
        {
            "messages": [
                system("Be brief."),
                user(parts("look")),
                {"role": "assistant", "content": "I look.", **CALLED},
                {"role": "tool", "tool_call_id": "call_1", "content": parts("print", "(1)")},
            ],
            "max_tokens": 8000,
            "tools": [FUNCTION],
            "stream": True,
            "stream_options": {"include_usage": True},
        },
        [TALK[0], *LOOP[:2], "tool call_1: print|(1)"],
        {**OFFERED, "sampling": {"max_tokens": 8000}, "stream": True, "include_usage": True},
    ),
    Shape(
        "aider",
        "chat",
        {"messages": [system("Be brief."), user("hi")], "temperature": 0, "stream": True},
        TALK,
        {"sampling": {"temperature": 0.0}, "stream": True},
    ),
    Shape(
        "the openai SDK's parse()",
        "chat",
        {
            "messages": [user("hi")],
            "response_format": {
                "type": "json_schema",
                "json_schema": {"schema": PERSON, "name": "Person", "strict": True},
            },
            "stream": False,
        },
        ["user: hi"],
        {"response_format": STRICT},
    ),
    Shape(
        "LangChain, structured by a tool",
        "chat",
        {
            "messages": [user("hi")],
            "tools": [FUNCTION],
            "tool_choice": NAMED,
            "parallel_tool_calls": False,
            "stream": False,
        },
        ["user: hi"],
        {**OFFERED, "tool_choice": {"mode": "named", "name": "read", "parallel": False}},
    ),
    Shape(
        "LangChain, any tool",
        "chat",
        {"messages": [user("hi")], "tools": [FUNCTION], "tool_choice": "required", "stream": False},
        ["user: hi"],
        {**OFFERED, "tool_choice": {"mode": "required"}},
    ),
    Shape(
        "LangChain, any JSON",
        "chat",
        {"messages": [user("hi")], "response_format": {"type": "json_object"}, "stream": False},
        ["user: hi"],
        {"response_format": {"kind": "json_object"}},
    ),
    Shape(
        "pydantic-ai",
        "chat",
        {
            "messages": [system("Be brief."), user("hi")],
            "tools": [{"type": "function", "function": {**FUNCTION["function"], "strict": True}}],
            "tool_choice": "required",
            "stream": False,
        },
        TALK,
        {**OFFERED, "tool_choice": {"mode": "required"}},
    ),
    Shape(
        "llm",
        "chat",
        {"messages": [user("hi")], "stream": False},
        ["user: hi"],
        {},
    ),
    Shape(
        "GuideLLM",
        "chat",
        {
            "messages": [user(parts("hi"))],
            "stream": True,
            "stream_options": {"include_usage": True, "continuous_usage_stats": True},
            "max_completion_tokens": 128,
            "stop": None,
            "ignore_eos": True,
        },
        ["user: hi"],
        {"sampling": {"max_tokens": 128, "ignore_eos": True}, "stream": True, "include_usage": True},
    ),
    Shape(
        "AIPerf",
        "chat",
        {
            "messages": [user("hi")],
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_completion_tokens": 64,
        },
        ["user: hi"],
        {"sampling": {"max_tokens": 64}, "stream": True, "include_usage": True},
    ),
    Shape(
        "Zed, by its settings",
        "chat",
        {
            "messages": [user(parts("hi"))],
            "stream": True,
            "tools": [FUNCTION],
            "parallel_tool_calls": False,
            "prompt_cache_key": "k",
        },
        ["user: hi"],
        {**OFFERED, "tool_choice": {"parallel": False}, "stream": True},
    ),
]
