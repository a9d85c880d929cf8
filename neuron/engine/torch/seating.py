"""Slots for the texts of embeddings, and their states back to them.

An embedding keeps one slot to its end. While a step lasts it has more, as long as slots and memory are free and the step
reads them; between steps those are left to whoever comes. Knows texts and slots; knows no model.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping

import torch

from cortex.neuron.engine.torch.embedding import Embedding, Input
from cortex.neuron.engine.torch.room import Room
from cortex.neuron.engine.torch.scheduler import Span
from cortex.neuron.engine.torch.slots import Slots
from cortex.neuron.engine.torch.work import Choice, Work
from cortex.protocol.faults import Code, FaultError, fault

AnyWork = Work | Embedding
Part = Choice | Input
"""What has a slot."""
Owners = MutableMapping[int, tuple[AnyWork, Part]]


class Seating:
    """Of one model; `owners` are all that have a slot, `chunk` is how many tokens a step reads."""

    def __init__(self, slots: Slots, room: Room, owners: Owners, chunk: int) -> None:
        self._slots = slots
        self._room = room
        self._owners = owners
        self._chunk = chunk

    def admit(self, work: Embedding) -> None:
        """A slot for its first text. Raises `FaultError` if there is none, or no memory."""
        if not self._slots.free:
            raise fault(Code.BUSY, "All slots are taken.")
        self._room.require([self._capacity(work)])
        self._seat(work)

    def fill(self, work: Embedding) -> None:
        """Slots for as many texts as a step reads."""
        while work.pending < self._chunk and self._next(work):
            pass

    def keep(self, work: Embedding) -> None:
        """One text is done: see that it still has a slot."""
        if not work.choices:
            self._next(work)

    def _next(self, work: Embedding) -> bool:
        if not work.ready or not self._slots.free:
            return False
        try:
            self._room.require([self._capacity(work)])
        except FaultError:  # somebody leaves before long
            return False
        self._seat(work)
        return True

    def _capacity(self, work: Embedding) -> int:
        return self._slots.capacity(len(work.ready[0][1]))

    def _seat(self, work: Embedding) -> None:
        promised = self._capacity(work)
        one = work.next()
        # Whole states are wanted, not only those behind what is computed already.
        one.sequence.slot, _ = self._slots.open([], work.principal)
        self._room.enter(one.sequence, promised)
        self._owners[one.sequence.slot] = (work, one)


def pooled(
    spans: list[Span], states: torch.Tensor, owners: Owners
) -> Iterator[tuple[Embedding, Input, Exception | None]]:
    """Give texts the states, [n, width], of the spans that they were in; answers who is done, and who failed of what."""
    for span, here in zip(spans, states.split([span.length for span in spans]), strict=True):
        work, one = owners.get(span.sequence.slot, (None, None))
        # A slot that became free in this step may be another text's already.
        if not (isinstance(work, Embedding) and isinstance(one, Input) and one.sequence is span.sequence):
            continue
        try:
            is_done = work.take(one, here)
        except Exception as error:
            yield work, one, error
        else:
            if is_done:
                yield work, one, None
