"""Anthropic bodies → the normalized request: tools, options, and what is wrong. Conversations: `test_anthropic_turns`."""

import contextlib
import json

import pytest
from anthropic_bodies import (
    CALL,
    PDF,
    PIXEL,
    SEARCH,
    TOOL,
    USER,
    body,
    chat,
    refused,
    result,
    said,
    text,
    turns,
    user,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cortex.edge.dialects.anthropic import parse
from cortex.protocol.codec import decode_request, encode_request
from cortex.protocol.faults import Code, FaultError
from cortex.protocol.request import ResponseFormat, ToolChoice, ToolSpec


def test_a_minimal_body():
    """Model and messages suffice: a client that names no limit has none."""
    parsed = parse(b'{"model":"demo","messages":[{"role":"user","content":"hi"}]}', seed=7)
    assert parsed.stream is False
    assert parsed.request.turns[0].text == "hi"
    assert (parsed.request.sampling.seed, parsed.request.sampling.max_tokens) == (7, None)
    assert parsed.request.template_options == b"{}"


def test_null_means_absent_and_unknown_fields_are_ignored():
    """What clients add beyond the interface does no harm."""
    names = [
        "system", "stream", "temperature", "top_p", "top_k", "stop_sequences", "tools", "tool_choice", "thinking",
        "output_config", "output_format",
    ]  # fmt: skip
    more = {
        "metadata": {"user_id": "{}"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "container": "x",
        "service_tier": "auto",
        "mcp_servers": [{"type": "url"}],
        "speed": "fast",
        "betas": ["x"],
        "cache_control": {"type": "ephemeral"},
    }
    assert parse(body(**dict.fromkeys(names), **more)) == parse(body())


def test_sampling_is_carried():
    """Every field arrives under any version, and a limit of any size."""
    sampling = chat(max_tokens=64_000, temperature=0, top_p=0, top_k=40, stop_sequences=["a", "b"]).sampling
    assert (sampling.max_tokens, sampling.temperature, sampling.top_k) == (64_000, 0, 40)
    assert (sampling.top_p, sampling.stop) == (1e-6, ("a", "b"))


# ── tools and options ────────────────────────────────────────────────────────────────────────────────────────────


def test_tools_of_the_client_are_offered_and_those_of_the_server_left_out():
    """A schema travels as the client's own bytes."""
    found = chat(tools=[TOOL, SEARCH, {"type": "custom", "name": "bare"}]).tools
    assert found == (
        ToolSpec(name="look", description="Looks.", schema=b'{"type": "object"}'),
        ToolSpec(name="bare"),
    )


@pytest.mark.parametrize(
    ("choice", "read"),
    [
        (None, ToolChoice()),
        ({"type": "auto"}, ToolChoice()),
        ({"type": "auto", "disable_parallel_tool_use": True}, ToolChoice(parallel=False)),
        ({"type": "none"}, ToolChoice(mode="none")),
        ({"type": "any"}, ToolChoice(mode="required")),
        ({"type": "tool", "name": "look", "disable_parallel_tool_use": True}, ToolChoice(mode="named", name="look", parallel=False)),
    ],
)  # fmt: skip
def test_every_form_of_tool_choice(choice, read):
    """Four forms, each with or without parallel calls."""
    assert chat(tools=[TOOL], tool_choice=choice).tool_choice == read


@pytest.mark.parametrize(
    ("tools", "choice", "code", "reason"),
    [
        ([], {"type": "any"}, Code.INVALID_REQUEST, "none is offered"),
        (
            [SEARCH],
            {"type": "any"},
            Code.UNSUPPORTED,
            "web_search_20260318, which only Anthropic's servers know",
        ),
        (
            [TOOL, SEARCH],
            {"type": "tool", "name": "web_search"},
            Code.UNSUPPORTED,
            "only Anthropic's servers know",
        ),
        ([TOOL], {"type": "tool", "name": "x"}, Code.INVALID_REQUEST, "names a tool that is not offered"),
        ([TOOL], {"type": "tool"}, Code.INVALID_REQUEST, "names a tool that is not offered"),
        ([TOOL], {"type": "some"}, Code.INVALID_REQUEST, "must be auto, any, tool or none"),
        ([TOOL, TOOL], None, Code.INVALID_REQUEST, "tools[1].name names a tool that was offered before"),
        ([{"input_schema": {}}], None, Code.INVALID_REQUEST, "tools[0].name is required"),
    ],
)
def test_a_tool_that_cannot_be_forced_is_refused(tools, choice, code, reason):
    """Clearly, and whether the client or this server is to blame."""
    fault = refused(tools=tools, tool_choice=choice)
    assert fault.code is code
    assert reason in fault.message


@pytest.mark.parametrize("where", ["output_config", "output_format"])
def test_a_format_is_a_schema(where):
    """Under the present name or the one before; it is kept strictly."""
    wanted = {"type": "json_schema", "schema": {"type": "object"}}
    given = {"format": wanted} if where == "output_config" else wanted
    expected = ResponseFormat(kind="json_schema", definition=b'{"type": "object"}', strict=True)
    assert chat(**{where: given}).response_format == expected


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"messages": []}, "messages must hold at least one message."),
        ({"messages": "x"}, "messages must be an array, not a string."),
        ({"messages": [{"role": "user"}]}, "messages[0].content is required."),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role must be user, assistant or system."),
        ({"messages": [user({"type": "text"})]}, "messages[0].content[0].text is required in a block of type text."),
        ({"messages": [user(CALL)]}, "messages[0].content[0].type must not be tool_use in a message of role user."),
        (
            {"messages": [user({"type": "tool_result"})]},
            "messages[0].content[0].tool_use_id is required in a block of type tool_result.",
        ),
        (
            {"messages": [USER, said({"type": "tool_use", "name": "f"}), USER]},
            "messages[1].content[0].id is required in a block of type tool_use.",
        ),
        ({"system": [PIXEL]}, "system[0].type must be text, not image."),
        ({"max_tokens": 0}, "max_tokens must be at least 1."),
        ({"temperature": 3}, "temperature must be at least 0 and at most 2."),
        ({"stop_sequences": [""]}, "stop_sequences must not hold an empty string."),
        ({"model": ""}, "model must have 1 to 128 characters."),
        ({"thinking": {"type": "x"}}, "thinking.type must be one of adaptive, enabled, disabled, between_tools."),
        ({"output_config": {"format": {"type": "x"}}}, "output_config.format.type must be json_schema."),
        (
            {"output_config": {"format": {"type": "json_schema"}}},
            "output_config.format.schema is required.",
        ),
        ({"tools": [{"name": "f", "input_schema": 3}]}, "tools[0].input_schema must be an object."),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_by_field(fields, message):
    """One sentence that names the field and says what to do."""
    assert refused(**fields).message == message


