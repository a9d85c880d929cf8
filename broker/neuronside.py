"""What neurons say: who they are, what they hold, what became of requests and of placements.

What the broker believes of a neuron may be wrong; heartbeats name the attempts that the neuron really has, and the two
are made to agree:

- assigned here, but missing from two successive beats: a frame was lost with a connection. Not accepted yet → it
  returns to the front of its queue; accepted → it failed, retryably.
- reported there, but not assigned here for a while: nobody reads it → cancel it, until it is gone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from cortex.broker.counting import Counting
from cortex.broker.edgeside import EdgeSide
from cortex.broker.events import FromNeuron, ToNeuron
from cortex.broker.fleet import Neuron
from cortex.broker.lifecycle import State as Stage
from cortex.broker.requests import Request
from cortex.broker.restoring import Restoring
from cortex.broker.serving import Serving
from cortex.broker.state import State
from cortex.broker.waiting import Key
from cortex.protocol import liveness
from cortex.protocol import messages as m
from cortex.protocol.faults import Code, Fault
from cortex.protocol.toolcalls.steps import MALFORMED
from cortex.protocol.values import Model

UNHEARD = liveness.EXPIRY
"""How long a request may be missing from a neuron's beats after it was sent there."""
STRAY = 5.0
"""How long a neuron may work on what no edge has claimed through this broker."""

WELCOME = m.Registered(interval_ms=int(liveness.INTERVAL * 1000), answers_beats=True)
LOST = Fault(code=Code.NEURON_LOST, message="The neuron that served this request is gone; try again.")
FRAME_LOST = Fault(code=Code.NEURON_LOST, message="The answer was lost with a connection; try again.")
STALLED = Fault(code=Code.STALLED, message="The device that served this request stopped making progress.")
UNREADABLE = "{} of its tool calls could not be read and went out as text, in request {}"
NO_ROOM = frozenset({Code.BUSY, Code.DRAINING})
"""Refusals that say: not now, or not here."""


