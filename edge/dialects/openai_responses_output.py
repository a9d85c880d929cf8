"""Pieces → items of a response: reasoning, messages, calls, in the order in which they begin. Pure.

One item of text is open at a time; a call is open until it ends. Whoever writes a stream overrides what is said of an
item that opens, grows or closes; whoever wants the whole answer says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct, field
from msgspec.json import Encoder

from cortex.edge.dialects.dialect import Answered
from cortex.edge.dialects.openai_chat_reply import logprobs_of
from cortex.protocol.deltas import (
    Finish,
    ReasoningPiece,
    Score,
    Scores,
    TextPiece,
    ToolArguments,
    ToolEnd,
    ToolStart,
)
from cortex.protocol.values import Usage

encode = Encoder().encode


class Message(Struct):
    """A message of the model's, while it is written."""

    id: str
    index: int
    text: list[str] = field(default_factory=list)
    scores: list[Score] = field(default_factory=list)

    def part(self) -> dict[str, object]:
        """Its only content."""
        logprobs = rated(self.scores)
        return {"type": "output_text", "text": "".join(self.text), "annotations": [], "logprobs": logprobs}

    def body(self, status: str) -> dict[str, object]:
        content = [] if status == "in_progress" else [self.part()]
        return {"id": self.id, "type": "message", "status": status, "role": "assistant", "content": content}


class Thought(Struct):
    """Reasoning, told as a summary: that is what clients show, and send back."""

    id: str
    index: int
    text: list[str] = field(default_factory=list)

    def part(self) -> dict[str, object]:
        return {"type": "summary_text", "text": "".join(self.text)}

    def body(self, status: str) -> dict[str, object]:
        summary = [] if status == "in_progress" else [self.part()]
        return {"id": self.id, "type": "reasoning", "status": status, "summary": summary}


class Call(Struct):
    """A call of a function; `number` is its index among the calls."""

    id: str
    index: int
    call_id: str
    name: str
    text: list[str] = field(default_factory=list)

    def body(self, status: str) -> dict[str, object]:
        return {
            "id": self.id,
            "type": "function_call",
            "status": status,
            "call_id": self.call_id,
            "name": self.name,
            "arguments": "".join(self.text),
        }


Item = Message | Thought | Call


class Output:
    """See the module's docstring. `settings` are what the response repeats of its request, as JSON without braces."""

    def __init__(self, answered: Answered, settings: bytes) -> None:
        self.id = f"resp_{answered.id}"
        self.final = b""
        """The response, once it has ended well."""
        self._own = answered.id
        self._items: list[Item] = []
        self._statuses: list[str] = []
        self._open: Message | Thought | None = None
        self._calls: dict[int, Call] = {}
        self._unsaid: list[Score] = []
        """Of tokens whose text is held back."""
        self._reason = "stop"
        about = {
            "id": self.id,
            "object": "response",
            "created_at": answered.created,
            "model": answered.model,
        }
        self._head = encode(about)[:-1] + b"," + settings

    # ── what is said of it ───────────────────────────────────────────────────────────────────────────────────────

    def opened(self, item: Item) -> bytes:  # noqa: ARG002  # nothing is said
        """An item begins."""
        return b""

    def grew(self, item: Item, text: str, scores: list[Score]) -> bytes:  # noqa: ARG002
        """More of it is there."""
        return b""

    def closed(self, item: Item, status: str) -> bytes:  # noqa: ARG002
        """No more will come. Nothing is said of a call that did not end: some clients would run it."""
        return b""

    # ── pieces ───────────────────────────────────────────────────────────────────────────────────────────────────

    def take(self, piece: object) -> bytes:
        """One piece."""
        match piece:
            case TextPiece(text=text):
                return self._say(Message, text)
            case ReasoningPiece(text=text):
                return self._say(Thought, text)
            case ToolArguments(index=index, text=text):
                if (call := self._calls.get(index)) is None:
                    return b""
                call.text.append(text)
                return self.grew(call, text, [])
            case ToolStart(index=index, id=id_, name=name):
                out = self._close("completed")
                self._unsaid = []
                call = self._calls[index] = Call(
                    f"fc_{self._own}{len(self._items)}", len(self._items), id_, name
                )
                return out + self._begin(call)
            case ToolEnd(index=index):
                if (call := self._calls.pop(index, None)) is None:
                    return b""
                self._statuses[call.index] = "completed"
                return self.closed(call, "completed")
            case Scores(scores=scores):
                self._unsaid += scores
            case Finish(reason=reason):
                self._reason = reason
                return self._close("incomplete" if reason == "length" else "completed")
        return b""

    def _say(self, kind: type[Message | Thought], text: str) -> bytes:
        out = b""
        item = self._open
        if type(item) is not kind:
            out = self._close("completed")
            prefix = "msg" if kind is Message else "rs"
            item = self._open = kind(f"{prefix}_{self._own}{len(self._items)}", len(self._items))
            out += self._begin(item)
        assert item is not None
        item.text.append(text)
        scores: list[Score] = []
        if isinstance(item, Message) and self._unsaid:
            scores, self._unsaid = self._unsaid, []
            item.scores += scores
        return out + self.grew(item, text, scores)

    def _begin(self, item: Item) -> bytes:
        self._items.append(item)
        self._statuses.append("incomplete")
        return self.opened(item)

    def _close(self, status: str) -> bytes:
        item, self._open = self._open, None
        if item is None:
            return b""
        if isinstance(item, Message):
            item.scores += self._unsaid
            self._unsaid = []
        self._statuses[item.index] = status
        return self.closed(item, status)

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────

    def finish(self) -> bytes:
        """Nothing more will come. An answer of nothing is an empty message: clients look for one."""
        cut = self._reason == "length"
        out = self._close("incomplete" if cut else "completed")
        if not cut and all(isinstance(item, Thought) for item in self._items):
            out += self._say(Message, "") + self._close("completed")
        return out

    @property
    def status(self) -> str:
        return "incomplete" if self._reason == "length" else "completed"

    def response(
        self, status: str, *, usage: Usage | None = None, error: dict[str, object] | None = None
    ) -> bytes:
        """The response object."""
        why = {"reason": "max_output_tokens"} if status == "incomplete" else None
        rest = {
            "status": status,
            "error": error,
            "incomplete_details": why,
            "output": [item.body(state) for item, state in zip(self._items, self._statuses, strict=True)],
            "usage": None if usage is None else usage_of(usage),
        }
        return self._head + b"," + encode(rest)[1:]


def rated(scores: Iterable[Score]) -> object:
    """Tokens with their log probabilities."""
    return logprobs_of(list(scores))["content"]


def usage_of(usage: Usage) -> dict[str, object]:
    """The usage object."""
    return {
        "input_tokens": usage.prompt,
        "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": 0},
        "output_tokens": usage.completion,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.prompt + usage.completion,
    }
