"""Deltas → a stream of Anthropic's named events. Pure.

`message_start`, then blocks one after another, each with its start, deltas and stop, then `message_delta` with the
reason and the usage, and `message_stop`; or an `error` event and nothing behind it. Every event has its `event:` line:
the SDKs skip those without. Encoding a piece of text is the edge's hottest line: the bytes around it are made once per
block.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.json import Encoder

from cortex.edge.dialects.anthropic_reply import (
    EMPTY,
    Ending,
    message_of,
    reasons,
    tool_id,
    usage_of,
)
from cortex.edge.dialects.anthropic_thoughts import Thoughts
from cortex.edge.dialects.dialect import Answered
from cortex.edge.errors import ANTHROPIC
from cortex.protocol.deltas import Delta, Finish, ReasoningPiece, TextPiece, ToolArguments, ToolEnd, ToolStart
from cortex.protocol.faults import Fault
from cortex.protocol.values import Usage

PING = b'event: ping\ndata: {"type":"ping"}\n\n'

_STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
_encode = Encoder().encode


def _event(name: str, **fields: object) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), _encode({"type": name, **fields}))


class MessageStream:
    """Encodes one answer as server-sent events. Every method returns the bytes to send.

    Without `thoughts` its client is told where the model thinks, and not what.
    """

    def __init__(self, answered: Answered, *, thoughts: bool = True) -> None:
        self._answered = answered
        self._tells = thoughts
        self._index = -1
        self._open = ""
        """The type of the block that is open; empty between two."""
        self._call = -1
        """The call whose block is open, as the model counts them."""
        self._head = b""
        """What stands before the text of each delta of the open block."""
        self._thoughts = Thoughts(answered.model)
        self._ending = Ending()

    def start(self, known: Usage) -> bytes:
        """The message, still without content; sent as soon as the request has a place in line.

        If a neuron has taken it already, what it found in its cache is known; all figures come again at the end.
        """
        message = message_of(self._answered, [], reasons(None), known)
        return _event("message_start", message=message)

    def push(self, delta: Delta) -> bytes:
        """The events of one delta; empty while its text is held back."""
        pieces = delta.pieces
        if len(pieces) == 1 and type(pieces[0]) is TextPiece and self._open == "text":
            return self._head + _encode(pieces[0].text) + b"}}\n\n"
        return b"".join([self._piece(piece) for piece in pieces])

    def _piece(self, piece: object) -> bytes:
        match piece:
            case TextPiece(text=text):
                return self._spoken(text)
            case ReasoningPiece(text=text):
                return self._thought(text)
            case ToolStart(index=index, id=id_, name=name):
                block = {"type": "tool_use", "id": tool_id(id_), "name": name, "input": {}}
                data = self._close() + self._begin(block, b"input_json_delta", b"partial_json")
                self._call = index
                return data
            case ToolArguments(index=index, text=text) if text and self._is_open(index):
                return self._head + _encode(text) + b"}}\n\n"
            case ToolEnd(index=index) if self._is_open(index):
                self._ending.calls += 1
                return self._close()
            case Finish():
                self._ending.finish(piece)
        return b""

    def _is_open(self, call: int) -> bool:
        return self._open == "tool_use" and self._call == call

    def _spoken(self, text: str) -> bytes:
        """A stretch of text, in the open block or one of its own."""
        if not text:
            return b""
        begun = b""
        if self._open != "text":
            begun = self._close() + self._begin(EMPTY, b"text_delta", b"text")
        return begun + self._head + _encode(text) + b"}}\n\n"

    def _thought(self, text: str) -> bytes:
        """The same for thoughts."""
        if not text:
            return b""
        begun = b""
        if self._open != "thinking":
            self._thoughts = Thoughts(self._answered.model)
            empty = {"type": "thinking", "thinking": "", "signature": ""}
            begun = self._close() + self._begin(empty, b"thinking_delta", b"thinking")
        if not self._tells:
            return begun
        self._thoughts.add(text)
        return begun + self._head + _encode(text) + b"}}\n\n"

    def _begin(self, block: Mapping[str, object], delta: bytes, field: bytes) -> bytes:
        self._index += 1
        self._open = str(block["type"])
        self._head = (
            b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":'
            b'{"type":"%b","%b":' % (self._index, delta, field)
        )
        return _event("content_block_start", index=self._index, content_block=block)

    def _close(self) -> bytes:
        if not self._open:
            return b""
        signed = b""
        if self._open == "thinking":
            delta = {"type": "signature_delta", "signature": self._thoughts.signature}
            signed = _event("content_block_delta", index=self._index, delta=delta)
        self._open = ""
        return signed + _event("content_block_stop", index=self._index)

    def quiet(self, comment: bytes, now: float) -> bytes:  # noqa: ARG002  # for those that need it
        """The comment, for people, and a ping, for clients whose timers hear events only."""
        return comment + PING

    def end(self, usage: Usage) -> bytes:
        """The rest. An answer without anything has one empty block, for clients that look at the first."""
        rest = self._close()
        if self._index < 0:
            rest += self._begin(EMPTY, b"", b"") + self._close()
        return rest + _event("message_delta", delta=self._ending.told(), usage=usage_of(usage)) + _STOP

    def fail(self, fault: Fault) -> bytes:
        """The SDKs raise on it; nothing may follow."""
        return b"event: error\ndata: " + ANTHROPIC.fault(fault, f"req_{self._answered.id}") + b"\n\n"
