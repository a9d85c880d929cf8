"""The broker's mind: events in, effects out. No clock, socket, thread, log or randomness.

Every request that an edge submits ends exactly once: finished, failed or refused towards the edge, or silently when
the edge cancelled it or is gone. `edgeside` and `neuronside` take what peers say, `serving` commits what `routing`
decides, `upkeep` says what is to be done without being asked; all of them work on one `state`.
"""

from __future__ import annotations

from collections import Counter

from cortex.broker.catalogue import Catalogue
from cortex.broker.edgeside import EdgeSide
from cortex.broker.events import (
    EdgeUnreachable,
    Effect,
    Event,
    FromCtl,
    FromEdge,
    FromNeuron,
    FromPeer,
    NeuronUnreachable,
    ToNeuron,
)
from cortex.broker.fleet import Edge, Neuron
from cortex.broker.neuronside import NeuronSide
from cortex.broker.operations import Operations
from cortex.broker.placement import refusal
from cortex.broker.reasons import Reasons
from cortex.broker.requests import Requests
from cortex.broker.restoring import Restoring
from cortex.broker.serving import Serving
from cortex.broker.shortlist import best
from cortex.broker.state import State
from cortex.broker.upkeep import abandoned, broken, expired, missing
from cortex.broker.view import FORGET_GONE, Policy
from cortex.protocol import liveness
from cortex.protocol import messages as m

SETTLE = liveness.EXPIRY
"""Until a broker has run this long, a neuron that it has not heard of may still announce itself."""
UPKEEP = 1.0


