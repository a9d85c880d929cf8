"""OpenAI chat bodies → the normalized request."""

import contextlib
import json

import pytest
from chat_bodies import TOOL, USER, body, chat, nested
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cortex.edge.dialects.openai_chat import parse
from cortex.protocol.codec import decode_request, encode_request
from cortex.protocol.faults import FaultError
from cortex.protocol.request import Text, ToolCall


def test_a_minimal_body_has_defaults():
    """Model and one message suffice."""
    parsed = parse(body(), seed=7)
    assert (parsed.stream, parsed.include_usage) == (False, False)
    assert parsed.request.model == "demo"
    assert parsed.request.turns[0].text == "hi"
    assert parsed.request.sampling.seed == 7
    assert parsed.request.sampling.max_tokens is None


def test_null_means_absent_everywhere():
    """Every optional field may be null."""
    names = [
        "stream", "stream_options", "tools", "tool_choice", "parallel_tool_calls", "functions", "modalities",
        "response_format", "max_tokens", "max_completion_tokens", "min_tokens", "n", "temperature", "top_p",
        "top_k", "min_p", "seed", "stop", "frequency_penalty", "presence_penalty", "repetition_penalty",
        "logit_bias", "logprobs", "top_logprobs", "ignore_eos", "reasoning_effort", "chat_template_kwargs",
        "audio", "metadata", "user",
    ]  # fmt: skip
    assert parse(body(**dict.fromkeys(names))) == parse(body())


def test_log_probabilities_are_asked_for_in_two_fields():
    """One says whether, the other how many of the likeliest beside."""
    asked = [{}, {"logprobs": False}, {"logprobs": True}, {"logprobs": True, "top_logprobs": 5}]
    assert [chat(**one).sampling.logprobs for one in asked] == [None, None, 0, 5]
    assert chat(top_logprobs=0).sampling.logprobs is None


def test_unknown_fields_are_ignored():
    """What clients add beyond the interface does no harm."""
    assert chat(prompt_cache_key="x", metadata={"a": {"b": [1]}}, verbosity="low") == chat()
    assert chat(user=10**30, metadata=nested(40)) == chat(), "however wide or deep"


def test_all_roles_become_four():
    """Developer is system, function is tool; content may be a string, parts or null."""
    turns = chat(
        messages=[
            {"role": "developer", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            {"role": "system", "content": "s"},
            USER,
            {
                "role": "assistant",
                "content": None,
                "reasoning_content": "hm",
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"a": '}}
                ],
            },
            {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "found"}]},
            {"role": "function", "name": "look", "content": "old"},
        ]
    ).turns
    assert [turn.role for turn in turns] == ["system", "system", "user", "assistant", "tool", "tool"]
    assert turns[0].parts == (Text(text="a"), Text(text="b"))
    assert turns[3].reasoning == "hm"
    assert turns[3].tool_calls == (ToolCall(id="c1", name="look", arguments=b'{"a": '),)
    assert (turns[4].tool_call_id, turns[4].text) == ("c1", "found")


def test_blocks_of_one_message_do_not_run_into_each_other():
    """Agents send a reminder and the prompt as two parts: the model reads them on lines of their own."""
    blocks = [{"type": "text", "text": text} for text in ("<note>Be brief.</note>", "Who are you?")]
    for role in ("system", "user", "assistant"):
        turn = chat(messages=[{"role": role, "content": blocks}, USER]).turns[0]
        assert turn.text == "<note>Be brief.</note>\nWho are you?"


def test_tools_carry_their_schema_as_sent():
    """A schema travels as the client's own bytes."""
    data = (
        b'{"model":"demo","messages":[{"role":"user","content":"x"}],"tools":[{"type":"function",'
        b'"function":{"name":"f","description":"d","strict":true,"parameters":{"b" : 1,  "a":[2.50]}}}]}'
    )
    tool = parse(data).request.tools[0]
    assert (tool.name, tool.description, tool.schema) == ("f", "d", b'{"b" : 1,  "a":[2.50]}')


