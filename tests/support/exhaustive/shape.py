"""What a state looks like to anybody who cannot see clocks, counters and names: equal shapes behave alike.

Times are steps ago or ahead, up to where they stop to matter; versions are relative to the device's own; requests are
numbered by their order, commands by theirs. Every field of the broker's books is either in here or in `IGNORED`, with
the reason; a test holds this list against the classes. Two states of one shape that would differ after all are only
explored once, so a fault may be missed, but what is found is always real.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from cortex.broker.fleet import Neuron
from cortex.broker.loads import Placement
from cortex.protocol import messages as m
from cortex.protocol.values import Model

if TYPE_CHECKING:
    from exhaustive.device import Device
    from exhaustive.world import World

Shape = tuple[Any, ...]

SEEN: dict[str, str] = {
    "Neuron": "route state version drained models since used foreign assigned load full closing asked shut refused stuck strays"
    " device dispatches seen",
    "Placement": "command plan deadline messages asked_at versions committed for_clients is_abandoned",
    "Request": "key edge submit state neuron sent missing since",
    "View": "neurons gone failures holders",
    "Held": "name state slots pinned devices command waits committed began failures",
}
IGNORED: dict[str, dict[str, str]] = {
    "Neuron": dict.fromkeys(("session", "node", "name", "counter"), "follows from the route")
    | dict.fromkeys(("turn", "phase", "detail", "tokens", "tokens_per_s"), "shown, or only ever grows")
    | {
        "cycles": "no device is worn here",
        "evictions": "only ever grows",
        "stalled": "no device stalls here",
    },
    "Placement": {
        "why": "words",
        "reason": "a word for a counter",
        "begun": "measured only",
        "allowed_s": "of the profile",
    }
    | dict.fromkeys(("percent", "detail"), "shown"),
    "Request": dict.fromkeys(("number", "arrived"), "the order of keys is the same")
    | dict.fromkeys(("deadline", "was_extended", "is_told"), "nobody's patience ends here")
    | dict.fromkeys(("charged", "matched", "payload"), "all alike here"),
    "View": dict.fromkeys(("policy", "profiles", "_bare", "settles_at", "known"), "never changes here")
    | dict.fromkeys(("hot", "_standing"), "follows from the neurons")
    | dict.fromkeys(("has_waiters", "awaited", "underway"), "a question")
    | dict.fromkeys(("refused", "blocked"), "shown; what devices refused is in their own books")
    | {"usage": "weighed by the strategy `cost` only"},
    "Held": {"footprint": "of the profile", "deadline_s": "of the profile", "detail": "words"},
}


class Shaper:
    """Names for one state."""

    def __init__(self, world: World, step: float) -> None:
        self.world = world
        self.now = world.now
        self.step = step
        self.broker = world.broker
        names = {key[0] for key in self.broker.requests.live}
        for device in world.devices:
            names.update(key[0] for key in device.live)
        self.requests = {name: rank for rank, name in enumerate(sorted(names, key=lambda one: int(one[1:])))}
        self.commands: dict[str, int] = {}
        self.devices = {device.route: device for device in world.devices if device.alive}
        for command in self.broker.state.loads.by_command:
            self.commands[command] = len(self.commands)

    def ago(self, when: float, most: int) -> int:
        return min(most, int((self.now - when) / self.step + 0.01))

    def ahead(self, when: float, most: int = 12) -> int:
        return max(0, min(most, ceil((when - self.now) / self.step - 0.01)))

    def command(self, name: str) -> int:
        if not name:
            return -1
        return self.commands.setdefault(name, len(self.commands))

    def request(self, name: str) -> int:
        return self.requests.get(name, -1)

    # ── the whole ────────────────────────────────────────────────────────────────────────────────────────────────

    def shape(self) -> Shape:
        world, state = self.world, self.broker.state
        left = world.left
        return (
            (left.arrivals, left.leaves, left.crashes, left.failures, left.lags, left.beats),
            (world.judge.has_failed, world.judge.has_crashed),
            tuple([(self.request(name), model) for name, model in world.judge.open.items()]),
            tuple([self._request(one) for one in self.broker.requests.live.values()]),
            tuple([self._placement(one) for one in state.loads.by_command.values()]),
            tuple(sorted([self._neuron(one) for one in state.view.neurons.values()])),
            tuple([self._device(one) for one in world.devices]),
            tuple(sorted(state.view.gone)),
            tuple(
                sorted(
                    [(name, one.count, self.ahead(one.until)) for name, one in state.view.failures.items()]
                )
            ),
            tuple(sorted([(name, min(2, count)) for name, count in state.crashes.items() if count])),
        )

    def _request(self, one: Any) -> Shape:
        turn = self.world.scene.turn_s
        waited = ceil(turn / self.step)
        where = one.neuron.route if one.neuron is not None else b""
        return (
            self.request(one.key[0]),
            one.model,
            one.state.value,
            self._where(where),
            self.ago(one.since, waited) if one.state == "waiting" else 0,
            self.ago(one.sent, 1) if where else 0,
            one.missing,
        )

    def _where(self, route: bytes) -> int:
        """A device's index; an earlier process of it counts from -1 downwards."""
        if not route:
            return 9
        device = self.devices.get(route)
        return device.index if device is not None else -1 - int(route.split(b"-")[1])

    def _placement(self, one: Placement) -> Shape:
        return (
            self.command(one.command),
            one.model,
            tuple([(self._where(part.neuron.route), part.evict, part.loads) for part in one.plan.parts]),
            one.plan.drain,
            tuple(
                sorted([(self._where(route), self._version(route, at)) for route, at in one.versions.items()])
            ),
            one.committed,
            self.ago(one.asked_at, 2) if not one.is_answered else 0,
            self.ahead(one.deadline, 3),
        )

    def _version(self, route: bytes, version: int) -> int:
        device = self.devices.get(route)
        return version - device.shelf.version if device is not None else version

    def _models(self, models: Any) -> Shape:
        return tuple(sorted([_model(one) for one in models]))

    def _neuron(self, one: Neuron) -> Shape:
        profile = self.broker.state.view.profile
        order = sorted(one.used, key=lambda name: (one.used[name], name))
        return (
            self._where(one.route),
            one.state,
            self._version(one.route, one.version),
            self._models(one.models.values()),
            one.device.free_bytes,
            tuple(
                sorted(
                    [
                        (name, self.ago(at, ceil(profile(name).min_residency / self.step)))
                        for name, at in one.since.items()
                    ]
                )
            ),
            tuple(order),
            tuple(
                sorted(
                    [
                        (name, self.ago(at, ceil(profile(name).ttl / self.step)))
                        for name, at in one.used.items()
                        if profile(name).ttl
                    ]
                )
            ),
            tuple(sorted(one.foreign.items())),
            tuple(sorted(one.full)),
            tuple(sorted(one.closing)),
            tuple(sorted(one.stuck)),
            self.command(one.asked),
            tuple(sorted([(name, self.ahead(at)) for name, at in one.shut.items() if at > self.now])),
            tuple(sorted([(self.request(key[0]), self.ago(at, 1)) for key, at in one.strays.items()])),
            self.ago(one.seen, 1),
        )

    # ── devices and what is on its way ───────────────────────────────────────────────────────────────────────────

    def _device(self, one: Device) -> Shape:
        return (
            one.alive,
            tuple([self._held(held) for held in one.shelf.models.values()]) if one.alive else (),
            tuple([self.request(key[0]) for key in one.live]),
            tuple([(self.ahead(at), self.command(name)) for at, name, _ in one.timers.due]),
            tuple([self._message(message, one.route) for message in one.up]),
            tuple([self._message(message, one.route) for message in one.down]),
            tuple(
                [
                    ("gone",) if message is None else self._message(message, route)
                    for route, message in one.last_words
                ]
            ),
        )

    def _held(self, one: Any) -> Shape:
        began = one.began is not None
        return (
            one.name,
            one.state,
            one.slots,
            one.pinned,
            one.devices,
            self.command(one.command) if one.state == "loading" else -1,
            tuple(sorted(one.waits)),
            one.committed,
            began,
            min(3, one.failures),
        )

    def _message(self, message: Struct, route: bytes) -> Shape:
        kind = type(message).__name__
        match message:
            case m.Ready():
                device = message.device
                return (
                    kind,
                    self._version(route, message.version),
                    self._models(message.models),
                    device.free_bytes,
                )
            case m.Placed():
                return (kind, self.command(message.command), self._version(route, message.version))
            case m.PlaceRefused():
                version = self._version(route, message.version)
                return (kind, self.command(message.command), message.fault.code.value, version,
                        self._models(message.models))  # fmt: skip
            case m.Place():
                load = message.load.model if message.load is not None else ""
                version = self._version(route, message.version)
                return (kind, self.command(message.command), version, message.evict, load, message.drain)
            case m.Commit():
                return (kind, self.command(message.command))
            case m.Refused():
                return (kind, self.request(message.request), self._models(message.models))
            case m.Finished():
                return (kind, self.request(message.request), message.cancelled)
            case m.Generate() | m.Cancel() | m.Accepted() | m.Failed():
                return (kind, self.request(message.request))
            case m.Pin():
                return (kind, message.model, message.pinned)
            case _:
                return (kind,)


def _model(one: Model) -> Shape:
    return (one.id, one.state, one.slots, one.pinned, one.devices, one.failures)
