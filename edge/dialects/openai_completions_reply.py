"""Deltas → what a client of the old completions reads: a stream of `data:` events, or one body. Pure.

Log probabilities have their old form: four lists of the same length. A prompt that is to be repeated is what the engine
says first. Several prompts make one answer, in which their choices are numbered one after the other.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence

from msgspec import Raw
from msgspec.json import Encoder

from cortex.edge.dialects.dialect import Answered, Asked
from cortex.edge.dialects.openai_chat_reply import DONE, LEAST_LOGPROB, usage_of
from cortex.edge.dialects.openai_completions import ParsedCompletion, parse
from cortex.edge.errors import envelope
from cortex.protocol.deltas import Delta, Finish, ReasoningPiece, Score, Scores, TextPiece
from cortex.protocol.faults import Fault
from cortex.protocol.values import Usage

BEGUN = b": begun\n\n"
"""What is said first where there is no text yet: a client sees that it is served."""
COLUMNS = ("tokens", "token_logprobs", "top_logprobs", "text_offset")
_OPEN = b',"logprobs":null,"finish_reason":null}]}\n\n'
_encode = Encoder().encode


def reason_of(reason: str) -> str:
    """The finish reason as clients know it."""
    return "length" if reason == "length" else "stop"


class Ratings:
    """The old logprobs object of one choice, which is told in parts."""

    def __init__(self) -> None:
        self._offset = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def rate(self, scores: Sequence[Score]) -> dict[str, list[object]]:
        """The next tokens."""
        part: dict[str, list[object]] = {name: [] for name in COLUMNS}
        for score in scores:
            part["tokens"].append(_text(score.token))
            part["token_logprobs"].append(_least(score.logprob))
            part["top_logprobs"].append(_likeliest(score))
            part["text_offset"].append(self._offset)
            self._offset += len(self._decoder.decode(score.token))
        return part


def _likeliest(score: Score) -> dict[str, float] | None:
    """The most probable tokens and the one taken; nothing where nothing precedes it."""
    if score.logprob is None:
        return None
    chosen = (score.token, score.logprob)
    return {_text(token): max(logprob, LEAST_LOGPROB) for token, logprob in (*score.likeliest, chosen)}


def _least(logprob: float | None) -> float | None:
    return None if logprob is None else max(logprob, LEAST_LOGPROB)


def _text(token: bytes) -> str:
    """A token as text; as its bytes where it is part of a character, so that no two are the same."""
    try:
        return token.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in token)


class CompletionStream:
    """Encodes the answer to the prompt of this number as server-sent events. Every method returns the bytes to send."""

    def __init__(self, answered: Answered, parsed: ParsedCompletion, prompt: int = 0) -> None:
        n = parsed.request.sampling.n
        self._head = b"data: " + _encode(_common(answered))[:-1]
        first = prompt * n
        self._text = [self._head + b',"choices":[{"index":%d,"text":' % (first + index) for index in range(n)]
        self._include_usage = parsed.include_usage
        self._ratings = [Ratings() for _ in range(n)]
        self._finished = [False] * n

    def start(self, known: Usage) -> bytes:  # noqa: ARG002  (this dialect tells of them at the end)
        """A sign that it is served."""
        return BEGUN

    def push(self, delta: Delta) -> bytes:
        """The events of one delta; empty while its text is held back."""
        pieces, choice = delta.pieces, delta.choice
        if len(pieces) == 1 and type(pieces[0]) is TextPiece:
            return self._text[choice] + _encode(pieces[0].text) + _OPEN
        out: list[bytes] = []
        scores: list[Score] = []
        for piece in pieces:
            match piece:
                case Scores():
                    scores += piece.scores
                case TextPiece(text=text) | ReasoningPiece(text=text):
                    out.append(self._say(choice, text, scores))
                    scores = []
                case Finish(reason=reason):
                    if scores:
                        out.append(self._say(choice, "", scores))
                        scores = []
                    out.append(self._finish(choice, reason))
        if scores:  # the text of these tokens is held back for now
            out.append(self._say(choice, "", scores))
        return b"".join(out)

    def _say(self, choice: int, text: str, scores: list[Score]) -> bytes:
        begun = self._text[choice] + _encode(text)
        if not scores:
            return begun + _OPEN
        rated = _encode(self._ratings[choice].rate(scores))
        return begun + b',"logprobs":' + rated + b',"finish_reason":null}]}\n\n'

    def _finish(self, choice: int, reason: str) -> bytes:
        if self._finished[choice]:
            return b""
        self._finished[choice] = True
        return (
            self._text[choice]
            + b'"","logprobs":null,"finish_reason":"%s"}]}\n\n' % reason_of(reason).encode()
        )

    def quiet(self, comment: bytes, now: float) -> bytes:  # noqa: ARG002  # for those that need it
        """The comment alone: any event would be a chunk to the SDKs."""
        return comment

    def end(self, usage: Usage) -> bytes:
        """The end of an answer that is complete."""
        return self.finish() + self.close(usage)

    def finish(self) -> bytes:
        """The end of one prompt's answer: no choice goes without a reason."""
        return b"".join([self._finish(choice, "stop") for choice in range(len(self._finished))])

    def close(self, usage: Usage) -> bytes:
        """The end of the stream, behind the answers to all prompts."""
        if not self._include_usage:
            return DONE
        return self._head + b',"choices":[],"usage":' + _encode(usage_of(usage)) + b"}\n\n" + DONE

    def fail(self, fault: Fault) -> bytes:
        """The end of an answer that is not: an error object and no `[DONE]`. The SDKs raise on it."""
        return b"data: " + envelope(fault) + b"\n\n"


