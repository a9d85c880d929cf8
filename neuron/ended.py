"""How attempts ended, for those who ask again: the answer to a duplicate is the terminal that was told before.

Vectors are large, so those of the oldest are forgotten beyond a total; whoever asks for them then is told to try again.
Pure.
"""

from __future__ import annotations

from collections import OrderedDict

from cortex.neuron.engine.base import Key
from cortex.protocol import messages as m
from cortex.protocol.codec import MIB
from cortex.protocol.faults import Code, Fault

REMEMBERED = 1024
VECTOR_BYTES = 32 * MIB
"""Bytes of vectors that are kept."""
FORGOTTEN = Fault(code=Code.STREAM_GAP, message="These vectors are no longer there; try again.")

Terminal = m.Finished | m.Failed
Payload = tuple[bytes, ...]


class Ended:
    """The last attempts that ended."""

    def __init__(self) -> None:
        self._terminals: OrderedDict[Key, Terminal] = OrderedDict()
        self._vectors: OrderedDict[Key, bytes] = OrderedDict()
        self.bytes = 0
        """Of the vectors that are kept."""

    def __contains__(self, key: object) -> bool:
        return key in self._terminals

    def keys(self) -> set[Key]:
        return set(self._terminals)

    def note(self, key: Key, terminal: Terminal, payload: Payload) -> None:
        """An attempt has ended. `payload` is empty, or its vectors."""
        self._terminals[key] = terminal
        if payload:
            self._vectors[key] = payload[0]
            self.bytes += len(payload[0])
        while self.bytes > VECTOR_BYTES:
            self._forget(next(iter(self._vectors)))
        if len(self._terminals) > REMEMBERED:
            oldest, _ = self._terminals.popitem(last=False)
            self._drop(oldest)

    def of(self, key: Key) -> tuple[Terminal, Payload] | None:
        """What was told of an attempt, or that it cannot be told again; None if nobody remembers."""
        terminal = self._terminals.get(key)
        if terminal is None:
            return None
        return terminal, (self._vectors[key],) if key in self._vectors else ()

    def _forget(self, key: Key) -> None:
        self._drop(key)
        self._terminals[key] = m.Failed(request=key[0], attempt=key[1], fault=FORGOTTEN)

    def _drop(self, key: Key) -> None:
        self.bytes -= len(self._vectors.pop(key, b""))
