"""An engine that follows a script: tokens per second, prefill rate, load time, memory, faults. Never imports torch.

It holds any model that it is told to, with the memory that is reserved for it.

Token i of a choice is H(request, choice, i) with i absolute, whichever neuron produces it, so a test proves from the
bytes it received that nothing is missing, doubled, mixed up or made by another request; a replay is identical.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import dataclass, field

from cortex.neuron.config import SimSettings
from cortex.neuron.engine.base import (
    Change,
    Embedded,
    Job,
    Key,
    LoadAdvanced,
    LoadDone,
    LoadFailed,
    Order,
    Output,
    Slept,
    Unloaded,
)
from cortex.neuron.engine.inputs import require_answer, require_length, width_of
from cortex.neuron.engine.sim_script import Spoken
from cortex.neuron.engine.sim_vectors import WIDTH, packed
from cortex.neuron.engine.sim_words import prompt_tokens, rated, repeated, text, token, tokens_of
from cortex.protocol.deltas import Delta, Finish, Piece, TextPiece
from cortex.protocol.faults import Code, Fault, FaultError, fault
from cortex.protocol.messages import Failed, Finished
from cortex.protocol.request import Chat, Complete, Count, Embed
from cortex.protocol.values import Device, FinishReason, Phase, Timings, Usage

HANG_S = 3600.0
TICK = 1e-6
"""Seconds by which a sum of floats may fall short."""


@dataclass(slots=True)
class Run:
    """One job under way: `counts` tokens of each choice are out, `wanted` is where each ends, `limit` what was asked."""

    job: Job
    model: str
    prompt: int
    admitted: float
    ready_at: float
    wanted: int
    reason: FinishReason
    counts: list[int] = field(default_factory=list)
    limit: int | None = None
    width: int = 0
    """Of an embedding's vectors."""
    spoken: list[Spoken] = field(default_factory=list)
    """What each choice says, of a model with a script."""
    cancelled: bool = False


@dataclass(slots=True)
class Load:
    """One load under way, or, with `ends` None, one that stands still."""

    order: Order
    reserved: int
    began: float
    ends: float | None
    fails: bool
    percent: int = 0

    def reached(self, now: float, load_s: float) -> int:
        """Percent, in tens."""
        share = 1.0 if load_s <= 0 else (now - self.began + TICK) / load_s
        return min(100, 10 * int(10 * share))


