"""Sees everything and forgives nothing: safety after every core event, liveness at the end.

It keeps books of its own, so that a broker whose books agree with themselves can still be wrong. It also notes which
interesting branches a run took, and hashes the run.
"""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from typing import TYPE_CHECKING

from cortex.broker.core import Broker
from cortex.broker.events import (
    EdgeUnreachable,
    Effect,
    Event,
    FromCtl,
    FromEdge,
    FromNeuron,
    NeuronUnreachable,
    ToEdge,
    ToNeuron,
)
from cortex.broker.fleet import Edge, Neuron
from cortex.broker.lifecycle import State
from cortex.broker.requests import Request
from cortex.broker.waiting import Key
from cortex.protocol import liveness
from cortex.protocol import messages as m
from cortex.protocol.faults import Code
from simulator.edge_model import Call, EdgeModel
from simulator.neuron_model import NeuronModel

if TYPE_CHECKING:
    from simulator.world import Tokens, World

KEEP = 10.0
"""Seconds for which a waiting place is kept."""
DISPATCHES = 20
"""How often one attempt may be sent out within a second before it counts as spinning."""

ENOUGH = 1000
"""Events after each of which every invariant is checked, in each run at least."""
Terminal = m.Finished | m.Failed | m.Refused


class Violation(AssertionError):
    """Something happened that must not happen."""


