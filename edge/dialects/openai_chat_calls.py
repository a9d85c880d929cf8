"""Calls as an OpenAI chat client reads them: `tool_calls`, of functions and of custom tools, or the old `function_call`. Pure.

Streamed and whole say the same, for both come from the same pieces. It knows nothing of events and choices.
"""

from __future__ import annotations

from cortex.edge.dialects.custom_input import InputReader
from cortex.edge.dialects.openai_chat_tools import Told
from cortex.protocol.deltas import ToolArguments, ToolEnd, ToolStart

Form = dict[str, object]


def reason_of(reason: str, calls: int, *, old: bool = False) -> str:
    """The finish reason as clients know it. With calls made it must say so, or agents stop half-way."""
    if calls and reason == "stop":
        reason = "tool_calls"
    return "function_call" if old and reason == "tool_calls" else reason


class CallDeltas:
    """The calls of one choice, as what a stream's `delta` holds."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self._readers: dict[int, InputReader] = {}
        self.ended = 0
        """Calls that are whole."""

    def start(self, piece: ToolStart) -> Form | None:
        """A call begins. In the old form there is room for the first one only."""
        function = {"name": piece.name, "arguments": ""}
        if self._told.old:
            return None if piece.index else {"function_call": function}
        call: Form = {"index": piece.index, "id": piece.id}
        if piece.name in self._told.custom:
            self._readers[piece.index] = InputReader()
            return _calls({**call, "type": "custom", "custom": {"name": piece.name, "input": ""}})
        return _calls({**call, "type": "function", "function": function})

    def arguments(self, piece: ToolArguments) -> Form | None:
        """More of its arguments."""
        if self._told.old:
            return None if piece.index else {"function_call": {"arguments": piece.text}}
        reader = self._readers.get(piece.index)
        if reader is not None:
            return _input(piece.index, reader.take(piece.text))
        return _calls({"index": piece.index, "function": {"arguments": piece.text}})

    def end(self, piece: ToolEnd) -> Form | None:
        """It is whole; what had been held back of it."""
        self.ended += 1
        reader = self._readers.get(piece.index)
        return None if reader is None else _input(piece.index, reader.end())


def _calls(call: Form) -> Form:
    return {"tool_calls": [call]}


def _input(index: int, text: str) -> Form | None:
    return _calls({"index": index, "custom": {"input": text}}) if text else None


class WholeCalls:
    """The calls of one choice, gathered. Of one that the limit cut the arguments are no JSON, as in a stream."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self._calls: dict[int, tuple[str, str, list[str]]] = {}
        """By index: id, name, arguments in pieces."""
        self._readers: dict[int, InputReader] = {}
        self.ended = 0
        """Calls that are whole."""

    def __bool__(self) -> bool:
        return bool(self._calls)

    def start(self, piece: ToolStart) -> None:
        """A call begins."""
        self._calls[piece.index] = (piece.id, piece.name, [])
        if piece.name in self._told.custom:
            self._readers[piece.index] = InputReader()

    def arguments(self, piece: ToolArguments) -> None:
        """More of its arguments."""
        if piece.index in self._calls:
            reader = self._readers.get(piece.index)
            told = piece.text if reader is None else reader.take(piece.text)
            self._calls[piece.index][2].append(told)

    def end(self, piece: ToolEnd) -> None:
        """It is whole."""
        self.ended += 1
        if piece.index in self._readers:
            self._calls[piece.index][2].append(self._readers[piece.index].end())

    def form(self) -> Form:
        """What a message says of them."""
        if not self._calls:
            return {}
        if self._told.old:
            _, name, pieces = self._calls[min(self._calls)]
            return {"function_call": {"name": name, "arguments": "".join(pieces)}}
        return {"tool_calls": [self._one(index) for index in self._calls]}

    def _one(self, index: int) -> Form:
        id_, name, pieces = self._calls[index]
        text = "".join(pieces)
        if index in self._readers:
            return {"id": id_, "type": "custom", "custom": {"name": name, "input": text}}
        return {"id": id_, "type": "function", "function": {"name": name, "arguments": text}}
