"""Text of a growing list of token ids, without ever showing half a character. Knows a decode function only.

A character may be spread over several tokens, and what a token reads depends on its neighbours (a leading space, a
run of byte tokens). So a small window of recent tokens is decoded again with each new one, and what of its text was
shown before is skipped. The window begins where the text was last known to be whole.
"""

from __future__ import annotations

from collections.abc import Callable

Decode = Callable[[list[int]], str]

REPLACEMENT = "\ufffd"
WINDOW = 16
PATIENCE = 12
"""Tokens after which an unfinished character is taken for garbage: no character has more than four bytes."""
TAIL = 4
"""Tokens that an unfinished character can reach back."""


class Detokenizer:
    """Bounded work per token, whatever the length of the answer."""

    def __init__(self, decode: Decode) -> None:
        self._decode = decode
        self._window: list[int] = []
        self._shown = 0
        self._whole = 0
        """How many tokens of the window ended, together, in a whole character."""

    def push(self, token: int) -> str:
        """Take the next token; answers the characters that are now whole."""
        self._window.append(token)
        text = self._decode(self._window)
        if not text.endswith(REPLACEMENT):
            return self._show_whole(text)
        if len(self._window) - self._whole >= PATIENCE:
            return self._show_garbage(text)
        return ""

    def finish(self) -> str:
        """No token follows: answers the rest, replacement characters included."""
        text = self._decode(self._window)
        rest = text[self._shown :]
        self._window, self._shown, self._whole = [], 0, 0
        return rest

    def _show_whole(self, text: str) -> str:
        shown = text[self._shown :]
        self._shown = len(text)
        if len(self._window) > WINDOW and self._whole:
            self._window = self._window[self._whole :]
            self._shown = len(self._decode(self._window))
        self._whole = len(self._window)
        return shown

    def _show_garbage(self, text: str) -> str:
        """Show all but the last character, which may yet become one."""
        shown = text[self._shown : -1]
        self._window = self._window[-TAIL:]
        self._shown = max(0, len(self._decode(self._window)) - 1)
        self._whole = 0
        return shown
