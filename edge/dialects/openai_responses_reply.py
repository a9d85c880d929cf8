"""Deltas → what a client of OpenAI Responses reads: a stream of named events, or one body. Pure.

Every event has its name twice and a number that rises. A stream ends with `response.completed`, `.incomplete` or
`.failed`, and without `[DONE]`. Encoding a piece of text is a hot line: the bytes around it are made once per message.
"""

from __future__ import annotations

from cortex.edge.dialects.dialect import Answered, Asked
from cortex.edge.dialects.openai_responses import ParsedResponse, parse
from cortex.edge.dialects.openai_responses_output import (
    Call,
    CustomCall,
    Item,
    Message,
    Output,
    encode,
    rated,
)
from cortex.protocol.deltas import Delta, Score, TextPiece
from cortex.protocol.faults import Fault
from cortex.protocol.values import Usage

IN_PROGRESS = "response.in_progress"
REPEATED_S = 60.0
"""How often a response that says nothing is told to be in progress: to agents comments are silence, and they give up."""


class ResponsesStream(Output):
    """Encodes one answer as server-sent events."""

    def __init__(self, answered: Answered, parsed: ParsedResponse) -> None:
        super().__init__(answered, parsed)
        self._number = 0
        self._repeated_at: float | None = None
        self._text = b""
        """What stands before the number of a delta of the message that is open."""

    def start(self, known: Usage) -> bytes:  # noqa: ARG002  (this dialect tells of them at the end)
        """The response exists; sent as soon as the request has a place in line."""
        begun = self.response("in_progress", store=self._parsed.store)
        return self._whole("response.created", begun) + self._whole(IN_PROGRESS, begun)

    def push(self, delta: Delta) -> bytes:
        """The events of one delta; empty while its text is held back."""
        pieces = delta.pieces
        if len(pieces) == 1:
            piece = pieces[0]
            message = self._open
            if type(piece) is TextPiece and type(message) is Message and not self._unsaid:
                message.text.append(piece.text)
                return self._delta(piece.text)
            return self.take(piece)
        return b"".join([self.take(piece) for piece in pieces])

    def quiet(self, comment: bytes, now: float) -> bytes:
        """The comment, and now and then an event that says nothing new."""
        if self._repeated_at is None:
            self._repeated_at = now
        if now < self._repeated_at + REPEATED_S:
            return comment
        self._repeated_at = now
        return comment + self._whole(IN_PROGRESS, self.response("in_progress", store=self._parsed.store))

    def end(self, usage: Usage) -> bytes:
        """The end of an answer, be it complete or cut."""
        return self.finish() + self._whole(f"response.{self.status}", self.conclude(usage))

    def fail(self, fault: Fault) -> bytes:
        """The end of an answer that failed. Never a bare error: agents would not hear why."""
        error: dict[str, object] = {"code": fault.code.value, "message": fault.message}
        return self._whole("response.failed", self.response("failed", store=False, error=error))

    # ── events ───────────────────────────────────────────────────────────────────────────────────────────────────

    def opened(self, item: Item) -> bytes:
        out = self._event(
            "response.output_item.added", output_index=item.index, item=item.body("in_progress")
        )
        place: dict[str, object] = {"item_id": item.id, "output_index": item.index}
        if isinstance(item, Message):
            part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
            self._text = _before_number("response.output_text.delta", **place, content_index=0, logprobs=[])
            return out + self._event("response.content_part.added", **place, content_index=0, part=part)
        if isinstance(item, Call | CustomCall):
            return out
        part = {"type": "summary_text", "text": ""}
        return out + self._event("response.reasoning_summary_part.added", **place, summary_index=0, part=part)

    def grew(self, item: Item, text: str, scores: list[Score]) -> bytes:
        place: dict[str, object] = {"item_id": item.id, "output_index": item.index}
        if isinstance(item, Message):
            if not scores:
                return self._delta(text)
            return self._event(
                "response.output_text.delta", **place, content_index=0, delta=text, logprobs=rated(scores)
            )
        if isinstance(item, Call):
            return self._event("response.function_call_arguments.delta", **place, delta=text)
        if isinstance(item, CustomCall):
            return self._event("response.custom_tool_call_input.delta", **place, delta=text)
        return self._event("response.reasoning_summary_text.delta", **place, summary_index=0, delta=text)

    def closed(self, item: Item, status: str) -> bytes:
        place: dict[str, object] = {"item_id": item.id, "output_index": item.index}
        text = "".join(item.text)
        if isinstance(item, Message):
            place["content_index"] = 0
            out = self._event("response.output_text.done", **place, text=text, logprobs=rated(item.scores))
            out += self._event("response.content_part.done", **place, part=item.part())
        elif isinstance(item, Call):
            out = self._event(
                "response.function_call_arguments.done", **place, name=item.told.name, arguments=text
            )
        elif isinstance(item, CustomCall):
            out = self._event("response.custom_tool_call_input.done", **place, input=text)
        else:
            place["summary_index"] = 0
            out = self._event("response.reasoning_summary_text.done", **place, text=text)
            out += self._event("response.reasoning_summary_part.done", **place, part=item.part())
        return out + self._event("response.output_item.done", output_index=item.index, item=item.body(status))

    def _delta(self, text: str) -> bytes:
        number = self._number
        self._number = number + 1
        return b'%s%d,"delta":%s}\n\n' % (self._text, number, encode(text))

    def _event(self, kind: str, **fields: object) -> bytes:
        number = self._number
        self._number = number + 1
        return b"%s%d}\n\n" % (_before_number(kind, **fields), number)

    def _whole(self, kind: str, response: bytes) -> bytes:
        number = self._number
        self._number = number + 1
        return _before_number(kind) + b'%d,"response":%s}\n\n' % (number, response)


class ResponsesCollector(Output):
    """Gathers one answer and encodes it as one body."""

    def push(self, delta: Delta) -> None:
        """Take in one delta."""
        for piece in delta.pieces:
            self.take(piece)

    def body(self, usage: Usage) -> bytes:
        """The whole answer."""
        self.finish()
        return self.conclude(usage)


def _before_number(kind: str, **fields: object) -> bytes:
    """The beginning of an event, up to its number."""
    return (
        b"event: %s\ndata: %s" % (kind.encode(), encode({"type": kind, **fields})[:-1])
        + b',"sequence_number":'
    )


class OpenAIResponses:
    """The dialect of `POST /v1/responses`."""

    def parse(self, body: bytes, asked: Asked) -> ParsedResponse:
        """Read a body. Raises `FaultError`."""
        return parse(body, seed=asked.seed)

    def encoder(self, parsed: ParsedResponse, answered: Answered) -> ResponsesStream:
        """The writer of a streamed answer."""
        return ResponsesStream(answered, parsed)

    def collector(self, parsed: ParsedResponse, answered: Answered) -> ResponsesCollector:
        """The writer of a whole answer."""
        return ResponsesCollector(answered, parsed)
