"""A job that asks for vectors: its texts, of which some are being read and the others wait, and what is made of them.

Texts become tokens a few at a time, for a step must not wait for megabytes of them; one that cannot be embedded fails
the job when it is met. Knows the model's hidden states; knows no slot and no order of computation.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from cortex.neuron.engine.base import Embedded, Job, Key
from cortex.neuron.engine.inputs import empty, require_length, width_of
from cortex.neuron.engine.torch.lengths import beyond
from cortex.neuron.engine.torch.loader import Loaded
from cortex.neuron.engine.torch.pooling import Pooling
from cortex.neuron.engine.torch.sequence import Sequence
from cortex.neuron.engine.torch.vocabulary import Vocabulary
from cortex.neuron.engine.torch.work import STATES_NOT_FINITE, failure
from cortex.protocol.faults import Code, FaultError, fault
from cortex.protocol.messages import Failed, Finished
from cortex.protocol.request import Embed
from cortex.protocol.values import Timings, Usage

AHEAD = 16_384
"""Characters that become tokens in one step."""


@dataclass(slots=True, eq=False)
class Input:
    """A text that has a slot, and what its states have come to so far."""

    index: int
    sequence: Sequence
    pooled: torch.Tensor | None = None

    is_held = False
    """It waits for no grammar."""
    constraint = None
    echo = None


@dataclass(slots=True, eq=False)
class Embedding:
    """One job. `choices` are the texts that have a slot, `ready` those that are tokens already.

    A `Work` to whoever asks for its slots, its times and its end.
    """

    key: Key
    texts: deque[tuple[int, str | tuple[int, ...]]]
    pooling: Pooling
    width: int
    admitted: float
    principal: str
    prompt: int = 0
    ready: deque[tuple[int, list[int]]] = field(default_factory=deque)
    choices: list[Input] = field(default_factory=list)
    vectors: dict[int, bytes] = field(default_factory=dict)
    started: float | None = None
    cancelled: bool = False

    @property
    def asked(self) -> Usage:
        """What is known of the texts so far."""
        return Usage(prompt=self.prompt)

    @property
    def ended(self) -> bool:
        return not (self.texts or self.ready or self.choices)

    @property
    def pending(self) -> int:
        """Tokens of the texts that have a slot which have not been read."""
        return sum(one.sequence.pending for one in self.choices)

    def observe(self, now: float) -> None:
        """A step begins."""

    def read_on(self, loaded: Loaded) -> None:
        """Make tokens of the next texts. Raises `FaultError`, with the place of a text that cannot be embedded."""
        room = AHEAD
        while self.texts and room > 0:
            index, text = self.texts[0]
            room -= len(text)
            ids = _tokens(index, text, loaded) if isinstance(text, str) else list(text)
            self.texts.popleft()
            self.ready.append((index, ids))
            self.prompt += len(ids)

    def next(self) -> Input:
        """The next text, which shall have a slot."""
        index, ids = self.ready.popleft()
        one = Input(index, Sequence(tokens=ids, prompt=len(ids), limit=len(ids), speaks=False))
        self.choices.append(one)
        return one

    def take(self, one: Input, states: torch.Tensor) -> bool:
        """The states of its newest tokens, [n, width]; answers whether they were the last."""
        sequence = one.sequence
        is_first = sequence.computed == len(states)
        one.pooled = self.pooling.add(None if is_first else one.pooled, states)
        if sequence.pending:
            return False
        vector = self.pooling.finish(one.pooled, len(sequence.tokens), self.width).cpu()
        if not torch.isfinite(vector).all():
            raise FaultError(STATES_NOT_FINITE)
        self.vectors[one.index] = vector.numpy().astype("<f4").tobytes()
        self.choices.remove(one)
        return True

    def finished(self, now: float) -> Finished | Embedded:
        request, attempt = self.key
        started = now if self.started is None else self.started
        end = Finished(
            request=request,
            attempt=attempt,
            usage=Usage(prompt=self.prompt),
            timings=Timings(wait_ms=1000 * (started - self.admitted), prefill_ms=1000 * (now - started)),
            cancelled=self.cancelled,
        )
        if self.cancelled:
            return end
        return Embedded(end, b"".join(self.vectors[index] for index in range(len(self.vectors))))

    def failed(self, error: Exception) -> Failed:
        return failure(self.key, error)


def begin(job: Job, request: Embed, loaded: Loaded, now: float) -> Embedding:
    """A job of which everything but the length of texts is known to be right. Raises `FaultError`."""
    if loaded.pooling.unknown:
        message = (
            f"This model's embeddings need {loaded.pooling.unknown}, which this engine does not compute."
        )
        raise fault(Code.UNSUPPORTED, message, param="model")
    width = width_of(request, loaded.model.config.get_text_config().hidden_size)
    for index, one in enumerate(request.inputs):
        if not isinstance(one, str):
            require_length(index, len(one), loaded.context)
            _check_ids(index, one, loaded.vocabulary)
    texts = deque(enumerate(request.inputs))
    work = Embedding(job.key, texts, loaded.pooling, width, now, job.principal)
    work.read_on(loaded)
    return work


@contextmanager
def states_of(model: Any, *, wanted: bool) -> Iterator[list[torch.Tensor]]:
    """Hear the hidden states, [n, width] in the order of the tokens, that forwards make in here: those before the head."""
    heard: list[torch.Tensor] = []
    if not wanted:
        yield heard
        return
    hook = model.base_model.register_forward_hook(
        lambda _module, _arguments, output: heard.append(output.last_hidden_state[0])
    )
    try:
        yield heard
    finally:
        hook.remove()


def _tokens(index: int, text: str, loaded: Loaded) -> list[int]:
    if count := beyond(text, loaded.tokenizer, loaded.context):
        require_length(index, count, loaded.context, about=True)
    ids = list(loaded.tokenizer(text)["input_ids"])
    if not ids:
        raise empty(index)
    require_length(index, len(ids), loaded.context)
    _check_ids(index, ids, loaded.vocabulary)
    return ids


def _check_ids(index: int, ids: list[int] | tuple[int, ...], vocabulary: Vocabulary) -> None:
    if not 0 <= min(ids) <= max(ids) < vocabulary.size:
        raise fault(
            Code.INVALID_REQUEST,
            f"input[{index}] holds a token id that this model does not have; they go from 0 to {vocabulary.size - 1}.",
            param=f"input[{index}]",
        )
