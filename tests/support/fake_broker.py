"""A broker of a few lines on a real ROUTER socket: it welcomes edges, accepts requests and says scripted tokens.

It runs in a thread of the test, or as a process: `python fake_broker.py ENDPOINT [--rate TOKENS_PER_S]`. Tokens of
all requests of one edge that are due in one step leave in one frame, as a device's do.
"""

from __future__ import annotations

import argparse
import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import zmq
from in_thread import InThread

from cortex.protocol.codec import decode, decode_request, encode
from cortex.protocol.deltas import Delta, Deltas, Finish, Piece, TextPiece
from cortex.protocol.faults import Code, Fault
from cortex.protocol.frames import Frame, header, pack, unpack
from cortex.protocol.kit.sockets import Plane, bind, new_context, open_socket
from cortex.protocol.messages import (
    Accepted,
    Cancel,
    CatalogueEntry,
    EdgeBeat,
    Finished,
    Kind,
    Query,
    Queued,
    Refused,
    Submit,
    Welcome,
)
from cortex.protocol.request import Chat
from cortex.protocol.values import Usage

NEURON = b"neuron-1"
STEP_S = 0.02


@dataclass
class Running:
    """One request that is being answered."""

    edge: bytes
    request: str
    attempt: int
    tokens: int
    next_at: float
    sent: int = 0


@dataclass
class Seen:
    """What the edge did, with the time of each. Filled by the broker's thread; a test may wait for it in another."""

    submits: list[tuple[float, Submit]] = field(default_factory=list)
    cancels: list[tuple[float, Cancel]] = field(default_factory=list)
    queries: list[tuple[float, Query]] = field(default_factory=list)
    beats: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def wait_for(self, condition: Callable[[Seen], object], seconds: float = 10.0) -> None:
        """Block until the condition holds."""
        with self.changed:
            assert self.changed.wait_for(lambda: condition(self), seconds), "the edge never did it"