class CompletionCollector:
    """Gathers the answer to one prompt. Several of them make one body.

    What was rated is kept as JSON: a long prompt's ratings would take ten times as much as objects.
    """

    def __init__(self, answered: Answered, n: int) -> None:
        self._answered = answered
        self._texts: list[list[str]] = [[] for _ in range(n)]
        self._reasons = ["stop"] * n
        self._ratings = [Ratings() for _ in range(n)]
        self._rated: list[dict[str, list[bytes]]] = [{} for _ in range(n)]

    def push(self, delta: Delta) -> None:
        """Take in one delta."""
        choice = delta.choice
        for piece in delta.pieces:
            match piece:
                case TextPiece(text=text) | ReasoningPiece(text=text):
                    self._texts[choice].append(text)
                case Scores(scores=scores):
                    for name, values in self._ratings[choice].rate(scores).items():
                        self._rated[choice].setdefault(name, []).append(_encode(values)[1:-1])
                case Finish(reason=reason):
                    self._reasons[choice] = reason_of(reason)

    def choices(self) -> list[dict[str, object]]:
        """What was said, without indices."""
        return [
            {
                "text": "".join(texts),
                "logprobs": {name: Raw(b"[" + b",".join(parts) + b"]") for name, parts in rated.items()}
                or None,
                "finish_reason": reason,
            }
            for texts, rated, reason in zip(self._texts, self._rated, self._reasons, strict=True)
        ]

    def body(self, usage: Usage) -> bytes:
        """The whole answer."""
        return joined(self._answered, [self], [usage])


def joined(answered: Answered, collectors: Sequence[CompletionCollector], usages: Sequence[Usage]) -> bytes:
    """One body for the answers to several prompts, in their order."""
    said = [choice for collector in collectors for choice in collector.choices()]
    choices = [{"index": index, **choice} for index, choice in enumerate(said)]
    return _encode({**_common(answered), "choices": choices, "usage": usage_of(total(usages))})


def total(usages: Sequence[Usage]) -> Usage:
    """What several prompts took together."""
    return Usage(
        prompt=sum(one.prompt for one in usages),
        completion=sum(one.completion for one in usages),
        cached=sum(one.cached for one in usages),
        reasoning=sum(one.reasoning for one in usages),
    )


def _common(answered: Answered) -> dict[str, object]:
    return {
        "id": f"cmpl-{answered.id}",
        "object": "text_completion",
        "created": answered.created,
        "model": answered.model,
    }


class OpenAICompletions:
    """The dialect of `POST /v1/completions`."""

    def parse(self, body: bytes, asked: Asked) -> ParsedCompletion:
        """Read a body. Raises `FaultError`."""
        return parse(body, seed=asked.seed)

    def encoder(self, parsed: ParsedCompletion, answered: Answered) -> CompletionStream:
        """The writer of a streamed answer."""
        return CompletionStream(answered, parsed)

    def collector(self, parsed: ParsedCompletion, answered: Answered) -> CompletionCollector:
        """The writer of a whole answer to the first prompt."""
        return CompletionCollector(answered, parsed.request.sampling.n)
