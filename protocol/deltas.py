"""What a model says, as structured pieces in the order in which it says them.

A delta belongs to one choice of one attempt. `seq` is the absolute index of its first token in that choice, and
`tokens` are the ids it accounts for, also while their text is held back (half a character, a possible stop string,
the beginning of a tool-call marker). So a receiver can prove that nothing is missing and nothing came twice:
the next delta's `seq` is this one's `seq + len(tokens)`.

A prompt that is to be repeated comes in deltas without tokens, before the first token of its choice. Whoever is given
tokens of an earlier attempt has said it then, and does not say it again.

These structs are encoded as arrays: they are the hot path.
"""

from __future__ import annotations

from msgspec import Struct

from cortex.protocol.values import FinishReason


class TextPiece(Struct, frozen=True, array_like=True, gc=False, tag="t"):
    text: str


class ReasoningPiece(Struct, frozen=True, array_like=True, gc=False, tag="r"):
    text: str


class ToolStart(Struct, frozen=True, array_like=True, gc=False, tag="s"):
    """A call begins: its name is known and was offered. `index` counts the calls of this choice from 0."""

    index: int
    id: str
    name: str


class ToolArguments(Struct, frozen=True, array_like=True, gc=False, tag="a"):
    """The next stretch of the call's JSON arguments; all stretches joined are one valid JSON object."""

    index: int
    text: str


class ToolEnd(Struct, frozen=True, array_like=True, gc=False, tag="e"):
    index: int


class Score(Struct, frozen=True, array_like=True, gc=False):
    """A token as the model rated it: its bytes, which may be part of a character, and its natural log probability.

    `likeliest` are the most probable tokens in its place, falling; the one taken need not be among them. A prompt's
    first token has no probability, for nothing precedes it.
    """

    token: bytes
    logprob: float | None
    likeliest: list[tuple[bytes, float]] = []


class Scores(Struct, frozen=True, array_like=True, gc=False, tag="l"):
    """Of tokens of this delta or of its prompt, in order, for who asked for them; not of those that are reasoning.

    Nor of the one that ends an answer, unless the prompt was rated: then every token is.
    """

    scores: list[Score]


class Finish(Struct, frozen=True, array_like=True, gc=False, tag="f"):
    """This choice has ended. `stop` is the stop string that ended it, if one did.

    `window`: no limit that was asked for ended it, but the end of the model's context.
    """

    reason: FinishReason
    stop: str = ""
    window: bool = False


Piece = TextPiece | ReasoningPiece | ToolStart | ToolArguments | ToolEnd | Scores | Finish


class Delta(Struct, frozen=True, array_like=True, gc=False):
    request: str
    attempt: int
    choice: int
    seq: int
    tokens: list[int]
    pieces: list[Piece]

    @property
    def next_seq(self) -> int:
        return self.seq + len(self.tokens)


class Deltas(Struct, frozen=True, array_like=True, gc=False):
    """Everything that one device step produced for one edge worker."""

    items: list[Delta]