class NeuronSide:
    """One handler per kind of message; a kind that does not belong here is counted and dropped."""

    def __init__(self, state: State, serving: Serving, edges: EdgeSide, restoring: Restoring) -> None:
        self._state = state
        self._restoring = restoring
        self._serving = serving
        self._edges = edges
        self._requests = state.requests
        self._view = state.view
        self._loads = state.loads
        self._counting = Counting(state)
        self._handlers: dict[type[Struct], Callable[[Neuron, Any, FromNeuron, float], None]] = {
            m.Ready: self._ready,
            m.Heartbeat: self._heartbeat,
            m.Accepted: self._accepted,
            m.Refused: self._refused,
            m.Finished: self._terminal,
            m.Failed: self._terminal,
            m.Placed: self._placed,
            m.PlaceRefused: self._place_refused,
            m.LoadProgress: self._progress,
            m.Goodbye: self._goodbye,
        }

    def handle(self, event: FromNeuron, now: float) -> None:
        """Take a message of a registered neuron; a stranger is told to register."""
        if isinstance(event.message, m.Register):
            self._register(event, event.message, now)
            return
        if isinstance(event.message, m.Tallied):
            self._counting.answered(event.message, event)
            return
        handler = self._handlers.get(type(event.message))
        if handler is None:
            self._state.dropped["unexpected_from_neuron"] += 1
            return
        route = event.message.route if isinstance(event.message, m.Heartbeat) else event.route
        neuron = self._view.neurons.get(route)
        if neuron is None or neuron.session != event.session:
            self._state.dropped["unregistered_neuron"] += 1
            self._state.effects.append(ToNeuron(route, m.RegisterAgain()))
            return
        handler(neuron, event.message, event, now)

    # ── who is there ─────────────────────────────────────────────────────────────────────────────────────────────

    def _register(self, event: FromNeuron, message: m.Register, now: float) -> None:
        known = self._view.neurons.get(event.route)
        if known is None or known.session != event.session:
            neuron = Neuron(event.route, event.session, message.node, message.device, now)
            for route in [event.route, *self._former(neuron)]:
                self.lose(route, now)
            neuron.counter = message.counter
            self._ask_namesakes(neuron)
            self._view.admit(neuron)
            self._state.decisions.note(now, "neuron joined", neuron.name)
        self._state.effects.append(ToNeuron(event.route, WELCOME))

    def _former(self, neuron: Neuron) -> list[bytes]:
        """The routes of the same device of the same process, from before it heard nothing and called anew."""
        others = self._view.neurons.values()
        return [one.route for one in others if (one.session, one.name) == (neuron.session, neuron.name)]

    def _ask_namesakes(self, neuron: Neuron) -> None:
        """A process that was replaced is unreachable, which this message finds out at once; one that lives ignores it."""
        for other in self._view.neurons.values():
            if other.name == neuron.name:
                self._state.effects.append(ToNeuron(other.route, WELCOME))

    def _ready(self, neuron: Neuron, message: m.Ready, _event: FromNeuron, now: float) -> None:
        if message.version < neuron.version:
            return
        neuron.announce(message, now)
        self._view.gone.pop(neuron.name, None)
        before = neuron.models
        self._view.hold(neuron, message.models, now)
        for name in before.keys() - {name for name in neuron.models if neuron.is_hot(name)}:
            self._state.prefixes.forget(name, neuron.route)
        for name in before.keys() & neuron.models.keys():
            if neuron.models[name].state == "asleep" and before[name].state in ("hot", "draining"):
                why = "its weights stay in the host's memory"
                self._state.decisions.note(now, "sleep", f"{name} on {neuron.name}", why)
        ended = self._loads.announced(neuron, now)
        for outcome in ended:
            self._serving.ended(outcome, now)
        ordered_here = {outcome.placement.model for outcome in ended}
        self._loads_of_others(neuron, before, ordered_here, now)
        self._edges.fleet_changed()
        self._serving.serve_all(now)

    def _loads_of_others(self, neuron: Neuron, before: dict[str, Model], ours: set[str], now: float) -> None:
        """Loads that another broker or the neuron itself began are joined like our own, and fail like them."""
        for name, model in neuron.models.items():
            was = before.get(name)
            if name in ours or was is None or was.state != "loading" or name in self._loads.by_model:
                continue
            if model.state == "hot":
                self._serving.became_hot(name, now)
            elif model.state == "failed":
                self._serving.load_failed(name, model.detail or "it failed to load", now)

    def _heartbeat(self, neuron: Neuron, message: m.Heartbeat, _event: FromNeuron, now: float) -> None:
        has_turned = message.turn > neuron.turn
        was_stalled = neuron.stalled
        neuron.beat(message, now)
        if has_turned:
            self._reconcile(neuron, set(message.live), now)
            self._loads.remind(neuron, now)
        if neuron.stalled and not was_stalled:
            for key in list(neuron.assigned):
                self._requests.give_up(self._requests.live[key], STALLED, now)
        if neuron.stalled != was_stalled:
            what = "neuron stalled" if neuron.stalled else "neuron moves again"
            self._state.decisions.note(now, what, neuron.name, message.detail)
            self._edges.fleet_changed()
        # A hundred devices beat each second: what else this beat may allow waits for a tick.
        for model in neuron.models:
            self._serving.serve(model, now)

    def _reconcile(self, neuron: Neuron, live: set[Key], now: float) -> None:
        """Make the two views of what this neuron works on agree; see the module's docstring."""
        for key in list(neuron.assigned):
            request = self._requests.live[key]
            if key in live:
                request.missing = 0
                if request.state is Stage.CANCELLING:
                    self._requests.cancel(request)
            elif now - request.sent >= UNHEARD:
                request.missing += 1
                if request.missing == 2:
                    self._state.dropped["lost_frames"] += 1
                    self._requests.drop(request, FRAME_LOST, now)
        strays = sorted(live - neuron.assigned.keys())
        neuron.strays = {key: neuron.strays.get(key, now) for key in strays}
        for (name, attempt), since in neuron.strays.items():
            if now - since >= STRAY:
                self._state.effects.append(ToNeuron(neuron.route, m.Cancel(request=name, attempt=attempt)))

    def _goodbye(self, neuron: Neuron, _message: m.Goodbye, _event: FromNeuron, now: float) -> None:
        self.lose(neuron.route, now, by_itself=True)

    def lose(self, route: bytes, now: float, *, by_itself: bool = False) -> None:
        """A neuron is gone, and every belief about it: what it had returns to its queue or fails."""
        neuron = self._view.neurons.get(route)
        if neuron is None:
            return
        self._restoring.left(neuron, now, by_itself=by_itself)
        self._view.dismiss(neuron, now)
        self._state.prefixes.forget_replica(route)
        self._state.decisions.note(now, "neuron gone", neuron.name)
        for key in list(neuron.assigned):
            self._requests.drop(self._requests.live[key], LOST, now)
        for outcome in self._loads.lost(neuron):
            self._serving.ended(outcome, now)
        self._edges.fleet_changed()
        self._serving.serve_all(now)

    # ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _accepted(self, neuron: Neuron, message: m.Accepted, _event: FromNeuron, _now: float) -> None:
        request = self.of_neuron(neuron, message.request, message.attempt)
        if request is not None and request.state is Stage.ASSIGNED:
            self._requests.accepted(request, message)

    def _refused(self, neuron: Neuron, message: m.Refused, _event: FromNeuron, now: float) -> None:
        request = self.of_neuron(neuron, message.request, message.attempt)
        if request is None:
            return
        if request.state is Stage.ASSIGNED and message.fault.code in NO_ROOM:
            self._requests.put_back(request, now)
            if message.models:
                self._view.hold(neuron, message.models, now)
                self._edges.fleet_changed()
            neuron.full.add(request.model)
        else:
            self._requests.end(request, message, now)
        self._serving.serve_all(now)

    def _terminal(
        self, neuron: Neuron, message: m.Finished | m.Failed, event: FromNeuron, now: float
    ) -> None:
        request = self.of_neuron(neuron, message.request, message.attempt)
        if request is None:
            return
        if isinstance(message, m.Finished):
            if message.cancelled and request.state is not Stage.CANCELLING:
                # as a stray, before it was sent there again
                message = m.Failed(request=message.request, attempt=message.attempt, fault=FRAME_LOST)
            elif request.matched and message.usage.prompt:
                share = message.usage.cached / message.usage.prompt
                if share < request.matched:
                    self._state.prefixes.correct(request.model, neuron.route, request.submit.blocks, share)
        if isinstance(message, m.Finished) and not message.cancelled:
            self._view.usage.served(request.model, now - request.sent)
            if count := message.calls.get(MALFORMED):
                self._state.decisions.note(
                    now, "malformed", request.model, UNREADABLE.format(count, message.request)
                )
        self._requests.end(request, message, now, event.payload)
        if not neuron.load[request.model] and len(self._requests.waiting):
            self._serving.serve_all(now)  # it may be a victim now
        else:
            self._serving.serve(request.model, now)

    def of_neuron(self, neuron: Neuron, request: str, attempt: int) -> Request | None:
        """The attempt, if this neuron is the one that has it; anything else is an echo of the past."""
        key = (request, attempt)
        if key not in neuron.assigned:
            self._state.dropped["late"] += 1
            return None
        return self._requests.live[key]

    # ── placements ───────────────────────────────────────────────────────────────────────────────────────────────

    def _placed(self, neuron: Neuron, message: m.Placed, _event: FromNeuron, now: float) -> None:
        if self._loads.placed(neuron, message):
            placement = self._loads.by_command[message.command]
            if placement.model and placement.is_answered and placement.model in self._requests.loading:
                self._serving.began(placement.model, now)
            for outcome in self._loads.announced(neuron, now):
                self._serving.ended(outcome, now)
        self._serving.serve_all(now)

    def _place_refused(self, neuron: Neuron, message: m.PlaceRefused, _event: FromNeuron, now: float) -> None:
        if message.version >= neuron.version:
            neuron.version = message.version
            if message.device is not None:
                neuron.device = message.device
            self._view.hold(neuron, message.models, now)
            self._edges.fleet_changed()
        outcome = self._loads.refused(neuron, message, now)
        if outcome is not None:
            self._serving.ended(outcome, now)
        self._serving.serve_all(now)

    def _progress(self, neuron: Neuron, message: m.LoadProgress, _event: FromNeuron, _now: float) -> None:
        self._loads.progress(message)
        self._serving.progress(message.model, neuron.name, message.percent)
