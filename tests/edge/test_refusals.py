"""Refusals that name what is really wrong."""

from __future__ import annotations

import json

import pytest

from cortex.edge.dialects.openai_chat import parse
from cortex.protocol.faults import FaultError


def refusal(body: bytes) -> str:
    with pytest.raises(FaultError) as caught:
        parse(body)
    return caught.value.fault.message


@pytest.mark.parametrize("name", ["get weather", "a\nb", "a\u0000b"])
def test_a_tool_whose_name_no_model_can_write_is_refused(name: str) -> None:
    """Spaces and control characters; dots, slashes and other letters are taken."""
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
    tools = [{"type": "function", "function": {"name": name}}]
    message = refusal(json.dumps({**body, "tools": tools}).encode())
    assert message.startswith("tools[0].function.name must have no spaces and no control characters")
    tools[0]["function"]["name"] = "größe.get/v1"  # type: ignore[index]
    assert parse(json.dumps({**body, "tools": tools}).encode()).request.tools[0].name == "größe.get/v1"


def test_half_of_a_surrogate_pair_is_called_what_it_is() -> None:
    """The decoder takes it for an end that came too early."""
    message = refusal(b'{"model": "m", "messages": [{"role": "user", "content": "\\ud800"}]}')
    assert "half of a surrogate pair stands alone" in message
    message = refusal(b'{"model": "m", "messages": [{"role": "user", "content": "x')
    assert "it ends too early" in message
