"""Deltas → what an OpenAI chat client reads: a stream of `data:` events, or one body. Pure.

A stream has one id, the role in its first chunk, a finish reason for each choice, the usage if it was asked for,
and `[DONE]`; or an error object and no `[DONE]`. Encoding a piece of text is the edge's hottest line: the bytes
around it are made once per stream.
"""

from __future__ import annotations

from msgspec.json import Encoder

from cortex.edge.dialects.dialect import Answered, Asked
from cortex.edge.dialects.openai_chat import ParsedChat, parse
from cortex.edge.dialects.openai_chat_calls import CallDeltas, WholeCalls, reason_of
from cortex.edge.dialects.openai_chat_tools import Told
from cortex.edge.errors import envelope
from cortex.protocol.deltas import (
    Delta,
    Finish,
    ReasoningPiece,
    Score,
    Scores,
    TextPiece,
    ToolArguments,
    ToolEnd,
    ToolStart,
)
from cortex.protocol.faults import Fault
from cortex.protocol.values import Usage

DONE = b"data: [DONE]\n\n"

LEAST_LOGPROB = -9999.0
"""What OpenAI says in place of minus infinity, for which JSON has no word."""

PLAIN = Told()

_END = b"}]}\n\n"
_OPEN = b'},"finish_reason":null' + _END
_encode = Encoder().encode


def usage_of(usage: Usage) -> dict[str, object]:
    """The usage object."""
    return {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.completion,
        "total_tokens": usage.prompt + usage.completion,
        "prompt_tokens_details": {"cached_tokens": usage.cached},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    }


def logprobs_of(scores: list[Score]) -> dict[str, object]:
    """The logprobs object of some tokens. A token's text may be part of a character: its bytes are what counts."""
    content = [
        {
            **_rated(score.token, score.logprob),
            "top_logprobs": [_rated(token, logprob) for token, logprob in score.likeliest],
        }
        for score in scores
    ]
    return {"content": content, "refusal": None}


def _rated(token: bytes, logprob: float | None) -> dict[str, object]:
    text = token.decode("utf-8", "replace")
    return {"token": text, "logprob": max(logprob or 0.0, LEAST_LOGPROB), "bytes": list(token)}


class ChatStream:
    """Encodes one answer as server-sent events. Every method returns the bytes to send."""

    def __init__(
        self, answered: Answered, *, include_usage: bool = False, n: int = 1, told: Told = PLAIN
    ) -> None:
        common = _common(answered, "chat.completion.chunk")
        self._head = b"data: " + _encode(common)[:-1]
        self._include_usage = include_usage
        choices = [self._head + b',"choices":[{"index":%d,"delta":{' % index for index in range(n)]
        self._delta = choices
        self._text = [prefix + b'"content":' for prefix in choices]
        self._reasoning = [prefix + b'"reasoning_content":' for prefix in choices]
        self._old = told.old
        self._calls = [CallDeltas(told) for _ in range(n)]
        self._finished = [False] * n

    def start(self, known: Usage) -> bytes:  # noqa: ARG002  (this dialect tells of them at the end)
        """The role of every choice; sent as soon as the request has a place in line."""
        return b"".join(prefix + b'"role":"assistant","content":""' + _OPEN for prefix in self._delta)

    def push(self, delta: Delta) -> bytes:
        """The events of one delta; empty while its text is held back."""
        pieces = delta.pieces
        choice = delta.choice
        if len(pieces) == 1 and type(pieces[0]) is TextPiece:
            return self._text[choice] + _encode(pieces[0].text) + _OPEN
        if len(pieces) > 1 and type(pieces[0]) is Scores and type(pieces[1]) is TextPiece:
            text = self._text[choice] + _encode(pieces[1].text)
            return self._scored(text, pieces[0]) + b"".join(self._piece(choice, one) for one in pieces[2:])
        return b"".join([self._piece(choice, piece) for piece in pieces])

    def _piece(self, choice: int, piece: object) -> bytes:
        match piece:
            case TextPiece(text=text):
                return self._text[choice] + _encode(text) + _OPEN
            case ReasoningPiece(text=text):
                return self._reasoning[choice] + _encode(text) + _OPEN
            case ToolArguments():
                return self._call(choice, self._calls[choice].arguments(piece))
            case ToolEnd():
                return self._call(choice, self._calls[choice].end(piece))
            case ToolStart():
                return self._call(choice, self._calls[choice].start(piece))
            case Scores():  # the text of these tokens is held back for now
                return self._scored(self._delta[choice], piece)
            case Finish(reason=reason):
                return self._finish(choice, reason)
        return b""

    def _scored(self, begun: bytes, piece: Scores) -> bytes:
        return begun + b'},"logprobs":' + _encode(logprobs_of(piece.scores)) + b',"finish_reason":null' + _END

    def _call(self, choice: int, form: dict[str, object] | None) -> bytes:
        return b"" if form is None else self._delta[choice] + _encode(form)[1:-1] + _OPEN

    def _finish(self, choice: int, reason: str) -> bytes:
        if self._finished[choice]:
            return b""
        self._finished[choice] = True
        spoken = _encode(reason_of(reason, self._calls[choice].ended, old=self._old))
        return self._delta[choice] + b'},"finish_reason":' + spoken + _END

    def quiet(self, comment: bytes, now: float) -> bytes:  # noqa: ARG002  # for those that need it
        """The comment alone: any event would be a chunk to the SDKs."""
        return comment

    def end(self, usage: Usage) -> bytes:
        """The end of an answer that is complete. No choice goes without a reason: clients would ask again."""
        out = [self._finish(choice, "stop") for choice in range(len(self._finished))]
        if self._include_usage:
            out.append(self._head + b',"choices":[],"usage":' + _encode(usage_of(usage)) + b"}\n\n")
        out.append(DONE)
        return b"".join(out)

    def fail(self, fault: Fault) -> bytes:
        """The end of an answer that is not; the SDKs raise on it."""
        return b"data: " + envelope(fault) + b"\n\n"


