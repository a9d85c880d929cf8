"""Any sequence of commands, requests and engine outcomes: the promises of a device's residency hold after each."""

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from neuron_bench import NeuronBench, terminals

from cortex.neuron.config import ModelSettings, SimSettings
from cortex.neuron.engine.base import Order
from cortex.neuron.engine.sim import SimEngine
from cortex.neuron.ledger import Stage
from cortex.neuron.residency import BACK_WITHIN, PATIENCE, Residency
from cortex.protocol import messages as m
from cortex.protocol.values import Device

MODELS = "abcd"
SIZES = {"a": 20, "b": 40, "c": 60, "d": 90}
DEADLINE = 8.0


class Watched(SimEngine):
    """Notes what a device must never be asked for."""

    def __init__(self, device: Device, script: SimSettings) -> None:
        super().__init__(device, script)
        self.loads: Counter[str] = Counter()
        self.foreign = 0
        self.residency: Residency | None = None

    @property
    def free_bytes(self) -> int:
        return max(0, super().free_bytes - self.foreign)

    def load(self, order: Order, reserved: int, now: float) -> None:
        assert order.model not in self._loads, "a second load at the same time"
        assert order.model not in self._held, "a load of what is there"
        assert reserved <= self.free_bytes, "a load without the room"
        if self.residency is not None:
            loading = self.residency.holdings[order.model].loading
            assert loading is not None
            assert not loading.waits_for & self._held.keys(), "a load beside its victims"
            assert loading.commit_by is None, "a load without its commit"
        self.loads[order.model] += 1
        super().load(order, reserved, now)

    def unload(self, model: str, now: float) -> None:
        assert not any(run.model == model for run in self._runs.values()), "the end of a running request"
        super().unload(model, now)


