"""The line that Claude Code puts before its system prompt, for its vendor's accounting: found, and left out of what a model is shown. Pure.

It differs from one request to the next, and it comes first: with it no turn of a conversation begins as the one before
did, and nothing that was computed for that one could be used again. No model needs it.
"""

from __future__ import annotations

import re

from msgspec import structs

from cortex.protocol.request import Chat, Count, Part, Request, Text, Turn

MARK = "x-anthropic-billing-header:"
LONGEST = 512
"""Characters; a longer line has swallowed some of the prompt and is left alone."""
_SPACES = re.compile(r"\s*+")


def without_billing(request: Request) -> Request:
    """The same request with no such line at the front of a system turn."""
    if isinstance(request, Count):
        chat = _chat(request.chat)
        return request if chat is request.chat else structs.replace(request, chat=chat)
    return _chat(request) if isinstance(request, Chat) else request


def _chat(chat: Chat) -> Chat:
    if not any(turn.role == "system" and _begins(turn) for turn in chat.turns):
        return chat
    turns = []
    for turn in chat.turns:
        if turn.role == "system" and _begins(turn):
            parts = _without(turn.parts)
            if not parts:
                continue  # it was all there was
            turn = structs.replace(turn, parts=parts)  # noqa: PLW2901
        turns.append(turn)
    return structs.replace(chat, turns=tuple(turns)) if turns else chat


def _begins(turn: Turn) -> bool:
    first = turn.parts[0] if turn.parts else None
    return isinstance(first, Text) and _behind(first.text, 0) > 0


def _without(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """The parts after every such line at their front."""
    for index, part in enumerate(parts):
        at = 0
        while isinstance(part, Text) and (end := _behind(part.text, at)) > at:
            at = end
        if not at:
            return parts[index:]
        if isinstance(part, Text) and (rest := part.text[at:]).strip():
            return (Text(text=rest), *parts[index + 1 :])
    return ()


def _behind(text: str, at: int) -> int:
    """Where the line ends that begins here, its end too; `at` if it is another line."""
    start = _SPACES.match(text, at).end()  # type: ignore[union-attr]  # no spaces are some too
    if text[start : start + len(MARK)].lower() != MARK:
        return at
    end = text.find("\n", start) + 1 or len(text)
    return end if end - start <= LONGEST else at
