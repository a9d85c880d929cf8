"""The normalized request: what every dialect is translated into and every engine reads.

A tagged union `Chat | Complete | Embed | Count`. Whatever a client invents freely (tool schemas, call arguments,
template options) is carried as the JSON bytes that it sent, so that no codec of ours has to bear its depth or the
width of its integers. Images travel as attachments and are referred to by index.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from cortex.protocol.values import Name

Role = Literal["system", "user", "assistant", "tool"]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
NO_THINKING: tuple[Effort, ...] = ("none", "minimal")
"""Efforts that mean: answer without thinking."""
"""How hard a model shall think, from not at all to all that it can."""
TokenIds = tuple[Annotated[int, Meta(ge=0)], ...]
JsonText = bytes


class Sampling(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How to choose tokens. None means: the profile's default, then the model's own.

    The seed is drawn by the edge when the client gave none, so that a replay elsewhere continues identically.
    """

    temperature: Annotated[float, Meta(ge=0, le=100)] | None = None
    top_p: Annotated[float, Meta(gt=0, le=1)] | None = None
    top_k: Annotated[int, Meta(ge=-1)] | None = None
    min_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    frequency_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    presence_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    repetition_penalty: Annotated[float, Meta(gt=0, le=10)] | None = None
    logit_bias: dict[str, float] | None = None
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 0
    stop: tuple[str, ...] = ()
    max_tokens: Annotated[int, Meta(ge=0)] | None = None
    min_tokens: Annotated[int, Meta(ge=0)] = 0
    ignore_eos: bool = False
    n: Annotated[int, Meta(ge=1, le=16)] = 1
    logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None


class Text(Struct, frozen=True, kw_only=True, tag="text"):
    text: str


class Image(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="image"):
    """An image in attachment frame `attachment` of the message.

    Until it has become one, `data` holds it, and `fresh` tells that a person has just sent it.
    """

    attachment: int
    mime: str
    data: bytes = b""
    fresh: bool = False


Part = Text | Image


class ToolCall(Struct, frozen=True, kw_only=True):
    """A call in the history. `arguments` is the JSON text as it came, possibly malformed."""

    id: str
    name: str
    arguments: JsonText


class Turn(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One message of the conversation; `tool_call_id` belongs to role tool, `reasoning` to role assistant."""

    role: Role
    parts: tuple[Part, ...] = ()
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""
    name: str = ""

    @property
    def text(self) -> str:
        """All text parts, each on lines of its own.

        Agents send whole blocks side by side, reminders before a prompt, that would run into each other; nobody cuts
        a word in two. vLLM and llama.cpp do the same for templates that take a text.
        """
        return "\n".join(part.text for part in self.parts if isinstance(part, Text))


class ToolSpec(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A tool on offer; `schema` is the JSON schema of its arguments, as JSON text.

    `strict`: where a call is demanded, a schema of which not all can be kept is an error.
    """

    name: Name
    description: str = ""
    schema: JsonText = b"{}"
    strict: bool = False


class ToolChoice(Struct, frozen=True, kw_only=True, omit_defaults=True):
    mode: Literal["auto", "none", "required", "named"] = "auto"
    name: str = ""
    parallel: bool = True


class ResponseFormat(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What shape the text must have; `definition` is a JSON schema, a regex or a grammar."""

    kind: Literal["text", "json_object", "json_schema", "regex", "grammar"] = "text"
    definition: bytes = b""
    strict: bool = False


class Chat(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="chat"):
    model: Name
    turns: tuple[Turn, ...]
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: ToolChoice = ToolChoice()
    sampling: Sampling = Sampling()
    response_format: ResponseFormat = ResponseFormat()
    template_options: JsonText = b"{}"
    """JSON object passed to the chat template as it is, such as {"enable_thinking": true}."""
    thinking: bool | None = None
    """Whether to think before this answer; None: nothing was asked for."""
    effort: Effort | None = None
    """How hard, where it thinks; the same throughout a conversation, for it may stand at the prompt's beginning."""


class Complete(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="complete"):
    """With `echo` the prompt is said before the answer, rated if `sampling.logprobs` is given; only then may
    `max_tokens` be 0.
    """

    model: Name
    prompt: str | TokenIds
    echo: bool = False
    sampling: Sampling = Sampling()


class Embed(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="embed"):
    model: Name
    inputs: tuple[str | TokenIds, ...]
    dimensions: int | None = None


class Count(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="count"):
    """How many prompt tokens `chat` has; bypasses queue and credit."""

    chat: Chat


Request = Chat | Complete | Embed | Count


def model_of(request: Request) -> str:
    """The model that a request names."""
    return request.chat.model if isinstance(request, Count) else request.model


def max_tokens_of(request: Request) -> int | None:
    """The output limit that a request asks for, where it has one."""
    return request.sampling.max_tokens if isinstance(request, Chat | Complete) else None
