"""What a scripted model says: whatever its script has for the last user turn, four characters a token.

The text goes through the parser of the script's family, as that of a real model does, so that a whole fleet can be
tried with replies that real models only write now and then.
"""

from __future__ import annotations

from collections import Counter

from cortex.neuron.config import SimScript
from cortex.protocol.deltas import Finish, Piece, ToolEnd
from cortex.protocol.faults import Code, fault
from cortex.protocol.request import Chat, Complete
from cortex.protocol.toolcalls import PLAIN, call_ids, parser_for
from cortex.protocol.toolcalls.base import Parser, up_to_call
from cortex.protocol.toolcalls.steps import MADE, MALFORMED, Repair
from cortex.protocol.values import FinishReason

TOKEN = 4
"""Characters of one token."""


class Spoken:
    """One choice's reply. `counts` are what became of its tool calls."""

    def __init__(self, script: SimScript, request: Chat | Complete, key: str, choice: int) -> None:
        asked = request.prompt if isinstance(request, Complete) else _last_of(request)
        said = asked if isinstance(asked, str) else ""
        # Agents hand on what commands print as it is, with the new line at its end.
        text = script.replies.get(said, script.replies.get(said.strip(), script.otherwise))
        self._chunks = [text[start : start + TOKEN] for start in range(0, len(text), TOKEN)]
        offered = () if isinstance(request, Complete) or request.tool_choice.mode == "none" else request.tools

        def parser() -> Parser:
            return parser_for(
                PLAIN if isinstance(request, Complete) else script.family,
                offered,
                reasoning_open=script.reasoning_open,
                call_id=call_ids(key, choice),
            )

        self._single = isinstance(request, Chat) and not request.tool_choice.parallel
        if self._single:
            self._chunks = _up_to_call(self._chunks, parser())
        self._parser = parser()
        self._calls = 0
        self.reasoning = 0

    def __len__(self) -> int:
        """Tokens; a reply without text has one all the same, its end."""
        return max(1, len(self._chunks))

    @property
    def counts(self) -> Counter[str]:
        counts = Counter(
            note.step.value if isinstance(note, Repair) else MALFORMED for note in self._parser.notes
        )
        if self._calls:
            counts[MADE] = self._calls
        return counts

    def say(self, index: int, reason: FinishReason | None, *, window: bool = False) -> list[Piece]:
        """The pieces of token `index`, the last one if there is a `reason`. Raises `FaultError` for a call that broke.

        `window`: the context ends it.
        """
        self.reasoning += self._parser.in_reasoning
        pieces = self._parser.push("".join(self._chunks[index : index + 1]))
        if reason is not None:
            pieces = [*pieces, *self._parser.finish(cut=reason != "stop")]
        if self._single:
            pieces = up_to_call(pieces)
        self._calls += sum(isinstance(piece, ToolEnd) for piece in pieces)
        called = self._single and self._calls > 0
        if self._parser.malformed is not None and reason != "length" and not called:
            raise fault(Code.TOOL_CALL_MALFORMED, f"The script broke a tool call ({self._parser.malformed}).")
        if reason is not None:
            told: FinishReason = "tool_calls" if self._calls and reason == "stop" else reason
            pieces.append(Finish(told, "", window))
        return pieces


def _up_to_call(chunks: list[str], parser: Parser) -> list[str]:
    """Those with which the first call is whole; all of them if there is none."""
    for count, chunk in enumerate(chunks, start=1):
        if any(isinstance(piece, ToolEnd) for piece in parser.push(chunk)):
            return chunks[:count]
    return chunks


def _last_of(chat: Chat) -> str:
    """The last user turn, or the result of a tool if that came later."""
    return next((turn.text for turn in reversed(chat.turns) if turn.role in ("user", "tool")), "")
