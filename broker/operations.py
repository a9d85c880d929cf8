"""What operators ordered: load, unload, pin, unpin, drain, resume. Each is a goal that is pursued until it is reached.

An operation is idempotent by its command id and survives whatever happens on the way: about once a second, and after
each order, the goal is compared with what neurons say, and what is still missing is asked for (again).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from cortex.broker.events import ToNeuron
from cortex.broker.fleet import OCCUPYING, Neuron
from cortex.broker.placement import looks, nearest_first, plan, refusal
from cortex.broker.restoring import Restoring
from cortex.broker.routing import could_not_be_loaded, refused_by_all
from cortex.broker.serving import Serving
from cortex.broker.state import State
from cortex.protocol import messages as m
from cortex.protocol.faults import Code, Fault
from cortex.protocol.nearest import did_you_mean, nearest

REMEMBERED = 1024
RESEND = 1.0
GIVEN_UP = OCCUPYING | {"asleep"}
"""States of what is unloaded: who sleeps has nothing of a device, and much of its host's memory."""
PATIENCE = 60.0
"""Seconds for which an order other than a load is pursued."""


@dataclass(slots=True)
class Order:
    """One operation; `revision` grows with each change that is worth telling."""

    command: m.Command
    until: float
    state: Literal["running", "done", "failed"] = "running"
    percent: int = 0
    detail: str = ""
    fault: Fault | None = None
    revision: int = 0
    told: dict[str, float] = field(default_factory=dict)
    """When each device was last sent what this order wants of it."""

    def describe(self) -> m.Operation:
        return m.Operation(
            command=self.command.command,
            state=self.state,
            percent=self.percent,
            detail=self.detail,
            fault=self.fault,
        )


def unknown(state: State, model: str) -> Fault:
    """What an operator is told who names a model that there is not; clients are told less."""
    view, aliases = state.view, state.names.aliases
    names = (*sorted(view.profiles.keys() | view.known), *(name for name in aliases if "*" not in name))
    hint = did_you_mean(nearest(model, names))
    text = f"The model {model!r} does not exist here{f'.{hint}' if hint else ';'} cortex-ctl models lists those that do."
    return Fault(code=Code.MODEL_NOT_FOUND, message=text, param="model")


