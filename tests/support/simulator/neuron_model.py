"""What a correct neuron does, without sockets or models; also the specification of the real one.

- It registers on every connection, tells what it holds when it is registered, registers again when told to.
- `Generate` is idempotent by (request, attempt): a live duplicate is accepted again, an ended one gets its terminal.
- Accepted leaves before the first token frame; one terminal per attempt; `busy` carries what it truly holds.
- The device's loop turns at least once a beat even when it is idle, so that its heartbeats are a fresh truth.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct

from cortex.broker.events import FromNeuron
from cortex.broker.waiting import Key
from cortex.protocol import messages as m
from cortex.protocol.deltas import Delta, Deltas
from cortex.protocol.faults import Code, Fault
from cortex.protocol.values import Model, Use
from simulator.residency import Fate, Shelf
from simulator.world import Link, Spec, Tokens, World

BEAT = 1.0
STALL_AFTER = 3.5
BUSY = Fault(code=Code.BUSY, message="every slot is taken")
BROKEN = Fault(code=Code.ENGINE_FAILED, message="the engine failed")


@dataclass(slots=True)
class Work:
    """One attempt that runs; `done` tokens of each choice are made."""

    spec: Spec
    edge: bytes
    done: list[int] = field(default_factory=list)


class NeuronModel:
    """One device process after another, on one device."""

    def __init__(
        self,
        world: World,
        name: str,
        slots: dict[str, int],
        latency: float,
        step: float,
        *,
        index: int = 0,
        budget: int = 0,
    ) -> None:
        self.world = world
        self.node = name
        self.name = f"{name}/sim-{index}"
        self.index = index
        self.budget = budget
        self.fate = Fate()
        self.slots = slots
        """What each process holds from the start."""
        self.step_s = step
        self.slowness = 1.0
        self.link = Link(world, name, latency)
        self.pulse = Link(world, f"{name}/pulse", latency)
        self.pulse.peer = _Pulse(self.pulse)
        world.links += [self.link, self.pulse]
        self.keeps_unsent = world.rng.random() < 0.5
        """Whether what cannot be sent now waits for the next connection (both are allowed)."""
        self.alive = False
        self.life = 0
        self.live: dict[Key, Work] = {}
        self.loads = self.evictions = 0
        """Of all its processes so far."""
        self.refuses_all = False
        self.paused = False
        self.stood_since: float | None = None
        self._handlers: dict[type[Struct], Callable[[Any, tuple[Any, ...]], None]] = {
            m.Registered: self._registered,
            m.RegisterAgain: self._register_again,
            m.Generate: self._generate,
            m.Cancel: self._cancel,
            m.Place: self._place,
            m.Commit: self._commit,
            m.Pin: self._pin,
            m.Drain: self._drain,
        }

    def __repr__(self) -> str:
        return f"<NeuronModel {self.name} live={len(self.live)} alive={self.alive}>"

    # ── the process ──────────────────────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """A new process: new route, new session, nothing in hand."""
        world = self.world
        self.life += 1
        self.alive = True
        self.route, self.pulse_route, self.session = world.fresh(5), world.fresh(5), world.fresh(8)
        self.live = {}
        self.ended_at: dict[str, float] = {}
        self.restarts = False
        self.shelf = Shelf(
            world,
            index=self.index,
            budget=self.budget,
            fate=self.fate,
            busy=self.in_hand,
            changed=self._held_other,
        )
        for model, count in self.slots.items():
            self.shelf.stock(model, count)
        self.recent: dict[Key, Struct] = {}
        self.turn = 0
        self.tokens = 0
        self.paused, self.stood_since = False, None
        self._inbox: deque[tuple[Struct, tuple[Any, ...]]] = deque()
        self._unsent: deque[FromNeuron | Tokens] = deque()
        self._stepping = False
        self._is_new_here = False
        world.peers[self.route] = self
        self.link.peer = self
        for link in (self.link, self.pulse):
            link.connect_in(world.rng.uniform(0.01, 0.2))
        world.after(world.rng.random() * BEAT, self._beat, (self.life,))

    def crash(self, *, drain: bool) -> None:
        self.alive = False
        self.live = {}
        self.shelf.close()
        self.loads += self.shelf.loads
        self.evictions += self.shelf.evictions
        del self.world.peers[self.route]
        self.link.peer = None
        self.link.sever(drain=drain)
        self.pulse.sever(drain=drain)

    def leave(self) -> None:
        """Say goodbye, then go."""
        self._send(m.Goodbye())
        self.crash(drain=True)

    @property
    def is_standing(self) -> bool:
        """Whether the device's loop makes no progress: frozen with its process, or stuck in a step."""
        return self.paused or self.stood_since is not None

    def go_on(self) -> None:
        """Neither frozen nor stuck any more: work off what came meanwhile."""
        self.paused, self.stood_since = False, None
        if self._is_new_here:
            self.connected()
        while self._inbox:
            self._handle(*self._inbox.popleft())
        self._settle()
        self._keep_stepping()

    def models(self) -> tuple[Model, ...]:
        return self.shelf.listed()

    def in_hand(self, model: str) -> int:
        return sum(work.spec.model == model for work in self.live.values())

    def hold(self, model: str, *, hot: bool) -> None:
        """Something that it holds from the start is dropped, or is back, and the broker is told."""
        held = self.shelf.models.get(model)
        if held is not None and held.footprint == 0 and held.state in ("hot", "cold"):
            held.state = "hot" if hot else "cold"
            self.shelf.version += 1
            if self.alive:
                self._ready()

    def _held_other(self) -> None:
        """Residency changed: every broker is told at the end of the turn, and here that is now."""
        if self.alive:
            self._ready()

    def _settle(self) -> None:
        """After work has ended, victims may leave, and a process that is to restart may go."""
        if not self.is_standing:
            self.shelf.settle()
        if self.restarts and not self.live and self.alive and not self.is_standing:
            self.world.oracle.branches["restarted for defragmentation"] += 1
            self.crash(drain=True)
            self.world.after(0.3, self.start)

    # ── messages ─────────────────────────────────────────────────────────────────────────────────────────────────

    def connected(self) -> None:
        self._is_new_here = self.is_standing
        if self._is_new_here:
            return
        self.link.to_broker(FromNeuron(self.route, self.session, self._introduction()))
        while self._unsent:
            self.link.to_broker(self._unsent.popleft())

    def receive(self, message: Struct, payload: tuple[Any, ...], session: bytes | None) -> None:
        if self.is_standing:
            self._inbox.append((message, payload))
        else:
            self._handle(message, payload)

    def _handle(self, message: Struct, payload: tuple[Any, ...]) -> None:
        self.turn += 1
        handler = self._handlers.get(type(message))
        if handler is not None:
            handler(message, payload)

    def _introduction(self) -> m.Register:
        return m.Register(node=self.node, device=self.shelf.device())

    def _registered(self, message: m.Registered, payload: tuple[Any, ...]) -> None:
        self._ready()

    def _register_again(self, message: m.RegisterAgain, payload: tuple[Any, ...]) -> None:
        self._send(self._introduction())

    def _ready(self) -> None:
        shelf = self.shelf
        self._send(
            m.Ready(
                version=shelf.version,
                device=shelf.device(),
                models=shelf.listed(),
                drained=shelf.drained,
                cycles=shelf.cycles,
            )
        )

    def _place(self, message: m.Place, payload: tuple[Any, ...]) -> None:
        self._send(self.shelf.place(message))

    def _commit(self, message: m.Commit, payload: tuple[Any, ...]) -> None:
        self.shelf.commit(message)

    def _pin(self, message: m.Pin, payload: tuple[Any, ...]) -> None:
        self._send(self.shelf.pin(message))

    def _drain(self, message: m.Drain, payload: tuple[Any, ...]) -> None:
        self.shelf.drain(message.drained)
        self._send(m.Placed(command=message.command, version=self.shelf.version))
        self.restarts = message.drained and (self.restarts or message.restart)
        self._settle()

    def _generate(self, message: m.Generate, payload: tuple[Any, ...]) -> None:
        key = (message.request, message.attempt)
        name, attempt = key
        if key in self.live:
            self._send(m.Accepted(request=name, attempt=attempt))
        elif key in self.recent:
            self._send(self.recent[key], (name.encode(),))
        elif not self._has_room(message.model):
            self._send(m.Refused(request=name, attempt=attempt, fault=BUSY, models=self.models()))
        else:
            spec = self.world.specs[bytes(payload[0]).decode()]
            assert spec.request == name, "the wrong prompt was sent along"
            self.live[key] = Work(spec, message.edge, [0] * len(spec.totals))
            self._send(m.Accepted(request=name, attempt=attempt))
            self._keep_stepping()

    def _has_room(self, model: str) -> bool:
        if self.refuses_all or self.shelf.drained or not self.shelf.is_hot(model):
            return False
        return self.in_hand(model) < self.shelf.models[model].slots

    def _cancel(self, message: m.Cancel, payload: tuple[Any, ...]) -> None:
        key = (message.request, message.attempt)
        work = self.live.get(key)
        if work is not None:
            totals = tuple(work.done)
            self._end(key, m.Finished(request=key[0], attempt=key[1], totals=totals, cancelled=True))

    def _end(self, key: Key, terminal: m.Finished | m.Failed) -> None:
        self.ended_at[self.live[key].spec.model] = self.world.now
        del self.live[key]
        self.recent[key] = terminal
        if len(self.recent) > 64:
            del self.recent[next(iter(self.recent))]
        self._send(terminal, (key[0].encode(),))
        self._settle()

    def _send(self, message: Struct, payload: tuple[bytes, ...] = ()) -> None:
        self._put(FromNeuron(self.route, self.session, message, payload))

    def _put(self, item: FromNeuron | Tokens) -> None:
        if not self.link.to_broker(item) and self.keeps_unsent:
            self._unsent.append(item)

    # ── work and pulse ───────────────────────────────────────────────────────────────────────────────────────────

    def _keep_stepping(self) -> None:
        if self.live and not self._stepping:
            self._stepping = True
            self.world.after(self.step_s * self.slowness, self._step, (self.life,))

    def _step(self, life: int) -> None:
        """Up to two tokens for everybody, one frame per edge, then the terminals of those who are done."""
        if life != self.life or not self.alive:
            return
        self._stepping = False
        if self.is_standing:
            return
        self.turn += 1
        frames: dict[bytes, list[Delta]] = {}
        ended: list[tuple[Key, m.Finished | m.Failed]] = []
        for key, work in self.live.items():
            name, attempt = key
            frames.setdefault(work.edge, []).extend(self._advance(key, work))
            if work.spec.fails_at is not None and work.done[0] >= work.spec.fails_at:
                ended.append((key, m.Failed(request=name, attempt=attempt, fault=BROKEN)))
            elif tuple(work.done) == work.spec.totals:
                ended.append((key, m.Finished(request=name, attempt=attempt, totals=work.spec.totals)))
        for edge, deltas in frames.items():
            if deltas:
                self._put(Tokens(self.route, self.session, edge, Deltas(deltas)))
        for key, terminal in ended:
            self._end(key, terminal)
            if life != self.life or not self.alive:
                return  # it was to restart when idle
        self._keep_stepping()

    def _advance(self, key: Key, work: Work) -> list[Delta]:
        deltas = []
        for choice, total in enumerate(work.spec.totals):
            seq = work.done[choice]
            upto = min(total, seq + 2)
            if upto > seq:
                tokens = [work.spec.token(choice, index) for index in range(seq, upto)]
                deltas.append(Delta(key[0], key[1], choice, seq, tokens, []))
                work.done[choice] = upto
                self.tokens += upto - seq
        return deltas

    def _beat(self, life: int) -> None:
        if life != self.life or not self.alive:
            return
        self.world.after(BEAT, self._beat, (life,))
        if self.paused:
            return
        if self.stood_since is None:
            self.turn += 1
        stood = 0.0 if self.stood_since is None else self.world.now - self.stood_since
        beat = m.Heartbeat(
            route=self.route,
            turn=self.turn,
            phase="decode" if self.live else "idle",
            busy_ms=int(stood * 1000),
            stalled=stood > STALL_AFTER,
            live=tuple(self.live),
            free_bytes=self.shelf.device().free_bytes,
            tokens=self.tokens,
            use={name: self._use(name) for name, held in self.shelf.models.items() if held.state == "hot"},
        )
        self.pulse.to_broker(FromNeuron(self.pulse_route, self.session, beat))
        for held in self.shelf.models.values() if self.stood_since is None else ():
            if held.state == "loading":
                spent = 0.0 if held.began is None else self.world.now - held.began
                percent = min(99, int(100 * spent / self.fate.load_s))
                self._send(m.LoadProgress(command=held.command, model=held.name, percent=percent))

    def _use(self, model: str) -> Use:
        idle = self.world.now - self.ended_at.get(model, self.world.now)
        return Use(self.in_hand(model), int(1000 * idle))


class _Pulse:
    """The pulse thread's end of its own link: it only sends."""

    def __init__(self, link: Link) -> None:
        self.link = link

    def receive(self, message: Struct, payload: tuple[Any, ...], session: bytes | None) -> None:
        raise AssertionError("the broker answered the pulse, not the device")

    def connected(self) -> None:
        pass
