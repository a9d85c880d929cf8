"""What a device process takes with it when it ends, and gets back when it has been started again.

Runtime pins and an operator's drain live on the neuron, so that they survive any broker. They do not survive the process
itself: one that dies, or that is sent to restart because its memory is worn. The brokers remember both meanwhile, and
the owner of the device's name puts them back.
"""

from __future__ import annotations

from dataclasses import dataclass

from cortex.broker.events import ToNeuron
from cortex.broker.fleet import Neuron
from cortex.broker.serving import Serving
from cortex.broker.shortlist import best
from cortex.broker.state import State
from cortex.broker.upkeep import worn
from cortex.broker.view import FORGET_GONE
from cortex.protocol import messages as m


@dataclass(slots=True)
class Lost:
    """What the process of this `session` had; `since` when it was noted."""

    session: bytes
    since: float
    pins: tuple[str, ...]
    drained: bool = False


class Restoring:
    """Remembers by the device's name, for as long as a device that left is reckoned with."""

    def __init__(self, state: State, serving: Serving) -> None:
        self._state = state
        self._view = state.view
        self._serving = serving
        self.lost: dict[str, Lost] = {}

    def left(self, neuron: Neuron, now: float, *, by_itself: bool) -> None:
        """A process is gone. One that took its leave (`by_itself`) was stopped by somebody: its drain goes with it."""
        drained = neuron.drained and not by_itself
        pins = self._pins(neuron)
        known = self.lost.get(neuron.name)
        # One that was sent to restart is noted already, and that drain was ours.
        if known is not None and known.session == neuron.session:
            known.since = now
        elif pins or drained:
            self.lost[neuron.name] = Lost(neuron.session, now, pins, drained)

    def resume(self, device: str) -> None:
        """An operator puts the device into service: it is not drained again."""
        if device in self.lost:
            self.lost[device].drained = False

    def unpin(self, model: str) -> None:
        """An operator gives a pin up, wherever it was."""
        for lost in self.lost.values():
            lost.pins = tuple(name for name in lost.pins if name != model)

    def restart_worn(self, now: float) -> None:
        """Send one device process at a time to restart, and remember what was pinned there at run time."""
        neuron = worn(self._view, self._state.mesh.owns, self.lost.keys())
        if neuron is None:
            return
        self.lost[neuron.name] = Lost(neuron.session, now, self._pins(neuron))
        reason = f"{neuron.cycles} load cycles; its memory is to be whole again"
        self._state.decisions.note(now, "restart", neuron.name, reason)
        command = f"{self._state.name}-restart-{neuron.name}-{neuron.session.hex()}"
        self._send(neuron, m.Drain(command=command, drained=True, restart=True))

    def put_back(self, now: float) -> None:
        """What is still missing on devices whose processes are there again. Each pin by itself: one that cannot be
        loaded keeps no other from its place.
        """
        for name in [name for name, lost in self.lost.items() if now - lost.since > FORGET_GONE]:
            del self.lost[name]
        for neuron in list(self._view.neurons.values()):
            lost = self.lost.get(neuron.name)
            if lost is None or lost.session == neuron.session or neuron.state != "ready":
                continue
            if not self._state.mesh.owns(neuron.name):
                continue
            if lost.drained and not neuron.drained:
                command = f"{self._state.name}-drain-{neuron.name}-{neuron.session.hex()}"
                self._send(neuron, m.Drain(command=command, drained=True))
                continue
            missing = [model for model in lost.pins if not _stands(neuron, model)]
            if not missing:
                del self.lost[neuron.name]
            elif neuron.serves and not neuron.asked:
                self._load_one(neuron, missing, now)

    def _load_one(self, neuron: Neuron, missing: list[str], now: float) -> None:
        view = self._view
        for model in missing:
            if view.is_backing_off(model, now) or view.underway(model) is not None:
                continue
            found = best(view, view.profile(model), now, only=neuron.name)
            if found is not None:
                why = f"it was pinned on {neuron.name} before its process ended"
                self._serving.load(found, why, now, pinned=True)
                return

    def _pins(self, neuron: Neuron) -> tuple[str, ...]:
        """Those that the next process does not come by by itself."""
        return tuple(
            name
            for name, model in neuron.models.items()
            if model.pinned and model.state == "hot" and not self._view.profile(name).pinned
        )

    def _send(self, neuron: Neuron, message: m.Drain) -> None:
        self._state.effects.append(ToNeuron(neuron.route, message))


def _stands(neuron: Neuron, model: str) -> bool:
    held = neuron.models.get(model)
    return held is not None and held.state not in {"cold", "failed"}