class Operations:
    """The orders, and what is done for each."""

    def __init__(self, state: State, serving: Serving, restoring: Restoring) -> None:
        self._state = state
        self._restoring = restoring
        self._serving = serving
        self._view = state.view
        self.orders: dict[str, Order] = {}
        self.running: dict[str, Order] = {}
        self._pursue: dict[str, Callable[[Order, float], None]] = {
            "load": self._load,
            "unload": self._unload,
            "pin": self._pin,
            "unpin": self._unpin,
            "drain": self._drain,
            "resume": self._resume,
        }

    def begin(self, command: m.Command, now: float) -> Order:
        """Take an order, or find the one that this command id stands for."""
        found = self.orders.get(command.command)
        if found is not None:
            return found
        patience = self._view.profile(command.model).load_deadline if command.model else 0.0
        order = self.orders[command.command] = Order(command, now + patience + PATIENCE)
        if command.verb in {"load", "pin"}:  # whoever orders it has done something about it
            self._view.forgive(command.model)
        if len(self.orders) > REMEMBERED:
            oldest = next(iter(self.orders))
            del self.orders[oldest]
            self.running.pop(oldest, None)
        where = f"on {command.node}" if command.model and command.node else ""
        self._state.decisions.note(now, f"operator: {command.verb}", command.model or command.node, where)
        self.running[command.command] = order
        self._step(order, now)
        return order

    def advance(self, now: float) -> None:
        """Pursue what is not reached."""
        for order in list(self.running.values()):
            self._step(order, now)

    def _step(self, order: Order, now: float) -> None:
        before = (order.state, order.percent, order.detail)
        pursue = self._pursue.get(order.command.verb)
        if pursue is None:
            self._fail(
                order, Code.UNSUPPORTED_MESSAGE, f"This broker does not know how to {order.command.verb}."
            )
        elif (fault := self._impossible(order.command)) is not None:
            order.state, order.fault = "failed", fault
        else:
            pursue(order, now)
            if order.state == "running" and now >= order.until:
                self._fail(order, Code.DEADLINE, f"not reached in time: {order.detail or 'nothing happened'}")
        if (order.state, order.percent, order.detail) != before:
            order.revision += 1
        if order.state != "running":
            self.running.pop(order.command.command, None)
            subject = order.command.model or order.command.node
            why = order.fault.message if order.fault is not None else order.detail
            self._state.decisions.note(now, f"operator: {order.command.verb} {order.state}", subject, why)

    def _impossible(self, command: m.Command) -> Fault | None:
        """What the order names must exist."""
        if command.verb in {"drain", "resume"} or command.node:
            if not command.node:
                return Fault(code=Code.INVALID_REQUEST, message="Name a node.", param="node")
            if not self._devices(command.node):
                known = ", ".join(sorted({n.node for n in self._view.neurons.values()})) or "none"
                text = f"There is no node {command.node!r}; these are here: {known}."
                return Fault(code=Code.INVALID_REQUEST, message=text, param="node")
        if command.model and not self._view.exists(command.model):
            return unknown(self._state, command.model)
        if command.verb not in {"drain", "resume"} and not command.model:
            return Fault(code=Code.INVALID_REQUEST, message="Name a model.", param="model")
        return None

    # ── goals ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _load(self, order: Order, now: float, *, pinned: bool = False) -> None:
        model, node = order.command.model, order.command.node
        hot = [neuron for neuron in self._holders(model, node) if neuron.is_hot(model)]
        if hot:
            order.percent = 100
            self._done(order, f"{model} is hot on {', '.join(neuron.name for neuron in hot)}")
            return
        underway = self._view.underway(model)
        if underway is not None:
            order.percent = underway.percent
            order.detail = underway.detail or f"loading on {underway.node}"
        elif (at := self._view.loading_at(model)) is not None:
            order.detail = f"loading on {at.name}"
        elif (failure := self._view.failures.get(model)) is not None:
            self._fail(order, Code.LOAD_FAILED, could_not_be_loaded(model, failure.detail))
        else:
            self._place(order, now, pinned=pinned)

    def _place(self, order: Order, now: float, *, pinned: bool) -> None:
        """Order the load; idle victims first, then such as must finish something."""
        model, node = order.command.model, order.command.node
        profile = self._view.profile(model)
        for drain in (False, True):
            found = looks(self._view, profile, now, drain=drain, only=node)
            best = plan(self._view, profile, found, drain=drain)
            if best is not None:
                self._serving.load(best, f"an operator wants {model}", now, pinned=pinned)
                order.detail = f"loading on {best.leader.name}"
                if best.victims:
                    order.detail += f", in place of {', '.join(best.victims)}"
                return
        refused = refusal(self._view, profile, now) if not node else None
        if refused is not None:
            self._refuse(order, *refused)
        elif any(one.able for one in found):
            found = nearest_first(profile, found)
            order.detail = "; ".join(f"{one.neuron.name}: {one.reason}" for one in found if one.able)
        else:
            found = nearest_first(profile, found)
            why = "; ".join(f"{one.neuron.name}: {one.reason}" for one in found) or "no device is here"
            self._fail(order, Code.DOES_NOT_FIT, f"{model} fits nowhere: {why}")

    def _refuse(self, order: Order, why: Fault, seconds: float) -> None:
        """In the devices' own words: whoever orders a load need not be told how to order one."""
        model = order.command.model
        if why.code is Code.DOES_NOT_FIT:
            why = refused_by_all(model, why, seconds)
            self._fail(order, why.code, why.message)
        else:
            self._fail(order, Code.LOAD_FAILED, could_not_be_loaded(model, why.message))

    def _unload(self, order: Order, now: float) -> None:
        model, node = order.command.model, order.command.node
        there = self._holders(model, node, GIVEN_UP)
        if not there:
            self._done(order, "" if order.detail else "it was not loaded")
            return
        pinned = [n.name for n in there if n.models[model].pinned or self._view.profile(model).pinned]
        if pinned:
            self._fail(
                order, Code.BUSY, f"{model} is pinned on {', '.join(pinned)}; cortex-ctl unpin {model} first"
            )
            return
        for neuron in there:
            if neuron.models[model].state in {"hot", "asleep"} and not self._view.is_asked(neuron, model):
                self._state.loads.unload(
                    neuron, (model,), f"an operator unloads {model}", now, reason="operator", drain=True
                )
        running = sum(neuron.in_hand(model) for neuron in there)
        order.detail = f"waiting for {running} running" if running else "unloading"

    def _pin(self, order: Order, now: float) -> None:
        model, node = order.command.model, order.command.node
        there = [n for n in self._holders(model, node) if n.models[model].state in {"hot", "loading"}]
        if not there:
            self._load(order, now, pinned=True)
            if order.state == "done":
                order.state = "running"
            return
        self._set_pins(order, there, now, pinned=True)

    def _unpin(self, order: Order, now: float) -> None:
        model, node = order.command.model, order.command.node
        if self._view.profile(model).pinned:
            self._fail(order, Code.BUSY, f"{model} is pinned in models.toml; take `pinned` out there")
            return
        self._restoring.unpin(model)
        self._set_pins(
            order, [n for n in self._holders(model, node) if n.models[model].pinned], now, pinned=False
        )

    def _set_pins(self, order: Order, there: list[Neuron], now: float, *, pinned: bool) -> None:
        model = order.command.model
        wrong = [neuron for neuron in there if neuron.models[model].pinned != pinned]
        for neuron in wrong:
            command = f"{order.command.command}/{neuron.name}"
            self._send(order, neuron, m.Pin(command=command, model=model, pinned=pinned), now)
        word = "pinned" if pinned else "not pinned"
        loading = [neuron.name for neuron in there if neuron.models[model].state == "loading"]
        if loading and pinned:
            underway = self._view.underway(model)
            order.percent = underway.percent if underway is not None else 0
            order.detail = f"loading on {', '.join(loading)}"
        elif not wrong:
            where = f" on {', '.join(neuron.name for neuron in there)}" if there else ""
            self._done(order, f"{model} is {word}{where}")

    def _drain(self, order: Order, now: float) -> None:
        devices = self._devices(order.command.node)
        for neuron in devices:
            if not neuron.drained:
                command = f"{order.command.command}/{neuron.name}"
                self._send(order, neuron, m.Drain(command=command, drained=True), now)
        running = sum(len(neuron.assigned) + sum(neuron.foreign.values()) for neuron in devices)
        if running or not all(neuron.drained for neuron in devices):
            order.detail = f"waiting for {running} running" if running else "draining"
        else:
            self._done(order, f"{order.command.node} takes nothing new, and nothing runs there")

    def _resume(self, order: Order, now: float) -> None:
        for neuron in self._devices(order.command.node):
            self._restoring.resume(neuron.name)
        drained = [neuron for neuron in self._devices(order.command.node) if neuron.drained]
        for neuron in drained:
            command = f"{order.command.command}/{neuron.name}"
            self._send(order, neuron, m.Drain(command=command, drained=False), now)
        if not drained:
            self._done(order, f"{order.command.node} serves")

    # ── small things ─────────────────────────────────────────────────────────────────────────────────────────────

    def _send(self, order: Order, neuron: Neuron, message: m.Pin | m.Drain, now: float) -> None:
        """Once, and again every second: it or its answer may have been lost with a connection."""
        if neuron.state == "ready" and now - order.told.get(neuron.name, -RESEND) >= RESEND:
            order.told[neuron.name] = now
            self._state.effects.append(ToNeuron(neuron.route, message))

    def _devices(self, node: str) -> list[Neuron]:
        return [neuron for neuron in self._view.neurons.values() if neuron.is_named(node)]

    def _holders(self, model: str, node: str, states: frozenset[str] = OCCUPYING) -> list[Neuron]:
        holders: Iterable[Neuron] = self._view.holders.get(model, {}).values()
        return [
            neuron
            for neuron in holders
            if neuron.models[model].state in states and (not node or neuron.is_named(node))
        ]

    def _done(self, order: Order, detail: str) -> None:
        order.state, order.detail = "done", detail

    def _fail(self, order: Order, code: Code, message: str) -> None:
        order.state, order.detail = "failed", message
        order.fault = Fault(code=code, message=message)