def nested(depth):
    """A value within so many brackets."""
    value = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "words"), [(nested(40), "nested deeper"), (10**25, "an integer of more than 19 digits")]
)
def test_what_a_neuron_decodes_again_is_bounded(value, words):
    """Neither deep JSON nor wide numbers pass in a schema; the error names its field."""
    fault = refused(tools=[{"name": "f", "input_schema": {"a": value}}])
    assert fault.param == "tools[0].input_schema"
    assert words in fault.message


@pytest.mark.parametrize("value", [nested(40), 10**30])
def test_what_nobody_reads_may_be_as_deep_and_wide_as_it_likes(value):
    """A field that is ignored, and a tool that is left out, break no conversation."""
    found = chat(metadata={"n": value}, tools=[{**SEARCH, "input_schema": {"n": value}}])
    assert [turn.text for turn in found.turns] == ["hi"]


@pytest.mark.parametrize("value", [nested(40), 10**30])
def test_what_the_model_called_comes_back_as_it_was(value):
    """Its own arguments are passed on unread, so that no conversation ends with a call that it made itself."""
    called = {"command": value}
    [_, turn, _] = turns(USER, said({**CALL, "input": called}), USER)
    assert turn.tool_calls[0].arguments == json.dumps(called).encode()


@pytest.mark.parametrize(
    ("sent", "arguments"),
    [(None, b"{}"), ('{"a": "\u00e4"}', '{"a": "ä"}'.encode()), ("{oops", b"{oops"), ([1], b"[1]")],
)
def test_a_call_that_is_no_object_is_passed_on(sent, arguments):
    """A text stands for the JSON in it, as in the other dialects; what it says is the neuron's to mend."""
    [_, turn, _] = turns(USER, said({**CALL, "input": sent}), USER)
    assert turn.tool_calls[0].arguments == arguments


BLOCKS = st.sampled_from(
    [
        text("a"), text(""), PIXEL, PDF, CALL, result("r"), result([text("x")]), {"type": "thinking", "thinking": "t"},
        {"type": "redacted_thinking", "data": "x"}, {"type": "new_thing", "text": "n"}, {"type": "text"}, {}, "x", None,
        {"type": "tool_result", "tool_use_id": "t", "content": {"a": 1}},
    ]
)  # fmt: skip
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant", "system", "tool"]), "content": st.lists(BLOCKS, max_size=4) | st.text()}
    ),
    max_size=5,
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
FIELDS = [
    "system",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "stop_sequences",
    "max_tokens",
    "stream",
]


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(MESSAGES, st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=3))
def test_any_body_is_a_request_or_one_fault(messages, fields):
    """What is accepted can be sent to a neuron and read there; nothing else is raised."""
    with contextlib.suppress(FaultError):
        request = parse(body(messages=messages, **fields)).request
        assert decode_request(encode_request(request)) == request
        assert request.turns