class Broker:
    """See the module's docstring. `handle` and `tick` answer what must be done, in order.

    `epoch` tells this process from an earlier one of the same name: it is part of every command that is sent.
    """

    def __init__(
        self,
        name: str,
        now: float,
        *,
        epoch: str = "",
        policy: Policy | None = None,
        catalogue: Catalogue | None = None,
    ) -> None:
        self.state = State(name, now, policy or Policy(), epoch)
        self.serving = Serving(self.state)
        self.reasons = Reasons(self.state, self.serving)
        self.edgeside = EdgeSide(self.state, self.serving, self.reasons)
        self.restoring = Restoring(self.state, self.serving)
        self.neuronside = NeuronSide(self.state, self.serving, self.edgeside, self.restoring)
        self.operations = Operations(self.state, self.serving, self.restoring)
        self._next_upkeep = now
        self.state.view.settles_at = now + SETTLE
        if catalogue is not None:
            self.use_catalogue(catalogue, now)
            self.state.effects.clear()

    # What everybody who watches a broker asks for.
    @property
    def name(self) -> str:
        return self.state.name

    @property
    def started(self) -> float:
        return self.state.started

    @property
    def neurons(self) -> dict[bytes, Neuron]:
        return self.state.view.neurons

    @property
    def gone(self) -> dict[str, tuple[Neuron, float]]:
        return self.state.view.gone

    @property
    def edges(self) -> dict[bytes, Edge]:
        return self.state.edges

    @property
    def requests(self) -> Requests:
        return self.state.requests

    @property
    def dropped(self) -> Counter[str]:
        return self.state.dropped

    # ── doors ────────────────────────────────────────────────────────────────────────────────────────────────────

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take one event. A message of a kind that does not belong on its plane is counted and dropped."""
        match event:
            case FromEdge():
                self.edgeside.handle(event, now)
            case FromNeuron():
                self.neuronside.handle(event, now)
                if self.operations.running:
                    self.operations.advance(now)
            case EdgeUnreachable(route=route):
                self.edgeside.lose(route, now)
            case NeuronUnreachable(route=route):
                self.neuronside.lose(route, now)
            case FromPeer(message=m.PeerBeat() as beat):
                self.state.mesh.heard(beat, now)
                self._meet(now)
            case FromPeer():
                self.state.dropped["unexpected_from_peer"] += 1
            case FromCtl(message=command):
                self.operations.begin(command, now)
        return self._take()

    def tick(self, now: float) -> list[Effect]:
        """Do what has become due: drop who is gone, refuse who waited too long, look after the fleet."""
        state = self.state
        state.is_settled = state.view.is_settled(now)
        for neuron in [n for n in self.neurons.values() if liveness.is_gone(n.seen, now)]:
            self.neuronside.lose(neuron.route, now)
        for edge in [e for e in self.edges.values() if liveness.is_gone(e.seen, now)]:
            self.edgeside.lose(edge.route, now)
        for outcome in state.loads.overdue(now):
            self.serving.ended(outcome, now)
        self._meet(now)
        self.serving.serve_all(now)
        self.serving.overdue(now)
        if now >= self._next_upkeep:
            self._next_upkeep = now + UPKEEP
            self._look_after(now)
        return self._take()

    def next_deadline(self) -> float | None:
        """The moment at which `tick` will next have something to do; None while nobody is there."""
        times = [liveness.expires_at(neuron.seen) for neuron in self.neurons.values()]
        times += [liveness.expires_at(edge.seen) for edge in self.edges.values()]
        for due in (self.requests.waiting.next_deadline(), self.state.loads.next_deadline()):
            if due is not None:
                times.append(due)
        if len(self.requests.waiting) and not self.state.is_settled:
            times.append(self.state.view.settles_at)
        if self.neurons or self.operations.running:
            times.append(self._next_upkeep)
        return min(times, default=None)

    def relay(self, neuron: bytes, session: bytes, edge: bytes) -> bool:
        """May token frames of this neuron's session pass to this edge?"""
        found = self.neurons.get(neuron)
        if found is None or found.session != session:
            self.dropped["deltas_of_unknown_neuron"] += 1
            return False
        if edge not in self.edges:
            self.dropped["deltas_to_unknown_edge"] += 1
            return False
        return True

    def use_catalogue(self, catalogue: Catalogue, now: float) -> None:
        """From now on these profiles hold: for the next decision, never for what runs."""
        self.state.outdated = None
        self.state.catalogue, self.state.catalogue_digest = catalogue, catalogue.digest()
        self.state.view.use_catalogue(catalogue)
        self.edgeside.fleet_changed()
        self.serving.serve_all(now)

    def reload(self, catalogue: Catalogue, now: float) -> list[Effect]:
        """Take another catalogue while everything runs."""
        self.state.decisions.note(
            now, "catalogue", f"{len(catalogue.models)} profiles", "models.toml was read again"
        )
        self.use_catalogue(catalogue, now)
        return self._take()

    def keep_catalogue(self, problem: str, now: float) -> None:
        """The file is wrong: what was read before stays, and operators are told."""
        since = now if self.state.outdated is None else self.state.outdated[1]
        self.state.outdated = (problem, since)
        self.state.decisions.note(now, "catalogue refused", "models.toml", problem)

    def _take(self) -> list[Effect]:
        self.requests.tell_returned()
        effects = self.state.effects[:]
        self.state.effects.clear()
        return effects

    # ── unasked ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _meet(self, now: float) -> None:
        """Brokers come and go, and models with them."""
        mesh = self.state.mesh
        for name in sorted(mesh.refresh(now)):
            word = "broker joined" if name in mesh.live else "broker gone"
            self.state.decisions.note(now, word, name, "models move to the next in rank")
        for name in sorted(mesh.disagreeing(self.state.catalogue_digest)):
            self.state.decisions.note(now, "catalogues differ", name, "give all brokers the same models.toml")

    def _look_after(self, now: float) -> None:
        """Once a second."""
        state, view, owns = self.state, self.state.view, self.state.mesh.owns
        for name in [name for name, (_, at) in view.gone.items() if now - at > FORGET_GONE]:
            del view.gone[name]
        before, view.blocked = view.blocked, self._blocked(now)
        if view.forget_unknown() or before != view.blocked:
            self.edgeside.fleet_changed()
        for neuron, model in broken(view):
            self._give_up_pins(neuron, model)
            state.loads.unload(
                neuron, (model,), "a device that shared it is gone", now, reason="repair", drain=True
            )
        for neuron, model in expired(view, owns, now):
            idle = f"idle for {now - neuron.used[model]:.0f} s"
            state.loads.unload(neuron, (model,), f"its time to live is over: {idle}", now, reason="ttl")
        if view.is_settled(now):
            for model in list(missing(view, owns, now)):
                profile = view.profile(model)
                # Else two models that are to be kept, and room for one, would swap places for ever.
                found = best(view, profile, now, kept=not profile.pinned)
                if found is not None:
                    self.serving.load(found, "the profile wants it loaded", now)
        self.restoring.restart_worn(now)
        self.restoring.put_back(now)
        self._give_up_abandoned(now)
        self.reasons.refresh(now)
        self.operations.advance(now)
        state.view.usage.prune(now)
        state.blobs.expire(now)

    def _blocked(self, now: float) -> frozenset[str]:
        """Models that nobody is served because of what went wrong, until they are tried again."""
        view = self.state.view
        failed = {model for model in view.failures if view.is_backing_off(model, now)}
        refused = {model for model in view.refused if refusal(view, view.profile(model), now) is not None}
        return frozenset(failed | refused)

    def _give_up_abandoned(self, now: float) -> None:
        """Loads that wait for room, and for which nobody waits any more. The victims go all the same: they were told."""
        wanted = {order.command.model for order in self.operations.running.values()}
        for placement in list(abandoned(self.state.view, self.state.loads.by_command.values(), wanted)):
            self.state.loads.give_up(placement, "whoever wanted it has left", now)

    def _give_up_pins(self, neuron: Neuron, model: str) -> None:
        """What is left of a pinned replica is of no use; a pin of models.toml comes back with the next load."""
        for member in self.state.view.members(neuron, model):
            if member.models[model].pinned:
                command = f"{self.name}-{member.name}-{member.version}"
                self.state.effects.append(
                    ToNeuron(member.route, m.Pin(command=command, model=model, pinned=False))
                )

    def beat(self) -> m.PeerBeat:
        """This broker in a word, for the others."""
        state, requests = self.state, self.requests
        return m.PeerBeat(
            name=self.name,
            running=len(requests.live) - len(requests.waiting),
            waiting=len(requests.waiting),
            served=requests.ended["finished"],
            owns=sum(state.mesh.owns(entry.id) for entry in state.listed),
            catalogue=state.catalogue_digest,
        )

    # ── invariants ───────────────────────────────────────────────────────────────────────────────────────────────

    def check(self) -> None:
        """Assert every invariant. Cheap enough to run after every event of a simulation."""
        view, waiting = self.state.view, self.requests.waiting
        self.requests.check(view.neurons.values())
        self.state.loads.check()
        self.state.blobs.check()
        for neuron in view.neurons.values():
            assert sum(neuron.load.values()) == len(neuron.assigned), f"{neuron.name}: slots leaked"
        for model in waiting.models():
            for neuron in view.replicas(model):
                free = neuron.free(model)
                assert free <= 0, f"{model}: somebody waits beside a free slot on {neuron.name}"
        for name, holders in view.holders.items():
            for route, neuron in holders.items():
                assert view.neurons.get(route) is neuron, f"{name} is held by a neuron that is gone"
                assert name in neuron.models, f"{name} is not on {neuron.name}"
