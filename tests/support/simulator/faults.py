"""What goes wrong, drawn from the seed: each seed enables some kinds only, so that rare mixtures occur (swarm testing).

Every fault ends by itself; after the last one the world is healthy again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from cortex.broker.events import EdgeUnreachable, FromEdge, FromNeuron, NeuronUnreachable
from cortex.protocol import messages as m
from cortex.protocol.deltas import Delta, Deltas
from cortex.protocol.faults import Code, Fault
from simulator.edge_model import EdgeModel
from simulator.neuron_model import NeuronModel
from simulator.world import Tokens, World


class Faults:
    """Strikes at drawn moments; `struck` counts what really happened."""

    def __init__(
        self, world: World, neurons: list[NeuronModel], edges: list[EdgeModel], end: float, models: list[str]
    ) -> None:
        self.world = world
        self.models = models
        self.end = end
        self.neurons = neurons
        self.edges = edges
        self.struck: Counter[str] = Counter()
        kinds: dict[str, Callable[[], bool]] = {
            "cut": self._cut,
            "crash": self._crash,
            "pause": self._pause,
            "slow": self._slow,
            "stall": self._stall,
            "lag": self._lag,
            "double": self._double,
            "edge_crash": self._edge_crash,
            "edge_pause": self._edge_pause,
            "broker_restart": self._broker_restart,
            "spurious_busy": self._spurious_busy,
            "garbage": self._garbage,
        }
        if world.catalogue.models:
            kinds |= {
                "load_fails": self._load_fails,
                "load_hangs": self._load_hangs,
                "foreign_memory": self._foreign_memory,
                "operator": self._operator,
                "crash_while_loading": self._crash_while_loading,
            }
        else:
            kinds["reload"] = self._reload
        rng = world.rng
        enabled = rng.sample(sorted(kinds), rng.randint(3, 8))
        for _ in range(rng.randint(6, 14)):
            kind = rng.choice(enabled)
            world.at(rng.uniform(1.0, end), self._strike, (kind, kinds[kind]))

    def _strike(self, kind: str, action: Callable[[], bool]) -> None:
        if action():
            self.struck[kind] += 1
            self.world.oracle.note(f"fault {kind}")

    def _neuron(self) -> NeuronModel | None:
        able = [neuron for neuron in self.neurons if neuron.alive and not neuron.is_standing]
        return self.world.rng.choice(able) if able else None

    def _edge(self) -> EdgeModel | None:
        able = [edge for edge in self.edges if edge.alive and not edge.paused]
        return self.world.rng.choice(able) if able else None

    # ── the network ──────────────────────────────────────────────────────────────────────────────────────────────

    def _cut(self) -> bool:
        rng = self.world.rng
        up = [link for link in self.world.links if link.up]
        if not up:
            return False
        link = rng.choice(up)
        link.sever(hidden=rng.random() < 0.5)
        link.connect_in(rng.choice([0.02, 0.3, 1.0, 2.5, 5.0]))
        return True

    def _lag(self) -> bool:
        rng = self.world.rng
        link = rng.choice(self.world.links)
        link.lag = rng.choice([0.2, 1.0, 3.0, 6.0])

        def pass_() -> None:
            link.lag = 0.0

        self.world.after(rng.uniform(0.5, 5.0), pass_)
        return True

    def _double(self) -> bool:
        rng = self.world.rng
        rng.choice(self.world.links).doubles += rng.randint(1, 12)
        return True

    # ── neurons ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _crash(self) -> bool:
        rng = self.world.rng
        neuron = self._neuron()
        if neuron is None:
            return False
        if rng.random() < 0.2:
            neuron.leave()
        else:
            neuron.crash(drain=rng.random() < 0.5)
        self.world.after(rng.choice([0.2, 1.0, 4.0, 8.0]), neuron.start)
        return True

    def _pause(self) -> bool:
        neuron = self._neuron()
        if neuron is None:
            return False
        neuron.paused = True
        self._end_later(neuron, neuron.go_on, self.world.rng.choice([0.5, 2.0, 4.0, 10.0]))
        return True

    def _stall(self) -> bool:
        """The device's loop stands while its pulse lives; it recovers, or its process is replaced."""
        rng = self.world.rng
        neuron = self._neuron()
        if neuron is None:
            return False
        neuron.stood_since = self.world.now
        recovers = rng.random() < 0.6

        def replace() -> None:
            neuron.crash(drain=True)
            self.world.after(0.5, neuron.start)

        self._end_later(neuron, neuron.go_on if recovers else replace, rng.choice([2.0, 6.0, 12.0]))
        return True

    def _end_later(self, neuron: NeuronModel, action: Callable[[], None], delay: float) -> None:
        life = neuron.life

        def end() -> None:
            if neuron.alive and neuron.life == life:
                action()

        self.world.after(delay, end)

    def _slow(self) -> bool:
        rng = self.world.rng
        neuron = rng.choice(self.neurons)
        neuron.slowness = rng.choice([3.0, 8.0])

        def pass_() -> None:
            neuron.slowness = 1.0

        self.world.after(rng.uniform(2.0, 8.0), pass_)
        return True

    def _spurious_busy(self) -> bool:
        neuron = self._neuron()
        if neuron is None:
            return False
        neuron.refuses_all = True

        def pass_() -> None:
            neuron.refuses_all = False

        self.world.after(self.world.rng.uniform(0.5, 4.0), pass_)
        return True

    def _reload(self) -> bool:
        """A model is dropped for a while."""
        rng = self.world.rng
        neuron = self._neuron()
        if neuron is None:
            return False
        model = rng.choice(sorted(neuron.slots or {"m0": 1}))
        neuron.hold(model, hot=False)
        self.world.after(rng.uniform(0.5, 6.0), self._loaded, (neuron, model))
        return True

    # ── placement ────────────────────────────────────────────────────────────────────────────────────────────────

    def _load_fails(self) -> bool:
        neuron = self.world.rng.choice(self.neurons)
        neuron.fate.fails += 1
        return True

    def _load_hangs(self) -> bool:
        neuron = self.world.rng.choice(self.neurons)
        if self.world.rng.random() < 0.5:
            neuron.fate.hangs += 1
        else:
            neuron.fate.deaf += 1
        return True

    def _foreign_memory(self) -> bool:
        """Somebody else takes memory of a device, or an unload does not give it back; it comes back later."""
        neuron = self._neuron()
        if neuron is None:
            return False
        shelf, taken = neuron.shelf, self.world.rng.randint(1, 3)
        shelf.foreign += taken

        def give_back() -> None:
            shelf.foreign -= taken

        self.world.after(self.world.rng.uniform(1.0, 8.0), give_back)
        return True

    def _crash_while_loading(self) -> bool:
        loading = [
            neuron
            for neuron in self.neurons
            if neuron.alive
            and not neuron.is_standing
            and any(held.state in ("loading", "draining") for held in neuron.shelf.models.values())
        ]
        if not loading:
            return False
        neuron = self.world.rng.choice(loading)
        neuron.crash(drain=self.world.rng.random() < 0.5)
        self.world.after(self.world.rng.choice([0.2, 1.0, 4.0]), neuron.start)
        return True

    def _operator(self) -> bool:
        """An operator gives an order; what would keep clients waiting is taken back before the end."""
        rng = self.world.rng
        if self.world.broker is None:
            return False
        verb = rng.choice(["load", "unload", "unload", "pin", "pin", "unpin", "drain", "resume"])
        model = rng.choice(self.models)
        node = rng.choice(self.neurons).name if verb in ("drain", "resume") or rng.random() < 0.3 else ""
        name = f"op-{rng.randrange(10**9)}"
        about = {"node": node} if verb in ("drain", "resume") else {"model": model, "node": node}
        self.world.order(m.Command(command=name, verb=verb, **about))
        self.world.oracle.branches[f"operator {verb}"] += 1
        back = {"drain": "resume", "pin": "unpin"}.get(verb)
        if back is not None:
            self._take_back(m.Command(command=f"{name}-back", verb=back, **about), 0)
        return True

    def _take_back(self, command: m.Command, tries: int) -> None:
        """Until it is done: a broker may restart in between and know nothing of it."""

        def give() -> None:
            broker = self.world.broker
            if broker is not None:
                order = broker.operations.orders.get(command.command)
                if order is not None and order.state == "done":
                    return
                self.world.oracle.branches[f"operator {command.verb}"] += 1
                name = f"{command.command}-{tries}"
                self.world.order(replace(command, command=name))
            if tries < 6:
                self._take_back(replace(command, command=command.command), tries + 1)

        self.world.after(self.world.rng.uniform(0.5, 5.0), give)

    def _loaded(self, neuron: NeuronModel, model: str) -> None:
        if neuron.alive and neuron.is_standing:
            self.world.after(1.0, self._loaded, (neuron, model))
        else:
            neuron.hold(model, hot=True)

    # ── edges and the broker ─────────────────────────────────────────────────────────────────────────────────────

    def _edge_crash(self) -> bool:
        edge = self._edge()
        if edge is None:
            return False
        edge.crash()
        self.world.after(self.world.rng.choice([0.2, 2.0, 5.0]), edge.start)
        return True

    def _edge_pause(self) -> bool:
        edge = self._edge()
        if edge is None:
            return False
        edge.paused = True
        life = edge.life

        def end() -> None:
            if edge.alive and edge.life == life:
                edge.go_on()

        self.world.after(self.world.rng.choice([1.0, 4.0, 7.0]), end)
        return True

    def _broker_restart(self) -> bool:
        if self.world.broker is None:
            return False
        self.world.stop_broker()
        self.world.after(self.world.rng.choice([0.1, 1.0, 3.0]), self.world.start_broker)
        return True

    def _garbage(self) -> bool:
        """Messages that nobody should send: wrong plane, wrong session, unknown peer, foreign request."""
        rng = self.world.rng
        neuron, edge = self._neuron(), self._edge()
        if neuron is None or edge is None or self.world.broker is None:
            return False
        stranger, session = self.world.fresh(5), self.world.fresh(8)
        keys = sorted(self.world.broker.requests.live) or [("nothing", 1)]
        name, attempt = rng.choice(keys)
        failed = m.Failed(request=name, attempt=attempt, fault=Fault(code=Code.INTERNAL, message="forged"))
        finished = m.Finished(request=name, attempt=attempt, totals=(1,))
        forged: list[Struct] = [
            failed,
            finished,
            m.Accepted(request=name, attempt=attempt),
            m.Registered(interval_ms=1),
        ]
        for message in forged:
            self.world.deliver(FromNeuron(neuron.route, session, message))
            self.world.deliver(FromNeuron(stranger, session, message))
            self.world.deliver(FromEdge(edge.route, edge.session, message))
        for route in (neuron.route, stranger):
            body = Deltas([Delta(name, attempt, 0, 0, [1, 2, 3], [])])
            self.world.deliver(Tokens(route, session, edge.route, body))
        self.world.deliver(FromEdge(stranger, session, m.Cancel(request=name, attempt=attempt)))
        self.world.deliver(FromEdge(stranger, session, m.Query(request=name, attempt=attempt)))
        self.world.deliver(EdgeUnreachable(self.world.fresh(5)))
        self.world.deliver(NeuronUnreachable(stranger))
        return True
