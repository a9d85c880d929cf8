"""What the routes answer, as types: for the document that describes them, and for tests that hold the answers to it.

Nothing is encoded with these: dialects write their bytes themselves, and quicker. `UNSET` marks a field that is there
only sometimes; one that may be null says so.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType


class Reply(Struct, forbid_unknown_fields=True, kw_only=True):
    """The fields are all there are."""


# ── errors ───────────────────────────────────────────────────────────────────────────────────────────────────────


class Failure(Reply):
    """`code` is a stable word, `param` the field at fault."""

    message: str
    type: str
    param: str | None
    code: str


class Error(Reply):
    """Why a request was not served, in OpenAI's shape; also the last event of a stream that broke."""

    error: Failure


# ── about the gateway ────────────────────────────────────────────────────────────────────────────────────────────


class About(Reply):
    name: str
    version: str
    routes: list[str]


class Condition(Reply):
    """`ok` or `ready`, or what is missing."""

    status: str


class BrokerCondition(Reply):
    name: str | None
    live: bool


class ModelCounts(Reply):
    known: int
    loaded: int


class Health(Reply):
    status: Literal["ok", "degraded"]
    detail: str
    broker: str | None
    brokers: list[BrokerCondition]
    neurons: int
    models: ModelCounts


# ── models ───────────────────────────────────────────────────────────────────────────────────────────────────────


class Location(Reply):
    """A device that holds the model, or is about to."""

    node: str
    status: str
    state: str
    vram_estimate_mb: int | UnsetType = UNSET


class Limit(Reply):
    """In tokens."""

    context: int | UnsetType = UNSET
    output: int | UnsetType = UNSET


class Model(Reply):
    """A model, or another name of one (`alias_of`). Limits are in tokens, under every name that clients look for."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    loaded: bool
    state: str
    feasible_on: list[str]
    locations: list[Location]
    capabilities: list[str]
    tool_call: bool
    reasoning: bool
    alias_of: str | UnsetType = UNSET
    cost: dict[str, float] | UnsetType = UNSET
    limit: Limit | UnsetType = UNSET
    max_model_len: int | UnsetType = UNSET
    max_input_tokens: int | UnsetType = UNSET
    max_output_tokens: int | UnsetType = UNSET


class ModelList(Reply):
    """The models that the request's key may use."""

    object: Literal["list"]
    data: list[Model]


# ── chat completions ─────────────────────────────────────────────────────────────────────────────────────────────


class CachedTokens(Reply):
    cached_tokens: int


class ReasoningTokens(Reply):
    reasoning_tokens: int


class ChatUsage(Reply):
    """`prompt_tokens` include those that were cached, `completion_tokens` those of reasoning."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: CachedTokens
    completion_tokens_details: ReasoningTokens


class Likely(Reply):
    token: str
    logprob: float
    bytes: list[int]


class Scored(Likely):
    top_logprobs: list[Likely]


class Logprobs(Reply):
    content: list[Scored]
    refusal: None


class CalledFunction(Reply):
    """`arguments` is the text of a JSON object."""

    name: str
    arguments: str


class ChatCall(Reply, tag_field="type", tag="function"):
    id: str
    function: CalledFunction


class CalledCustom(Reply):
    """`input` is plain text."""

    name: str
    input: str


class ChatCustomCall(Reply, tag_field="type", tag="custom"):
    id: str
    custom: CalledCustom


FinishReason = Literal["stop", "length", "tool_calls", "function_call"]


class ChatMessage(Reply):
    role: Literal["assistant"]
    content: str | None
    refusal: None
    reasoning_content: str | UnsetType = UNSET
    tool_calls: list[ChatCall | ChatCustomCall] | UnsetType = UNSET
    function_call: CalledFunction | UnsetType = UNSET


class ChatChoice(Reply):
    index: int
    message: ChatMessage
    logprobs: Logprobs | None
    finish_reason: FinishReason


class ChatCompletion(Reply):
    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[ChatChoice]
    usage: ChatUsage


class FunctionDelta(Reply):
    arguments: str
    name: str | UnsetType = UNSET


class CustomDelta(Reply):
    input: str
    name: str | UnsetType = UNSET


class CallDelta(Reply):
    """`id`, `type` and the name come with the first one of a call; the arguments, or the input, of all are joined."""

    index: int
    function: FunctionDelta | UnsetType = UNSET
    custom: CustomDelta | UnsetType = UNSET
    id: str | UnsetType = UNSET
    type: Literal["function", "custom"] | UnsetType = UNSET


class ChatDelta(Reply):
    role: Literal["assistant"] | UnsetType = UNSET
    content: str | UnsetType = UNSET
    reasoning_content: str | UnsetType = UNSET
    tool_calls: list[CallDelta] | UnsetType = UNSET
    function_call: FunctionDelta | UnsetType = UNSET


class ChunkChoice(Reply):
    index: int
    delta: ChatDelta
    finish_reason: FinishReason | None
    logprobs: Logprobs | UnsetType = UNSET


class ChatChunk(Reply):
    """The data of one event; `[DONE]` is the data of the last one. `usage` is in the last chunk, if it was asked for."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: ChatUsage | UnsetType = UNSET


# ── embeddings ───────────────────────────────────────────────────────────────────────────────────────────────────


class Embedding(Reply):
    """Numbers, or with `encoding_format` `base64` their little-endian float32 bytes."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class EmbeddingUsage(Reply):
    prompt_tokens: int
    total_tokens: int


class EmbeddingList(Reply):
    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: EmbeddingUsage


# ── the document itself ──────────────────────────────────────────────────────────────────────────────────────────


class Document(Struct, kw_only=True):
    """This document."""

    openapi: str
    info: dict[str, Any]
    paths: dict[str, Any]
    components: dict[str, Any]


# ── completions, the old way ─────────────────────────────────────────────────────────────────────────────────────


class OldLogprobs(Reply):
    """Four lists of the same length. Nothing precedes the first token of a prompt that is repeated: it has no values."""

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None]
    text_offset: list[int]


class CompletionChoice(Reply):
    index: int
    text: str
    logprobs: OldLogprobs | None
    finish_reason: Literal["stop", "length"] | None


class Completion(Reply):
    """A whole answer, or the data of one event; `[DONE]` is the data of the last one."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: ChatUsage | UnsetType = UNSET
