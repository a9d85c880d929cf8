"""One device of the closed world: the residency of the simulator's neuron, without links, clocks and pulses.

What takes time ends when the explorer says so. What it sends stands in `up` until that is delivered, what it is sent
in `down`; `last_words` is what an earlier process had sent when it died.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from msgspec import Struct
from simulator.residency import LAPSE, Fate, Held, Shelf

from cortex.broker.waiting import Key
from cortex.protocol import messages as m
from cortex.protocol.faults import Code, Fault
from cortex.protocol.values import Use

SLOTS = 1
"""Of every model: the least with which somebody waits."""
LONG_AGO = 10**9
"""Milliseconds: the broker's own memory of when a model was used is the better one, with a single broker."""
BUSY = Fault(code=Code.BUSY, message="every slot is taken")
Timer = tuple[float, str, str]


class Timers:
    """Where the residency believes to be: of what it wants to happen later only the lapse comes by itself."""

    def __init__(self) -> None:
        self.now = 0.0
        self.due: list[Timer] = []

    def after(self, delay: float, action: Callable[..., None], args: tuple[Any, ...] = ()) -> None:
        if delay == LAPSE:
            self.due.append((self.now + delay, *args))


FATE = Fate()
"""What befalls loads: nothing but what the scene decides."""


class Device:
    """One process after another, on one device."""

    def __init__(self, index: int, budget: int, *, ready_first: bool, shelf: type[Shelf] = Shelf) -> None:
        self.index = index
        self.budget = budget
        self.kind = shelf
        self.ready_first = ready_first
        self.timers = Timers()
        self.life = 0
        self.up: deque[Struct] = deque()
        self.down: deque[Struct] = deque()
        self.last_words: deque[tuple[bytes, Struct | None]] = deque()
        """With the route; None is the end of the connection."""
        self.alive = False
        self.start()

    def start(self) -> None:
        self.alive = True
        self.life += 1
        self.route = b"device-%d-%d" % (self.index, self.life)
        self.session = b"life-%d-%d" % (self.index, self.life)
        self.live: dict[Key, str] = {}
        self.turn = 0
        self.is_other = False
        self.shelf = self.kind(
            self.timers,  # type: ignore[arg-type]  # it only asks for the time and for what comes later
            index=self.index,
            budget=self.budget,
            fate=FATE,
            busy=self.in_hand,
            changed=self.changed,
        )
        self.timers.due.clear()
        self.up.append(m.Register(node="node", device=self.shelf.device()))

    def crash(self) -> None:
        """What was sent still arrives, then the end of the connection; what was not read is lost."""
        self.alive = False
        self.last_words.extend((self.route, message) for message in self.up)
        self.last_words.append((self.route, None))
        self.up.clear()
        self.down.clear()
        self.live.clear()
        self.shelf.close()
        self.timers.due.clear()

    def in_hand(self, model: str) -> int:
        return sum(name == model for name in self.live.values())

    def changed(self) -> None:
        self.is_other = True

    # ── turns ────────────────────────────────────────────────────────────────────────────────────────────────────

    def turn_ends(self, answers: list[Struct]) -> None:
        """What it holds is told once a turn, before or after what it answers: both are allowed."""
        news = [self.ready()] if self.is_other else []
        self.is_other = False
        self.up.extend([*news, *answers] if self.ready_first else [*answers, *news])

    def read(self) -> None:
        """The next message."""
        message = self.down.popleft()
        answers: list[Struct] = []
        match message:
            case m.Registered():
                self.is_other = True
            case m.RegisterAgain():
                answers.append(m.Register(node="node", device=self.shelf.device()))
            case m.Generate(request=request, attempt=attempt):
                answers.append(self._generate((request, attempt), message.model))
            case m.Cancel(request=request, attempt=attempt):
                if (request, attempt) in self.live:
                    answers.append(self._end((request, attempt), cancelled=True))
            case m.Place():
                answers.append(self.shelf.place(message))
            case m.Commit():
                self.shelf.commit(message)
            case m.Pin():
                answers.append(self.shelf.pin(message))
            case _:
                raise AssertionError(f"a device was sent {message}")
        self.turn_ends(answers)

    def _generate(self, key: Key, model: str) -> Struct:
        name, attempt = key
        if key in self.live:
            return m.Accepted(request=name, attempt=attempt)
        slots = self.shelf.models[model].slots if self.shelf.is_hot(model) else 0
        if self.in_hand(model) >= min(slots, SLOTS):
            return m.Refused(request=name, attempt=attempt, fault=BUSY, models=self.listed())
        self.live[key] = model
        return m.Accepted(request=name, attempt=attempt)

    def _end(self, key: Key, *, cancelled: bool = False) -> Struct:
        del self.live[key]
        self.shelf.settle()
        return m.Finished(request=key[0], attempt=key[1], cancelled=cancelled)

    def finish(self, key: Key) -> None:
        self.turn_ends([self._end(key)])

    def load_ends(self, held: Held, *, fails: bool) -> None:
        if fails:
            self.shelf._fail(held, "its file is broken")
        else:
            self.shelf._become_hot(held)
        self.turn_ends([])

    def loading(self) -> list[Held]:
        """Loads that have begun."""
        return [
            held for held in self.shelf.models.values() if held.state == "loading" and held.began is not None
        ]

    def time_passed(self, now: float, longest_load: float) -> None:
        """Reservations that nobody committed lapse; loads end at their deadline."""
        self.timers.now = now
        for timer in [timer for timer in self.timers.due if timer[0] <= now]:
            self.timers.due.remove(timer)
            self.shelf._lapse(timer[1], timer[2])
        for held in self.loading():
            if held.began is not None and held.deadline_s <= longest_load and now > held.began:
                self.shelf._fail(held, "it took too long")
        self.turn_ends([])

    # ── what it says ─────────────────────────────────────────────────────────────────────────────────────────────

    def listed(self) -> tuple[Any, ...]:
        return self.shelf.listed()

    def ready(self) -> m.Ready:
        return m.Ready(version=self.shelf.version, device=self.shelf.device(), models=self.listed())

    def beat(self) -> m.Heartbeat:
        self.turn += 1
        hot = [name for name, held in self.shelf.models.items() if held.state == "hot"]
        return m.Heartbeat(
            route=self.route,
            turn=self.turn,
            phase="idle",
            live=tuple(self.live),
            free_bytes=self.shelf.device().free_bytes,
            use={name: Use(self.in_hand(name), LONG_AGO) for name in hot},
        )
