"""The closed world: one real broker core, two devices, a few clients, and every order in which things may happen.

Messages between the broker and a device wait in line, one line each way; which line moves next is a choice, and so is
everything that takes time. Arrivals, leavings, faults and lags are numbered, so that there is an end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from simulator.residency import Shelf

from cortex.broker.catalogue import Catalogue, Profile
from cortex.broker.core import Broker
from cortex.broker.events import (
    Effect,
    Event,
    FromEdge,
    FromNeuron,
    NeuronUnreachable,
    ToEdge,
)
from cortex.broker.view import Policy
from cortex.broker.waiting import Key
from cortex.protocol import messages as m
from exhaustive.device import FATE, SLOTS, Device
from exhaustive.judge import Judge
from exhaustive.memory import Memory, Moment

STEP = 6.0
"""Seconds that pass at once: longer than a turn, a residency, a lapse, a first backoff and three heartbeats."""
FOR_EVER = 1e7
UNIT_MB = 1024
EDGE = b"edge"

Action = tuple[str, Callable[..., None], tuple[Any, ...], bool]
"""In words; what to call; whether it is no fault and nobody's free choice, so that it may be counted on to happen."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What there is and how much may happen. `budgets`: units of memory of the two devices."""

    name: str
    profiles: tuple[Profile, ...]
    budgets: tuple[int, int]
    arrivals: int = 3
    leaves: int = 0
    crashes: int = 0
    failures: int = 0
    lags: int = 0
    """How often time may pass while messages are on their way."""
    beats: int = 0
    """How often a device may beat while no time passes."""
    ready_first: bool = False
    longest_load: float = 0.0
    """Loads that take longer than that fail; 0: none does."""
    turn_s: float = STEP
    first: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    """What is hot on each device when it begins."""


@dataclass(slots=True)
class Left:
    """What may still happen."""

    arrivals: int
    leaves: int
    crashes: int
    failures: int
    lags: int
    beats: int


