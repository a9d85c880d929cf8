"""What one choice says: tokens in, pieces out, until it ends. Knows no tensor, no slot and no other choice.

token -> text -> stop strings -> tool-call and reasoning parser -> pieces
"""

from __future__ import annotations

from cortex.neuron.engine.torch.detokenize import Detokenizer
from cortex.neuron.engine.torch.stops import StopFilter
from cortex.protocol.deltas import Finish, Piece, ToolStart
from cortex.protocol.faults import Code, fault
from cortex.protocol.toolcalls.base import Parser
from cortex.protocol.values import FinishReason


class Answer:
    """`reasoning` counts the tokens that found the parser inside the model's reasoning; `ended` is final."""

    def __init__(
        self, detokenizer: Detokenizer, stops: StopFilter, parser: Parser, *, eos: frozenset[int]
    ) -> None:
        self._detokenizer = detokenizer
        self._stops = stops
        self._parser = parser
        self._eos = eos
        self._called = False
        self.reasoning = 0
        self.ended = False

    def is_content(self, token: int) -> bool:
        """Whether this token, the next one, is part of what is said: neither reasoning nor the end."""
        return token not in self._eos and not self._parser.in_reasoning

    @property
    def in_reasoning(self) -> bool:
        """Whether the next token is part of what the model thinks."""
        return self._parser.in_reasoning

    def complete(self) -> list[Piece]:
        """Nothing may follow what was said: it ends."""
        return self._end("stop")

    def push(self, token: int, *, last: bool, complete: bool = False) -> list[Piece]:
        """Take the next token; `last` if there is room for no other, `complete` if nothing may follow it.

        The pieces end in `Finish` once the answer ends.
        """
        assert not self.ended, "nothing follows the end"
        self.reasoning += self._parser.in_reasoning
        pieces: list[Piece] = []
        by_itself = token in self._eos
        if not by_itself:
            pieces = self._say(self._detokenizer.push(token))
        if by_itself or last or complete or self._stops.matched:
            pieces += self._end("stop" if by_itself or complete else "length")
        broken = self._parser.malformed
        # A call that the limit or the client's own stop string cut short is no mistake of the model's.
        if broken is not None and (by_itself or not self.ended):
            raise fault(
                Code.TOOL_CALL_MALFORMED,
                f"The model wrote a tool call that cannot be read ({broken}); try again.",
            )
        return pieces

    def _say(self, text: str) -> list[Piece]:
        shown = self._stops.push(text)
        return self._note(self._parser.push(shown)) if shown else []

    def _note(self, pieces: list[Piece]) -> list[Piece]:
        self._called = self._called or any(isinstance(piece, ToolStart) for piece in pieces)
        return pieces

    def _end(self, reason: FinishReason) -> list[Piece]:
        """Let go of everything held back. It may turn out to hold a stop string."""
        pieces: list[Piece] = []
        if not self._stops.matched:
            pieces += self._say(self._detokenizer.finish())
            pieces += self._note(self._parser.push(self._stops.finish()))
        pieces += self._note(self._parser.finish())
        self.ended = True
        stop = self._stops.matched
        if stop:
            reason = "stop"
        elif self._called and reason == "stop":
            reason = "tool_calls"
        return [*pieces, Finish(reason, stop)]
