"""One job under way: its choices, its times, and the messages that tell of them. Knows no tensor."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from cortex.neuron.engine.base import Key
from cortex.neuron.engine.torch.answer import Answer
from cortex.neuron.engine.torch.constraint import Constraint
from cortex.neuron.engine.torch.history import History
from cortex.neuron.engine.torch.rating import Echo
from cortex.neuron.engine.torch.sampler import Rule
from cortex.neuron.engine.torch.sequence import Sequence
from cortex.protocol.deltas import Delta, Piece
from cortex.protocol.faults import Code, Fault, FaultError
from cortex.protocol.messages import Failed, Finished
from cortex.protocol.values import Timings, Usage

ENGINE_FAILED = Fault(
    code=Code.ENGINE_FAILED, message="The engine failed on this request; the neuron's log has the reason."
)
"""What an exception said stays in the log: it may quote memory, paths or prompts."""

NOT_FINITE = Fault(
    code=Code.ENGINE_FAILED,
    message="The model's logits are not finite, so no token can be taken: its weights are broken, or too large for its dtype.",
)
STATES_NOT_FINITE = Fault(
    code=Code.ENGINE_FAILED,
    message="The model's hidden states are not finite, so there is no vector: its weights are broken, or too large for its dtype.",
)


@dataclass(slots=True, eq=False)
class Choice:
    """`unsaid` is what a prefix that was complete already leaves to say: that it is.

    `echo` is the prompt, if it is still to be said before the first token. Who has it rated counts tokens, and is told of
    the one that ends the answer as well.
    """

    index: int
    sequence: Sequence
    rule: Rule
    answer: Answer
    history: History
    unsaid: list[Piece]
    constraint: Constraint | None = None
    echo: Echo | None = None
    tells_end: bool = False

    @property
    def is_held(self) -> bool:
        """Whether what its answer is held to is being compiled: it can wait no longer only for its first token."""
        return self.constraint is not None and not self.constraint.is_settled

    @property
    def holds(self) -> Constraint | None:
        """What the next token is held to: nothing holds what the model thinks."""
        return None if self.answer.in_reasoning else self.constraint


@dataclass(slots=True, eq=False)
class Work:
    """`started` is when its prompt was first worked on; `first` when its first token was there.

    Both are the times at which a step began, for no clock is read within one.
    """

    key: Key
    prompt: int
    choices: list[Choice]
    admitted: float
    principal: str = ""
    cached: int = 0
    """Tokens of the prompt that were computed for an earlier request."""
    started: float | None = None
    spoke: bool = False
    first: float | None = None
    cancelled: bool = False

    @property
    def asked(self) -> Usage:
        """What is known of the prompt before it is read."""
        return Usage(prompt=self.prompt, cached=self.cached)

    @property
    def ended(self) -> bool:
        return all(choice.answer.ended for choice in self.choices)

    def observe(self, now: float) -> None:
        """A step begins: what the last one produced is there now."""
        if self.spoke and self.first is None:
            self.first = now

    def delta(self, choice: Choice, tokens: list[int], pieces: list[Piece]) -> Delta:
        """`tokens` have been appended to the choice's sequence already."""
        request, attempt = self.key
        seq = choice.sequence.generated - len(tokens)
        return Delta(request, attempt, choice.index, seq, tokens, pieces)

    def finished(self, now: float) -> Finished:
        request, attempt = self.key
        totals = tuple(choice.sequence.generated for choice in self.choices)
        started = now if self.started is None else self.started
        first = now if self.first is None else self.first
        return Finished(
            request=request,
            attempt=attempt,
            totals=totals,
            usage=Usage(
                prompt=self.prompt,
                cached=self.cached,
                completion=sum(totals),
                reasoning=sum(choice.answer.reasoning for choice in self.choices),
            ),
            timings=Timings(
                wait_ms=1000 * (started - self.admitted),
                prefill_ms=1000 * (first - started),
                decode_ms=1000 * (now - first),
            ),
            cancelled=self.cancelled,
            calls=dict(sum((choice.answer.calls for choice in self.choices), Counter[str]())),
        )

    def failed(self, error: Exception) -> Failed:
        return failure(self.key, error)


def failure(key: Key, error: Exception) -> Failed:
    """The terminal of an attempt that met this error."""
    request, attempt = key
    told = error.fault if isinstance(error, FaultError) else ENGINE_FAILED
    return Failed(request=request, attempt=attempt, fault=told)
