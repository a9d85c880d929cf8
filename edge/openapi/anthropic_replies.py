"""What the routes of Anthropic's dialect answer, as types: whole messages, their events, models by pages, counts."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import UNSET, UnsetType

from cortex.edge.openapi.replies import Reply

StopReason = Literal["end_turn", "max_tokens", "stop_sequence", "tool_use", "model_context_window_exceeded"]


class ThinkingTokens(Reply):
    thinking_tokens: int


class MessageUsage(Reply):
    """`input_tokens` are without those that were found in a cache."""

    input_tokens: int
    cache_creation_input_tokens: int
    cache_read_input_tokens: int
    output_tokens: int
    output_tokens_details: ThinkingTokens


class TextBlock(Reply, tag_field="type", tag="text"):
    text: str


class ThinkingBlock(Reply, tag_field="type", tag="thinking"):
    """The signature is to be sent back with the thoughts; an empty one stands at the beginning of a stream."""

    thinking: str
    signature: str


class ToolUseBlock(Reply, tag_field="type", tag="tool_use"):
    id: str
    name: str
    input: dict[str, Any]


class Message(Reply):
    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str
    content: list[TextBlock | ThinkingBlock | ToolUseBlock]
    stop_reason: StopReason | None
    stop_sequence: str | None
    stop_details: None
    usage: MessageUsage


class MessageStart(Reply, tag_field="type", tag="message_start"):
    message: Message


class Ping(Reply, tag_field="type", tag="ping"):
    """A sign of life."""


class BlockStart(Reply, tag_field="type", tag="content_block_start"):
    index: int
    content_block: TextBlock | ThinkingBlock | ToolUseBlock


class TextDelta(Reply, tag_field="type", tag="text_delta"):
    text: str


class ThinkingDelta(Reply, tag_field="type", tag="thinking_delta"):
    thinking: str


class SignatureDelta(Reply, tag_field="type", tag="signature_delta"):
    signature: str


class InputDelta(Reply, tag_field="type", tag="input_json_delta"):
    """All stretches of a block joined are the text of one JSON object."""

    partial_json: str


class BlockDelta(Reply, tag_field="type", tag="content_block_delta"):
    index: int
    delta: TextDelta | ThinkingDelta | SignatureDelta | InputDelta


class BlockStop(Reply, tag_field="type", tag="content_block_stop"):
    index: int


class Stopped(Reply):
    stop_reason: StopReason
    stop_sequence: str | None
    stop_details: None


class MessageDelta(Reply, tag_field="type", tag="message_delta"):
    delta: Stopped
    usage: MessageUsage


class MessageStop(Reply, tag_field="type", tag="message_stop"):
    """The last event of an answer that is complete."""


MessageEvent = MessageStart | Ping | BlockStart | BlockDelta | BlockStop | MessageDelta | MessageStop


class TokenCount(Reply):
    input_tokens: int


class AnthropicModel(Reply):
    type: Literal["model"]
    id: str
    display_name: str
    created_at: str
    lifecycle: Literal["active"]
    max_input_tokens: int | None
    max_tokens: int | None
    capabilities: dict[str, Any]


class AnthropicModelPage(Reply):
    """For requests with the header `anthropic-version`."""

    data: list[AnthropicModel]
    has_more: bool
    first_id: str | None
    last_id: str | None


class AnthropicDetails(Reply):
    error_code: str


class AnthropicFailure(Reply):
    type: str
    message: str
    details: AnthropicDetails | UnsetType = UNSET


class AnthropicError(Reply):
    """Why a request was not served, in Anthropic's shape; also the last event of a stream that broke."""

    type: Literal["error"]
    error: AnthropicFailure
    request_id: str
