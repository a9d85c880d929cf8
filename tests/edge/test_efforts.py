"""Whether to think, and how hard: what each dialect's words become."""

import json

import pytest
from anthropic_bodies import CALL, USER, chat, refused, result, said, user

from cortex.edge.dialects import anthropic, openai_chat, openai_responses
from cortex.protocol.codec import decode_request, encode_request
from cortex.protocol.faults import Code, FaultError
from cortex.protocol.request import Chat

EFFORTS = ["none", "minimal", "low", "medium", "high", "xhigh", "max"]
MESSAGES = [{"role": "user", "content": "hi"}]


def of_chat(effort: object) -> Chat:
    body = {"model": "m", "messages": MESSAGES, "reasoning_effort": effort}
    return openai_chat.parse(json.dumps(body).encode()).request


def of_responses(effort: object) -> Chat:
    body = {"model": "m", "input": "hi", "reasoning": {"effort": effort, "summary": "auto"}}
    return openai_responses.parse(json.dumps(body).encode()).request


def of_messages(effort: object) -> Chat:
    return chat(output_config={"effort": effort})


READERS = [of_chat, of_responses, of_messages]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("effort", EFFORTS)
def test_an_effort_is_the_same_in_every_dialect(read, effort):
    """Its word travels as it is, and without one that thinks the model does not."""
    request = decode_request(encode_request(read(effort)))
    assert (request.thinking, request.effort) == (effort not in ("none", "minimal"), effort)
    assert request.template_options == b"{}"


@pytest.mark.parametrize("read", READERS)
def test_nothing_is_asked_for_by_silence(read):
    """A null is no effort."""
    assert (read(None).thinking, read(None).effort) == (None, None)


@pytest.mark.parametrize(
    ("read", "param"),
    [
        (of_chat, "reasoning_effort"),
        (of_responses, "reasoning.effort"),
        (of_messages, "output_config.effort"),
    ],
)
def test_an_unknown_effort_is_told_which_there_are(read, param):
    """By the field's name."""
    with pytest.raises(FaultError) as caught:
        read("banana")
    fault = caught.value.fault
    assert (fault.code, fault.param) == (Code.INVALID_REQUEST, param)
    assert fault.message == f"{param} must be one of {', '.join(EFFORTS)}."


@pytest.mark.parametrize(
    ("thinking", "effort", "wish"),
    [
        ({"type": "adaptive"}, "high", (True, "high")),
        ({"type": "adaptive"}, None, (True, None)),
        ({"type": "adaptive"}, "none", (False, "none")),
        ({"type": "disabled"}, "max", (False, "none")),
        ({"type": "enabled"}, None, (True, None)),
        ({"type": "enabled", "budget_tokens": 1024}, None, (True, "low")),
        ({"type": "enabled", "budget_tokens": 4095}, None, (True, "low")),
        ({"type": "enabled", "budget_tokens": 4096}, None, (True, "medium")),
        ({"type": "enabled", "budget_tokens": 16_384}, None, (True, "high")),
        ({"type": "enabled", "budget_tokens": 31_999}, None, (True, "high")),
        ({"type": "enabled", "budget_tokens": 31_999}, "low", (True, "low")),
        ({"type": "adaptive", "display": "omitted"}, "max", (True, "max")),
        ({"type": "between_tools"}, None, (False, "high")),
    ],
)
def test_what_anthropics_clients_say_of_thinking(thinking, effort, wish):
    """A budget is an effort, and an effort says more; what turns thinking off does so."""
    request = chat(thinking=thinking, output_config={"effort": effort})
    assert (request.thinking, request.effort) == wish


def test_thinking_between_tools_begins_with_a_result():
    """Not before the first call; the effort, which may stand at the prompt's beginning, is the same all along."""
    between = {"type": "between_tools"}
    before = chat(messages=[USER], thinking=between, output_config={"effort": "low"})
    behind = chat(
        messages=[USER, said(CALL), user(result("r"))], thinking=between, output_config={"effort": "low"}
    )
    assert (before.thinking, behind.thinking) == (False, True)
    assert before.effort == behind.effort == "low"


@pytest.mark.parametrize(
    ("thinking", "message"),
    [
        ({"type": "on"}, "thinking.type must be one of adaptive, enabled, disabled, between_tools."),
        ({"type": "adaptive", "display": "x"}, "thinking.display must be one of summarized, omitted."),
        ({"type": "enabled", "budget_tokens": "x"}, "thinking.budget_tokens must be an integer, not a string."),
        ({"type": "enabled", "budget_tokens": 0}, "thinking.budget_tokens must be at least 1."),
    ],
)  # fmt: skip
def test_what_is_wrong_with_thinking_is_told(thinking, message):
    """By the field's name, with what there is."""
    assert refused(thinking=thinking).message == message


@pytest.mark.parametrize(
    ("display", "shown"), [(None, True), ("summarized", True), ("omitted", False)]
)  # fmt: skip
def test_a_client_may_not_want_to_read_thoughts(display, shown):
    """Unless it says so, it does."""
    body = {"model": "m", "messages": MESSAGES, "max_tokens": 5, "thinking": {"type": "adaptive", "display": display}}  # fmt: skip
    assert anthropic.parse(json.dumps(body).encode()).thoughts is shown
