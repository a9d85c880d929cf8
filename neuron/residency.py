"""Which models this device holds, loads and lets go: the authority that every broker asks.

Decisions come in as verbs (`place`, `evict`, `commit`, `pin`), the engine's changes through `took`, time through
`tick`; what must happen is asked of the engine. Loads begin in the order of their reservations as soon as the ledger
and the measured memory have the room; nothing waits for ever. Who may ask for what, and how it is answered, is the
business of `cortex.neuron.placing`. No clock here.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from cortex.neuron.asleep import Asleep
from cortex.neuron.config import ModelSettings
from cortex.neuron.engine.base import (
    Change,
    Engine,
    LoadAdvanced,
    LoadDone,
    LoadFailed,
    Order,
    Slept,
    Unloaded,
)
from cortex.neuron.holding import Holding, Loading
from cortex.neuron.ledger import Ledger, Stage
from cortex.neuron.lifecycle import State, Trigger
from cortex.protocol import messages as m
from cortex.protocol.faults import Code, fault
from cortex.protocol.sizes import mib
from cortex.protocol.values import Device, Model

PATIENCE = 600.0
"""Seconds for a load of which nobody says how long it may take."""
COMMIT_WITHIN = 5.0
"""Seconds for which a member of a replica over several devices keeps its reservation."""
BACK_WITHIN = 5.0
"""Seconds within which memory must be back."""
MEASURE_EVERY = 0.5
TELL_EVERY = 1.0
SURPLUS = "it takes {} MiB, more than the {} MiB that were reserved, and there is no more"


class Residency:
    """`version` grows by one with each change that a broker must see."""

    def __init__(self, engine: Engine, budget: int, asleep_budget: int = 0) -> None:
        self.engine = engine
        self.ledger = Ledger(budget)
        self.asleep = Asleep(asleep_budget, is_in_place=engine.device.kind == "cpu")
        self.holdings: dict[str, Holding] = {}
        self.version = 0
        self.cycles = self.evictions = 0
        self.drained = False
        self.free_bytes = 0
        self._measure_at = 0.0

    # ── what brokers see ─────────────────────────────────────────────────────────────────────────────────────────

    @property
    def models(self) -> tuple[Model, ...]:
        index = self.engine.device.index
        return tuple(holding.describe(index) for holding in self.holdings.values())

    @property
    def device(self) -> Device:
        """The device, with what is free of it by ledger and by measure."""
        free = self.ledger.free(self.measured)
        return msgspec.structs.replace(self.engine.device, budget_bytes=self.ledger.budget, free_bytes=free)

    @property
    def measured(self) -> int:
        """Bytes that are free or could be at once: the CPU's memory is where models sleep, until it is needed."""
        return self.engine.free_bytes + self.asleep.reclaimable

    @property
    def use(self) -> dict[str, tuple[int, float]]:
        """Of each hot model: requests in hand, and when the last of the others ended."""
        return {
            name: (holding.running, holding.used_at)
            for name, holding in self.holdings.items()
            if holding.state is State.HOT
        }

    @property
    def detail(self) -> str:
        """In a few words what is special now, for the heartbeat."""
        if self.ledger.degraded:
            return self.ledger.degraded
        loads = [(name, one.loading) for name, one in self.holdings.items() if one.loading]
        return ", ".join(
            f"{name} {load.percent} %" if load.begun else f"{name} {load.words}" for name, load in loads
        )

    def find(self, model: str) -> Holding:
        """A model that is held or known. Raises `FaultError`."""
        holding = self.holdings.get(model)
        if holding is None:
            raise fault(Code.LOAD_FAILED, f"{model} is not held here.", param="model")
        return holding

    def is_under_way(self, model: str) -> bool:
        """Whether it is loaded or being loaded: a second load is never needed."""
        holding = self.holdings.get(model)
        return holding is not None and holding.state in {State.LOADING, State.HOT}

    # ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────

    def demand(self, model: str) -> None:
        """A request for a model that does not take any is refused (`busy`): its broker shall look again."""
        holding = self.holdings.get(model)
        if holding is None or holding.state is not State.HOT:
            state = holding.state.value if holding else "not held"
            raise fault(Code.BUSY, f"{model} is {state} on this device.")
        if not holding.is_led_by(self.engine.device.index):
            raise fault(Code.BUSY, f"{model} is served by device {min(holding.order.devices)} of this host.")

    def began(self, model: str) -> None:
        """A request was admitted."""
        self.holdings[model].running += 1

    def ended(self, model: str, now: float) -> None:
        """A request came to its end, whatever that was."""
        holding = self.holdings[model]
        holding.running -= 1
        holding.used_at = now
        if holding.state is State.DRAINING and not holding.running:
            self._unload(holding, now)

    # ── decisions ────────────────────────────────────────────────────────────────────────────────────────────────

    def know(self, settings: ModelSettings) -> Holding:
        """A model of neuron.toml: it is listed even when it is cold."""
        holding = Holding(Order(settings), configured=settings, pinned=settings.pinned)
        self.holdings[settings.id] = holding
        self.version += 1
        return holding

    def place(
        self, order: Order, size: int, now: float, *, load: m.LoadSpec, command: str, after: Collection[str]
    ) -> None:
        """Reserve and, as soon as the room is there, load. Whether it fits was asked of the ledger before."""
        patience = load.deadline_ms / 1000 or PATIENCE
        loading = Loading(patience, now + patience, set(after))
        if len(order.devices) > 1:
            loading.commit_by = now + COMMIT_WITHIN
        holding = self.holdings.setdefault(order.model, Holding(order))
        self.ledger.reserve(order.model, size)
        holding.order, holding.size, holding.command = order, size, command
        holding.pinned = holding.pinned or load.pinned
        holding.turn(Trigger.PLACED)
        holding.loading, holding.detail = loading, ""
        self.version += 1

    def evict(self, model: str, now: float, *, sleep: bool = False) -> bool:
        """Let a model go once its requests have ended, to `sleep` if there is room; answers whether that takes time."""
        holding = self.holdings[model]
        self.version += 1
        self.evictions += 1
        holding.sleeps = sleep and holding.state is State.HOT
        if holding.state is State.ASLEEP:
            self._forget_sleeper(model)
        elif holding.state is State.FAILED:
            self._settle(holding, Trigger.FORGOTTEN, "")
        elif holding.loading is not None and not holding.loading.begun:
            self._lapse(holding)
        elif holding.state is not State.DRAINING:
            self.ledger.leave(model)
            holding.turn(Trigger.EVICTED)
            if not holding.running:
                self._unload(holding, now)
        entry = self.ledger.entries.get(model)
        return entry is not None and entry.stage is Stage.LEAVING

    def commit(self, command: str) -> bool:
        """All members have reserved: load. Answers whether this one still has what it reserved."""
        for holding in self.holdings.values():
            if holding.command == command and self.is_under_way(holding.order.model):
                if holding.loading is not None:
                    holding.loading.commit_by = None
                return True
        return False

    def pin(self, model: str, *, pinned: bool) -> None:
        self.find(model).pinned = pinned
        self.version += 1

    def drain(self, *, drained: bool) -> None:
        self.drained = drained
        self.version += 1

    # ── what the engine tells ────────────────────────────────────────────────────────────────────────────────────

    def took(self, change: Change, now: float) -> None:
        """Take what a step told about models."""
        holding = self.holdings[change.model]
        match change:
            case LoadAdvanced():
                self._advanced(holding, change)
                return
            case LoadDone():
                self._loaded(holding, change, now)
            case LoadFailed():
                self.ledger.gone(change.model)
                self._fail(holding, change.detail)
            case Slept():
                self.asleep.sizes[change.model] = change.bytes
                self.asleep.expected.pop(change.model, None)
                self._is_back(holding)
            case Unloaded():
                self.asleep.expected.pop(change.model, None)
                self._is_back(holding)
        self.version += 1
        self.begin(now)

    def _advanced(self, holding: Holding, change: LoadAdvanced) -> None:
        if holding.loading is not None:
            holding.loading.percent = change.percent
            holding.loading.detail = change.detail
            self.ledger.weigh(change.model, change.bytes)

    def _loaded(self, holding: Holding, change: LoadDone, now: float) -> None:
        reserved = self.ledger.entries[change.model].bytes
        if not self.ledger.use(change.model, change.bytes):
            self._give_up(holding, SURPLUS.format(mib(change.bytes), mib(reserved)), now)
            return
        holding.turn(Trigger.LOADED)
        self.asleep.sizes.pop(change.model, None)
        holding.facts, holding.failures, holding.detail = change, 0, change.detail
        holding.wake_ms = change.load_ms if change.woke else 0
        holding.load_ms = holding.load_ms if change.woke else change.load_ms
        holding.used_at, holding.size = now, self.ledger.entries[change.model].bytes

    def _is_back(self, holding: Holding) -> None:
        self.ledger.gone(holding.order.model)
        holding.back_by = None
        if holding.state is State.DRAINING:
            slept = holding.order.model in self.asleep.sizes
            self._settle(holding, Trigger.SLEPT if slept else Trigger.LEFT, "")
        elif holding.order.model in self.asleep.sizes:  # it was counted as lost before, and sleeps for nobody
            self._forget_sleeper(holding.order.model)
        elif holding.state is State.COLD:
            holding.detail = ""
            self._forget(holding)
        self._no_longer_wait_for(holding.order.model)

    # ── the passage of time ──────────────────────────────────────────────────────────────────────────────────────

    def tick(self, now: float) -> list[m.LoadProgress]:
        """End what has taken too long, begin what has room; answers how far the loads are, about once a second."""
        loads = False
        told = []
        for holding in list(self.holdings.values()):
            if holding.back_by is not None and now >= holding.back_by:
                self._lose(holding)
            if (loading := holding.loading) is None:
                continue
            loads = True
            if loading.commit_by is not None and now >= loading.commit_by:
                self._lapse(holding)
                self.version += 1
            elif now >= loading.expires:
                self._give_up(holding, f"not loaded after {loading.patience:.0f} s: {loading.words}", now)
            elif now >= loading.tell_at:
                loading.tell_at = now + TELL_EVERY
                told.append(holding.progress(loading))
        if loads:
            self.begin(now)
        if now >= self._measure_at:
            self._measure_at = now + MEASURE_EVERY
            for name in [name for name, one in self.holdings.items() if one.state is State.HOT]:
                # What it takes by now is not free any more, and must not be kept free for it once more.
                self.ledger.weigh(name, self.engine.taken(name))
            self.free_bytes = self.ledger.free(self.measured)
        return told

    def begin(self, now: float) -> None:
        """Begin the loads whose room is there, first come first served."""
        waiting = [name for name, one in self.ledger.entries.items() if one.stage is Stage.WAITING]
        for model in waiting:
            holding = self.holdings[model]
            loading = holding.loading
            assert loading is not None, "who has a reservation is being loaded"
            if loading.waits_for or loading.commit_by is not None:
                continue
            if not self._is_clear(model):
                continue
            self.ledger.begin(model)
            loading.begun, loading.expires = True, now + loading.patience
            self.cycles += 1
            self.engine.load(holding.order, self.ledger.entries[model].bytes, now)

    def _is_clear(self, model: str) -> bool:
        """Whether there is the room for a waiting model; others that sleep where it is missing make it."""
        own = self.asleep.own(model)
        for other in self._sleepers(but=model) if self.asleep.is_in_place else ():
            if not self.ledger.is_short(model, self.engine.free_bytes + own):
                break
            self._forget_sleeper(other)
        return self.ledger.is_clear(model, self.engine.free_bytes + own)

    def _unload(self, holding: Holding, now: float) -> None:
        holding.back_by = now + BACK_WITHIN
        if holding.sleeps and self._has_bed(holding.order.model):
            self.engine.sleep(holding.order.model, now)
        else:
            self.engine.unload(holding.order.model, now)

    def _has_bed(self, model: str) -> bool:
        """Whether it may sleep: those who have slept for longest make room."""
        facts = self.holdings[model].facts
        size = facts.bytes if facts else 0
        if size > self.asleep.budget:
            return False
        for other in self._sleepers():
            if self.asleep.has_room(size):
                break
            self._forget_sleeper(other)
        fits = self.asleep.has_room(size)
        if fits:
            self.asleep.expected[model] = size
        return fits

    def _sleepers(self, but: str = "") -> list[str]:
        """Who may be given up, those that have slept for longest first: not who is being woken."""
        begun = {name for name, one in self.holdings.items() if one.loading and one.loading.begun}
        return [name for name in self.asleep.sizes if name not in begun and name != but]

    def _forget_sleeper(self, model: str) -> None:
        """What a sleeping model keeps is given up; one whose load was ordered will be read instead."""
        del self.asleep.sizes[model]
        self.engine.forget(model)
        holding = self.holdings[model]
        if holding.state is State.ASLEEP:
            self._settle(holding, Trigger.FORGOTTEN, "")
        self.version += 1

    def _lapse(self, holding: Holding) -> None:
        """Its reservation is given up; if it slept, it sleeps on."""
        self.ledger.cancel(holding.order.model)
        sleeps = holding.order.model in self.asleep.sizes
        self._settle(holding, Trigger.SLEPT if sleeps else Trigger.LAPSED, "")

    def _give_up(self, holding: Holding, why: str, now: float) -> None:
        """A load failed here; what the engine has of it must go."""
        assert holding.loading is not None
        if holding.loading.begun:
            self.ledger.leave(holding.order.model)
            self._unload(holding, now)
        else:
            self.ledger.cancel(holding.order.model)
        self._fail(holding, why)
        self.version += 1

    def _fail(self, holding: Holding, why: str) -> None:
        if self.asleep.sizes.pop(holding.order.model, None) is not None:
            self.engine.forget(holding.order.model)
        holding.turn(Trigger.LOAD_FAILED)
        holding.detail = why
        holding.failures += 1

    def _lose(self, holding: Holding) -> None:
        """Its memory is overdue: count it as lost, break the promises that relied on it, and go on without."""
        model = holding.order.model
        self.asleep.expected.pop(model, None)
        holding.back_by = None
        entry = self.ledger.entries[model]
        for name in reversed(list(self.ledger.entries)):
            if entry.bytes <= self.ledger.in_budget():
                break
            if self.ledger.entries[name].stage is Stage.WAITING:
                self.ledger.cancel(name)
                self._fail(self.holdings[name], f"{mib(entry.bytes)} MiB of {model} did not come back")
        self.ledger.lose(model)
        if holding.state is State.DRAINING:
            self._settle(holding, Trigger.LEFT, self.ledger.degraded)
        self._no_longer_wait_for(model)
        self.version += 1

    def _no_longer_wait_for(self, model: str) -> None:
        for other in self.holdings.values():
            if other.loading is not None:
                other.loading.waits_for.discard(model)

    def _settle(self, holding: Holding, trigger: Trigger, detail: str) -> None:
        """Nothing of it is held any more."""
        holding.turn(trigger)
        holding.detail = detail
        holding.failures = 0 if trigger is Trigger.FORGOTTEN else holding.failures
        self._forget(holding)

    def _forget(self, holding: Holding) -> None:
        """A cold model is listed only while neuron.toml names it or its memory is missing."""
        model = holding.order.model
        if holding.state is State.ASLEEP or holding.configured or model in self.ledger.entries:
            return
        del self.holdings[model]
