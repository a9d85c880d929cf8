"""One model's jobs: who has which slot, what the next step reads, and what is told of it.

What a job's own data does wrong ends that job. Only a failure of the shared forward ends everything that was in it.
"""

from __future__ import annotations

import dataclasses
import logging
import weakref
from typing import Any

import torch

from cortex.neuron.config import ModelSettings
from cortex.neuron.engine.base import Job, Key, LoadDone, Output
from cortex.neuron.engine.torch.admission import admit
from cortex.neuron.engine.torch.cache import NoRoomError, capacities, position_bytes
from cortex.neuron.engine.torch.choices import end_unanswered, new_choice, row_of, speak
from cortex.neuron.engine.torch.embedding import Embedding, Input, begin, states_of
from cortex.neuron.engine.torch.files import SLOTS
from cortex.neuron.engine.torch.loader import Loaded
from cortex.neuron.engine.torch.rating import VALUES, rate, rated_in
from cortex.neuron.engine.torch.reuse import Kept
from cortex.neuron.engine.torch.room import Room
from cortex.neuron.engine.torch.runner import Runner
from cortex.neuron.engine.torch.sampler import Picked, pick
from cortex.neuron.engine.torch.scheduler import Span, plan
from cortex.neuron.engine.torch.seating import AnyWork, Part, Seating, pooled
from cortex.neuron.engine.torch.slots import Slots
from cortex.neuron.engine.torch.states import PlainRunner
from cortex.neuron.engine.torch.work import NOT_FINITE, Choice, Work
from cortex.protocol.deltas import Delta, Finish
from cortex.protocol.faults import Code, FaultError, fault
from cortex.protocol.request import Embed
from cortex.protocol.values import Phase, Usage

log = logging.getLogger("cortex.engine")


