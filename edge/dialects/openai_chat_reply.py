"""Deltas → what an OpenAI chat client reads: a stream of `data:` events, or one body. Pure.

A stream has one id, the role in its first chunk, a finish reason for each choice, the usage if it was asked for,
and `[DONE]`; or an error object and no `[DONE]`. Encoding a piece of text is the edge's hottest line: the bytes
around it are made once per stream.
"""

from __future__ import annotations

from msgspec import Struct, field
from msgspec.json import Encoder

from cortex.edge.dialects.custom_input import InputReader
from cortex.edge.dialects.dialect import Answered, Asked
from cortex.edge.dialects.openai_chat import ParsedChat, parse
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

_END = b"}]}\n\n"
_OPEN = b'},"finish_reason":null' + _END
_encode = Encoder().encode


def reason_of(reason: str, calls: int) -> str:
    """The finish reason as clients know it. With calls made it must say so, or agents stop half-way."""
    if calls and reason == "stop":
        return "tool_calls"
    return "stop" if reason == "cancelled" else reason


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
        self,
        answered: Answered,
        *,
        include_usage: bool = False,
        n: int = 1,
        custom: frozenset[str] = frozenset(),
    ) -> None:
        common = _common(answered, "chat.completion.chunk")
        self._head = b"data: " + _encode(common)[:-1]
        self._include_usage = include_usage
        choices = [self._head + b',"choices":[{"index":%d,"delta":{' % index for index in range(n)]
        self._delta = choices
        self._text = [prefix + b'"content":' for prefix in choices]
        self._reasoning = [prefix + b'"reasoning_content":' for prefix in choices]
        self._calls = [0] * n
        self._custom = custom
        self._inputs: dict[tuple[int, int], InputReader] = {}
        """Of calls of custom tools that are open, by choice and index."""
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
            case ToolArguments(index=index, text=text):
                if (reader := self._inputs.get((choice, index))) is not None:
                    return self._input(choice, index, reader.take(text))
                return self._call(choice, {"index": index, "function": {"arguments": text}})
            case ToolEnd(index=index):
                self._calls[choice] += 1
                if (reader := self._inputs.pop((choice, index), None)) is not None:
                    return self._input(choice, index, reader.end())
            case ToolStart(index=index, id=id_, name=name):
                if name in self._custom:
                    self._inputs[choice, index] = InputReader()
                    begun = {"name": name, "input": ""}
                    return self._call(choice, {"index": index, "id": id_, "type": "custom", "custom": begun})
                function = {"name": name, "arguments": ""}
                return self._call(
                    choice, {"index": index, "id": id_, "type": "function", "function": function}
                )
            case Scores():  # the text of these tokens is held back for now
                return self._scored(self._delta[choice], piece)
            case Finish(reason=reason):
                return self._finish(choice, reason)
        return b""

    def _scored(self, begun: bytes, piece: Scores) -> bytes:
        return begun + b'},"logprobs":' + _encode(logprobs_of(piece.scores)) + b',"finish_reason":null' + _END

    def _call(self, choice: int, call: dict[str, object]) -> bytes:
        return self._delta[choice] + b'"tool_calls":[' + _encode(call) + b"]" + _OPEN

    def _input(self, choice: int, index: int, text: str) -> bytes:
        return self._call(choice, {"index": index, "custom": {"input": text}}) if text else b""

    def _finish(self, choice: int, reason: str) -> bytes:
        if self._finished[choice]:
            return b""
        self._finished[choice] = True
        spoken = _encode(reason_of(reason, self._calls[choice]))
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


class _Choice(Struct):
    text: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    calls: dict[int, tuple[str, str, list[str]]] = field(default_factory=dict)
    """By index: id, name, arguments in pieces. Of one that the limit cut they are no JSON, as in a stream."""
    ended: int = 0
    """Calls that are whole."""
    scores: list[Score] = field(default_factory=list)
    reason: str = "stop"

    def body(self, index: int, custom: frozenset[str]) -> dict[str, object]:
        text = "".join(self.text)
        message: dict[str, object] = {
            "role": "assistant",
            "content": text if text or not self.calls else None,
            "refusal": None,
        }
        if self.reasoning:
            message["reasoning_content"] = "".join(self.reasoning)
        if self.calls:
            message["tool_calls"] = [
                _made(id_, name, "".join(arguments), is_custom=name in custom)
                for id_, name, arguments in self.calls.values()
            ]
        reason = reason_of(self.reason, self.ended)
        logprobs = logprobs_of(self.scores) if self.scores else None
        return {"index": index, "message": message, "logprobs": logprobs, "finish_reason": reason}


def _made(id_: str, name: str, arguments: str, *, is_custom: bool) -> dict[str, object]:
    """A call as it was made."""
    if is_custom:
        reader = InputReader()
        text = reader.take(arguments) + reader.end()
        return {"id": id_, "type": "custom", "custom": {"name": name, "input": text}}
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}


class ChatCollector:
    """Gathers one answer and encodes it as one body."""

    def __init__(self, answered: Answered, *, n: int = 1, custom: frozenset[str] = frozenset()) -> None:
        self._common = _common(answered, "chat.completion")
        self._custom = custom
        self._choices = [_Choice() for _ in range(n)]

    def push(self, delta: Delta) -> None:
        """Take in one delta."""
        choice = self._choices[delta.choice]
        for piece in delta.pieces:
            match piece:
                case TextPiece(text=text):
                    choice.text.append(text)
                case ReasoningPiece(text=text):
                    choice.reasoning.append(text)
                case ToolStart(index=index, id=id_, name=name):
                    choice.calls[index] = (id_, name, [])
                case ToolArguments(index=index, text=text):
                    if index in choice.calls:
                        choice.calls[index][2].append(text)
                case ToolEnd():
                    choice.ended += 1
                case Scores(scores=scores):
                    choice.scores += scores
                case Finish(reason=reason):
                    choice.reason = reason

    def body(self, usage: Usage) -> bytes:
        """The whole answer."""
        choices = [choice.body(index, self._custom) for index, choice in enumerate(self._choices)]
        return _encode({**self._common, "choices": choices, "usage": usage_of(usage)})


class OpenAIChat:
    """The dialect of `POST /v1/chat/completions`."""

    def parse(self, body: bytes, asked: Asked) -> ParsedChat:
        """Read a body. Raises `FaultError`."""
        return parse(body, seed=asked.seed)

    def encoder(self, parsed: ParsedChat, answered: Answered) -> ChatStream:
        """The writer of a streamed answer."""
        n = parsed.request.sampling.n
        return ChatStream(answered, include_usage=parsed.include_usage, n=n, custom=parsed.custom)

    def collector(self, parsed: ParsedChat, answered: Answered) -> ChatCollector:
        """The writer of a whole answer."""
        return ChatCollector(answered, n=parsed.request.sampling.n, custom=parsed.custom)
