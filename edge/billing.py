"""The line that Claude Code puts before its system prompt, for its vendor's accounting: found, and left out of what a model is shown. Pure.

It differs from one request to the next, and it comes first: with it no turn of a conversation begins as the one before
did, and nothing that was computed for that one could be used again. No model needs it.
"""

from __future__ import annotations

from msgspec import structs

from cortex.protocol.request import Chat, Count, Part, Request, Text, Turn

MARK = "x-anthropic-billing-header:"
LONGEST = 512
"""Characters; a longer line has swallowed some of the prompt and is left alone."""


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
    return isinstance(first, Text) and _line(first.text) > 0


def _without(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """The parts after every such line at their front."""
    while parts and isinstance(parts[0], Text) and (length := _line(parts[0].text)):
        rest = parts[0].text[length:]
        parts = (Text(text=rest), *parts[1:]) if rest.strip() else parts[1:]
    return parts


def _line(text: str) -> int:
    """How many characters the line has with which this text begins, its end too; 0 if it is another line."""
    start = len(text) - len(text.lstrip()) if text[:1].isspace() else 0
    if text[start : start + len(MARK)].lower() != MARK:
        return 0
    end = text.find("\n", start)
    length = len(text) if end < 0 else end + 1
    return length if length - start <= LONGEST else 0
