"""Deltas → one Anthropic message, and what a stream of them has in common with it: usage, reason, signature. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import DecodeError, Raw
from msgspec.json import Decoder, Encoder

from cortex.edge.dialects.anthropic_thoughts import signature_of
from cortex.edge.dialects.dialect import Answered
from cortex.edge.dialects.partial_json import whole_part
from cortex.protocol.deltas import Delta, Finish, ReasoningPiece, TextPiece, ToolArguments, ToolEnd, ToolStart
from cortex.protocol.values import Usage

EMPTY: Mapping[str, object] = {"type": "text", "text": ""}
"""What an answer without anything has, for clients that look at the first block."""

_encode = Encoder().encode
_object_decoder = Decoder(dict[str, Raw])


class Ending:
    """What an answer is known to have ended with."""

    def __init__(self) -> None:
        self.reason = "stop"
        self.stop: str | None = None
        self.window = False
        self.calls = 0
        """Those that ended: half a call is none."""

    def finish(self, piece: Finish) -> None:
        """The model has ended."""
        self.reason = piece.reason
        self.stop = piece.stop or None
        self.window = piece.window

    def told(self) -> dict[str, object]:
        """The reason as clients know it. With calls made it must say so, or agents stop half-way."""
        if self.reason == "length":
            return reasons("model_context_window_exceeded" if self.window else "max_tokens")
        if self.calls:
            return reasons("tool_use")
        return reasons("end_turn") if self.stop is None else reasons("stop_sequence", self.stop)


def tool_id(id_: str) -> str:
    """A call's id as Anthropic's begin; families whose own ids mean something to their models keep them."""
    return f"toolu_{id_[5:]}" if id_.startswith("call_") else id_


def reasons(reason: str | None, stop: str | None = None) -> dict[str, object]:
    """The fields that tell why an answer has ended."""
    return {"stop_reason": reason, "stop_sequence": stop, "stop_details": None}


def usage_of(usage: Usage) -> dict[str, object]:
    """The usage object. What was found in a cache is not in `input_tokens`."""
    return {
        "input_tokens": max(0, usage.prompt - usage.cached),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.cached,
        "output_tokens": usage.completion,
        "output_tokens_details": {"thinking_tokens": usage.reasoning},
    }


def message_of(
    answered: Answered, content: object, ending: dict[str, object], usage: Usage
) -> dict[str, object]:
    """The message object."""
    return {
        "id": f"msg_{answered.id}",
        "type": "message",
        "role": "assistant",
        "model": answered.model,
        "content": content,
        **ending,
        "usage": usage_of(usage),
    }


class _Block:
    """One block as it is gathered."""

    __slots__ = ("call", "closed", "id", "kind", "name", "texts")

    def __init__(self, kind: str, *, call: int = -1, id_: str = "", name: str = "") -> None:
        self.kind = kind
        self.texts: list[str] = []
        self.call = call
        self.id = id_
        self.name = name
        self.closed = False

    def told(self, model: str) -> dict[str, object] | None:
        """The block as clients know it; None for a call that is no JSON.

        One that was cut short has the arguments that the SDKs read of its stream, for both are to be the same.
        """
        text = "".join(self.texts)
        if self.kind == "text":
            return {"type": "text", "text": text}
        if self.kind == "thinking":
            return {"type": "thinking", "thinking": text, "signature": signature_of(text, model)}
        arguments = _input(text if self.closed else whole_part(text))
        if arguments is None:
            return None
        return {"type": "tool_use", "id": self.id, "name": self.name, "input": arguments}


def _input(text: str) -> Raw | None:
    """A call's arguments as the object that they are, digit by digit as the model wrote them."""
    data = text.encode("utf-8", "replace") or b"{}"
    try:
        _object_decoder.decode(data)
    except (DecodeError, RecursionError):
        return None
    return Raw(data)


class MessageCollector:
    """Gathers one answer and encodes it as one message: the blocks that the stream would have had.

    Without `thoughts` its client is told where the model thinks, and not what.
    """

    def __init__(self, answered: Answered, *, thoughts: bool = True) -> None:
        self._answered = answered
        self._tells = thoughts
        self._blocks: list[_Block] = []
        self._ending = Ending()

    def push(self, delta: Delta) -> None:
        """Take in one delta."""
        for piece in delta.pieces:
            match piece:
                case TextPiece(text=text):
                    self._spoken("text", text)
                case ReasoningPiece(text=text):
                    self._spoken("thinking", text)
                case ToolStart(index=index, id=id_, name=name):
                    self._blocks.append(_Block("tool_use", call=index, id_=tool_id(id_), name=name))
                case ToolArguments(index=index, text=text):
                    if (block := self._of_call(index)) is not None:
                        block.texts.append(text)
                case ToolEnd(index=index):
                    if (block := self._of_call(index)) is not None:
                        block.closed = True
                case Finish():
                    self._ending.finish(piece)

    def _spoken(self, kind: str, text: str) -> None:
        if not text:
            return
        if not self._blocks or self._blocks[-1].kind != kind:
            self._blocks.append(_Block(kind))
        if kind == "text" or self._tells:
            self._blocks[-1].texts.append(text)

    def _of_call(self, call: int) -> _Block | None:
        """The open block, if it is this call's."""
        last = self._blocks[-1] if self._blocks else None
        return last if last is not None and last.call == call and not last.closed else None

    def body(self, usage: Usage) -> bytes:
        """The whole answer."""
        told = [(block.told(self._answered.model), block.closed) for block in self._blocks]
        content = [block for block, _ in told if block is not None]
        self._ending.calls = sum(closed for block, closed in told if block is not None)
        return _encode(message_of(self._answered, content or [EMPTY], self._ending.told(), usage))
