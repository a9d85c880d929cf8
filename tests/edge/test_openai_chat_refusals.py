"""OpenAI chat bodies that are wrong: the field that each fault names, and what it says."""

import pytest
from chat_bodies import TOOL, USER, body, chat, nested, refused

from cortex.protocol.faults import Code

BAD = [
    ({"messages": []}, "messages"),
    ({"messages": "hi"}, "messages"),
    ({"messages": [USER, {"role": "user", "content": 3}]}, "messages[1].content"),
    ({"messages": [{"role": "user"}]}, "messages[0].content"),
    ({"messages": [{"content": "x"}]}, "messages[0].role"),
    ({"messages": [{"role": "wizard", "content": "x"}]}, "messages[0].role"),
    ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
    ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
    ({"messages": [{"role": "user", "content": [{"type": "video"}]}]}, "messages[0].content[0].type"),
    (
        {
            "messages": [
                {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://x"}}]}
            ]
        },
        "messages[0].content[0].image_url",
    ),
    (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "data:image/png;,"}]}]},
        "messages[0].content[0].image_url",
    ),
    ({"model": ""}, "model"),
    ({"model": "x" * 129}, "model"),
    ({"model": 3}, "model"),
    ({"temperature": -0.1}, "temperature"),
    ({"temperature": 2.1}, "temperature"),
    ({"temperature": "hot"}, "temperature"),
    ({"top_p": 1.1}, "top_p"),
    ({"min_p": -1}, "min_p"),
    ({"top_k": -2}, "top_k"),
    ({"n": 0}, "n"),
    ({"n": 17}, "n"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"max_completion_tokens": -1}, "max_completion_tokens"),
    ({"frequency_penalty": 2.5}, "frequency_penalty"),
    ({"presence_penalty": -2.5}, "presence_penalty"),
    ({"logit_bias": {"a": 1}}, "logit_bias"),
    ({"logit_bias": {"1": 101}}, "logit_bias.1"),
    ({"stop": ["a"] * 17}, "stop"),
    ({"stop": [""]}, "stop"),
    ({"stop": ""}, "stop"),
    ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
    ({"logprobs": True, "top_logprobs": -1}, "top_logprobs"),
    ({"top_logprobs": 2}, "top_logprobs"),
    ({"logprobs": False, "top_logprobs": 2}, "top_logprobs"),
    ({"modalities": ["text", "audio"]}, "modalities"),
    ({"functions": [{"name": ""}]}, "functions[0].name"),
    ({"audio": {"voice": "alloy", "format": "wav"}}, "audio"),
    ({"tools": [TOOL, TOOL]}, "tools[1].function.name"),
    ({"tools": [{"type": "other"}]}, "tools[0].type"),
    ({"tools": [{"type": "custom"}]}, "tools[0].custom"),
    ({"tools": [{"type": "function"}]}, "tools[0].function"),
    ({"tools": [{"function": {"name": ""}}]}, "tools[0].function.name"),
    ({"tools": [{"function": {"name": "f", "parameters": [1]}}]}, "tools[0].function.parameters"),
    ({"tools": [{"function": {"name": "f", "parameters": {"a": 10**30}}}]}, "tools[0].function.parameters"),
    (
        {"tools": [{"function": {"name": "f", "parameters": {"a": nested(33)}}}]},
        "tools[0].function.parameters",
    ),
    ({"tool_choice": "required"}, "tool_choice"),
    ({"tool_choice": "sometimes"}, "tool_choice"),
    ({"tool_choice": {"type": "custom", "custom": {"name": "x"}}}, "tool_choice.custom.name"),
    (
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "no"}}},
        "tool_choice.function.name",
    ),
    ({"response_format": {"type": "xml"}}, "response_format.type"),
    ({"response_format": {"type": "json_schema"}}, "response_format.json_schema.schema"),
    ({"chat_template_kwargs": [1]}, "chat_template_kwargs"),
    ({"chat_template_kwargs": {"a": 10**30}}, "chat_template_kwargs"),
    ({"seed": 10**30}, "seed"),
    ({"n": 10**30}, "n"),
    ({"logit_bias": {"1": "x"}}, "logit_bias"),
    (
        {
            "tools": [TOOL],
            "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "x", "tools": [TOOL]}},
        },
        "tool_choice.allowed_tools.mode",
    ),
]


