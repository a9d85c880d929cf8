"""Pieces → items of a response: reasoning, messages, calls, in the order in which they begin. Pure.

One item of text is open at a time; a call is open until it ends. Whoever writes a stream overrides what is said of an
item that opens, grows or closes; whoever wants the whole answer says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Raw, Struct, field
from msgspec.json import Encoder

from cortex.edge.dialects.custom_input import InputReader
from cortex.edge.dialects.dialect import Answered
from cortex.edge.dialects.openai_chat_reply import logprobs_of
from cortex.edge.dialects.openai_responses import ParsedResponse
from cortex.edge.dialects.openai_responses_kept import MAX_KEPT, Kept
from cortex.edge.dialects.openai_responses_tools import Told
from cortex.edge.dialects.sealed import sealed
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
    """Reasoning, told as a summary: that is what clients show, and send back. Some send back what is `sealed` alone."""

    id: str
    index: int
    sealed: bool = False
    text: list[str] = field(default_factory=list)

    def part(self) -> dict[str, object]:
        return {"type": "summary_text", "text": "".join(self.text)}

    def body(self, status: str) -> dict[str, object]:
        begun = status == "in_progress"
        body: dict[str, object] = {"id": self.id, "type": "reasoning", "status": status}
        body["summary"] = [] if begun else [self.part()]
        if self.sealed:
            body["encrypted_content"] = None if begun else sealed("".join(self.text))
        return body


class Call(Struct):
    """A call of a function, as its client knows the function."""

    id: str
    index: int
    call_id: str
    told: Told
    text: list[str] = field(default_factory=list)

    def body(self, status: str) -> dict[str, object]:
        return _call("function_call", self, status) | {"arguments": "".join(self.text)}


class CustomCall(Struct):
    """A call of a custom tool; `text` is its input."""

    id: str
    index: int
    call_id: str
    told: Told
    text: list[str] = field(default_factory=list)
    reader: InputReader = field(default_factory=InputReader)

    def body(self, status: str) -> dict[str, object]:
        return _call("custom_tool_call", self, status) | {"input": "".join(self.text)}


def _call(kind: str, call: Call | CustomCall, status: str) -> dict[str, object]:
    namespace = {"namespace": call.told.namespace} if call.told.namespace else {}
    about = {"id": call.id, "type": kind, "status": status, "call_id": call.call_id, "name": call.told.name}
    return {**about, **namespace}


Item = Message | Thought | Call | CustomCall


class Output:
    """See the module's docstring."""

    def __init__(self, answered: Answered, parsed: ParsedResponse) -> None:
        self.id = f"resp_{answered.id}"
        self.kept = b""
        """What is to be kept of it, once it has ended well; empty where nothing is."""
        self._own = answered.id
        self._parsed = parsed
        self._items: list[Item] = []
        self._statuses: list[str] = []
        self._open: Message | Thought | None = None
        self._calls: dict[int, Call | CustomCall] = {}
        self._unsaid: list[Score] = []
        """Of tokens whose text is held back."""
        self._reason = "stop"
        about = {
            "id": self.id,
            "object": "response",
            "created_at": answered.created,
            "model": answered.model,
        }
        self._head = encode(about)[:-1] + b"," + parsed.settings

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
                return self._argue(index, text)
            case ToolStart(index=index, id=id_, name=name):
                out = self._close("completed")
                self._unsaid = []
                call = self._calls[index] = self._called(id_, name)
                return out + self._begin(call)
            case ToolEnd(index=index):
                out = self._argue(index, None)
                if (ended := self._calls.pop(index, None)) is None:
                    return b""
                self._statuses[ended.index] = "completed"
                return out + self.closed(ended, "completed")
            case Scores(scores=scores):
                self._unsaid += scores
            case Finish(reason=reason):
                self._reason = reason
                return self._close("incomplete" if reason == "length" else "completed")
        return b""

    def _called(self, id_: str, name: str) -> Call | CustomCall:
        told = self._parsed.told.get(name) or Told(name)
        place = len(self._items)
        if told.custom:
            return CustomCall(f"ctc_{self._own}{place}", place, id_, told)
        return Call(f"fc_{self._own}{place}", place, id_, told)

    def _argue(self, index: int, text: str | None) -> bytes:
        """More of a call's arguments; None: all of them are there."""
        if (call := self._calls.get(index)) is None:
            return b""
        if isinstance(call, CustomCall):
            text = call.reader.end() if text is None else call.reader.take(text)
        if not text:
            return b""
        call.text.append(text)
        return self.grew(call, text, [])

    def _say(self, kind: type[Message | Thought], text: str) -> bytes:
        out = b""
        item = self._open
        if type(item) is not kind:
            out = self._close("completed")
            place = len(self._items)
            if kind is Message:
                item = self._open = Message(f"msg_{self._own}{place}", place)
            else:
                item = self._open = Thought(f"rs_{self._own}{place}", place, self._parsed.sealed)
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

    def conclude(self, usage: Usage) -> bytes:
        """The response as it has ended. It says whether it is kept: one that is too large with its conversation is not."""
        final = self.response(self.status, store=self._parsed.store, usage=usage)
        if not self._parsed.store:
            return final
        kept = Kept(self.id, Raw(final), list(self._parsed.items)).encode()
        if len(kept) > MAX_KEPT:
            return self.response(self.status, store=False, usage=usage)
        self.kept = kept
        return final

    def response(
        self,
        status: str,
        *,
        store: bool,
        usage: Usage | None = None,
        error: dict[str, object] | None = None,
    ) -> bytes:
        """The response object."""
        why = {"reason": "max_output_tokens"} if status == "incomplete" else None
        rest = {
            "store": store,
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