class Oracle:
    """Watches the broker core, the edges and the neurons of one world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.events = 0
        self.branches: Counter[str] = Counter()
        self.calls: list[Call] = []
        self.tail: deque[str] = deque(maxlen=60)
        self._hash = hashlib.blake2b(digest_size=16)
        self._losses = 0
        self._broker: Broker

    @property
    def trace(self) -> str:
        return self._hash.hexdigest()

    def note(self, line: str) -> None:
        """Write one line of the trace."""
        line = f"{self.world.now:.6f} {line}"
        self.tail.append(line)
        self._hash.update(line.encode())

    def require(self, holds: bool, what: str) -> None:
        if not holds:
            raise Violation(what)

    def broker_started(self, broker: Broker) -> None:
        self._broker = broker
        self._order: dict[Key, int] = {}
        self._kept: dict[tuple[str, bytes], tuple[int, float]] = {}
        self._deadlines: dict[Key, float] = {}
        self._waits_ms: dict[Key, int] = {}
        self._asked: dict[bytes, set[str]] = {}
        self._told: set[Key] = set()
        self._placed_at: dict[str, float] = {}
        self._holders: dict[Key, bytes] = {}
        self._sent: Counter[Key] = Counter()
        self.note("broker started")

    def broker_stopped(self) -> None:
        self.branches["broker restarted"] += 1
        if self._broker.dropped["lost_frames"]:
            self.branches["lost frame found by heartbeats"] += 1

    # ── before an event: which branch will it take? ──────────────────────────────────────────────────────────────

    def before(self, event: Event | None) -> None:
        """None is a tick."""
        broker = self._broker
        self._losses = 0
        match event:
            case None:
                for neuron in broker.neurons.values():
                    if liveness.is_gone(neuron.seen, self.world.now):
                        self._neuron_lost(neuron)
                for edge in broker.edges.values():
                    if liveness.is_gone(edge.seen, self.world.now):
                        self._edge_lost(edge)
            case FromEdge(message=m.Submit() as message):
                self._submitted(message)
            case FromEdge(route=route, message=m.Cancel(request=request, attempt=attempt)):
                found = broker.requests.live.get((request, attempt))
                if found is not None and found.edge.route == route:
                    self.branches[f"cancelled while {found.state}"] += 1
                    self._left(found)
            case FromNeuron(message=m.Refused(request=request, attempt=attempt)):
                found = broker.requests.live.get((request, attempt))
                if found is not None and found.state is State.ASSIGNED:
                    self.branches["put back because busy"] += 1
            case NeuronUnreachable(route=route) | FromNeuron(route=route, message=m.Goodbye()):
                if route in broker.neurons:
                    self._neuron_lost(broker.neurons[route])
            case EdgeUnreachable(route=route):
                if route in broker.edges:
                    self._edge_lost(broker.edges[route])

    def _neuron_lost(self, neuron: Neuron) -> None:
        self._losses += 1
        for key in neuron.assigned:
            self.branches[f"neuron lost while {self._broker.requests.live[key].state}"] += 1

    def _edge_lost(self, edge: Edge) -> None:
        for key in sorted(edge.requests):
            self._left(self._broker.requests.live[key])
        if edge.requests:
            self.branches["edge lost with requests"] += 1

    def _submitted(self, message: m.Submit) -> None:
        key = (message.request, message.attempt)
        if key not in self._order:
            earlier = self._broker.requests.live.get((message.request, message.attempt - 1))
            if earlier is not None:
                self._left(earlier)
            place, until = self._kept.pop((message.principal, message.digest), (0, 0.0))
            took = bool(message.digest) and self.world.now < until
            if took:
                self.branches["took its waiting place"] += 1
            self._order[key] = place if took else len(self._order)
            self._deadlines[key] = self.world.now + message.queue_ms / 1000
            self._waits_ms[key] = message.queue_ms
        else:
            is_live = key in self._broker.requests.live
            self.branches[f"duplicate submit of {'a live' if is_live else 'an ended'} attempt"] += 1

    def _left(self, request: Request) -> None:
        """Who waits and leaves keeps its place for a while, for the same request sent again."""
        if request.state is State.WAITING and request.submit.digest:
            name = (request.principal, request.submit.digest)
            self._kept[name] = (self._order[request.key], self.world.now + KEEP)

    # ── after an event: is everything as it must be? ─────────────────────────────────────────────────────────────

    def after(self, event: Event | None, effects: list[Effect]) -> None:
        self.events += 1
        self._broker.check()
        for effect in effects:
            if isinstance(effect, ToNeuron):
                self._sent_to_neuron(event, effect)
            elif isinstance(effect.message, Terminal):
                self._sent_terminal(event, effect, effect.message)
        if (
            effects
            or not isinstance(event, FromNeuron | FromEdge)
            or not isinstance(event.message, m.Heartbeat)
        ):
            words = [type(effect.message).__name__ for effect in effects]
            self.note(" ".join(["tick" if event is None else _word(event), *words]))

    def relayed(self, frame: Tokens, passes: bool) -> None:
        """S8: no token of a session that is not registered here, none to an edge that is not here.

        Relaying changes nothing that `check` reads, so this is an event like the others only until there are enough.
        """
        if self.events < ENOUGH:
            self.events += 1
            self._broker.check()
        neuron = self._broker.neurons.get(frame.neuron)
        known = neuron is not None and neuron.session == frame.session and frame.edge in self._broker.edges
        self.require(
            passes == known, "tokens of an unknown session were relayed, or those of a known one dropped"
        )
        self.note(f"relay {frame.neuron.hex()} {len(frame.body.items)} {passes}")

    def _sent_to_neuron(self, event: Event | None, effect: ToNeuron) -> None:
        message = effect.message
        if isinstance(message, m.RegisterAgain):
            self.branches["told to register again"] += 1
        elif isinstance(message, m.Place):
            self._placement(event, effect.route, message)
        elif isinstance(message, m.Cancel) and isinstance(event, FromNeuron):
            neuron = self._broker.neurons[effect.route]
            if (message.request, message.attempt) not in neuron.assigned:
                self.branches["stray cancelled"] += 1
        elif isinstance(message, m.Generate):
            self._dispatched(effect.route, message)

    def _placement(self, event: Event | None, route: bytes, message: m.Place) -> None:
        """S5-S7: only what is idle, unpinned and not more important leaves; one load; only for somebody."""
        broker = self._broker
        neuron = broker.neurons.get(route)
        if neuron is None or message.command in self._asked.setdefault(route, set()):
            return  # lost in the same breath, or asked again
        self._asked[route].add(message.command)
        view, waiting = broker.state.view, broker.requests.waiting
        placement = broker.state.loads.by_command.get(message.command)
        if placement is not None and placement.reason == "abandoned":
            for model in message.evict:
                self.require(
                    waiting.first(model) is None, f"the load of {model} was given up before its waiters"
                )
            self.branches["load given up"] += 1
            return
        for victim in message.evict:
            held, profile = neuron.models[victim], view.profile(victim)
            is_broken = len(view.members(neuron, victim)) < len(held.devices)
            pinned = (held.pinned or profile.pinned) and not is_broken
            self.require(not pinned, f"{victim} is pinned and was to be evicted")
            if not message.drain:
                self.require(not neuron.load[victim], f"{victim} works and was to be evicted")
            if message.load is not None and not isinstance(event, FromCtl):
                wanted = view.profile(message.load.model)
                self.require(profile.priority <= wanted.priority, f"{victim} is more important")
            self.branches["evicted while it worked" if neuron.load[victim] else "evicted"] += 1
        if message.load is None:
            self.branches["unloaded"] += 1
            return
        model = message.load.model
        profile = view.profile(model)
        self.branches["load over two devices" if message.load.devices else "load"] += 1
        orders = [o for o in broker.operations.orders.values() if o.command.model == model]
        by_hand = bool(orders) or any(model in lost.pins for lost in broker.restoring.lost.values())
        somebody = waiting.first(model) is not None or profile.pinned or by_hand
        self.require(somebody, f"{model} is loaded for nobody")
        hot = sum(
            one.is_hot(model) and one.serves and model not in one.closing for one in broker.neurons.values()
        )
        self.require(hot < profile.replicas.max or by_hand, f"{model} is loaded once too often")
        if hot:
            self.branches["another replica"] += 1

    def _dispatched(self, route: bytes, message: m.Generate) -> None:
        """In order, within the slots that the neuron advertised, and never again after a terminal."""
        key, model = (message.request, message.attempt), message.model
        self.require(key not in self._told, f"{key} was executed after its terminal")
        self._sent[key] += 1
        self.require(self._sent[key] <= DISPATCHES, f"{key} spins between refusals")
        neuron = self._broker.neurons.get(route)
        if neuron is not None:
            self._holders[key] = neuron.session
            held = neuron.models[model]
            taken = sum(name == model for name in neuron.assigned.values())
            self.require(held.state == "hot" and taken <= held.slots, f"{neuron.name} was given too much")
        if self._losses < 2:  # of two neurons lost at once, the second may return who came before
            order = self._order[key]
            live = self._broker.requests.live
            principal = live[key].principal if key in live else ""
            passed_over = [
                one
                for one in self._broker.requests.waiting.keys(model)
                if self._order[one] < order and live[one].principal == principal
            ]
            self.require(not passed_over, f"{key} was served before {passed_over}")

    def _sent_terminal(self, event: Event | None, effect: ToEdge, message: Terminal) -> None:
        """S1: one terminal; it is the word of whoever was given the request."""
        key = (message.request, message.attempt)
        if not isinstance(message, m.Finished):
            code = message.fault.code
            if code is Code.UNKNOWN_REQUEST:
                if key not in self._told:  # else the question crossed the answer
                    self.branches["request unknown"] += 1
                return
            self.branches[f"{type(message).__name__.lower()} {code}"] += 1
        self.require(key in self._order, f"a terminal for {key}, which nobody submitted")
        self.require(key not in self._told, f"{key} ended twice")
        self._told.add(key)
        if isinstance(event, FromNeuron) and message is event.message:
            self.require(
                event.session == self._holders.get(key), f"{key} was ended by a neuron that it had left"
            )

    def watch(self) -> None:
        """Once a second, L1: nobody waits longer than a second past the deadline, and nobody spins."""
        if self.world.broker is None:
            return
        self._sent.clear()
        for placement in self._broker.state.loads.by_command.values():
            late = self.world.now - self._placed_at.setdefault(placement.command, self.world.now)
            if not placement.is_answered or any(
                (held := part.neuron.models.get(victim)) is not None and held.state == "draining"
                for part in placement.plan.parts
                for victim in part.evict
            ):
                self._placed_at[placement.command] = self.world.now
            elif placement.model:
                allowed = self._broker.state.view.profile(placement.model).load_deadline
                self.require(late <= allowed + 6.0, f"the load of {placement.model} is past its deadline")
        waiting = self._broker.requests.waiting
        for model in waiting.models():
            for key in waiting.keys(model):
                self._extended(key)
                self.require(self.world.now <= self._deadlines[key] + 1.0, f"{key} waits past its deadline")

    def _extended(self, key: Key) -> None:
        """A load that devices took on moves the deadline of who waits for it, once."""
        request = self._broker.requests.live[key]
        if request.was_extended and key in self._waits_ms:
            allowed = self._broker.state.view.profile(request.model).load_deadline
            moved = self.world.now + allowed + self._waits_ms.pop(key) / 1000
            self._deadlines[key] = max(self._deadlines[key], moved)

    def call_ended(self, call: Call) -> None:
        """S2: what was delivered is the beginning of what the model says."""
        spec = call.spec
        self.note(f"{spec.request} {call.outcome} {sum(map(len, call.delivered))}")
        self.branches[f"call {call.outcome.split()[0]}"] += 1
        for choice, tokens in enumerate(call.delivered):
            right = [spec.token(choice, index) for index in range(len(tokens))]
            self.require(tokens == right, f"{spec.request}: wrong tokens were delivered")
            self.require(len(tokens) <= spec.totals[choice], f"{spec.request}: too many tokens")

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────

    def is_quiet(self, neurons: list[NeuronModel]) -> bool:
        """Whether everybody has been answered and nobody works."""
        return all(call.outcome for call in self.calls) and not any(neuron.live for neuron in neurons)

    def quiescent(self, neurons: list[NeuronModel], edges: list[EdgeModel]) -> None:
        """L2, L4: nothing is left over, and all views equal the truth."""
        broker = self._broker
        unanswered = [call.spec.request for call in self.calls if not call.outcome]
        self.require(not unanswered, f"never answered: {unanswered}")
        self.require(not broker.requests.live, f"left over in the broker: {list(broker.requests.live)}")
        self.require(len(broker.requests.waiting) == 0, "somebody still waits")
        orders = [
            order.command
            for order in broker.operations.orders.values()
            if order.state == "running" and self.world.now > order.until + 2.0
        ]
        loads = [name for name in broker.state.loads.by_model if not broker.state.view.profile(name).pinned]
        self.require(not orders, f"orders are not ended: {orders}")
        self.require(not loads, f"loads are not ended: {loads}")
        self.require(
            set(broker.neurons) == {one.route for one in neurons}, "the broker believes in other neurons"
        )
        self.require(set(broker.edges) == {one.route for one in edges}, "the broker believes in other edges")
        for one in neurons:
            self.require(not one.live, f"{one} still works")
            seen = broker.neurons[one.route]
            self.require(
                not seen.assigned and not seen.load and not seen.strays, f"{seen.name}: slots are taken"
            )
            self.require(
                tuple(seen.models.values()) == one.models(), f"{seen.name} is believed to hold other models"
            )
            self.require(seen.state == "ready" and not seen.stalled, f"{seen.name} is not in service")
        for edge in edges:
            self.require(not broker.edges[edge.route].requests, f"{edge.name} holds requests")
            self.require(edge.version == broker.state.listing_version, f"{edge.name} has an old catalogue")
            self.require(edge.catalogue == broker.state.listed, f"{edge.name} has a wrong catalogue")
        if broker.dropped["lost_frames"]:
            self.branches["lost frame found by heartbeats"] += 1


def _word(event: Event) -> str:
    if isinstance(event, FromCtl):
        return f"operator {event.message.verb} {event.message.model} {event.message.node}"
    if isinstance(event, FromEdge | FromNeuron):
        message = event.message
        request = getattr(message, "request", "")
        return f"{event.route.hex()} {type(message).__name__} {request} {getattr(message, 'attempt', '')}"
    return f"{event.route.hex()} unreachable"