@pytest.mark.parametrize(("fields", "param"), BAD, ids=[f"{str(f)[:40]}" for f, _ in BAD])
def test_what_is_wrong_names_its_field(fields, param):
    """One fault that is the client's, with the place of the mistake."""
    fault = refused(body(**fields))
    assert fault.code in (Code.INVALID_REQUEST, Code.UNSUPPORTED)
    assert fault.param == param
    assert fault.message.startswith(f"{param or 'The body'} ")
    assert fault.message.endswith(".")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"  ",
        b"null",
        b"[]",
        b"{}",
        b"{",
        b'{"model": "demo"}',
        b'{"model": "demo", "messages": [{"role": "user", "content": "\\ud800"}]}',
        b'{"model": "demo", "messages": [{"role": "user", "content": "\xff"}]}',
        b'{"model": "demo", "messages": [{"role": "user", "content": "x"}], "user": "\xff"}',
        b'{"model": "demo", "messages": [{"role": "user", "content": "x"}], "user": "\\ud800"}',
        b'{"model": "demo", "messages": [{"role": "user", "content": "x"}], "temperature": NaN}',
        b'{"model": "demo", "messages": [{"role": "user", "content": "x"}], "user": Infinity}',
        b'{"model": "demo", "messages": [{"role": "user", "content": "x"}], "temperature": 1e999}',
        b'{"model": "demo", "messages": [{"role": "user", "content": "x"}], "n": 1.5}',
        b'{"model": "demo", "messages": [], "user": ' + b"[" * 9000 + b"]" * 9000 + b"}",
    ],
)
def test_what_is_no_json_of_ours_is_refused(data):
    """Malformed, mis-encoded or incomplete bodies are the client's fault, whatever the decoder raises."""
    assert refused(data).code is Code.INVALID_REQUEST


def test_a_missing_field_is_named():
    """The model and the messages are required."""
    assert refused(b'{"messages": []}').param == "model"
    assert refused(b'{"model": "x"}').param == "messages"


def test_an_integer_may_be_written_with_a_point():
    """Some languages write all numbers so; a fraction is none."""
    asked = chat(max_tokens=5.0, seed=1.0, n=2.0, top_k=3.0, logprobs=True, top_logprobs=4.0)
    assert asked == chat(max_tokens=5, seed=1, n=2, top_k=3, logprobs=True, top_logprobs=4)
    assert type(asked.sampling.max_tokens) is type(asked.sampling.seed) is int
    assert refused(body(n=1.5)).message == "n must be an integer, not a number with a fraction."


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"seed": 2**63},
            "seed must be at least -9223372036854775808 and at most 9223372036854775807.",
        ),
        ({"seed": -(2**63) - 1}, "seed must be at least -9223372036854775808."),
        ({"n": 17}, "n must be at least 1 and at most 16."),
        ({"max_tokens": 0}, "max_tokens must be at least 1."),
        (
            {"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]},
            "messages[0].content[0].type must be text or image_url, not input_audio.",
        ),
        ({"audio": {"voice": "alloy"}}, "audio cannot be served: models here write; leave it out."),
    ],
)
def test_a_message_says_what_would_be_right(fields, message):
    """The bound that was crossed, and all that is taken."""
    assert refused(fields).message == message


def test_audio_is_no_matter_where_text_alone_is_asked_for():
    """It says how to speak, and nobody is to."""
    assert chat(modalities=["text"], audio={"voice": "alloy"}) == chat()
