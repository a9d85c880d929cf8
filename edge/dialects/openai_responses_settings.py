"""What a response repeats of its request: checked before, for clients take it for true. Pure.

A null says no more than silence does. It knows nothing of what the fields do.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw, structs

from cortex.edge.dialects.decoding import ABSENT, TOO_DEEP, invalid, unsupported
from cortex.edge.dialects.fields import whole
from cortex.edge.dialects.openai_responses_body import Body, Format, TextOptions, ToolChoice

SUMMARIES = ("auto", "concise", "detailed", "none")
_TEXT = Format(type="text")


def check_settings(body: Body) -> None:
    """Refuse what cannot be meant, and what is asked for in vain. Raises `FaultError`."""
    if body.truncation == "auto":
        raise unsupported(
            "truncation",
            "cannot be auto: nothing is left out of a conversation here; send disabled, and less",
        )
    if body.truncation not in (None, "disabled"):
        raise invalid("truncation", "must be disabled")
    if body.reasoning is not None and body.reasoning.summary not in (None, *SUMMARIES):
        raise invalid("reasoning.summary", f"must be one of {', '.join(SUMMARIES)}")
    if body.previous_response_id == "":
        raise invalid("previous_response_id", "must name a response; leave it out where there is none")
    whole(body.max_tool_calls, "max_tool_calls", 1)


def settings_of(body: Body) -> bytes:
    """As JSON without the braces. Whether the response is kept is not among it: that is known when it ends."""
    reasoning = body.reasoning
    settings: dict[str, object] = {
        "background": False,
        "instructions": body.instructions,
        "max_output_tokens": whole(body.max_output_tokens, "max_output_tokens", 1),
        # It limits calls of hosted tools alone, and there are none here.
        "max_tool_calls": whole(body.max_tool_calls, "max_tool_calls", 1),
        "metadata": body.metadata or {},
        "parallel_tool_calls": body.parallel_tool_calls is not False,
        "previous_response_id": body.previous_response_id,
        "prompt_cache_key": body.prompt_cache_key,
        "reasoning": {
            "effort": reasoning.effort if reasoning is not None else None,
            "summary": reasoning.summary if reasoning is not None else None,
        },
        "safety_identifier": body.safety_identifier,
        "temperature": body.temperature,
        "text": _text(body.text),
        "tool_choice": _choice(body.tool_choice),
        "tools": [one_line(tool) for tool in body.tools or ()],
        "top_logprobs": whole(body.top_logprobs, "top_logprobs", 0) or 0,
        "top_p": body.top_p,
        "truncation": "disabled",
        "user": body.user,
        "service_tier": "default",
    }
    return msgspec.json.encode(settings)[1:-1]


def _text(given: TextOptions | None) -> dict[str, object]:
    form = given.format if given is not None and given.format is not None else _TEXT
    if bytes(form.schema) in ABSENT:
        form = structs.replace(form, schema=_TEXT.schema)
    else:
        form = structs.replace(form, schema=one_line(form.schema))
    told: dict[str, object] = {"format": form}
    if given is not None and given.verbosity is not None:
        told["verbosity"] = given.verbosity
    return told


def _choice(given: str | ToolChoice | None) -> str | ToolChoice:
    return "auto" if given is None else given


def one_line(raw: Raw) -> Raw:
    """The same JSON without line breaks: the data of an event ends where its line does."""
    data = bytes(raw)
    if b"\n" not in data and b"\r" not in data:
        return raw
    try:
        return Raw(msgspec.json.format(data, indent=-1))
    except RecursionError as error:
        raise invalid(None, TOO_DEEP) from error
