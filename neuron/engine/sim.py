"""An engine that follows a script: tokens per second, prefill rate, load time, memory, faults. Never imports torch.

Token i of a choice is H(request, choice, i) with i absolute, whichever neuron produces it, so a test proves from the
bytes it received that nothing is missing, doubled, mixed up or made by another request; a replay is identical.
"""

from __future__ import annotations

import os
import time
import zlib
from dataclasses import dataclass, field

from cortex.neuron.config import ModelSettings, SimSettings
from cortex.neuron.engine.base import Job, Key, Output
from cortex.protocol.deltas import Delta, Finish, TextPiece
from cortex.protocol.faults import Code, Fault, fault
from cortex.protocol.messages import Failed, Finished
from cortex.protocol.request import Chat, Complete
from cortex.protocol.values import Device, FinishReason, Model, Phase, Timings, Usage

HANG_S = 3600.0


def token(request: str, choice: int, index: int) -> int:
    """H: the id of token `index`."""
    return zlib.crc32(b"%s/%d/%d" % (request.encode(), choice, index))


def text(token_id: int) -> str:
    """What a token says: nine characters."""
    return f"{token_id:08x} "


@dataclass(slots=True)
class Run:
    """One job under way: `counts` tokens of each choice are out, `wanted` is where each ends."""

    job: Job
    model: str
    prompt: int
    admitted: float
    ready_at: float
    wanted: int
    reason: FinishReason
    counts: list[int] = field(default_factory=list)
    cancelled: bool = False


class SimEngine:
    """See the module's docstring. All runs take their next token in the same step, as a batch does."""

    def __init__(self, device: Device, models: tuple[ModelSettings, ...], script: SimSettings) -> None:
        self._device = device
        self._names = tuple(model.id for model in models)
        self._script = script
        self._interval = 1 / script.tokens_per_s
        self._runs: dict[Key, Run] = {}
        self._next = 0.0
        self._made = 0
        self._hot = False

    @property
    def device(self) -> Device:
        return self._device

    @property
    def version(self) -> int:
        return int(self._hot)

    @property
    def models(self) -> tuple[Model, ...]:
        script = self._script
        return tuple(
            Model(
                id=name,
                state="hot" if self._hot else "loading",
                slots=script.slots,
                context=script.context,
                footprint_bytes=script.footprint_bytes,
                capabilities=("text", "tools"),
            )
            for name in self._names
        )

    @property
    def phase(self) -> Phase:
        return "decode" if self._runs else "idle"

    def start(self) -> None:
        time.sleep(self._script.load_s)
        self._hot = True

    def close(self) -> None:
        self._runs.clear()

    def admit(self, job: Job, now: float) -> int:
        request = job.request
        if not isinstance(request, Chat | Complete):
            raise fault(Code.UNSUPPORTED, f"The simulated engine does not serve {type(request).__name__}.")
        if request.model not in self._names:
            raise fault(Code.MODEL_NOT_FOUND, f"{request.model} is not held here.", param="model")
        if sum(run.model == request.model for run in self._runs.values()) >= self._script.slots:
            raise fault(Code.BUSY, "Every slot is taken.")
        prompt = _prompt_tokens(request)
        room = self._script.context - prompt
        if room < 1:
            raise fault(
                Code.CONTEXT_LENGTH_EXCEEDED,
                f"This model's maximum context length is {self._script.context} tokens, "
                f"and the prompt has {prompt}.",
                param="messages",
            )
        limit = request.sampling.max_tokens
        wanted = min(limit or self._script.max_tokens, room)
        ready = now + prompt / self._script.prefill_per_s
        if not self._runs:
            self._next = ready
        self._runs[job.key] = Run(
            job,
            request.model,
            prompt,
            now,
            ready,
            wanted,
            "length" if limit is not None and wanted == limit else "stop",
            [len(done) for done in job.prefix] or [0] * request.sampling.n,
        )
        return prompt

    def cancel(self, key: Key) -> None:
        if (run := self._runs.get(key)) is not None:
            run.cancelled = True

    def due(self, now: float) -> float | None:
        if any(run.cancelled for run in self._runs.values()):
            return 0.0
        return max(0.0, self._next - now) if self._runs else None

    def step(self, now: float) -> list[Output]:
        cancelled = [run for run in self._runs.values() if run.cancelled]
        outputs: list[Output] = [self._finished(run, now) for run in cancelled]
        if now < self._next:
            return outputs
        for run in list(self._runs.values()):
            if run.ready_at <= now:
                self._advance(run, now, outputs)
        self._next = max(self._next + self._interval, now)
        return outputs

    def _advance(self, run: Run, now: float, outputs: list[Output]) -> None:
        """One token for every choice of a run."""
        request, attempt = run.job.key
        for choice, count in enumerate(run.counts):
            if count >= run.wanted:
                continue
            self._made += 1
            if self._strike(run, outputs):
                return
            made = token(request, choice, count)
            run.counts[choice] = count + 1
            delta = Delta(request, attempt, choice, count, [made], [TextPiece(text(made))])
            if count + 1 == run.wanted:
                delta.pieces.append(Finish(run.reason))
            outputs.append(delta)
        if all(count >= run.wanted for count in run.counts):
            outputs.append(self._finished(run, now))

    def _finished(self, run: Run, now: float) -> Finished:
        request, attempt = run.job.key
        del self._runs[run.job.key]
        return Finished(
            request=request,
            attempt=attempt,
            totals=tuple(run.counts),
            usage=Usage(prompt=run.prompt, completion=sum(run.counts)),
            timings=Timings(
                prefill_ms=1000 * (run.ready_at - run.admitted), decode_ms=1000 * max(0.0, now - run.ready_at)
            ),
            cancelled=run.cancelled,
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


def _prompt_tokens(request: Chat | Complete) -> int:
    """One token per four characters."""
    if isinstance(request, Chat):
        return 1 + sum(len(turn.text) for turn in request.turns) // 4
    return 1 + len(request.prompt) // (4 if isinstance(request.prompt, str) else 1)
