"""What the routes of OpenAI's Responses answer, as types: responses, their events, what is kept of them."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import UNSET, UnsetType

from cortex.edge.openapi.replies import CachedTokens, ReasoningTokens, Reply, Scored

Status = Literal["in_progress", "completed", "incomplete"]


class OutputText(Reply):
    type: Literal["output_text"]
    text: str
    annotations: list[Any]
    logprobs: list[Scored]


class SummaryText(Reply):
    type: Literal["summary_text"]
    text: str


class OutputMessage(Reply, tag_field="type", tag="message"):
    id: str
    status: Status
    role: Literal["assistant"]
    content: list[OutputText]


class OutputReasoning(Reply, tag_field="type", tag="reasoning"):
    """`encrypted_content` is there where it was asked for: what was thought, to be sent back."""

    id: str
    status: Status
    summary: list[SummaryText]
    encrypted_content: str | UnsetType | None = UNSET


class OutputCall(Reply, tag_field="type", tag="function_call"):
    """`arguments` is the text of a JSON object, once the call is completed."""

    id: str
    status: Status
    call_id: str
    name: str
    arguments: str
    namespace: str | UnsetType = UNSET


class OutputCustomCall(Reply, tag_field="type", tag="custom_tool_call"):
    """`input` is plain text."""

    id: str
    status: Status
    call_id: str
    name: str
    input: str
    namespace: str | UnsetType = UNSET


Item = OutputMessage | OutputReasoning | OutputCall | OutputCustomCall


class InputTokensDetails(CachedTokens):
    cache_write_tokens: int


class ResponseUsage(Reply):
    """`input_tokens` include those that were cached, `output_tokens` those of reasoning."""

    input_tokens: int
    input_tokens_details: InputTokensDetails
    output_tokens: int
    output_tokens_details: ReasoningTokens
    total_tokens: int


class ResponseFailure(Reply):
    code: str
    message: str


class Incomplete(Reply):
    reason: Literal["max_output_tokens"]


class Response(Reply):
    """An answer, and what it repeats of its request. `store` says at the end whether it is kept: what is larger than 4 MiB
    with its conversation is not.
    """

    id: str
    object: Literal["response"]
    created_at: int
    model: str
    status: Literal["in_progress", "completed", "incomplete", "failed"]
    error: ResponseFailure | None
    incomplete_details: Incomplete | None
    output: list[Item]
    usage: ResponseUsage | None
    service_tier: Literal["default"]
    background: Literal[False]
    instructions: str | None
    max_output_tokens: int | None
    max_tool_calls: int | None
    metadata: dict[str, str]
    parallel_tool_calls: bool
    previous_response_id: str | None
    prompt_cache_key: str | None
    reasoning: dict[str, str | None]
    safety_identifier: str | None
    store: bool
    temperature: float | None
    text: dict[str, Any]
    tool_choice: str | dict[str, Any]
    tools: list[dict[str, Any]]
    top_logprobs: int
    top_p: float | None
    truncation: Literal["disabled"]
    user: str | None


class ResponseEvent(Reply):
    """The response begins or ends."""

    type: Literal[
        "response.created",
        "response.in_progress",
        "response.completed",
        "response.incomplete",
        "response.failed",
    ]
    sequence_number: int
    response: Response


class ItemEvent(Reply):
    """An item begins or ends."""

    type: Literal["response.output_item.added", "response.output_item.done"]
    sequence_number: int
    output_index: int
    item: Item


class TextEvent(Reply):
    """More of a text, or all of it."""

    type: Literal["response.output_text.delta", "response.output_text.done"]
    sequence_number: int
    item_id: str
    output_index: int
    content_index: int
    logprobs: list[Scored]
    delta: str | UnsetType = UNSET
    text: str | UnsetType = UNSET


class TextPartEvent(Reply):
    type: Literal["response.content_part.added", "response.content_part.done"]
    sequence_number: int
    item_id: str
    output_index: int
    content_index: int
    part: OutputText


class CallEvent(Reply):
    """More of a call's arguments, or all of them."""

    type: Literal["response.function_call_arguments.delta", "response.function_call_arguments.done"]
    sequence_number: int
    item_id: str
    output_index: int
    delta: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    arguments: str | UnsetType = UNSET


class CustomInputEvent(Reply):
    """More of a custom tool's input, or all of it."""

    type: Literal["response.custom_tool_call_input.delta", "response.custom_tool_call_input.done"]
    sequence_number: int
    item_id: str
    output_index: int
    delta: str | UnsetType = UNSET
    input: str | UnsetType = UNSET


class SummaryEvent(Reply):
    """More of what was thought, or all of it."""

    type: Literal["response.reasoning_summary_text.delta", "response.reasoning_summary_text.done"]
    sequence_number: int
    item_id: str
    output_index: int
    summary_index: int
    delta: str | UnsetType = UNSET
    text: str | UnsetType = UNSET


class SummaryPartEvent(Reply):
    type: Literal["response.reasoning_summary_part.added", "response.reasoning_summary_part.done"]
    sequence_number: int
    item_id: str
    output_index: int
    summary_index: int
    part: SummaryText


EVENTS: tuple[object, ...] = (
    ResponseEvent,
    ItemEvent,
    TextEvent,
    TextPartEvent,
    CallEvent,
    CustomInputEvent,
    SummaryEvent,
    SummaryPartEvent,
)


class Deleted(Reply):
    id: str
    object: Literal["response"]
    deleted: Literal[True]


class InputTokens(Reply):
    object: Literal["response.input_tokens"]
    input_tokens: int


class InputItems(Reply):
    """What led to a response: items as they were sent, each with a type and an id."""

    object: Literal["list"]
    data: list[dict[str, Any]]
    first_id: str | None
    last_id: str | None
    has_more: bool
