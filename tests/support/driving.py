"""Drives an engine the way a device thread does, and checks what every engine owes: order, one terminal, no gap."""

from __future__ import annotations

from dataclasses import dataclass, field

from cortex.neuron.engine.base import Change, Embedded, Engine, Job, Key, Output
from cortex.protocol.deltas import Delta, Finish, Piece, ReasoningPiece, TextPiece
from cortex.protocol.messages import Failed, Finished
from cortex.protocol.request import Request


@dataclass
class Heard:
    """Everything that was told of one job."""

    starts: tuple[int, ...] = ()
    tokens: dict[int, list[int]] = field(default_factory=dict)
    pieces: dict[int, list[Piece]] = field(default_factory=dict)
    terminal: Finished | Failed | None = None
    vectors: bytes = b""

    def text(self, choice: int = 0) -> str:
        return "".join(piece.text for piece in self.pieces.get(choice, []) if isinstance(piece, TextPiece))

    def reasoning(self, choice: int = 0) -> str:
        return "".join(
            piece.text for piece in self.pieces.get(choice, []) if isinstance(piece, ReasoningPiece)
        )

    def finish(self, choice: int = 0) -> Finish:
        """The choice's one finish, which is its last piece."""
        finishes = [piece for piece in self.pieces[choice] if isinstance(piece, Finish)]
        assert finishes == self.pieces[choice][-1:]
        return finishes[0]


class Drive:
    """`now` grows by one second with each step."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.now = 0.0
        self.heard: dict[Key, Heard] = {}
        self.changes: list[Change] = []

    def submit(
        self, request: Request, name: str = "r", attempt: int = 1, prefix: tuple[tuple[int, ...], ...] = ()
    ) -> Heard:
        """Admit a job, or raise what the engine raises."""
        self.engine.admit(Job((name, attempt), request, prefix), self.now)
        heard = self.heard[name, attempt] = Heard(starts=tuple(len(one) for one in prefix))
        return heard

    def step(self, times: int = 1) -> None:
        for _ in range(times):
            self.now += 1
            for output in self.engine.step(self.now):
                self._take(output)

    def finish(self, limit: int = 2000) -> None:
        """Step until nothing is left to do."""
        for _ in range(limit):
            if self.engine.due(self.now) is None:
                return
            self.step()
        raise AssertionError("the engine does not come to an end")

    def run(self, request: Request, name: str = "r", prefix: tuple[tuple[int, ...], ...] = ()) -> Heard:
        """One job, from start to end."""
        heard = self.submit(request, name, prefix=prefix)
        self.finish()
        return heard

    def _take(self, output: Output) -> None:
        vectors = b""
        if isinstance(output, Embedded):
            output, vectors = output.finished, output.vectors
        if not isinstance(output, Delta | Finished | Failed):
            self.changes.append(output)
            return
        heard = self.heard[output.request, output.attempt]
        assert heard.terminal is None, "nothing follows a terminal"
        if isinstance(output, Delta):
            tokens = heard.tokens.setdefault(output.choice, [])
            start = heard.starts[output.choice] if output.choice < len(heard.starts) else 0
            assert output.seq == start + len(tokens), "no gap, nothing twice"
            tokens += output.tokens
            heard.pieces.setdefault(output.choice, []).extend(output.pieces)
        else:
            heard.terminal, heard.vectors = output, vectors
