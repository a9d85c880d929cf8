"""Bodies of OpenAI Responses → normalized requests: the shapes that clients were seen to send, and what is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from responses_bodies import (
    CALL,
    HOSTED,
    LOOK,
    OUTPUT,
    SAID,
    THOUGHT,
    message,
    read,
    refused,
    spoken,
)

from cortex.protocol.codec import decode_request, encode_request
from cortex.protocol.faults import Code, FaultError
from cortex.protocol.request import ResponseFormat, ToolChoice


def test_a_text_is_what_a_user_says():
    """With instructions before it; stored unless the client says otherwise."""
    parsed = read("hi", instructions="Be brief.")
    assert spoken(parsed) == [("system", "Be brief.", "", 0), ("user", "hi", "", 0)]
    assert (parsed.stream, parsed.store) == (False, True)
    assert [json.loads(bytes(item)) for item in parsed.items] == [
        {"type": "message", "role": "user", "content": "hi"}
    ]


def test_what_codex_sends():
    """Two developer and two user messages, hosted tools beside functions, a call with its output and an image in it."""
    image = {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}
    parsed = read(
        [
            {"type": "message", **message("developer", "You are Codex.")},
            {"type": "message", **message("developer", "Sandbox.")},
            {"type": "message", **message("user", "<environment>")},
            {"type": "message", **message("user", "list the files")},
            {**THOUGHT, "content": None},
            CALL,
            {**OUTPUT, "output": [{"type": "input_text", "text": "a.py"}, image]},
        ],
        tools=[LOOK, *HOSTED],
        tool_choice="auto",
        parallel_tool_calls=True,
        reasoning={"summary": "auto"},
        store=False,
        stream=True,
        include=["reasoning.encrypted_content"],
        prompt_cache_key="k",
        client_metadata={"a": "b"},
        text={"format": {"type": "json_schema", "name": "x", "schema": {"type": "object"}, "strict": True}},
    )
    assert spoken(parsed) == [
        ("system", "You are Codex.", "", 0),
        ("system", "Sandbox.", "", 0),
        ("user", "<environment>", "", 0),
        ("user", "list the files", "", 0),
        ("assistant", "", "hm", 1),
        ("tool", "a.py\n[image omitted]", "", 0),
    ]
    chat = parsed.request
    assert [tool.name for tool in chat.tools] == ["look", "mcp__inner", "patch"]
    assert chat.tool_choice == ToolChoice()
    assert chat.response_format == ResponseFormat(
        kind="json_schema", definition=b'{"type": "object"}', strict=True
    )
    assert (chat.template_options, parsed.stream, parsed.store) == (b"{}", True, False)
    settings = json.loads(b"{" + parsed.settings + b"}")
    assert [tool["type"] for tool in settings["tools"]] == ["function", "namespace", "web_search", "custom"]
    assert settings["prompt_cache_key"] == "k"
    assert decode_request(encode_request(chat)) == chat


def test_what_opencode_sends():
    """Items without a type, calls without an id, a limit far beyond the room."""
    parsed = read(
        [
            {"role": "developer", "content": "Be brief."},
            message("user", "look"),
            {"role": "assistant", "content": [{"type": "output_text", "text": "I look."}]},
            CALL,
            OUTPUT,
        ],
        tools=[LOOK],
        max_output_tokens=32000,
        stream=True,
        store=False,
    )
    assert spoken(parsed)[2:] == [("assistant", "I look.", "", 1), ("tool", "seen", "", 0)]
    assert parsed.request.turns[2].tool_calls[0].arguments == b'{"at":1}'
    assert parsed.request.sampling.max_tokens == 32000


def test_what_langchain_sends():
    """A named tool and one call at a time; nulls mean nothing."""
    parsed = read(
        [{"type": "message", "role": "user", "content": "hi"}],
        tools=[LOOK],
        tool_choice={"type": "function", "name": "look"},
        parallel_tool_calls=False,
        temperature=None,
        previous_response_id=None,
        metadata=None,
        stream=False,
    )
    assert parsed.request.tool_choice == ToolChoice(mode="named", name="look", parallel=False)
    assert json.loads(b"{" + parsed.settings + b"}")["metadata"] == {}


def test_what_a_model_said_in_one_go_is_one_turn():
    """Reasoning, text and parallel calls belong together until they are answered; after text alone comes another turn."""
    second = {**CALL, "call_id": "call_2"}
    parsed = read([message("user", "x"), THOUGHT, SAID, CALL, second, OUTPUT, SAID, THOUGHT, SAID])
    assert spoken(parsed) == [
        ("user", "x", "", 0),
        ("assistant", "Let me look.", "hm", 2),
        ("tool", "seen", "", 0),
        ("assistant", "Let me look.", "", 0),
        ("assistant", "Let me look.", "hm", 0),
    ]


def test_parts_that_nobody_reads_leave_a_word():
    """In what was said before and in results; the last words of a user are refused instead."""
    strange = {"type": "image_url", "image_url": "data:image/png;base64,AAAA"}
    parsed = read(
        [
            {"role": "user", "content": [strange, {"type": "input_text", "text": "?"}]},
            CALL,
            {**OUTPUT, "output": [{"type": "x" * 99}]},
            message("user", "hi"),
        ]
    )
    assert [turn.text for turn in parsed.request.turns] == [
        "[image_url omitted]\n?",
        "",
        f"[{'x' * 40} omitted]",
        "hi",
    ]
    fault = refused([{"role": "user", "content": [strange]}])
    assert (fault.param, fault.message) == (
        "input[0].content[0].type",
        "input[0].content[0].type must be input_text or input_image, not image_url.",
    )


def test_an_input_that_is_missing_is_required():
    """As any other field; one that is there says too little if it holds nothing."""
    assert refused(None).message == "input is required."
    assert refused([]).message == "input must hold at least one message."


def test_allowed_tools_are_those_that_remain():
    """Hosted ones among them are passed over."""
    other = {**LOOK, "name": "other"}
    allowed = {
        "type": "allowed_tools",
        "mode": "required",
        "tools": [{"type": "function", "name": "other"}, HOSTED[1]],
    }
    chat = read(tools=[LOOK, other], tool_choice=allowed).request
    assert ([tool.name for tool in chat.tools], chat.tool_choice.mode) == (["other"], "required")


def test_log_probabilities_are_asked_for_in_two_ways():
    """By `include` alone there are no alternatives."""
    assert read(include=["message.output_text.logprobs"]).request.sampling.logprobs == 0
    assert read(top_logprobs=3).request.sampling.logprobs == 3
    assert read().request.sampling.logprobs is None


@pytest.mark.parametrize(
    ("param", "code", "more"),
    [
        ("background", Code.UNSUPPORTED, {"background": True}),
        ("conversation", Code.UNSUPPORTED, {"conversation": "conv_1"}),
        ("prompt", Code.UNSUPPORTED, {"prompt": {"id": "p"}}),
        ("tool_choice", Code.UNSUPPORTED, {"tool_choice": {"type": "web_search"}, "tools": HOSTED}),
        ("tool_choice", Code.INVALID_REQUEST, {"tool_choice": "required", "tools": [HOSTED[1]]}),
        (
            "tool_choice.name",
            Code.INVALID_REQUEST,
            {"tool_choice": {"type": "function", "name": "x"}, "tools": [LOOK]},
        ),
        ("tools[1].name", Code.INVALID_REQUEST, {"tools": [LOOK, LOOK]}),
        ("tools[0].name", Code.INVALID_REQUEST, {"tools": [{"type": "function"}]}),
        ("max_output_tokens", Code.INVALID_REQUEST, {"max_output_tokens": 0}),
        (
            "text.format.schema",
            Code.INVALID_REQUEST,
            {"text": {"format": {"type": "json_schema", "name": "x"}}},
        ),
        ("input", Code.INVALID_REQUEST, {"input": []}),
        ("input", Code.INVALID_REQUEST, {"input": None}),
        ("input[0]", Code.INVALID_REQUEST, {"input": ["x"]}),
        ("input[0].role", Code.INVALID_REQUEST, {"input": [{"role": "narrator", "content": "x"}]}),
        ("input[0].role", Code.INVALID_REQUEST, {"input": [{"content": "x"}]}),
        ("input[0].content", Code.INVALID_REQUEST, {"input": [{"role": "user"}]}),
        ("input[0].content", Code.INVALID_REQUEST, {"input": [{"role": "user", "content": 5}]}),
        ("input[0].call_id", Code.INVALID_REQUEST, {"input": [{"type": "function_call", "name": "x"}]}),
        (
            "input[1]",
            Code.RESPONSE_NOT_FOUND,
            {"input": [message("user", "x"), {"type": "item_reference", "id": "msg_1"}]},
        ),
        ("input[0].id", Code.INVALID_REQUEST, {"input": [{"type": "item_reference"}]}),
        ("input[0].id", Code.INVALID_REQUEST, {"input": [{**message("user", "x"), "id": 5}]}),
        (
            "input[0].type",
            Code.INVALID_REQUEST,
            {"input": [{"type": "mesage", "role": "user", "content": "x"}]},
        ),
        ("input[0]", Code.UNSUPPORTED, {"input": [{"type": "compaction", "encrypted_content": "gAAA"}]}),
        ("truncation", Code.UNSUPPORTED, {"truncation": "auto"}),
        ("truncation", Code.INVALID_REQUEST, {"truncation": "nonsense"}),
        ("truncation", Code.INVALID_REQUEST, {"truncation": 5}),
        ("metadata", Code.INVALID_REQUEST, {"metadata": "x"}),
        ("metadata", Code.INVALID_REQUEST, {"metadata": {"a": 1}}),
        ("user", Code.INVALID_REQUEST, {"user": 5}),
        ("max_tool_calls", Code.INVALID_REQUEST, {"max_tool_calls": "x"}),
        ("max_tool_calls", Code.INVALID_REQUEST, {"max_tool_calls": -1}),
        ("prompt_cache_key", Code.INVALID_REQUEST, {"prompt_cache_key": 7}),
        ("safety_identifier", Code.INVALID_REQUEST, {"safety_identifier": 7}),
        ("reasoning.summary", Code.INVALID_REQUEST, {"reasoning": {"summary": "nonsense"}}),
        ("stream_options", Code.INVALID_REQUEST, {"stream_options": "x"}),
        ("previous_response_id", Code.INVALID_REQUEST, {"previous_response_id": ""}),
        ("previous_response_id", Code.INVALID_REQUEST, {"previous_response_id": 5}),
        (
            "input[0].content[0].image_url",
            Code.UNSUPPORTED,
            {
                "input": [
                    {"role": "user", "content": [{"type": "input_image", "image_url": "http://x/y.png"}]}
                ]
            },
        ),
    ],
)
def test_what_cannot_be_is_refused_by_name(param, code, more):
    """The field, and a sentence about it."""
    fault = refused(**{"items": more.pop("input", "hi"), **more})
    assert (fault.param, fault.code) == (param, code)
    assert fault.message.startswith(param)
    assert fault.message.endswith(".")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["type", "role", "content", "text", "summary", "name", "call_id", "output", "arguments"]
            ),
            inner
            | st.sampled_from(
                ["message", "user", "assistant", "input_text", "reasoning", "function_call", "input_image"]
            ),
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(
    st.lists(JSON, max_size=4) | JSON,
    st.dictionaries(st.sampled_from(["tools", "tool_choice", "text"]), JSON),
)
def test_whatever_is_sent_is_a_request_or_a_fault(items, more):
    """Never another exception, and what is read can travel."""
    try:
        parsed = read(items, **more)
    except FaultError:
        return
    assert decode_request(encode_request(parsed.request)) == parsed.request
    json.loads(b"{" + parsed.settings + b"}")
