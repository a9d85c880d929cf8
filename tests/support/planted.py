"""Bugs, planted on purpose: each is what somebody might write, and the proofs must find it by its own symptom.

A bug is a broker with one part exchanged, or one function of the policies. Where the core's own books would tell at
once, they are made blind to it: the bug must show in what the core does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar
from unittest import mock

from cortex.broker import eviction
from cortex.broker import placement as placing
from cortex.broker.core import Broker
from cortex.broker.edgeside import EdgeSide
from cortex.broker.events import FromNeuron
from cortex.broker.fleet import Neuron
from cortex.broker.loads import End, Ended, Loads, Placement
from cortex.broker.neuronside import NeuronSide
from cortex.broker.operations import Operations
from cortex.broker.placement import Plan
from cortex.broker.reasons import Reasons
from cortex.broker.requests import Request, Requests
from cortex.broker.restoring import Restoring
from cortex.broker.serving import Serving
from cortex.broker.waiting import Key
from cortex.protocol import messages as m


class Altered(Broker):
    """A broker of other parts."""

    Requests: ClassVar[type[Requests]] = Requests
    Loads: ClassVar[type[Loads]] = Loads
    Serving: ClassVar[type[Serving]] = Serving
    NeuronSide: ClassVar[type[NeuronSide]] = NeuronSide

    def __init__(self, name: str, now: float, **more: Any) -> None:
        catalogue = more.pop("catalogue", None)
        super().__init__(name, now, **more)
        state = self.state
        state.requests = self.Requests(state.effects)
        prefix = f"{name}-{more.get('epoch', '')}"
        state.loads = self.Loads(state.view, state.effects, state.decisions, prefix)
        state.view.has_waiters = state.requests.has_waiters
        state.view.underway = state.loads.underway
        self.serving = self.Serving(state)
        self.reasons = Reasons(state, self.serving)
        self.edgeside = EdgeSide(state, self.serving, self.reasons)
        self.restoring = Restoring(state, self.serving)
        self.neuronside = self.NeuronSide(state, self.serving, self.edgeside, self.restoring)
        self.operations = Operations(state, self.serving, self.restoring)
        if catalogue is not None:
            self.use_catalogue(catalogue, now)
            state.effects.clear()


class BlindLoads(Loads):
    def check(self) -> None:
        """Sees nothing."""


# ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────────


class KeepsTheSlotOfAFailure(Altered):
    """A slot leaks on one way out; the books that `check` reads are blind to it."""

    class NeuronSide(NeuronSide):
        def _terminal(
            self, neuron: Neuron, message: m.Finished | m.Failed, event: FromNeuron, now: float
        ) -> None:
            model = neuron.assigned.get((message.request, message.attempt))
            super()._terminal(neuron, message, event, now)
            if isinstance(message, m.Failed) and model is not None:
                neuron.load[model] += 1

    def check(self) -> None:
        self.requests.check(self.neurons.values())


class ReturnsToTheBack(Altered):
    """What comes back loses its place in the queue."""

    class Requests(Requests):
        def put_back(self, request: Request, now: float) -> None:
            request.number = self.submitted = self.submitted + 1
            super().put_back(request, now)

        def check(self, *_: object) -> None:
            pass


class ForgetsToWake(Altered):
    """An answer frees a slot, and nobody who waits is woken."""

    class NeuronSide(NeuronSide):
        def _terminal(
            self, neuron: Neuron, message: m.Finished | m.Failed, event: FromNeuron, now: float
        ) -> None:
            request = self.of_neuron(neuron, message.request, message.attempt)
            if request is not None:
                self._requests.end(request, message, now, event.payload)


class RunsDuplicatesAgain(Altered):
    """A late duplicate of an ended attempt is executed."""

    class Requests(Requests):
        def has_ended(self, key: Key) -> bool:
            return False


class BelievesTheDeparted(Altered):
    """A terminal counts whoever sends it."""

    class NeuronSide(NeuronSide):
        def of_neuron(self, neuron: Neuron, request: str, attempt: int) -> Request | None:
            found = self._requests.live.get((request, attempt))
            return found if found is not None and found.neuron is not None else None


class RelaysForAnySession(Altered):
    """Token frames pass by their route alone."""

    def relay(self, neuron: bytes, session: bytes, edge: bytes) -> bool:
        return neuron in self.neurons and edge in self.edges


class ClearsEveryRefusal(Altered):
    """A refusal for one model makes the broker forget those for the others: it spins."""

    class NeuronSide(NeuronSide):
        def _refused(self, neuron: Neuron, message: m.Refused, event: FromNeuron, now: float) -> None:
            neuron.full.clear()
            super()._refused(neuron, message, event, now)


# ── placement ────────────────────────────────────────────────────────────────────────────────────────────────────


class RevivesVictims(Altered):
    """Who was chosen to leave is given requests until the device has answered."""

    class Loads(BlindLoads):
        def order(self, plan: Plan, why: str, now: float, **more: Any) -> Placement:
            placement = super().order(plan, why, now, **more)
            for part in plan.parts:
                part.neuron.closing.clear()
            return placement


class SleepsThroughNews(Altered):
    """A device says what it holds now, and nobody who waits is woken."""

    class NeuronSide(NeuronSide):
        def _ready(self, neuron: Neuron, message: m.Ready, event: FromNeuron, now: float) -> None:
            with mock.patch.object(self._serving, "serve_all"), mock.patch.object(self._serving, "serve"):
                super()._ready(neuron, message, event, now)


class BelievesInGhosts(Altered):
    """A device is gone, and the load that it had in hand is still believed to be under way."""

    class Loads(BlindLoads):
        def lost(self, neuron: Neuron) -> list[Ended]:
            return []


class LoadsTwice(Altered):
    """Nobody looks whether the model is loading already."""

    def __init__(self, name: str, now: float, **more: Any) -> None:
        super().__init__(name, now, **more)
        self.state.view.underway = _nothing


def _nothing(_model: str) -> None:
    return None


class RepeatsWhatWasRefused(Altered):
    """A refused placement is asked again as it was, whoever may have left meanwhile."""

    class Serving(Serving):
        def ended(self, outcome: Ended, now: float) -> None:
            super().ended(outcome, now)
            plan = outcome.placement.plan
            free = all(not part.neuron.asked for part in plan.parts)
            if outcome.end is End.REFUSED and free and plan.model not in self._loads.by_model:
                self._loads.order(plan, "again", now)


class WaitsForAFailure(Altered):
    """A load that failed is waited for: one day it may be hot."""

    class Loads(Loads):
        def _outcome(self, placement: Placement, now: float) -> tuple[End, str] | None:
            outcome = super()._outcome(placement, now)
            return None if outcome is not None and outcome[0] is End.FAILED else outcome


class TakesNoForAnAnswer(Altered):
    """After a refusal nobody looks for another place."""

    class NeuronSide(NeuronSide):
        def _place_refused(
            self, neuron: Neuron, message: m.PlaceRefused, event: FromNeuron, now: float
        ) -> None:
            with mock.patch.object(self._serving, "serve_all"):
                super()._place_refused(neuron, message, event, now)


class NeverReopens(Altered):
    """Victims stay closed after the device has answered, and when they are back."""

    class Loads(BlindLoads):
        def _reopen(self, neuron: Neuron) -> None:
            neuron.asked = ""


class BelievesOldWords(Altered):
    """What a device said before it answered is taken for what came of it."""

    class Loads(Loads):
        def _outcome(self, placement: Placement, now: float) -> tuple[End, str] | None:
            versions, placement.versions = placement.versions, dict.fromkeys(placement.versions, -1)
            try:
                return super()._outcome(placement, now)
            finally:
                placement.versions = versions


class IgnoresTheDeadlineOfLoads(Altered):
    """A load may take as long as it likes."""

    class Loads(Loads):
        def overdue(self, now: float) -> list[Ended]:
            for placement in self.by_command.values():
                placement.deadline = max(placement.deadline, now + 1.0)
            return super().overdue(now)


class ExtendsForEver(Altered):
    """Every further load lets its waiters wait longer."""

    class Serving(Serving):
        def began(self, model: str, now: float) -> None:
            for key in self._requests.waiting.keys(model):
                self._requests.live[key].was_extended = False
            super().began(model, now)


class ForgetsWhoComesBack(Altered):
    """A request that its device refused is put back, and nobody serves it elsewhere."""

    class NeuronSide(NeuronSide):
        def lose(self, route: bytes, now: float, *, by_itself: bool = False) -> None:
            with mock.patch.object(self._serving, "serve_all"):
                super().lose(route, now, by_itself=by_itself)


# ── policies ─────────────────────────────────────────────────────────────────────────────────────────────────────

_victims, _residents = eviction.victims, placing.residents


def the_long_way(
    view: Any, profile: Any, now: float, *, drain: bool = False, idle: bool = False, **more: Any
) -> Any:
    """The best placement by a close look at every device, so that what is planted there cannot be passed by."""
    found = placing.looks(view, profile, now, drain=drain, **more)
    return placing.plan(view, profile, found, drain=drain, idle=idle)


def too_few(*args: Any, **more: Any) -> Any:
    """The last victim is spared, though the others do not suffice."""
    found = _victims(*args, **more)
    return found[:-1] if found and len(found) > 1 else found


def too_many(missing: int, residents: Any, **more: Any) -> Any:
    """Everybody who may go, goes."""
    residents = list(residents)
    return _victims(
        max(missing, sum(one.footprint for one in residents)) if missing > 0 else 0, residents, **more
    )


def as_if_idle(*args: Any, **more: Any) -> Any:
    """Nobody is ever busy."""
    return [replace(one, busy=0) for one in _residents(*args, **more)]


def as_if_loose(*args: Any, **more: Any) -> Any:
    """Nobody is ever pinned."""
    return [replace(one, pinned=False) for one in _residents(*args, **more)]


def for_one_more(*args: Any, idle: bool = False, **more: Any) -> Any:
    """Another replica may cost somebody the place."""
    return the_long_way(*args, **more)


def used_or_not(view: Any, _owns: Any, now: float) -> Iterator[tuple[Neuron, str]]:
    """The time to live ends whatever is in hand."""
    for neuron in view.neurons.values():
        for name, held in neuron.models.items():
            ttl = view.profile(name).ttl
            if ttl and held.state == "hot" and not neuron.asked and now - neuron.since.get(name, now) >= ttl:
                yield neuron, name
                break


def never_asked(model: str, neuron: Neuron, now: float) -> str:
    """A device may be asked two things at once."""
    held = neuron.models.get(model)
    if neuron.state != "ready" or neuron.stalled or neuron.drained:
        return "closed"
    return "here" if held is not None and held.state in placing.OCCUPYING else ""


def never_coming(*_args: Any) -> bool:
    """A replica of which a share is still loading counts as broken."""
    return False


# ── the table ────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, kw_only=True)
class Planted:
    """`where`: the scene that finds it, or "simulator"; `finding`: its symptom, as a regular expression."""

    name: str
    where: str
    finding: str
    broker: type[Broker] = Broker
    patches: dict[str, Any] = field(default_factory=dict)

    @contextmanager
    def planted(self) -> Iterator[type[Broker]]:
        with ExitStack() as stack:
            for target, other in self.patches.items():
                stack.enter_context(mock.patch(target, other))
            yield self.broker


def _part(broker: type[Broker], where: str, finding: str) -> Planted:
    return Planted(name=broker.__name__, where=where, finding=finding, broker=broker)


def _policy(target: str, function: Any, where: str, finding: str) -> Planted:
    long_way = {f"cortex.broker.{user}.best": the_long_way for user in ("core", "routing", "upkeep")}
    patches = {**long_way, f"cortex.broker.{target}": function}
    return Planted(name=function.__name__, where=where, finding=finding, patches=patches)


SIMULATOR = "simulator"
PLANTED = (
    _part(KeepsTheSlotOfAFailure, SIMULATOR, "slots are taken"),
    _part(ReturnsToTheBack, SIMULATOR, "was served before"),
    _part(ForgetsToWake, SIMULATOR, "somebody waits beside a free slot"),
    _part(RunsDuplicatesAgain, SIMULATOR, "executed after its terminal|ended twice|was served before"),
    _part(BelievesTheDeparted, SIMULATOR, "that it had left"),
    _part(RelaysForAnySession, SIMULATOR, "unknown session"),
    _part(ClearsEveryRefusal, SIMULATOR, "spins"),
    _part(RepeatsWhatWasRefused, "sharing", "is loaded for nobody"),
    _part(ExtendsForEver, SIMULATOR, "waits past its deadline"),
    _part(IgnoresTheDeadlineOfLoads, SIMULATOR, "is past its deadline"),
    _part(RevivesVictims, "turns", "which is a victim"),
    _part(SleepsThroughNews, "swap", "beside a free slot|could be loaded now"),
    _part(BelievesInGhosts, "spanning, crashing", "stuck"),
    _part(LoadsTwice, "swap", "is loaded twice at once"),
    _part(WaitsForAFailure, "failing", "stuck"),
    _part(TakesNoForAnAnswer, "sharing", "could be loaded now"),
    _part(NeverReopens, "turns", "stuck"),
    _part(BelievesOldWords, "turns", "turned away: load_failed"),
    _part(ForgetsWhoComesBack, "crashing", "beside a free slot|could be loaded now"),
    _policy("placement.victims", too_few, "whole", "do not make room"),
    _policy("placement.victims", too_many, "crowded", "does not need all of its victims"),
    _policy("placement.residents", as_if_idle, "turns", "works and was to be evicted|is waited for"),
    _policy("placement.residents", as_if_loose, "pinned", "is pinned and was to be evicted"),
    _policy("placement.closed", never_asked, "swap", "asked twice at once"),
    _policy("upkeep.best", for_one_more, "replicas", "evicts somebody"),
    _policy("view.View.is_coming", never_coming, "spanning", "while a share of it was loading"),
    _policy("core.expired", used_or_not, "idle", "works and was to be evicted|is waited for"),
)