class ResidencyMachine(RuleBasedStateMachine):
    """One device, two brokers; whatever is sent is answered, whatever runs comes to its end."""

    models = st.sampled_from(MODELS)
    links = st.integers(0, 1)

    @initialize(
        fails=st.sets(models, max_size=1),
        hangs=st.sets(models, max_size=1),
        leak=st.sampled_from([0, 0, 0, 7]),
        configured=st.lists(models, max_size=2, unique=True),
        asleep=st.sampled_from([0, 70, 200]),
    )
    def begin(self, fails: set[str], hangs: set[str], leak: int, configured: list[str], asleep: int) -> None:
        self.bench = NeuronBench(
            *(ModelSettings(id=model) for model in configured),
            links=2,
            make=self.engine,
            load_fails=tuple(fails),
            load_hangs=tuple(hangs - fails),
            leak_bytes=leak,
            settle=False,
            asleep=asleep,
        )
        self.made.residency = self.bench.residency
        self.healthy = not fails and not hangs and not leak
        self.commands: list[tuple[m.Place, object]] = []
        self.requests = 0
        self.foreign = False
        self.accepted: set[str] = set()
        self.ended: Counter[str] = Counter()

    def engine(self, device: Device, script: SimSettings) -> Watched:
        self.made = Watched(device, script)
        return self.made

    def listen(self) -> None:
        for link in range(2):
            for one in self.bench.heard(link):
                assert not isinstance(one, m.Placed | m.PlaceRefused), "an answer that nobody waits for"
                self.ended.update(terminals([one]).keys())

    def answer(self, command: m.Place | m.Pin | m.Drain, link: int) -> object:
        before = self.bench.residency.version
        busy = {name for name, one in self.bench.residency.holdings.items() if one.running}
        pinned = {name for name, one in self.bench.residency.holdings.items() if one.pinned}
        answers = []
        for index in range(2):
            heard = self.bench.give(command, link=index) if index == link else self.bench.heard(index)
            self.ended.update(terminals(heard).keys())
            found = [one for one in heard if isinstance(one, m.Placed | m.PlaceRefused)]
            assert index == link or not found, "the answer of another"
            answers += found
        [answer] = answers
        assert answer.command == command.command
        if isinstance(answer, m.PlaceRefused):
            assert self.bench.residency.version == before, "a refusal that changed something"
        elif isinstance(command, m.Place) and self.bench.residency.version != before:
            assert not set(command.evict) & pinned, "a pinned victim"
            assert command.drain or not set(command.evict) & busy, "a busy victim"
        return answer

    @rule(
        link=links,
        load=models,
        data=st.data(),
        drain=st.booleans(),
        several=st.sampled_from([False] * 3 + [True]),
    )
    def make_room(self, link: int, load: str, data: st.DataObject, *, drain: bool, several: bool) -> None:
        """What a broker would do: as many victims as it takes, in any order."""
        ledger, size = self.bench.residency.ledger, SIZES[load]
        held = [name for name, entry in ledger.entries.items() if entry.stage is Stage.HELD and name != load]
        victims: list[str] = []
        for name in data.draw(st.permutations(held)):
            if size <= ledger.in_budget(victims):
                break
            victims.append(name)
        self.place(link, load, victims, drain=drain, several=several)

    @rule(
        link=links,
        load=st.none() | models,
        evict=st.lists(models, max_size=2),
        drain=st.booleans(),
        stale=st.sampled_from([0, 0, 1]),
    )
    def place_anything(
        self, link: int, load: str | None, evict: list[str], *, drain: bool, stale: int
    ) -> None:
        self.place(link, load, evict, drain=drain, stale=stale)

    @rule(link=links, data=st.data(), drain=st.booleans(), sleep=st.booleans())
    def evict(self, link: int, data: st.DataObject, *, drain: bool, sleep: bool) -> None:
        if held := list(self.bench.states()):
            self.place(link, None, [data.draw(st.sampled_from(held))], drain=drain, sleep=sleep)

    def place(
        self,
        link: int,
        load: str | None,
        evict: list[str],
        *,
        drain: bool,
        stale: int = 0,
        several: bool = False,
        sleep: bool = True,
    ) -> None:
        spec = None
        if load is not None:
            devices = (0, 1) if several else ()
            spec = m.LoadSpec(
                model=load, footprint_bytes=SIZES[load], deadline_ms=int(1000 * DEADLINE), devices=devices
            )
        command = m.Place(
            command=f"c{len(self.commands)}",
            version=self.bench.residency.version - stale,
            evict=tuple(evict),
            load=spec,
            drain=drain,
            sleep=sleep,
        )
        answer = self.answer(command, link)
        assert stale == 0 or isinstance(answer, m.PlaceRefused)
        self.commands.append((command, answer))

    @rule(link=links, data=st.data())
    def place_again(self, link: int, data: st.DataObject) -> None:
        """The same command has the same answer, and does nothing."""
        if self.commands:
            command, answer = data.draw(st.sampled_from(self.commands))
            before = repr(self.bench.residency.ledger), self.bench.engine.loads.copy()
            assert self.answer(command, link) == answer
            assert (repr(self.bench.residency.ledger), self.bench.engine.loads) == before

    @rule(data=st.data())
    def commit(self, data: st.DataObject) -> None:
        if self.commands:
            command, _ = data.draw(st.sampled_from(self.commands))
            self.bench.give(m.Commit(command=command.command))

    @rule(link=links, data=st.data(), pinned=st.booleans())
    def pin(self, link: int, data: st.DataObject, *, pinned: bool) -> None:
        self.requests += 1
        model = data.draw(st.sampled_from([*self.bench.states(), "a"]))
        self.answer(m.Pin(command=f"p{self.requests}", model=model, pinned=pinned), link)

    @rule(link=links, drained=st.sampled_from([True, False, False]))
    def drain(self, link: int, drained: bool) -> None:
        self.requests += 1
        self.answer(m.Drain(command=f"d{self.requests}", drained=drained), link)

    @rule(link=links, data=st.data(), tokens=st.integers(1, 30))
    def ask(self, link: int, data: st.DataObject, tokens: int) -> None:
        hot = [name for name, state in self.bench.states().items() if state == "hot"]
        model = data.draw(st.sampled_from(hot * 5 + list(MODELS)))
        self.requests += 1
        name = f"r{self.requests}"
        state = self.bench.states().get(model)
        verdict = self.bench.ask(model, name, max_tokens=tokens, link=link)
        if isinstance(verdict, m.Accepted):
            assert state == "hot"
            self.accepted.add(name)

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        if running := [key for link in self.bench.core.live for key in link]:
            request, attempt = data.draw(st.sampled_from(running))
            heard = self.bench.give(m.Cancel(request=request, attempt=attempt))
            self.ended.update(terminals(heard).keys())

    @rule(bytes_=st.sampled_from([0, 0, 10, 50]))
    def others_take(self, bytes_: int) -> None:
        self.made.foreign = bytes_
        self.foreign = self.foreign or bytes_ > 0

    @rule(seconds=st.sampled_from([0.0, 0.1, 0.5, 1.0, 3.0, 6.0]))
    def wait(self, seconds: float) -> None:
        self.bench.run(seconds)
        self.listen()

    @invariant()
    def promises(self) -> None:
        if not hasattr(self, "bench"):
            return
        self.bench.core.check()
        engine, ledger = self.bench.engine, self.bench.residency.ledger
        assert sum(one.bytes for one in engine._held.values()) <= ledger.budget
        assert engine._held.keys() | engine._loads.keys() <= ledger.entries.keys(), (
            "memory without an account"
        )
        assert engine._asleep == self.bench.residency.asleep.sizes.keys() or engine._changes, "a lost sleeper"
        for holding in self.bench.residency.holdings.values():
            if (loading := holding.loading) is not None:
                ends = min(loading.expires, loading.commit_by or loading.expires)
                assert self.bench.now < ends + 0.5, "a wait past its end"
        assert self.bench.residency.device.free_bytes >= 0
        assert all(count == 1 for count in self.ended.values()), "two ends of one request"

    def teardown(self) -> None:
        """Left alone, everything comes to its end: requests, loads, evictions, reservations."""
        if not hasattr(self, "bench"):
            return
        self.made.foreign = 0
        self.bench.run(30 / 10 + 2 * DEADLINE + 2 * BACK_WITHIN + 5)
        if "loading" in self.bench.states().values():  # neuron.toml's models have the longest deadline
            self.bench.run(PATIENCE)
        self.listen()
        assert set(self.ended) == self.accepted, "a request without an end"
        assert not set(self.bench.states().values()) & {"loading", "draining"}, "an endless wait"
        stages = {entry.stage for entry in self.bench.residency.ledger.entries.values()}
        assert stages <= {Stage.HELD, Stage.LOST}
        if self.healthy:
            assert Stage.LOST not in stages
            assert self.foreign or "failed" not in self.bench.states().values()
            assert self.bench.free == 100 - sum(one.bytes for one in self.bench.engine._held.values())


TestResidencyMachine = ResidencyMachine.TestCase
TestResidencyMachine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