class Serving:
    """Built from a loaded model; belongs to the device thread.


    Of the bytes that were reserved, keys and values may take what the weights leave: at least a short conversation's,
    and no sequence is served that alone would need more.
    """

    def __init__(self, settings: ModelSettings, loaded: Loaded, reserved: int) -> None:
        self.settings = settings
        self._slots = settings.slots or SLOTS
        plain = loaded.plain
        each = max(1, plain.each if plain else position_bytes(loaded.layers, loaded.dtype))
        fixed = plain.fixed if plain else 0
        least = fixed + capacities(loaded.context)[0] * each
        limit = max(reserved - loaded.bytes, least)
        self._bytes = loaded.bytes if limit <= reserved - loaded.bytes else loaded.bytes + limit
        self._uncut = loaded.context
        self._loaded = dataclasses.replace(loaded, context=min(loaded.context, (limit - fixed) // each))
        self._runner = (
            PlainRunner(self._loaded, plain, self._slots, limit)
            if plain
            else Runner(self._loaded, self._slots, limit)
        )
        self.slots = Slots(self._runner.cache)
        self._room = Room(self.slots)
        self._rows = max(1, VALUES // loaded.vocabulary.size)
        self._works: dict[Key, AnyWork] = {}
        self._owners: dict[int, tuple[AnyWork, Part]] = {}
        """Who has a slot; in order of arrival, which is the order of service."""
        self._seating = Seating(self.slots, self._room, self._owners, settings.chunk)
        self.poisoned: Exception | None = None
        """What made the device itself unusable."""

    def done(self, load_ms: int, *, woke: bool = False) -> LoadDone:
        """What there is to say of the model once it is loaded."""
        return LoadDone(
            self.settings.id,
            self._bytes,
            load_ms,
            self._slots,
            self._loaded.context,
            self._loaded.capabilities,
            woke,
            self._loaded.words,
        )

    @property
    def busy(self) -> bool:
        return bool(self._works)

    @property
    def taken(self) -> int:
        """Bytes of the weights, and of keys and values as they are now."""
        return self._loaded.bytes + self._runner.cache.bytes

    @property
    def preemptions(self) -> int:
        """How often a sequence had to give its memory up for a while."""
        return self._room.preemptions

    def is_held(self, now: float) -> bool:
        """Whether all that there is to do is to wait for grammars, of which none is ready."""
        choices = [choice for _, choice in self._owners.values()]
        if not choices or not all(choice.is_held for choice in choices):
            return False
        return not any(
            choice.constraint is not None and choice.constraint.has_news(now) for choice in choices
        )

    @property
    def phase(self) -> Phase:
        if not self._works:
            return "idle"
        decoding = all(
            choice.sequence.decoding or choice.sequence in self._room.waiting
            for _, choice in self._owners.values()
        )
        return "decode" if decoding else "prefill"

    def admit(self, job: Job, now: float) -> Usage:
        """Take a job, all its choices or none; answers what is known of its prompt. Raises `FaultError`."""
        if (known := self._works.get(job.key)) is not None:
            return known.asked
        if isinstance(job.request, Embed):
            return self._embed(job, job.request, now)
        admitted = admit(job, self._loaded, self._slots)
        length = len(admitted.prompt.ids)
        promised = [self._room.capacity(length + len(prefix), admitted.limit) for prefix in admitted.prefixes]
        self._room.require(promised)
        free = self.slots.free
        if free < admitted.choices:
            raise fault(
                Code.BUSY, f"{free} of {self._slots} slots are free, and {admitted.choices} are needed."
            )
        choices = [
            new_choice(self._loaded, admitted, job.key, index, now) for index in range(admitted.choices)
        ]
        work = Work(job.key, length, choices, now, job.principal)
        for choice, room in zip(choices, promised, strict=True):
            # Only now, when nothing can go wrong any more.
            # A rated prompt is read from its beginning: what was computed earlier says nothing of its logits.
            sequence = choice.sequence
            wanted = [] if sequence.rated < sequence.rates else sequence.tokens
            sequence.slot, sequence.computed = self.slots.open(
                wanted, job.principal, self._running(job.principal), room
            )
            self._room.enter(sequence, room)
            self._owners[sequence.slot] = (work, choice)
        work.cached = min(choices[0].sequence.computed, work.prompt)
        self._works[job.key] = work
        return work.asked

    def _embed(self, job: Job, request: Embed, now: float) -> Usage:
        work = begin(job, request, self._loaded, now)
        self._seating.admit(work)
        self._works[job.key] = work
        return work.asked

    def warm(self) -> None:
        """Prepare what would keep others waiting: now is the time, for nobody speaks."""
        self._loaded.grammars.warm()

    def cancel(self, key: Key) -> None:
        if (work := self._works.get(key)) is not None:
            work.cancelled = True

    def step(self, now: float) -> list[Output]:
        outputs: list[Output] = []
        for work in list(self._works.values()):
            work.observe(now)
            if work.cancelled:
                outputs.append(self._finish(work, now))
            elif isinstance(work, Embedding):
                self._read_on(work, outputs)
            else:
                self._settle(work, now, outputs)
        try:
            self._resume(outputs)
            spans = self._reserve(self._plan(), outputs)
        except torch.AcceleratorError as error:
            self.poisoned = error
            outputs += [self._fail(work, error) for work in list(self._works.values())]
            return outputs
        if spans:
            self._advance(spans, now, outputs)
        return outputs

    def close(self) -> weakref.ref[Any]:
        """End everything and let go of the weights; the reference dies with the last who has them."""
        for work in list(self._works.values()):
            self._drop(work)
        self._loaded.grammars.close()
        weights = weakref.ref(self._loaded.model)
        del self._loaded, self._runner
        return weights

    def rest(self) -> Loaded:
        """End everything, and hand over what was loaded; keys and values are given up."""
        for work in list(self._works.values()):
            self._drop(work)
        loaded = dataclasses.replace(self._loaded, context=self._uncut)
        del self._loaded, self._runner, self.slots, self._room
        return loaded

    def _settle(self, work: Work, now: float, outputs: list[Output]) -> None:
        """See whether what its answers are held to is compiled; a request whose never will be fails."""
        try:
            for choice in work.choices:
                held = choice.constraint
                if held is None or held.is_settled:
                    continue
                if held.settle(now) and held.is_complete:
                    # An earlier attempt said all of it, and was lost before it could say that it had.
                    choice.unsaid = [piece for piece in choice.answer.complete() if isinstance(piece, Finish)]
        except FaultError as error:
            outputs.append(self._fail(work, error))
        else:
            self._tell_unsaid(work, now, outputs)

    def _read_on(self, work: Embedding, outputs: list[Output]) -> None:
        try:
            work.read_on(self._loaded)
        except Exception as error:
            outputs.append(self._fail(work, error))
        else:
            self._seating.fill(work)

    def _running(self, principal: str) -> list[Kept]:
        """What one's running sequences have computed so far is as good as what ended ones left."""
        return [
            Kept(slot, choice.sequence.tokens[: choice.sequence.computed], work.principal)
            for slot, (work, choice) in self._owners.items()
            if work.principal == principal
        ]

    def _plan(self) -> list[Span]:
        waiting = self._room.waiting
        sequences = [
            choice.sequence
            for _, choice in self._owners.values()
            if not choice.is_held and choice.sequence not in waiting
        ]
        return plan(sequences, self.settings.chunk, self._runner.longest, self._rows)

    def _tell_unsaid(self, work: Work, now: float, outputs: list[Output]) -> None:
        for choice in work.choices:
            if choice.unsaid:
                outputs.append(work.delta(choice, [], choice.unsaid))
                choice.unsaid = []
                self._release(work, choice)
        if work.ended:
            outputs.append(self._finish(work, now))

    def _reserve(self, spans: list[Span], outputs: list[Output]) -> list[Span]:
        """Memory for what the spans will store. Who came last may have to give way, and waits."""
        ready = []
        waiting = self._room.waiting
        for span in spans:
            sequence = span.sequence
            owner = self._owners.get(sequence.slot)
            if owner is None or sequence in waiting:
                continue
            try:
                if self._room.reserve(sequence, sequence.computed + span.length):
                    ready.append(span)
            except NoRoomError as error:
                outputs.append(self._fail(owner[0], error))
        # A failed job's other choices, and who gave way, may have been found ready before.
        return [span for span in ready if span.sequence.slot in self._owners and span.sequence not in waiting]

    def _resume(self, outputs: list[Output]) -> None:
        """Let those go on who gave way. Who can never go on though nobody else is there fails."""
        while (stuck := self._room.resume()) is not None:
            work, _ = self._owners[stuck.slot]
            outputs.append(self._fail(work, NoRoomError("the device has no memory left")))

    def _advance(self, spans: list[Span], now: float, outputs: list[Output]) -> None:
        owners = [self._owners[span.sequence.slot] for span in spans]
        speaking = [
            (work, part)
            for (work, part), span in zip(owners, spans, strict=True)
            if span.samples and isinstance(work, Work) and isinstance(part, Choice)
        ]
        for work, _ in owners:
            work.started = now if work.started is None else work.started
        silent = [owner for owner, span in zip(owners, spans, strict=True) if not span.sequence.speaks]
        rated = rated_in((span, part) for span, (_, part) in zip(spans, owners, strict=True))
        try:
            with states_of(
                self._loaded.model, wanted=any(isinstance(part, Input) for _, part in silent)
            ) as states:
                logits = self._runner.forward(spans)
            rows = [row_of(choice) for _, choice in speaking]
            picked = pick(logits[: len(rows)], rows) if rows else []
            broken = rate(rated, logits[len(rows) :]) if rated else []
        except Exception as error:
            log.exception("a step of %s failed", self.settings.id)
            outputs += [self._fail(work, error) for work in dict.fromkeys(work for work, _ in owners)]
            if isinstance(error, torch.AcceleratorError):
                self.poisoned = error
            return
        for span in spans:
            span.sequence.advance(span.length)
        for sequence in broken:
            if (owner := self._owners.get(sequence.slot)) is not None and owner[1].sequence is sequence:
                outputs.append(self._fail(owner[0], FaultError(NOT_FINITE)))
        for (work, choice), found in zip(speaking, picked, strict=True):
            if work.key in self._works:
                self._speak(work, choice, found, now, outputs)
        self._end_silent(silent, now, outputs)
        if states:
            self._pool(spans, torch.cat(states), now, outputs)

    def _end_silent(self, silent: list[tuple[AnyWork, Part]], now: float, outputs: list[Output]) -> None:
        """Answers of no token end with their prompt."""
        for work, part in silent:
            if not (isinstance(work, Work) and isinstance(part, Choice)) or part.sequence.pending:
                continue
            if work.key in self._works:
                self._tell(work, part, end_unanswered(work, part), now, outputs)

    def _pool(self, spans: list[Span], states: torch.Tensor, now: float, outputs: list[Output]) -> None:
        for work, one, error in pooled(spans, states, self._owners):
            if error is not None:
                log.warning("request %s failed", work.key[0], exc_info=error)
                outputs.append(self._fail(work, error))
                continue
            self._release(work, one)
            if work.ended:
                outputs.append(self._finish(work, now))
            else:
                self._seating.keep(work)

    def _speak(
        self, work: Work, choice: Choice, picked: Picked | None, now: float, outputs: list[Output]
    ) -> None:
        """Take a choice's new token, tell it, and end what it ends."""
        try:
            told = speak(self._loaded, work, choice, picked)
        except Exception as error:
            log.warning(
                "request %s failed: %s", work.key[0], error, exc_info=not isinstance(error, FaultError)
            )
            outputs.append(self._fail(work, error))
            return
        work.spoke = True
        self._tell(work, choice, told, now, outputs)

    def _tell(self, work: Work, choice: Choice, told: list[Delta], now: float, outputs: list[Output]) -> None:
        outputs += told
        if choice.answer.ended:
            self._release(work, choice)
        if work.ended:
            outputs.append(self._finish(work, now))

    def _finish(self, work: AnyWork, now: float) -> Output:
        self._drop(work)
        return work.finished(now)

    def _fail(self, work: AnyWork, error: Exception) -> Output:
        if isinstance(error, NoRoomError):
            log.warning("request %s failed: %s", work.key[0], error)
        self._drop(work, error)
        return work.failed(error)

    def _drop(self, work: AnyWork, error: Exception | None = None) -> None:
        del self._works[work.key]
        for choice in work.choices:
            self._release(work, choice, error)

    def _release(self, work: AnyWork, choice: Part, error: Exception | None = None) -> None:
        """Free its slot, if it has not been freed; what a choice that did not fail computed is kept."""
        sequence = choice.sequence
        if sequence.ended:
            return
        sequence.ended = True
        self._room.leave(sequence)
        del self._owners[sequence.slot]
        if error is None and sequence.speaks:
            self.slots.keep(sequence.slot, sequence.tokens[: sequence.computed], work.principal)
        else:
            self.slots.release(sequence.slot)