class World:
    """See the module's docstring."""

    def __init__(
        self, scene: Scene, broker: Callable[..., Broker] = Broker, shelf: type[Shelf] = Shelf
    ) -> None:
        self.scene = scene
        self.now = 100.0
        catalogue = Catalogue(models=scene.profiles)
        policy = Policy(turn_s=scene.turn_s)
        self.broker = broker("broker-0", 0.0, epoch="1", policy=policy, catalogue=catalogue)
        self.devices = [
            Device(index, budget, ready_first=scene.ready_first, shelf=shelf)
            for index, budget in enumerate(scene.budgets)
        ]
        self.left = Left(scene.arrivals, scene.leaves, scene.crashes, scene.failures, scene.lags, scene.beats)
        self.judge = Judge(self)
        self.arrived = 0
        self._memories: list[Memory] = []
        self._begin()
        self._memories += self._remember()

    def _begin(self) -> None:
        """Everybody is registered and ready, and nothing is on its way."""
        self._feed(FromEdge(EDGE, EDGE, m.EdgeBeat(name="edge")))
        for device, names in zip(self.devices, self.scene.first, strict=True):
            for name in names:
                device.shelf.stock(name, SLOTS)
                device.shelf.models[name].footprint = self.broker.state.view.profile(name).vram_mb // UNIT_MB
        self.settle()
        self.now += STEP
        self.time_passes()
        self.settle()

    def settle(self) -> None:
        """Deliver all that is on its way."""
        while found := [one for one in self.actions() if one[0].startswith(("deliver", "read"))]:
            found[0][1](*found[0][2])

    # ── moments ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _remember(self) -> list[Memory]:
        """Of the broker with its clients, and of each device."""
        broker = self.broker
        state = broker.state
        core = [
            self, self.judge, self.left, broker, state, state.view, state.requests, state.requests.waiting,
            state.loads, broker.serving, broker.edgeside, broker.neuronside, broker.operations,
            broker.restoring, broker.edgeside._listing,
        ]  # fmt: skip
        groups = [core, *([device, device.timers] for device in self.devices)]
        shared = [
            self.scene, self.devices, state.effects, state.decisions, state.catalogue, state.view.policy,
            state.view.profiles, state.dropped, state.view.known, *state.view.profiles.values(),
            state.mesh, state.prefixes, state.view.usage, self._memories, FATE,
        ]  # fmt: skip
        for part in core:
            handlers = [value for name, value in _vars(part).items() if name in ("_handlers", "_pursue")]
            shared += handlers
        standing = [one for group in groups for one in group]
        return [Memory(group, [*standing, *shared]) for group in groups]

    def begin(self) -> list[Moment]:
        """The first moment."""
        return [memory.first() for memory in self._memories]

    def capture(self, before: list[Moment]) -> list[Moment]:
        return [memory.capture(moment) for memory, moment in zip(self._memories, before, strict=True)]

    def restore(self, moments: list[Moment]) -> None:
        for memory, moment in zip(self._memories, moments, strict=True):
            memory.restore(moment)

    def _touch(self, *devices: Device, core: bool = True) -> None:
        if not self._memories:
            return  # it has not begun
        if core:
            self._memories[0].touch()
        for device in devices:
            self._memories[1 + device.index].touch()

    # ── what may happen ──────────────────────────────────────────────────────────────────────────────────────────

    def actions(self) -> list[Action]:
        """Everything that may happen next."""
        left = self.left
        is_calm = not any(one.up or one.down or one.last_words for one in self.devices)
        found = [action for device in self.devices for action in self._actions_at(device)]
        if left.arrivals:
            found += [
                (f"a client for {one.id}", self.arrive, (one.id,), False) for one in self.scene.profiles
            ]
        if left.leaves:
            found += [(f"{request} leaves", self.leave, (request,), False) for request in self.judge.open]
        if is_calm or left.lags:
            found.append(("time passes", self.time_passes, (not is_calm,), is_calm))
        return found

    def _actions_at(self, device: Device) -> Iterator[Action]:
        left, name = self.left, f"device {device.index}"
        if device.last_words:
            yield f"deliver last words of {name}", self.last_words, (device,), True
        if device.up:
            yield f"deliver from {name}", self.deliver, (device,), True
        if device.down:
            yield f"read on {name}", self.read, (device,), True
        if not device.alive:
            yield f"{name} returns", self.start, (device,), True
            return
        for held in device.loading():
            yield f"{held.name} is hot on {name}", self.load_ends, (device, held.name, False), True
            if left.failures:
                yield f"{held.name} fails on {name}", self.load_ends, (device, held.name, True), False
        for key in device.live:
            yield f"{key[0]} ends on {name}", self.finish, (device, key), True
        if left.crashes:
            yield f"{name} crashes", self.crash, (device,), False
        if left.beats:
            yield f"{name} beats", self.beat, (device,), False

    def read(self, device: Device) -> None:
        self._touch(device, core=False)
        device.read()

    def finish(self, device: Device, key: Key) -> None:
        self._touch(device, core=False)
        device.finish(key)

    def start(self, device: Device) -> None:
        self._touch(device, core=False)
        device.start()

    def load_ends(self, device: Device, model: str, fails: bool) -> None:
        self._touch(device, core=fails)
        if fails:
            self.left.failures -= 1
            self.judge.has_failed = True
        device.load_ends(device.shelf.models[model], fails=fails)

    def crash(self, device: Device) -> None:
        self._touch(device)
        self.left.crashes -= 1
        self.judge.has_crashed = True
        device.crash()

    def arrive(self, model: str) -> None:
        self._touch()
        self.left.arrivals -= 1
        self.arrived += 1
        request = f"r{self.arrived}"
        self.judge.open[request] = model
        submit = m.Submit(request=request, attempt=1, model=model, queue_ms=int(1000 * FOR_EVER))
        self._feed(FromEdge(EDGE, EDGE, submit))

    def leave(self, request: str) -> None:
        self._touch()
        self.left.leaves -= 1
        del self.judge.open[request]
        self._feed(FromEdge(EDGE, EDGE, m.Cancel(request=request, attempt=1)))

    def deliver(self, device: Device) -> None:
        self._touch(device)
        self._feed(FromNeuron(device.route, device.session, device.up.popleft()))

    def last_words(self, device: Device) -> None:
        self._touch(device)
        route, message = device.last_words.popleft()
        if message is None:
            self._feed(NeuronUnreachable(route))
        else:
            self._feed(FromNeuron(route, route.replace(b"device", b"life"), message))

    def beat(self, device: Device) -> None:
        self._touch(device)
        self.left.beats -= 1
        self._feed(FromNeuron(b"pulse", device.session, device.beat()))

    def time_passes(self, is_lag: bool = False) -> None:
        """Everything is later, everybody who lives has beaten, and the broker looks at what is due."""
        self._touch(*self.devices)
        if is_lag:
            self.left.lags -= 1
            self.judge.has_crashed = True  # what is late may count as lost
        self.now += STEP
        self.judge.is_later = True
        self._feed(FromEdge(EDGE, EDGE, m.EdgeBeat(name="edge", catalogue=0)))
        for device in self.devices:
            if device.alive:
                device.time_passed(self.now, self.scene.longest_load)
                self._feed(FromNeuron(b"pulse", device.session, device.beat()))
        if self.scene.longest_load:
            self.judge.has_failed = True
        self.judge.is_later = False
        self._perform(self.broker.tick(self.now))

    # ── the broker's rim ─────────────────────────────────────────────────────────────────────────────────────────

    def _feed(self, event: Event) -> None:
        self._perform(self.broker.handle(event, self.now))

    def _perform(self, effects: list[Effect]) -> None:
        self.judge.after(effects)
        lost = []
        for effect in effects:
            if isinstance(effect, ToEdge):
                continue
            for device in self.devices:
                if device.alive and device.route == effect.route:
                    self._touch(device)
                    device.down.append(effect.message)
                    break
            else:
                lost.append(effect.route)
        for route in lost:
            self._feed(NeuronUnreachable(route))


def _vars(one: Any) -> dict[str, Any]:
    return getattr(one, "__dict__", {})
