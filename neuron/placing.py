"""Place, commit, pin, drain: what brokers command, carried out whole or refused with the truth.

Every command is answered once and to its sender; one that comes again is answered the same again and does nothing.
Checks come first and all of them; after the first change nothing can be refused any more. No clock here.
"""

from __future__ import annotations

import logging

import msgspec

from cortex.neuron.config import ModelSettings
from cortex.neuron.engine.base import Order
from cortex.neuron.fitting import nearest
from cortex.neuron.lifecycle import State
from cortex.neuron.residency import Residency
from cortex.protocol import messages as m
from cortex.protocol.faults import Code, Fault, FaultError, fault
from cortex.protocol.sizes import MIB, mib

log = logging.getLogger("cortex.device")

REMEMBERED = 512
DRAINED = Fault(code=Code.DRAINING, message="This device is drained; `resume` makes it serve again.")
LAPSED = Fault(code=Code.LOAD_FAILED, message="Nothing is reserved under this command (any more).")

Command = m.Place | m.Commit | m.Pin | m.Drain
Answer = m.Placed | m.PlaceRefused


class Placing:
    """Carries out commands on one device's residency."""

    def __init__(self, residency: Residency) -> None:
        self._residency = residency
        self._answers: dict[str, Answer] = {}
        self.restart = False
        """Whether the process shall leave once it is idle, to be started afresh."""

    def start(self, configured: tuple[ModelSettings, ...], now: float) -> None:
        """Load what neuron.toml names, in its order, as far as it fits; the rest stays cold, with the reason."""
        for settings in configured:
            holding = self._residency.know(settings)
            load = m.LoadSpec(model=settings.id, pinned=settings.pinned)
            try:
                holding.size = self._size(holding.order, load)
                self._require_room(holding.order, holding.size, frozenset())
            except FaultError as error:
                holding.detail, holding.failures = error.fault.message.removeprefix(f"{settings.id}: "), 1
                log.warning("%s is not loaded: %s", settings.id, holding.detail)
                continue
            self._residency.place(holding.order, holding.size, now, load=load, command="", after=())
        self._residency.begin(now)

    def carry_out(self, command: Command, now: float) -> Answer | None:
        """The answer; None where none is due, which is for a commit that finds what it committed."""
        if isinstance(command, m.Commit):
            if self._residency.commit(command.command):
                self._residency.begin(now)
                return None
            return self._refused(command.command, LAPSED)
        answer = self._answers.get(command.command)
        if answer is None:
            answer = self._answers[command.command] = self._answer(command, now)
            if len(self._answers) > REMEMBERED:
                del self._answers[next(iter(self._answers))]
        return answer

    def _answer(self, command: m.Place | m.Pin | m.Drain, now: float) -> Answer:
        try:
            match command:
                case m.Place():
                    self._place(command, now)
                case m.Pin():
                    self._residency.pin(command.model, pinned=command.pinned)
                case m.Drain():
                    self.restart = command.restart
                    self._residency.drain(drained=command.drained or command.restart)
        except FaultError as error:
            return self._refused(command.command, error.fault)
        return m.Placed(command=command.command, version=self._residency.version)

    def _refused(self, command: str, why: Fault) -> m.PlaceRefused:
        residency = self._residency
        return m.PlaceRefused(
            command=command,
            fault=why,
            version=residency.version,
            models=residency.models,
            device=residency.device,
        )

    # ── place ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _place(self, command: m.Place, now: float) -> None:
        residency, load = self._residency, command.load
        if residency.drained:
            raise FaultError(DRAINED)
        if command.version != residency.version:
            raise fault(
                Code.STALE, f"Residency is at version {residency.version}, and not at {command.version}."
            )
        if load is not None and residency.is_under_way(load.model):
            return  # its victims are spared: nobody needs their room
        for victim in command.evict:
            self._require_evictable(victim, drain=command.drain)
        if load is None:
            self._evict(command, now)
            return
        order = self._order(load)
        size = self._size(order, load)
        if load.model in command.evict:
            raise fault(Code.UNSUPPORTED, f"{load.model} cannot make room for itself.", param="evict")
        self._require_absent(load.model)
        self._require_room(order, size, frozenset(command.evict))
        after = self._evict(command, now)
        residency.place(order, size, now, load=load, command=command.command, after=after)
        residency.begin(now)

    def _evict(self, command: m.Place, now: float) -> set[str]:
        """Let the victims go; answers those that take their time."""
        victims = dict.fromkeys(command.evict)
        return {one for one in victims if self._residency.evict(one, now, sleep=command.sleep)}

    def _require_evictable(self, victim: str, *, drain: bool) -> None:
        holding = self._residency.find(victim)
        if holding.pinned:
            raise fault(Code.BUSY, f"{victim} is pinned.", param="evict")
        if holding.state is State.COLD:
            raise fault(Code.LOAD_FAILED, f"{victim} is not held here.", param="evict")
        if holding.state is State.FAILED and victim in self._residency.ledger.entries:
            raise fault(Code.BUSY, f"{victim} failed and still has memory.", param="evict")
        if not drain and holding.running:
            raise fault(Code.BUSY, f"{victim} has {holding.running} requests in hand.", param="evict")
        if not drain and holding.state is State.LOADING:
            raise fault(Code.BUSY, f"{victim} is being loaded.", param="evict")

    def _require_absent(self, model: str) -> None:
        """What is on its way out is not loaded at the same time."""
        if model in self._residency.ledger.entries and not self._residency.ledger.degraded:
            raise fault(Code.BUSY, f"{model} has not left yet.", param="load", retry_after=1)

    def _size(self, order: Order, load: m.LoadSpec) -> int:
        """What to reserve. The engine is asked in any case: it knows what cannot be loaded at all."""
        estimate = self._residency.engine.footprint(order)
        return load.footprint_bytes or order.settings.footprint_mb * MIB or estimate

    def _require_room(self, order: Order, size: int, victims: frozenset[str]) -> None:
        """Room by the ledger and by measure, counting what the victims will give back."""
        residency = self._residency
        ledger, total = residency.ledger, residency.engine.device.memory_bytes
        wanted = f"{order.model} takes {mib(size)} MiB"
        if size > ledger.budget:
            of = f"of {mib(total)} MiB" if total else "of memory"
            message = f"{wanted}, and this device has {mib(ledger.budget)} MiB {of} for models."
            would = nearest(residency.engine, order, size, ledger.budget)
            raise fault(Code.DOES_NOT_FIT, f"{message} {would}".rstrip())
        if residency.ledger.degraded:
            raise fault(Code.NO_CAPACITY, f"This device is {residency.ledger.degraded}", retry_after=5)
        in_budget, in_memory = (
            ledger.in_budget(victims),
            ledger.in_memory(residency.measured, victims),
        )
        if size > in_budget:
            raise fault(Code.NO_CAPACITY, f"{wanted}, and {mib(in_budget)} MiB of the budget would be free.")
        if size > in_memory:
            raise fault(
                Code.NO_CAPACITY,
                f"{wanted}, and {mib(max(0, in_memory))} MiB would really be free: "
                "others take memory of this device.",
                retry_after=5,
            )

    def _order(self, load: m.LoadSpec) -> Order:
        """What is asked for, with what neuron.toml says of it where the command says nothing."""
        engine = self._residency.engine
        if load.engine and load.engine != engine.name:
            message = f"{load.model} wants the engine {load.engine!r}, and this device runs {engine.name!r}"
            raise fault(Code.UNSUPPORTED, message, param="engine")
        if load.devices and engine.device.index not in load.devices:
            message = f"This is device {engine.device.index}, which is none of {list(load.devices)}."
            raise fault(Code.UNSUPPORTED, message, param="devices")
        known = self._residency.holdings.get(load.model)
        settings = (known.configured if known else None) or ModelSettings(id=load.model)
        changes: dict[str, object] = {}
        if load.source:
            changes["source"] = load.source
        if load.slots:
            changes["slots"] = load.slots
        if load.context:
            changes["context"] = load.context
        if load.tool_calls:
            changes["tool_calls"] = load.tool_calls
        if load.repairs is not None:
            changes["repairs"] = load.repairs
        settings = msgspec.structs.replace(settings, **changes)
        return Order(settings, load.quantization, load.devices if len(load.devices) > 1 else ())
