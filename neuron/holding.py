"""What is known of one model on one device: its state, its use, and the load that is under way."""

from __future__ import annotations

from dataclasses import dataclass, field

from cortex.neuron.config import ModelSettings
from cortex.neuron.engine.base import LoadDone, Order
from cortex.neuron.lifecycle import State, Trigger, after
from cortex.protocol.messages import LoadProgress
from cortex.protocol.values import Model


@dataclass(slots=True)
class Loading:
    """A load from its reservation to its end. Times in seconds of the device thread's clock.

    It waits for the victims in `waits_for` to be gone, and, as a member of a replica over several devices, for the
    others until `commit_by`. `begun` is set once the engine was told. `expires` ends it, and begins anew with `begun`.
    """

    patience: float
    expires: float
    waits_for: set[str] = field(default_factory=set)
    commit_by: float | None = None
    begun: bool = False
    percent: int = 0
    detail: str = ""
    tell_at: float = 0.0

    @property
    def words(self) -> str:
        """What is happening, for people."""
        if self.begun:
            return self.detail or "loading"
        if self.commit_by is not None:
            return "reserved; waits for the other devices"
        return f"waits for {', '.join(sorted(self.waits_for)) or 'memory'}"


@dataclass(slots=True)
class Holding:
    """`configured` is what neuron.toml says of it: then it stays known when it is cold.

    `size` is what the ledger has for it, or would reserve; `command` placed it. `running` attempts are in hand, the last
    of the others ended at `used_at`. Its memory is waited for until `back_by`; None while nobody waits.
    """

    order: Order
    size: int = 0
    command: str = ""
    configured: ModelSettings | None = None
    state: State = State.COLD
    pinned: bool = False
    detail: str = ""
    failures: int = 0
    facts: LoadDone | None = None
    load_ms: int = 0
    """What reading it took, the last time; `wake_ms`: what waking it took, if that is how it was loaded last."""
    wake_ms: int = 0
    sleeps: bool = False
    """Whether it shall sleep when it leaves."""
    loading: Loading | None = None
    running: int = 0
    used_at: float = 0.0
    back_by: float | None = None

    def turn(self, trigger: Trigger) -> None:
        """Take a step of the lifecycle; what belonged to the state before is dropped."""
        self.state = after(self.state, trigger)
        if self.state is not State.LOADING:
            self.loading = None
        if self.state in {State.COLD, State.FAILED, State.LOADING}:
            self.facts = None
        if self.state is not State.DRAINING:
            self.sleeps = False

    def progress(self, loading: Loading) -> LoadProgress:
        """How far its load is, for the broker that ordered it."""
        return LoadProgress(
            command=self.command, model=self.order.model, percent=loading.percent, detail=loading.words
        )

    def is_led_by(self, index: int) -> bool:
        """Whether requests for it come to the device of this index: of several, the lowest leads."""
        return not self.order.devices or index == min(self.order.devices)

    def describe(self, index: int) -> Model:
        """As brokers shall see it from the device of this index on its host."""
        devices = self.order.devices if self.state is not State.COLD else ()
        facts = self.facts
        return Model(
            id=self.order.model,
            state=self.state.value,
            slots=facts.slots if facts and self.state is State.HOT and self.is_led_by(index) else 0,
            context=facts.context if facts else 0,
            footprint_bytes=self.size,
            capabilities=facts.capabilities if facts else (),
            detail=self.loading.words if self.loading else self.detail,
            pinned=self.pinned,
            devices=devices,
            load_ms=self.load_ms,
            wake_ms=self.wake_ms,
            failures=self.failures,
        )
