"""What one choice says: tokens in, pieces out, until it ends. Knows no tensor, no slot and no other choice.

token -> text -> tool-call and reasoning parser -> pieces -> stop strings in those of text

Where one call was asked for at most, the answer ends with the first that is whole: no model could be told otherwise.

A stop string counts in what a client reads as the answer's text. In the model's thoughts it would end answers that have
not begun, and in a call it would leave half of one.
"""

from __future__ import annotations

from collections import Counter

from cortex.neuron.engine.torch.detokenize import Detokenizer
from cortex.neuron.engine.torch.stops import StopFilter
from cortex.protocol.deltas import Finish, Piece, TextPiece, ToolEnd
from cortex.protocol.faults import Code, fault
from cortex.protocol.toolcalls.base import Parser, up_to_call
from cortex.protocol.toolcalls.steps import MADE, MALFORMED, Repair
from cortex.protocol.values import FinishReason


class Answer:
    """`reasoning` counts the tokens that found the parser inside the model's reasoning; `ended` is final.

    `window`: where there is no room for another token, the model's context is full. `single`: a call ends it.
    """

    def __init__(
        self,
        detokenizer: Detokenizer,
        stops: StopFilter,
        parser: Parser,
        *,
        eos: frozenset[int],
        window: bool = False,
        single: bool = False,
    ) -> None:
        self._detokenizer = detokenizer
        self._stops = stops
        self._parser = parser
        self._eos = eos
        self._window = window
        self._single = single
        self._calls = 0
        self.reasoning = 0
        self.ended = False

    def is_content(self, token: int) -> bool:
        """Whether this token, the next one, is part of what is said: neither reasoning nor the end."""
        return token not in self._eos and not self._parser.in_reasoning

    @property
    def in_reasoning(self) -> bool:
        """Whether the next token is part of what the model thinks."""
        return self._parser.in_reasoning

    @property
    def calls(self) -> Counter[str]:
        """What became of tool calls so far: made, malformed, and repairs by step."""
        counts = Counter(
            note.step.value if isinstance(note, Repair) else MALFORMED for note in self._parser.notes
        )
        if self._calls:
            counts[MADE] = self._calls
        return counts

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
        if by_itself or last or complete or self._stops.matched or self._called:
            pieces += self.complete("stop" if by_itself or complete or self._called else "length")
        broken = self._parser.malformed
        # A call that the limit or the client's own stop string cut short is no mistake of the model's.
        if broken is not None and (by_itself or not self.ended):
            raise fault(
                Code.TOOL_CALL_MALFORMED,
                f"The model wrote a tool call that cannot be read ({broken}); try again.",
            )
        return pieces

    def complete(self, reason: FinishReason = "stop") -> list[Piece]:
        """Nothing may follow what was said: let go of everything held back. It may turn out to hold a stop string."""
        pieces: list[Piece] = []
        if not (self._stops.matched or self._called):
            pieces += self._say(self._detokenizer.finish())
        if not (self._stops.matched or self._called):
            pieces += self._shown(self._parser.finish(cut=reason != "stop"))
        pieces += _text(self._stops.finish())
        stop = self._stops.matched
        self.ended = True
        if stop:
            reason = "stop"
        elif self._calls and reason == "stop":
            reason = "tool_calls"
        return [*pieces, Finish(reason, stop, self._window and reason == "length")]

    @property
    def _called(self) -> bool:
        """Whether the one call that may be has been made."""
        return self._single and self._calls > 0

    def _say(self, text: str) -> list[Piece]:
        return self._shown(self._parser.push(text)) if text else []

    def _shown(self, pieces: list[Piece]) -> list[Piece]:
        """What a client sees of them: up to a stop string or the only call, and nothing yet that may become a stop string."""
        if self._single:
            pieces = [] if self._called else up_to_call(pieces)
        if not self._stops:
            self._calls += sum(isinstance(piece, ToolEnd) for piece in pieces)
            return pieces
        shown: list[Piece] = []
        for piece in pieces:
            if isinstance(piece, TextPiece):
                shown += _text(self._stops.push(piece.text))
                if self._stops.matched:
                    break
            else:
                shown += _text(self._stops.finish())
                shown.append(piece)
        self._calls += sum(isinstance(piece, ToolEnd) for piece in shown)
        return shown


def _text(text: str) -> list[Piece]:
    return [TextPiece(text)] if text else []
