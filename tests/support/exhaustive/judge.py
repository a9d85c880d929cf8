"""What must hold in every state of the closed world, whatever led there; its own books beside those of the core.

Safety is asked after everything that the core did. `is_done` names the states in which nothing is left to do: the
explorer proves that one of them can be reached from everywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cortex.broker.events import Effect, ToEdge
from cortex.broker.lifecycle import State
from cortex.broker.routing import Load, Serve
from cortex.protocol import messages as m
from cortex.protocol.faults import Code

if TYPE_CHECKING:
    from exhaustive.world import World


class Wrong(AssertionError):
    """Something happened that must not happen."""


class Judge:
    """`open` holds the clients that wait for an answer: request → model."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.open: dict[str, str] = {}
        self.has_failed = False
        """A load failed: those who waited for it may be told so."""
        self.has_crashed = False
        """A device was lost, or may count as lost: those whom it served may be told so."""
        self.is_later = False
        """Time has passed, and the broker has not looked at what is due."""
        self.victims: dict[bytes, tuple[str, frozenset[str]]] = {}
        """By device: the placement that it was asked and has not answered, and who leaves by it."""

    def after(self, effects: list[Effect]) -> None:
        """The core has done something."""
        broker = self.world.broker
        broker.check()
        for effect in effects:
            message = effect.message
            if isinstance(effect, ToEdge):
                if isinstance(message, m.Finished | m.Failed | m.Refused):
                    self._answered(message)
            elif isinstance(message, m.Place):
                self._placed(effect.route, message)
                self.victims[effect.route] = (message.command, frozenset(message.evict))
            elif isinstance(message, m.Generate):
                self._dispatched(effect.route, message)
        waited_for = {
            key[0] for key, one in broker.requests.live.items() if one.state is not State.CANCELLING
        }
        forgotten = self.open.keys() - waited_for
        require(not forgotten, f"{sorted(forgotten)} were forgotten")
        require(waited_for == self.open.keys(), f"{sorted(waited_for)} are served for nobody")
        asked = {one.route: one.asked for one in broker.neurons.values()}
        self.victims = {
            route: (command, victims)
            for route, (command, victims) in self.victims.items()
            if asked.get(route) == command
        }
        if not self.is_later:
            self._nobody_sleeps()

    def _answered(self, message: m.Finished | m.Failed | m.Refused) -> None:
        request = message.request
        require(request in self.open, f"{request} was answered twice, or after it had left")
        del self.open[request]
        if isinstance(message, m.Refused):
            fair = message.fault.code is Code.LOAD_FAILED and self.has_failed
            require(fair, f"{request} was turned away: {message.fault.code} {message.fault.message}")
        elif isinstance(message, m.Failed):
            fair = message.fault.code is Code.NEURON_LOST and self.has_crashed
            require(fair, f"{request} failed: {message.fault.code} {message.fault.message}")
        else:
            require(not message.cancelled, f"{request} was cancelled under its client")

    def _given_up(self, message: m.Place) -> None:
        broker = self.world.broker
        require(message.load is None, "a load was given up for another")
        for model in message.evict:
            waited = broker.requests.waiting.first(model) is not None
            require(not waited, f"the load of {model} was given up, and somebody waits for it")

    def _placed(self, route: bytes, message: m.Place) -> None:
        broker = self.world.broker
        view = broker.state.view
        neuron = view.neurons.get(route)
        if neuron is None or neuron.asked != message.command:
            return  # lost, or refused, in the same breath
        placement = broker.state.loads.by_command.get(message.command)
        require(placement is not None, f"{message.command} is in no book")
        if placement is not None and placement.asked_at != self.world.now:
            return  # it is asked again
        require(message.version == neuron.version, "a placement was decided on an old version")
        if placement is not None and placement.reason == "abandoned":
            self._given_up(message)
            return
        for victim in message.evict:
            held = neuron.models[victim]
            broken = len(view.members(neuron, victim)) < len(held.devices)
            pinned = held.pinned or view.profile(victim).pinned
            still = [one for one in view.neurons.values() if victim in one.models and held.devices]
            loading = any(one.models[victim].state == "loading" for one in still)
            require(not loading, f"{victim} was to be evicted while a share of it was loading")
            require(held.state == "hot", f"{victim} is {held.state} and was to be evicted")
            require(not pinned or broken, f"{victim} is pinned and was to be evicted")
            if not message.drain:
                require(not neuron.load[victim], f"{victim} works and was to be evicted")
                somebody = broker.requests.waiting.first(victim) is not None
                require(not somebody, f"{victim} is waited for and was to be evicted")
        if message.load is None:
            return
        model, need = message.load.model, message.load.footprint_bytes
        freed = [neuron.models[victim].footprint_bytes for victim in message.evict]
        free = neuron.device.free_bytes
        require(need <= free + sum(freed), f"the victims of {model} do not make room for it")
        if message.evict and not any(neuron.models[victim].devices for victim in message.evict):
            spare = need <= free + sum(freed) - min(freed)
            require(not spare, f"{model} does not need all of its victims")
        somebody = broker.requests.waiting.first(model) is not None or view.profile(model).pinned
        require(somebody, f"{model} is loaded for nobody")
        hot = [one.name for one in view.replicas(model)]
        require(len(hot) < view.profile(model).replicas.max, f"{model} is loaded once too often")
        require(not hot or not message.evict, f"another replica of {model} evicts somebody")

    def _dispatched(self, route: bytes, message: m.Generate) -> None:
        neuron = self.world.broker.neurons.get(route)
        if neuron is None:
            return  # lost in the same breath
        model = message.model
        require(message.request in self.open, f"{message.request} is run for nobody")
        asked, victims = self.victims.get(route, ("", frozenset()))
        if asked == neuron.asked:
            require(model not in victims, f"{message.request} was sent to {model}, which is a victim")
        held = neuron.models.get(model)
        is_hot = held is not None and held.state == "hot"
        require(is_hot, f"{message.request} was sent to {model}, which is not hot")

    def _nobody_sleeps(self) -> None:
        """Nobody waits beside what would serve them: not after anything that the core was told."""
        broker, now = self.world.broker, self.world.now
        for model in broker.requests.waiting.models():
            key = broker.requests.waiting.first(model)
            assert key is not None
            choice = broker.serving.choice(broker.requests.live[key], now)
            require(not isinstance(choice, Serve), f"{model}: somebody waits beside a free slot")
            if model not in broker.state.loads.by_model:
                sleeps = isinstance(choice, Load)
                require(not sleeps, f"{model}: somebody waits, and it could be loaded now")

    def is_done(self) -> bool:
        """Whether everybody is answered, nothing is on its way, and the books are closed."""
        broker = self.world.broker
        return (
            not self.open
            and not broker.requests.live
            and not broker.state.loads.by_command
            and all(not (one.up or one.down or one.last_words or one.live) for one in self.world.devices)
            and all(one.alive for one in self.world.devices)
            and all(not (one.asked or one.closing or one.strays) for one in broker.neurons.values())
            and all(
                one.route in broker.neurons
                and tuple(broker.neurons[one.route].models.values()) == one.listed()
                and not any(held.state in ("loading", "draining") for held in one.shelf.models.values())
                for one in self.world.devices
            )
        )


def require(holds: bool, what: str) -> None:
    if not holds:
        raise Wrong(what)