class SimEngine:
    """See the module's docstring. All runs take their next token in the same step, as a batch does."""

    name = "sim"

    def __init__(self, device: Device, script: SimSettings) -> None:
        self.device = device
        self._script = script
        self._interval = 1 / script.tokens_per_s
        self._runs: dict[Key, Run] = {}
        self._next = 0.0
        self._made = 0
        self._held: dict[str, LoadDone] = {}
        self._asleep: set[str] = set()
        self._loads: dict[str, Load] = {}
        self._changes: list[Change] = []
        """What the next step is to tell."""
        self._begun = 0
        self._leaked = 0

    @property
    def free_bytes(self) -> int:
        taken = sum(done.bytes for done in self._held.values())
        taken += sum(load.reserved * load.percent // 100 for load in self._loads.values())
        return max(0, self.device.memory_bytes - self._script.foreign_bytes - self._leaked - taken)

    @property
    def phase(self) -> Phase:
        return "decode" if self._runs else "idle"

    def taken(self, model: str) -> int:
        return self._held[model].bytes

    def start(self) -> None:
        """There is nothing to open."""

    def close(self) -> None:
        self._runs.clear()
        self._loads.clear()
        self._changes.clear()

    # ── models ───────────────────────────────────────────────────────────────────────────────────────────────────

    def footprint(self, order: Order) -> int:
        return self._script.footprint_bytes // max(1, len(order.devices))

    def load(self, order: Order, reserved: int, now: float) -> None:
        assert order.model not in self._held, f"{order.model} is held already"
        assert order.model not in self._loads, f"{order.model} is being loaded already"
        if order.model in self._asleep:
            self._asleep.discard(order.model)
            self._changes.append(self._hold(order, reserved, 1, woke=True))
            return
        script = self._script
        self._begun += 1
        every = script.load_fails_every
        fails = order.model in script.load_fails or (every > 0 and self._begun % every == 0)
        ends = None if order.model in script.load_hangs else now + script.load_s
        self._loads[order.model] = Load(order, reserved, now, ends, fails)

    def unload(self, model: str, now: float) -> None:  # noqa: ARG002  (it takes no time)
        done, load = self._held.pop(model, None), self._loads.get(model)
        assert done or load, f"{model} is not here"
        # One that woke is not told of any more.
        self._changes = [one for one in self._changes if one.model != model or not isinstance(one, LoadDone)]
        if load is not None and load.ends is None:
            return  # what hangs cannot be given up either
        self._loads.pop(model, None)
        leaked = min(self._script.leak_bytes, done.bytes) if done else 0
        self._leaked += leaked
        if not leaked:
            self._changes.append(Unloaded(model))

    def sleep(self, model: str, now: float) -> None:
        if (done := self._held.get(model)) is None:
            self.unload(model, now)
            return
        del self._held[model]
        self._asleep.add(model)
        self._changes.append(Slept(model, done.bytes))

    def forget(self, model: str) -> None:
        self._asleep.remove(model)

    def _load_on(self, now: float) -> None:
        """What has happened to the loads by now."""
        for model, load in list(self._loads.items()):
            percent = load.reached(now, self._script.load_s)
            limit = 50 if load.ends is None else 90 if load.fails else 100
            percent = min(percent, limit)
            if percent > load.percent:
                load.percent = percent
                taken = load.reserved * percent // 100
                self._changes.append(LoadAdvanced(model, percent, taken, f"loading {percent} %"))
            if load.ends is not None and percent == limit:
                del self._loads[model]
                self._changes.append(self._ended(load, now))

    def _ended(self, load: Load, now: float) -> Change:
        if load.fails:
            return LoadFailed(load.order.model, "the script says so")
        return self._hold(load.order, load.reserved, round(1000 * (now - load.began)))

    def _hold(self, order: Order, reserved: int, load_ms: int, *, woke: bool = False) -> LoadDone:
        settings, script = order.settings, self._script
        done = self._held[order.model] = LoadDone(
            order.model,
            reserved,
            load_ms,
            settings.slots or script.slots,
            min(settings.context or script.context, script.context),
            ("text", "tools"),
            woke,
        )
        return done

    def _load_due(self, now: float) -> float | None:
        """Seconds until the next ten percent of some load."""
        waits = []
        for load in self._loads.values():
            if load.ends is None and load.percent >= 50:
                continue
            at = load.began + self._script.load_s * (load.percent + 10) / 100
            waits.append(max(0.0, at - now))
        return min(waits, default=None)

    # ── jobs ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def admit(self, job: Job, now: float) -> Usage:
        request = job.request
        if isinstance(request, Count):
            raise fault(Code.UNSUPPORTED, "The simulated engine does not serve Count.")
        held = self._held.get(request.model)
        if held is None:
            raise fault(Code.MODEL_NOT_FOUND, f"{request.model} is not held here.", param="model")
        if sum(run.model == request.model for run in self._runs.values()) >= held.slots:
            raise fault(Code.BUSY, "Every slot is taken.")
        run = (
            self._embedding(job, request, held, now)
            if isinstance(request, Embed)
            else self._run(job, request, held, now)
        )
        if not self._runs:
            self._next = run.ready_at
        self._runs[job.key] = run
        return Usage(prompt=run.prompt)

    def _run(self, job: Job, request: Chat | Complete, held: LoadDone, now: float) -> Run:
        require_answer(request)
        limit = request.sampling.max_tokens
        prompt = prompt_tokens(request)
        room = held.context - prompt
        if room < (limit != 0):
            raise fault(
                Code.CONTEXT_LENGTH_EXCEEDED,
                f"This model's maximum context length is {held.context} tokens, and the prompt has {prompt}.",
                param="messages" if isinstance(request, Chat) else "prompt",
                tokens=prompt,
                limit=held.context,
            )
        end = self._script.max_tokens if limit is None else None
        most = room if limit is None else limit
        wanted = min(most if end is None else end, room)
        ready = now + prompt / self._script.prefill_per_s
        reason: FinishReason = "stop" if wanted == end else "length"
        counts = [len(done) for done in job.prefix] or [0] * request.sampling.n
        run = Run(job, request.model, prompt, now, ready, wanted, reason, counts, limit)
        if (script := self._script.scripts.get(request.model)) is not None:
            run.spoken = [Spoken(script, request, job.key[0], choice) for choice in range(len(counts))]
            run.wanted = min(most, room, len(run.spoken[0]))
            run.reason = "stop" if run.wanted == len(run.spoken[0]) else "length"
            for spoken, count in zip(run.spoken, counts, strict=True):
                for index in range(count):
                    spoken.say(index, None)
        return run

    def _embedding(self, job: Job, request: Embed, held: LoadDone, now: float) -> Run:
        width = width_of(request, WIDTH)
        prompt = 0
        for index, one in enumerate(request.inputs):
            require_length(index, tokens := tokens_of(one), held.context)
            prompt += tokens
        return Run(
            job, request.model, prompt, now, now + prompt / self._script.prefill_per_s, 0, "stop", width=width
        )

    def cancel(self, key: Key) -> None:
        if (run := self._runs.get(key)) is not None:
            run.cancelled = True

    def due(self, now: float) -> float | None:
        if self._changes or any(run.cancelled for run in self._runs.values()):
            return 0.0
        due = max(0.0, self._next - now) if self._runs else None
        if not self._loads:
            return due
        load = self._load_due(now)
        return load if due is None else due if load is None else min(due, load)

    def step(self, now: float) -> list[Output]:
        cancelled = [run for run in self._runs.values() if run.cancelled]
        outputs: list[Output] = [self._finished(run, now) for run in cancelled]
        if self._runs and now >= self._next:
            for run in list(self._runs.values()):
                if run.ready_at <= now:
                    self._advance(run, now, outputs)
            self._next = max(self._next + self._interval, now)
        if self._loads:
            self._load_on(now)
        if self._changes:
            outputs += self._changes
            self._changes.clear()
        return outputs

    def _advance(self, run: Run, now: float, outputs: list[Output]) -> None:
        """One token for every choice of a run; an embedding has none, and ends."""
        request, attempt = run.job.key
        asked = run.job.request
        for choice, count in enumerate(run.counts):
            if count >= run.wanted:
                outputs += [] if run.wanted else repeated(asked, run.job.key, choice)
                continue
            self._made += 1
            if self._strike(run, outputs):
                return
            made = token(request, choice, count)
            run.counts[choice] = count + 1
            reason = run.reason if count + 1 == run.wanted else None
            try:
                pieces = rated(asked, _pieces(run, choice, count, made, reason))
            except FaultError as error:
                del self._runs[run.job.key]
                outputs.append(Failed(request=request, attempt=attempt, fault=error.fault))
                return
            outputs += [] if count else repeated(asked, run.job.key, choice)
            outputs.append(Delta(request, attempt, choice, count, [made], pieces))
        if all(count >= run.wanted for count in run.counts):
            end = self._finished(run, now)
            if isinstance(asked, Embed):
                outputs.append(Embedded(end, b"".join(packed(one, run.width) for one in asked.inputs)))
            else:
                outputs.append(end)

    def _finished(self, run: Run, now: float) -> Finished:
        request, attempt = run.job.key
        del self._runs[run.job.key]
        return Finished(
            request=request,
            attempt=attempt,
            totals=tuple(run.counts),
            usage=Usage(
                prompt=run.prompt,
                completion=sum(run.counts),
                reasoning=sum(spoken.reasoning for spoken in run.spoken),
            ),
            timings=Timings(
                prefill_ms=1000 * (run.ready_at - run.admitted), decode_ms=1000 * max(0.0, now - run.ready_at)
            ),
            cancelled=run.cancelled,
            calls=dict(sum((spoken.counts for spoken in run.spoken), Counter[str]())),
        )

    def _strike(self, run: Run, outputs: list[Output]) -> bool:
        """The script's faults: the process dies, the thread hangs, or the request fails."""
        script = self._script
        if self._made == script.crash_at:
            os._exit(70)
        if self._made == script.hang_at:
            time.sleep(HANG_S)
        if self._made != script.fail_at:
            return False
        request, attempt = run.job.key
        del self._runs[run.job.key]
        failure = Fault(code=Code.ENGINE_FAILED, message="The script says so.")
        outputs.append(Failed(request=request, attempt=attempt, fault=failure))
        return True


def _pieces(run: Run, choice: int, index: int, made: int, reason: FinishReason | None) -> list[Piece]:
    window = reason == "length" and run.wanted != run.limit
    if run.spoken:
        return run.spoken[choice].say(index, reason, window=window)
    pieces: list[Piece] = [TextPiece(text(made))]
    return pieces if reason is None else [*pieces, Finish(reason, "", window)]
