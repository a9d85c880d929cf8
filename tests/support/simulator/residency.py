"""What a modelled device holds: the neuron's side of placement, as a specification that is short enough to be right.

A ledger of units of memory. `place` does all or nothing on the version that it names; victims that work refuse, unless
they may drain; a load begins when the room is really there, and ends hot, failed or at its deadline.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from cortex.protocol import messages as m
from cortex.protocol.faults import Code, Fault
from cortex.protocol.values import Device, Model, ModelState
from simulator.world import World

UNIT = 2**30
LAPSE = 5.0
OCCUPYING = ("loading", "hot", "draining")


@dataclass(slots=True)
class Held:
    """One model here; `waits` names the victims that its load waits for, `ends` is when its load will be over."""

    name: str
    state: ModelState
    slots: int
    footprint: int
    pinned: bool = False
    devices: tuple[int, ...] = ()
    command: str = ""
    waits: set[str] = field(default_factory=set)
    committed: bool = True
    began: float | None = None
    deadline_s: float = 0.0
    detail: str = ""
    failures: int = 0


@dataclass(slots=True)
class Fate:
    """How the next loads on this device go."""

    load_s: float = 1.0
    fails: int = 0
    hangs: int = 0
    deaf: int = 0
    """Loads that hang, of which the device itself takes no notice until long after their deadline."""


class Shelf:
    """`busy(model)` tells the requests in hand; `changed()` is called after each change of residency."""

    def __init__(
        self,
        world: World,
        *,
        index: int,
        budget: int,
        fate: Fate,
        busy: Callable[[str], int],
        changed: Callable[[], None],
    ) -> None:
        self.world = world
        self.index = index
        self.budget = budget
        self.fate = fate
        self.foreign = 0
        """Memory that somebody else took, or that an unload did not give back."""
        self.version = 0
        self.cycles = 0
        self.drained = False
        self.models: dict[str, Held] = {}
        self.loads = self.evictions = 0
        self._busy = busy
        self._changed = changed
        self._answers: dict[str, m.Placed | m.PlaceRefused] = {}
        self._alive = True

    def close(self) -> None:
        """The process is gone: nothing that was planned happens."""
        self._alive = False

    def stock(self, name: str, slots: int) -> None:
        """Hold something from the start, for which no memory is reckoned."""
        self.models[name] = Held(name, "hot", slots, 0)

    @property
    def reserved(self) -> int:
        """What is given away: a load that waits for its victims takes what they have, and the rest beforehand."""
        total = 0
        for held in self.models.values():
            if held.state in OCCUPYING:
                total += held.footprint
            if held.state == "loading":
                total -= min(held.footprint, sum(self.models[name].footprint for name in held.waits))
        return total

    @property
    def free(self) -> int:
        return max(0, self.budget - self.reserved - self.foreign)

    def device(self) -> Device:
        return Device(
            kind="sim",
            index=self.index,
            memory_bytes=self.budget * UNIT,
            budget_bytes=self.budget * UNIT,
            free_bytes=self.free * UNIT,
        )

    def listed(self) -> tuple[Model, ...]:
        return tuple(
            Model(
                id=held.name,
                state=held.state,
                slots=held.slots,
                context=4096,
                footprint_bytes=held.footprint * UNIT,
                pinned=held.pinned,
                devices=held.devices,
                detail=held.detail,
                failures=held.failures,
            )
            for held in self.models.values()
        )

    def is_hot(self, name: str) -> bool:
        held = self.models.get(name)
        return held is not None and held.state == "hot"

    # ── commands ─────────────────────────────────────────────────────────────────────────────────────────────────

    def place(self, message: m.Place) -> m.Placed | m.PlaceRefused:
        answer = self._answers.get(message.command)
        if answer is None:
            fault = self._obstacle(message)
            if fault is None:
                self._carry_out(message)
                answer = m.Placed(command=message.command, version=self.version)
            else:
                answer = m.PlaceRefused(
                    command=message.command,
                    fault=fault,
                    version=self.version,
                    models=self.listed(),
                    device=self.device(),
                )
            self._answers[message.command] = answer
        return answer

    def _obstacle(self, message: m.Place) -> Fault | None:
        def no(code: Code) -> Fault:
            return Fault(code=code, message=f"refused: {code}")

        if message.version != self.version:
            return no(Code.STALE)
        if self.drained:
            return no(Code.DRAINING)
        for name in message.evict:
            held = self.models.get(name)
            if held is None or held.state not in ({"hot", "loading"} if message.drain else {"hot"}):
                return no(Code.STALE)
            if held.pinned or (self._busy(name) and not message.drain):
                return no(Code.BUSY)
        if message.load is None:
            return None
        there = self.models.get(message.load.model)
        if there is not None and there.state in OCCUPYING:
            return None
        need = message.load.footprint_bytes // UNIT
        if need > self.budget:
            return no(Code.DOES_NOT_FIT)
        freed = sum(self.models[name].footprint for name in message.evict)
        if need > self.free + freed:
            return no(Code.NO_CAPACITY)
        return None

    def _carry_out(self, message: m.Place) -> None:
        for name in message.evict:
            if self.models[name].state == "loading" and self.models[name].began is None:
                del self.models[name]  # it has only reserved
            else:
                self.models[name].state = "draining"
        load = message.load
        if load is not None and (
            load.model not in self.models or self.models[load.model].state not in OCCUPYING
        ):
            before = self.models.get(load.model)
            leads = not load.devices or self.index == min(load.devices)
            self.models[load.model] = Held(
                load.model,
                "loading",
                slots=4 if leads else 0,
                footprint=load.footprint_bytes // UNIT,
                pinned=load.pinned,
                devices=load.devices,
                command=message.command,
                waits=set(message.evict),
                committed=not load.devices,
                deadline_s=load.deadline_ms / 1000,
                failures=before.failures if before is not None else 0,
            )
            self.cycles += 1
            if load.devices:
                self.world.after(LAPSE, self._lapse, (message.command, load.model))
        self._bump()
        self.settle()

    def commit(self, message: m.Commit) -> None:
        for held in self.models.values():
            if held.command == message.command and held.state == "loading":
                held.committed = True
        self.settle()

    def pin(self, message: m.Pin) -> m.Placed | m.PlaceRefused:
        held = self.models.get(message.model)
        if held is None or held.state not in OCCUPYING:
            fault = Fault(code=Code.LOAD_FAILED, message="it is not here")
            return m.PlaceRefused(
                command=message.command, fault=fault, version=self.version, models=self.listed()
            )
        if held.pinned != message.pinned:
            held.pinned = message.pinned
            self._bump()
        return m.Placed(command=message.command, version=self.version)

    def drain(self, drained: bool) -> None:
        if self.drained != drained:
            self.drained = drained
            self._bump()

    # ── what follows by itself ───────────────────────────────────────────────────────────────────────────────────

    def settle(self) -> None:
        """Victims that have ended leave; loads whose room is there begin."""
        for name in [
            h.name for h in self.models.values() if h.state == "draining" and not self._busy(h.name)
        ]:
            del self.models[name]
            self.evictions += 1
            for held in self.models.values():
                held.waits.discard(name)
            self._bump()
        for held in list(self.models.values()):
            if held.state == "loading" and held.began is None and held.committed and not held.waits:
                self._begin(held)

    def _begin(self, held: Held) -> None:
        held.began = self.world.now
        self.loads += 1
        if self.fate.deaf:
            self.fate.deaf -= 1
            self.world.after(2 * held.deadline_s + 5.0, self._fail, (held, "it hung"))
        elif self.fate.hangs:
            self.fate.hangs -= 1
            if held.deadline_s:
                self.world.after(held.deadline_s, self._fail, (held, "it took too long"))
        elif self.fate.fails:
            self.fate.fails -= 1
            self.world.after(0.9 * self.fate.load_s, self._fail, (held, "its file is broken"))
        else:
            self.world.after(self.fate.load_s, self._become_hot, (held,))

    def _is_current(self, held: Held) -> bool:
        return self._alive and self.models.get(held.name) is held and held.state == "loading"

    def _become_hot(self, held: Held) -> None:
        if self._is_current(held):
            held.state = "hot"
            self._bump()

    def _fail(self, held: Held, detail: str) -> None:
        if self._is_current(held):
            held.state, held.detail, held.failures = "failed", detail, held.failures + 1
            held.pinned = False
            self._bump()

    def _lapse(self, command: str, name: str) -> None:
        held = self.models.get(name)
        if self._alive and held is not None and held.command == command and not held.committed:
            del self.models[name]
            self._bump()

    def _bump(self) -> None:
        self.version += 1
        assert self.reserved <= self.budget, "the ledger is over its budget"
        self._changed()
