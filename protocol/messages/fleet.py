"""Between broker and neuron: who is there, what it holds, what it shall hold."""

from __future__ import annotations

from msgspec import Struct

from cortex.protocol.faults import Fault
from cortex.protocol.values import Device, Model, Ms, Name, Phase, Route


class Register(Struct, frozen=True, kw_only=True):
    """A device process introduces itself: one per device, under its host's name."""

    node: Name
    device: Device


class Registered(Struct, frozen=True, kw_only=True):
    """Known. Beat every `interval_ms`; after three missed beats you are gone."""

    interval_ms: Ms


class RegisterAgain(Struct, frozen=True, kw_only=True):
    """This broker does not know you (any more)."""


class Ready(Struct, frozen=True, kw_only=True):
    """What the device holds: sent after warm-up and whenever it changes. `version` counts residency changes."""

    version: int
    device: Device
    models: tuple[Model, ...]


class Heartbeat(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """From the pulse thread, about the device thread whose routing id is `route`.

    `turn` counts turns of the device thread's loop, `busy_ms` is how long the present one lasts. `live` names the
    attempts it has in hand as of that turn, as (request, attempt).
    """

    route: Route
    turn: int
    phase: Phase
    busy_ms: Ms = 0
    stalled: bool = False
    detail: str = ""
    live: tuple[tuple[str, int], ...] = ()
    free_bytes: int = 0
    tokens: int = 0


class LoadSpec(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What to load: `footprint_bytes` is what to reserve on this device."""

    model: Name
    source: str
    engine: str = "torch"
    quantization: str = ""
    footprint_bytes: int = 0
    deadline_ms: Ms = 0
    devices: tuple[int, ...] = ()


class Place(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Evict and load as one decision, or refuse. `version` is the residency that the decision was made on."""

    command: str
    version: int
    evict: tuple[str, ...] = ()
    load: LoadSpec | None = None
    sleep: bool = False


class Placed(Struct, frozen=True, kw_only=True):
    """Everything the command needs is reserved; residency is now `version`."""

    command: str
    version: int


class PlaceRefused(Struct, frozen=True, kw_only=True):
    """Nothing was changed; here is the truth."""

    command: str
    fault: Fault
    version: int
    models: tuple[Model, ...]


class Commit(Struct, frozen=True, kw_only=True):
    """All members of a replica over several devices have reserved: load."""

    command: str


class LoadProgress(Struct, frozen=True, kw_only=True, omit_defaults=True):
    command: str
    model: Name
    percent: int
    detail: str = ""


class Pin(Struct, frozen=True, kw_only=True):
    """Pins live on the neuron, so that they survive any broker."""

    command: str
    model: Name
    pinned: bool


class Drain(Struct, frozen=True, kw_only=True):
    """Take nothing new; finish what runs."""

    command: str
    drained: bool = True


class Goodbye(Struct, frozen=True, kw_only=True):
    """Leaving on purpose: do not wait for missed beats."""