def _common(answered: Answered, kind: str) -> dict[str, object]:
    return {
        "id": f"chatcmpl-{answered.id}",
        "object": kind,
        "created": answered.created,
        "model": answered.model,
    }


class _Choice:
    def __init__(self, told: Told) -> None:
        self._old = told.old
        self.text: list[str] = []
        self.reasoning: list[str] = []
        self.calls = WholeCalls(told)
        self.scores: list[Score] = []
        self.reason = "stop"

    def body(self, index: int) -> dict[str, object]:
        text = "".join(self.text)
        message: dict[str, object] = {
            "role": "assistant",
            "content": text if text or not self.calls else None,
            "refusal": None,
        }
        if self.reasoning:
            message["reasoning_content"] = "".join(self.reasoning)
        message |= self.calls.form()
        reason = reason_of(self.reason, self.calls.ended, old=self._old)
        logprobs = logprobs_of(self.scores) if self.scores else None
        return {"index": index, "message": message, "logprobs": logprobs, "finish_reason": reason}


class ChatCollector:
    """Gathers one answer and encodes it as one body."""

    def __init__(self, answered: Answered, *, n: int = 1, told: Told = PLAIN) -> None:
        self._common = _common(answered, "chat.completion")
        self._choices = [_Choice(told) for _ in range(n)]

    def push(self, delta: Delta) -> None:
        """Take in one delta."""
        choice = self._choices[delta.choice]
        for piece in delta.pieces:
            match piece:
                case TextPiece(text=text):
                    choice.text.append(text)
                case ReasoningPiece(text=text):
                    choice.reasoning.append(text)
                case ToolStart():
                    choice.calls.start(piece)
                case ToolArguments():
                    choice.calls.arguments(piece)
                case ToolEnd():
                    choice.calls.end(piece)
                case Scores(scores=scores):
                    choice.scores += scores
                case Finish(reason=reason):
                    choice.reason = reason

    def body(self, usage: Usage) -> bytes:
        """The whole answer."""
        choices = [choice.body(index) for index, choice in enumerate(self._choices)]
        return _encode({**self._common, "choices": choices, "usage": usage_of(usage)})


class OpenAIChat:
    """The dialect of `POST /v1/chat/completions`."""

    def parse(self, body: bytes, asked: Asked) -> ParsedChat:
        """Read a body. Raises `FaultError`."""
        return parse(body, seed=asked.seed)

    def encoder(self, parsed: ParsedChat, answered: Answered) -> ChatStream:
        """The writer of a streamed answer."""
        n = parsed.request.sampling.n
        return ChatStream(answered, include_usage=parsed.include_usage, n=n, told=parsed.told)

    def collector(self, parsed: ParsedChat, answered: Answered) -> ChatCollector:
        """The writer of a whole answer."""
        return ChatCollector(answered, n=parsed.request.sampling.n, told=parsed.told)
