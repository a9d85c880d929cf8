"""The scenes that are explored: each is small enough to be finished, and together they mix what races in practice."""

from __future__ import annotations

from cortex.broker.catalogue import Profile, Replicas
from exhaustive.world import STEP, Scene

UNIT = 1024


def model(name: str, units: int, **more: object) -> Profile:
    """A profile of so many units of memory; it may be evicted as soon as it is idle."""
    settings: dict[str, object] = {"min_residency": 0.0, "load_deadline": 1e6, "slots": 1} | more
    return Profile(id=name, source=f"/models/{name}", vram_mb=units * UNIT, **settings)  # type: ignore[arg-type]


SWAP = Scene(name="swap", profiles=(model("a", 2), model("b", 2), model("c", 3)), budgets=(3, 2), arrivals=3)
