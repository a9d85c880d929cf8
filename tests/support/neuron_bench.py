"""A device's mind with the simulated engine, a clock that only moves when told, and brokers that note what they hear."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from msgspec import Struct

from cortex.neuron.config import ModelSettings, SimSettings
from cortex.neuron.core import Core
from cortex.neuron.engine.sim import SimEngine
from cortex.neuron.outbox import Batch
from cortex.protocol import messages as m
from cortex.protocol.codec import encode_request
from cortex.protocol.deltas import Delta
from cortex.protocol.request import Chat, Sampling, Text, Turn
from cortex.protocol.values import Device, Model

BROKER = b"broker-1"
EDGE = b"edge"


def chat(model: str, max_tokens: int) -> bytes:
    turn = Turn(role="user", parts=(Text(text="hello"),))
    return encode_request(Chat(model=model, turns=(turn,), sampling=Sampling(max_tokens=max_tokens)))


class NeuronBench:
    """`memory` bytes, all of them for models; each takes `footprint` bytes and a second to load."""

    def __init__(
        self,
        *models: str | ModelSettings,
        memory: int = 100,
        budget: int | None = None,
        links: int = 1,
        index: int = 0,
        settle: bool = True,
        asleep: int = 0,
        make: Callable[[Device, SimSettings], SimEngine] = SimEngine,
        **script: object,
    ) -> None:
        defaults = {"tokens_per_s": 10, "load_s": 1.0, "footprint_bytes": 40, "slots": 2}
        self.script = SimSettings(**{**defaults, **script})
        self.engine = make(Device(kind="sim", index=index, memory_bytes=memory), self.script)
        self.engine.start()
        self.now = 100.0
        self.core = Core("host", self.engine, links, memory if budget is None else budget, asleep)
        self.residency = self.core.residency
        self._numbers = count()
        for link in range(links):
            self.core.link_up(link)
            self.core.handle(link, BROKER, m.Registered(interval_ms=1000), (), self.now)
        configured = [ModelSettings(id=one) if isinstance(one, str) else one for one in models]
        self.core.start(tuple(configured), self.now)
        if settle:
            self.run(2)
        for link in range(links):
            self.heard(link)

    # ── what brokers say ─────────────────────────────────────────────────────────────────────────────────────────

    def give(self, message: Struct, *payload: bytes, link: int = 0) -> list[object]:
        """What the broker hears at once."""
        self.core.handle(link, BROKER, message, payload, self.now)
        return self.heard(link)

    def answer(self, message: Struct, link: int = 0) -> object:
        """The one answer to a command."""
        [answer] = [
            one for one in self.give(message, link=link) if isinstance(one, m.Placed | m.PlaceRefused)
        ]
        return answer

    def placing(
        self,
        load: str | m.LoadSpec = "",
        *,
        evict: tuple[str, ...] = (),
        drain: bool = False,
        sleep: bool = False,
        **spec: object,
    ) -> m.Place:
        """A place with a new command id and the present version."""
        wanted = m.LoadSpec(model=load, **spec) if isinstance(load, str) and load else load or None
        command = f"c{next(self._numbers)}"
        version = self.residency.version
        return m.Place(command=command, version=version, evict=evict, load=wanted, drain=drain, sleep=sleep)

    def place(self, load: str = "", **more: object) -> object:
        return self.answer(self.placing(load, **more))

    def ask(self, model: str, request: str = "r", *, max_tokens: int = 3, link: int = 0) -> object:
        """Submit a request; answers the verdict."""
        generate = m.Generate(request=request, attempt=1, edge=EDGE, model=model)
        heard = self.give(generate, chat(model, max_tokens), link=link)
        [verdict] = [one for one in heard if isinstance(one, m.Accepted | m.Refused)]
        return verdict

    # ── what happens ─────────────────────────────────────────────────────────────────────────────────────────────

    def run(self, seconds: float) -> None:
        """Turn as a device thread does, at least twice a second."""
        until = self.now + seconds
        while True:
            due = self.engine.due(self.now)
            if due == 0:
                self.core.produced(self.engine.step(self.now), self.now)
            self.core.tick(self.now)
            self.core.check()
            due = self.engine.due(self.now)
            wait = min(0.5, until - self.now, 0.5 if due is None else due)
            if self.now >= until and due != 0:
                return
            self.now += wait

    def heard(self, link: int = 0) -> list[object]:
        """Everything sent to a broker since the last time, deltas one by one."""
        out: list[object] = []
        outbox = self.core.links[link].outbox
        while (entry := outbox.first()) is not None:
            out += entry.items if isinstance(entry, Batch) else [entry.message]
            outbox.sent()
        self.core.check()
        return out

    def model(self, name: str) -> Model | None:
        return next((model for model in self.residency.models if model.id == name), None)

    def states(self) -> dict[str, str]:
        return {model.id: model.state for model in self.residency.models}

    @property
    def free(self) -> int:
        return self.residency.device.free_bytes


def terminals(heard: list[object]) -> dict[str, object]:
    return {one.request: one for one in heard if isinstance(one, m.Finished | m.Failed)}


def tokens(heard: list[object], request: str) -> int:
    return sum(len(one.tokens) for one in heard if isinstance(one, Delta) and one.request == request)