class FakeBroker(InThread):
    """Answers `max_tokens` tokens at `rate` tokens/s to each request; model `busy` refuses, `mute` says nothing.

    While `frozen` is set it reads and says nothing, as a process that is stopped; `reset` breaks all its connections.
    """

    models = ("demo", "org/demo-1b", "busy", "mute")

    def __init__(
        self, endpoint: str, *, rate: float = 1000.0, session: bytes = b"broker-1", name: str = "fake"
    ) -> None:
        super().__init__()
        self.endpoint = endpoint
        self.name = name
        self.rate = rate
        self.session = session
        self.seen = Seen()
        self.running: dict[tuple[str, int], Running] = {}
        self.frozen = threading.Event()
        self._reset = threading.Event()

    def reset(self) -> None:
        """Break every connection; returns when others can be made."""
        self.ready.clear()
        self._reset.set()
        assert self.ready.wait(5)

    def run(self) -> None:
        context = new_context()
        try:
            while not self.stop.is_set():
                self._serve(context)
        finally:  # a context that is left open blocks whoever collects it
            context.term()

    def _serve(self, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        """Until it is stopped or its connections are reset."""
        self._reset.clear()
        self.socket = open_socket(context, zmq.ROUTER, Plane.EDGE)
        try:
            bind(self.socket, self.endpoint)
            self.ready.set()
            self._loop()
        finally:
            self.socket.close(linger=0)

    def _loop(self) -> None:
        step_at = time.monotonic()
        while not self.stop.is_set() and not self._reset.is_set():
            if self.frozen.is_set():
                time.sleep(0.01)
                continue
            wait = max(0.0, step_at - time.monotonic()) if self.running else 0.05
            if self.socket.poll(int(wait * 1000)):
                self._drain()
            now = time.monotonic()
            if self.running and now >= step_at:
                self._step(now)
                step_at = max(step_at + STEP_S, now)
            elif not self.running:
                step_at = now

    def _drain(self) -> None:
        while True:
            try:
                frames = self.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            edge, *rest = frames
            envelope = unpack(rest)
            self._on_message(edge, decode(envelope.kind, envelope.body), envelope.attachments)
            with self.seen.changed:
                self.seen.changed.notify_all()

    def _on_message(self, edge: bytes, message: object, attachments: tuple[bytes | memoryview, ...]) -> None:
        now = time.monotonic()
        if isinstance(message, EdgeBeat):
            self.seen.beats += 1
            models = tuple(
                CatalogueEntry(id=name, loaded=name != "mute", context=4096) for name in self.models
            )
            fresh = message.catalogue == 1
            self._send(
                edge, Welcome(broker=self.name, catalogue=1, neurons=1, models=None if fresh else models)
            )
        elif isinstance(message, Submit):
            self.seen.submits.append((now, message))
            self._on_submit(edge, message, attachments, now)
        elif isinstance(message, Cancel):
            self.seen.cancels.append((now, message))
            ended = self.running.pop((message.request, message.attempt), None)
            if ended is not None:
                self._finish(ended, cancelled=True)
        elif isinstance(message, Query):
            self.seen.queries.append((now, message))
            self._send(edge, Queued(request=message.request, attempt=message.attempt))

    def _on_submit(
        self, edge: bytes, message: Submit, attachments: tuple[bytes | memoryview, ...], now: float
    ) -> None:
        name = {"request": message.request, "attempt": message.attempt}
        if message.model == "busy":
            fault = Fault(code=Code.BUSY, message="all places are taken", retry_after=2.5)
            self._send(edge, Refused(**name, fault=fault))
            return
        if message.model == "mute":
            self._send(edge, Queued(**name))
            return
        request = decode_request(attachments[0])
        assert isinstance(request, Chat)
        tokens = request.sampling.max_tokens or 16
        self._send(edge, Accepted(**name, prompt_tokens=5), session=NEURON)
        key = (message.request, message.attempt)
        self.running[key] = Running(edge, *key, tokens=tokens, next_at=now)

    def _step(self, now: float) -> None:
        per_edge: dict[bytes, list[Delta]] = {}
        for key, run in list(self.running.items()):
            while run.next_at <= now and run.sent < run.tokens:
                pieces: list[Piece] = [TextPiece(f" t{run.sent}")]
                if run.sent + 1 == run.tokens:
                    pieces.append(Finish("length"))
                delta = Delta(run.request, run.attempt, 0, run.sent, [run.sent], pieces)
                per_edge.setdefault(run.edge, []).append(delta)
                run.sent += 1
                run.next_at += 1 / self.rate
            if run.sent >= run.tokens:
                del self.running[key]
        for edge, deltas in per_edge.items():
            for start in range(0, len(deltas), 25):
                body = encode(Deltas(deltas[start : start + 25]))
                self._put([edge, header(Kind.DELTAS, NEURON), body])
            for delta in deltas:
                if isinstance(delta.pieces[-1], Finish):
                    total = delta.next_seq
                    self._finish(Running(edge, delta.request, delta.attempt, total, 0.0, sent=total))

    def _finish(self, run: Running, *, cancelled: bool = False) -> None:
        usage = Usage(prompt=5, completion=run.sent, cached=2)
        name = {"request": run.request, "attempt": run.attempt}
        self._send(run.edge, Finished(**name, totals=(run.sent,), usage=usage, cancelled=cancelled))

    def _send(self, edge: bytes, message: object, session: bytes | None = None) -> None:
        self._put([edge, *pack(message, session or self.session)])

    def _put(self, frames: list[Frame]) -> None:
        with contextlib.suppress(zmq.ZMQError):  # an edge that has gone
            self.socket.send_multipart(frames)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("endpoint")
    parser.add_argument("--rate", type=float, default=50.0)
    options = parser.parse_args()
    FakeBroker(options.endpoint, rate=options.rate).run()


if __name__ == "__main__":
    main()