@pytest.mark.parametrize(
    ("choice", "mode", "name", "left"),
    [
        ("auto", "auto", "", 2),
        ("none", "none", "", 2),
        ("required", "required", "", 2),
        ({"type": "function", "function": {"name": "look"}}, "named", "look", 2),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [{"type": "function", "function": {"name": "hear"}}],
                },
            },
            "required",
            "",
            1,
        ),
    ],
)
def test_every_form_of_tool_choice(choice, mode, name, left):
    """All five forms are understood; allowed tools narrow what is on offer."""
    hear = {"type": "function", "function": {"name": "hear"}}
    parsed = chat(tools=[TOOL, hear], tool_choice=choice, parallel_tool_calls=False)
    assert (parsed.tool_choice.mode, parsed.tool_choice.name) == (mode, name)
    assert parsed.tool_choice.parallel is False
    assert len(parsed.tools) == left


def test_sampling_is_carried():
    """Every sampling field arrives; the newer token limit wins."""
    sampling = chat(
        max_tokens=5, max_completion_tokens=9, temperature=0, top_p=0.5, top_k=3, min_p=0.1, seed=-1, stop="x",
        n=2, frequency_penalty=-2, presence_penalty=2, repetition_penalty=1.1, logit_bias={"5": -100},
        ignore_eos=True, min_tokens=2,
    ).sampling  # fmt: skip
    assert sampling.max_tokens == 9
    assert (sampling.temperature, sampling.top_p, sampling.top_k, sampling.min_p) == (0, 0.5, 3, 0.1)
    assert sampling.seed == 2**63 - 1
    assert sampling.stop == ("x",)
    assert (sampling.n, sampling.ignore_eos, sampling.min_tokens) == (2, True, 2)
    assert sampling.logit_bias == {"5": -100}


def test_what_is_said_to_the_template_is_passed_on():
    """As it came; whatever else asks for thinking stands beside it."""
    parsed = chat(reasoning_effort="high", chat_template_kwargs={"enable_thinking": False, "z": [1]})
    assert json.loads(parsed.template_options) == {"enable_thinking": False, "z": [1]}
    assert parsed.effort == "high"


def test_response_formats():
    """Text, any JSON, or a schema."""
    assert chat(response_format={"type": "text"}).response_format.kind == "text"
    assert chat(response_format={"type": "json_object"}).response_format.kind == "json_object"
    wanted = chat(
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "x", "strict": True, "schema": {"type": "object"}},
        }
    ).response_format
    assert (wanted.kind, wanted.definition, wanted.strict) == ("json_schema", b'{"type": "object"}', True)


def test_streaming_options():
    """Usage is streamed only when asked for."""
    parsed = parse(body(stream=True, stream_options={"include_usage": True, "continuous_usage_stats": True}))
    assert (parsed.stream, parsed.include_usage) == (True, True)


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["auto", "user", "text"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "role",
                    "content",
                    "type",
                    "text",
                    "function",
                    "name",
                    "parameters",
                    "tool_calls",
                    "id",
                    "arguments",
                ]
            )
            | st.text(max_size=4),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
bodies = st.dictionaries(
    st.sampled_from(
        [
            "model",
            "messages",
            "tools",
            "tool_choice",
            "stop",
            "n",
            "seed",
            "temperature",
            "logit_bias",
            "response_format",
            "stream",
            "stream_options",
            "chat_template_kwargs",
            "max_tokens",
            "top_p",
        ]
    ),
    anything,
    max_size=6,
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(bodies, bodies.map(lambda b: {"model": "demo", "messages": [USER], **b})))
def test_any_json_is_parsed_or_refused(value):
    """No body makes the parser raise anything but a fault, and what it accepts can travel."""
    data = json.dumps(value).encode()
    try:
        parsed = parse(data)
    except FaultError:
        return
    assert decode_request(encode_request(parsed.request)) == parsed.request


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=200), st.integers(0, 100))
def test_any_bytes_are_parsed_or_refused(noise, at):
    """Nor do bytes that are hardly JSON."""
    good = body(tools=[TOOL])
    for data in (noise, good[:at] + noise + good[at:]):
        with contextlib.suppress(FaultError):
            parse(data)
