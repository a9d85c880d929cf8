"""Cortex and its peer, side by side with the same model on the same cores, asked in turn by the same client."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from bench_models import Shape, question, save
from chat_load import Wave, wave
from figures import BUILD
from peer import Peer
from stack import Stack

MODELS = BUILD / "models"
TOKENS = 64
PATIENCE_S = 120.0
LEAST_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Middle:
    """The medians of several waves."""

    tokens_per_s: float
    ttft_s: float
    gap_s: float

    @classmethod
    def of(cls, waves: list[Wave]) -> Self:
        def middle(pick: Callable[[Wave], float]) -> float:
            return statistics.median(map(pick, waves))

        return cls(
            middle(lambda one: one.tokens_per_s),
            middle(lambda one: one.ttft_s),
            middle(lambda one: one.gap_s),
        )


class Versus:
    """Both servers are up all the time; the one that is not asked sleeps.

    `dtypes` are what the peer computes in, one process for each; cortex computes in `dtype`.
    """

    def __init__(
        self, shape: Shape, where: Path, *, dtype: str, dtypes: tuple[str, ...], slots: int, threads: int
    ) -> None:
        self._shape = shape
        self._seeds = itertools.count()
        MODELS.mkdir(parents=True, exist_ok=True)
        directory = save(shape, MODELS)
        entry = {"id": shape.name, "source": str(directory), "slots": slots, "dtype": dtype}
        self._stack = Stack(where / "cortex", engine="torch", threads=threads, models=(entry,))
        self._peers = {one: Peer(directory, where, dtype=one, threads=threads) for one in dtypes}
        self._open = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            opened.enter_context(self._stack)
            for peer in self._peers.values():
                opened.enter_context(peer)
            self._open = opened.pop_all()
        for side in self.sides:
            side(2)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)

    @property
    def sides(self) -> list[Callable[[int], Wave]]:
        """Each asks one server so many questions at once. Cortex is the first."""
        peers = [self._asking(peer.port, peer.model) for peer in self._peers.values()]
        usage = {"stream_options": {"include_usage": True}}
        return [self._asking(self._stack.port, self._shape.name, usage), *peers]

    def compare(self, clients: int, rounds: int, between: Callable[[], None]) -> list[Middle]:
        """One result per side; in every other round the sides come in the opposite order.

        Waves are short and many, so that what else goes on here strikes single ones and their median least. A busy
        machine gets fewer rounds, for nobody waits for hours.
        """
        waves: list[list[Wave]] = [[] for _ in self.sides]
        until = time.monotonic() + PATIENCE_S
        for turn in range(rounds):
            if turn >= LEAST_ROUNDS and time.monotonic() > until:
                break
            order = list(zip(self.sides, waves, strict=True))
            for side, heard in order if turn % 2 == 0 else reversed(order):
                heard.append(side(clients))
            between()
        return [Middle.of(heard) for heard in waves]

    def _asking(self, port: int, model: str, more: dict[str, object] | None = None) -> Callable[[int], Wave]:
        def ask(clients: int) -> Wave:
            bodies: list[dict[str, object]] = []
            for _ in range(clients):
                message = {"role": "user", "content": question(self._shape, next(self._seeds))}
                asked = {"model": model, "messages": [message], "stream": True, "max_tokens": TOKENS}
                bodies.append({**asked, **(more or {})})
            return wave(port, bodies, TOKENS)

        return ask
