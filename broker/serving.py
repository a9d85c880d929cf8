"""Who is served, loaded for, told to wait or turned away: the one place where decisions about requests are committed."""

from __future__ import annotations

from cortex.broker.fleet import Neuron
from cortex.broker.loads import End, Ended
from cortex.broker.placement import Plan
from cortex.broker.requests import Request
from cortex.broker.routing import (
    NO_MATCH,
    Choice,
    Join,
    Load,
    Refuse,
    Serve,
    Wait,
    Want,
    choose,
    load_failed,
    told,
)
from cortex.broker.state import State
from cortex.broker.upkeep import another_replica
from cortex.protocol.faults import Code, Fault

CRASHES = 2
"""Devices lost in a row while loading a model, after which the model is to blame."""


class Serving:
    """Acts on `choose`."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._requests = state.requests
        self._view = state.view
        self._loads = state.loads

    # ── the queue ────────────────────────────────────────────────────────────────────────────────────────────────

    def serve_all(self, now: float) -> None:
        """Look at every model that somebody waits for; who waits longest is looked at first."""
        waiting = self._requests.waiting
        models = waiting.models()
        if len(models) > 1:
            models = tuple(sorted(models, key=lambda model: (waiting.oldest(model) or now, model)))
        for model in models:
            self.serve(model, now)

    def serve(self, model: str, now: float) -> None:
        """Hand out a model's free slots in the order of its queue, have it loaded, or turn the queue away."""
        requests = self._requests
        while (key := requests.waiting.first(model)) is not None:
            request = requests.live[key]
            want = self._want(request, now)
            match choice := choose(want, self._view, now):
                case Serve(neuron=neuron):
                    self._dispatch(request, neuron, want, now)
                case Refuse(fault=fault):
                    requests.refuse(request, fault, now)
                case Load() if now >= request.deadline:  # nothing is loaded for a client whose time is over
                    requests.refuse(request, self._overdue_fault(request, now), now)
                case Load(plan=plan):
                    self.load(plan, _because(request), now, for_clients=True)
                    return
                case _:
                    self._stay(model, choice, now)
                    return

    def choice(self, request: Request, now: float) -> Choice:
        """What is to become of this request now."""
        return choose(self._want(request, now), self._view, now)

    def _want(self, request: Request, now: float) -> Want:
        """The request, as far as deciding needs it."""
        model, blocks = request.model, request.submit.blocks
        matched = self._state.prefixes.matched(model, blocks) if blocks else NO_MATCH
        return Want(model, matched, self._requests.waiting.waited(model, now))

    def _dispatch(self, request: Request, neuron: Neuron, want: Want, now: float) -> None:
        self._requests.dispatch(request, neuron, now)
        if request.submit.blocks:
            request.matched = want.matched.get(neuron.route, 0.0)
            self._state.prefixes.note(request.model, neuron.route, request.submit.blocks)

    def _stay(self, model: str, choice: Choice, now: float) -> None:
        """They wait: for a load, which they are told of, or for a slot, which another replica might give."""
        waiting = self._requests.waiting
        if isinstance(choice, Join):
            self._tell_loading(model, choice.node, choice.percent, now)
            return
        if self._requests.loading.pop(model, None) is not None:
            self.tell(model)
        if isinstance(choice, Wait) and choice.is_busy:
            waited = waiting.waited(model, now)
            plan = another_replica(self._view, model, waiting.count(model), waited, now)
            if plan is not None:
                self.load(plan, f"{waiting.count(model)} wait for {model}, and there is room", now)

    # ── loads ────────────────────────────────────────────────────────────────────────────────────────────────────

    def load(
        self, plan: Plan, why: str, now: float, *, pinned: bool = False, for_clients: bool = False
    ) -> None:
        """Commit a placement and tell those who wait for it; `for_clients`: nobody else wants it."""
        self._loads.order(plan, why, now, pinned=pinned, for_clients=for_clients)
        if not self._view.is_served(plan.model):
            self._tell_loading(plan.model, plan.leader.name, 0, now)

    def _tell_loading(self, model: str, node: str, percent: int, now: float) -> None:
        """Everybody who waits learns of the load."""
        self._requests.loading[model] = (node, percent)
        for key in self._requests.waiting.keys(model):
            request = self._requests.live[key]
            if not request.is_told:
                request.is_told = True
                self._requests.answer(request)
        if self._loads.has_begun(model):
            self.began(model, now)

    def began(self, model: str, now: float) -> None:
        """Devices have taken the load on: whoever waits for it waits as long as it may take. One that is refused moves
        nobody's deadline.
        """
        deadline = now + self._view.profile(model).load_deadline
        for key in self._requests.waiting.keys(model):
            request = self._requests.live[key]
            if not request.was_extended:
                request.was_extended = True
                self._requests.extend(request, deadline + request.submit.queue_ms / 1000)

    def progress(self, model: str, node: str, percent: int) -> None:
        """How far a load is, for those who were told of it."""
        told = self._requests.loading.get(model)
        if told is not None and told != (node, percent) and self._view.has_waiters(model):
            self._requests.loading[model] = (node, percent)
            self.tell(model)

    def tell(self, model: str) -> None:
        """Everybody who waits for a model learns where it stands."""
        for key in self._requests.waiting.keys(model):
            request = self._requests.live[key]
            request.is_told = model in self._requests.loading
            self._requests.answer(request)

    def ended(self, outcome: Ended, now: float) -> None:
        """A placement has ended; what becomes of those who wait for it?"""
        placement, model = outcome.placement, outcome.placement.model
        note = self._state.decisions.note
        if not model:
            if outcome.end is not End.DONE:
                names = ", ".join(placement.plan.victims)
                note(now, f"eviction {outcome.end.value}", names, outcome.detail)
            return
        self._requests.loading.pop(model, None)
        note(
            now, f"load {outcome.end.value}", model, outcome.detail or f"after {now - placement.begun:.1f} s"
        )
        match outcome.end:
            case End.DONE:
                self.became_hot(model, now)
            case End.FAILED:
                self.load_failed(model, outcome.detail, now)
            case End.LOST:
                self._state.crashes[model] += 1
                if self._state.crashes[model] >= CRASHES:
                    self.load_failed(model, outcome.detail, now)
            case End.REFUSED:
                pass

    def became_hot(self, model: str, now: float) -> None:
        """It loads again: what failed before is forgotten, and whoever waited waits for a slot from now on."""
        self._view.loaded(model)
        self._state.crashes.pop(model, None)
        self._requests.loading.pop(model, None)
        self.serve(model, now)

    def load_failed(self, model: str, detail: str, now: float) -> None:
        """No load for a while, and everybody who waited is told once, unless another replica serves or loads."""
        failure = self._view.failed(model, detail, now)
        if self._view.is_served(model) or self._view.loading_at(model) is not None:
            return
        fault = load_failed(model, detail, failure.until - now)
        for key in list(self._requests.waiting.keys(model)):
            self._requests.refuse(self._requests.live[key], fault, now)

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def overdue(self, now: float) -> None:
        """Turn away who has waited too long."""
        for key in self._requests.waiting.overdue(now):
            request = self._requests.live[key]
            self._requests.refuse(request, self._overdue_fault(request, now), now)

    def _overdue_fault(self, request: Request, now: float) -> Fault:
        match self.choice(request, now):
            case Wait() as wait:
                code = Code.OVERLOADED if wait.is_busy else Code.NO_CAPACITY
                reason = told(wait, request.model, self._view, now)
            case Join(node=node, percent=percent):
                code, reason = Code.NO_CAPACITY, f"it is still loading on {node} ({percent} %)"
            case _:
                code, reason = Code.NO_CAPACITY, "no replica became ready"
        return Fault(code=code, message=f"{request.model}: {reason}; try again.", retry_after=5)


def _because(request: Request) -> str:
    return f"request {request.key[0]} wants {request.model}"
