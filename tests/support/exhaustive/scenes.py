"""The scenes that are explored: each is small enough to be finished, and together they mix what races in practice."""

from __future__ import annotations

from dataclasses import replace

from cortex.broker.catalogue import Profile, Replicas
from exhaustive.world import STEP, Scene

UNIT = 1024
"""MiB in a unit of memory."""


def model(name: str, units: int, **more: object) -> Profile:
    """A profile of so many units of memory; it may be evicted as soon as it is idle."""
    settings: dict[str, object] = {"min_residency": 0.0, "load_deadline": 1e6, "slots": 1} | more
    return Profile(id=name, source=f"/models/{name}", vram_mb=units * UNIT, **settings)  # type: ignore[arg-type]


A, B, C = model("a", 2), model("b", 2), model("c", 3)

FULL = (("a",), ("b",))
SWAP = Scene(name="swap", profiles=(A, B, C), budgets=(3, 2), arrivals=3)
"""Three models, of which two fit at once, the largest on one device only."""
TURNS = replace(SWAP, name="turns", arrivals=3, profiles=(A, C), first=(("a",), ()), budgets=(3, 1))
"""Two models take turns on the only device that can hold them."""
LEAVING = replace(SWAP, name="leaving", first=FULL, arrivals=2, leaves=1, ready_first=True)
"""Clients leave whenever they like."""
FAILING = replace(SWAP, name="failing", first=FULL, arrivals=2, failures=1, beats=1)
"""A load fails, and beats overtake what else a device has said."""
CRASHING = replace(SWAP, name="crashing", first=FULL, arrivals=1, crashes=1, ready_first=True)
"""A device dies with whatever it has in hand, and comes back."""
LAGGING = replace(SWAP, name="lagging", profiles=(A, C), arrivals=2, lags=1)
"""Time passes while messages are on their way: answers come late, or too late."""
SHARING = Scene(
    name="sharing",
    profiles=(model("a", 1), model("b", 1), model("c", 2)),
    budgets=(2, 2),
    first=((), ("c",)),
    arrivals=2,
    leaves=1,
)
"""Small models stand beside each other, so that one device is asked while another of its loads ends."""
CROWDED = Scene(
    name="crowded",
    profiles=(model("a", 1), model("b", 1), model("c", 2)),
    budgets=(3, 1),
    first=(("a", "b"), ()),
    arrivals=2,
)
"""Of two small ones, one has to leave for a larger one."""
WHOLE = replace(CROWDED, name="whole", profiles=(model("a", 1), model("b", 1), model("c", 3)))
"""Both have to leave."""
YOUNG = replace(SWAP, name="young", profiles=(A, model("c", 3, min_residency=STEP)), arrivals=3)
"""Who was loaded a moment ago stays for a while."""
PINNED = Scene(
    name="pinned",
    profiles=(model("a", 2), model("b", 2, pinned=True), model("c", 1)),
    budgets=(2, 2),
    first=(("a",), ()),
    arrivals=2,
)
"""One model is pinned from the catalogue: it is loaded without being asked for, and stays."""
IDLE = Scene(
    name="idle",
    profiles=(model("a", 2, ttl=STEP), model("b", 2), model("c", 3)),
    budgets=(3, 2),
    first=(("a",), ("b",)),
    arrivals=2,
    leaves=1,
)
"""A model's time to live ends while somebody comes for it."""
REPLICAS = Scene(
    name="replicas",
    profiles=(model("a", 2, replicas=Replicas(max=2)), model("b", 2), model("c", 1)),
    budgets=(3, 2),
    first=(("a",), ("b",)),
    arrivals=2,
    turn_s=10 * STEP,
)
"""A long queue may have a second replica, but only in free memory."""
SPANNING = Scene(
    name="spanning",
    profiles=(model("a", 2), model("b", 1), model("s", 4, min_devices=2)),
    budgets=(2, 2),
    arrivals=2,
)
"""A model over both devices wants all that the others have."""
SPANNING_CRASH = replace(SPANNING, name="spanning, crashing", arrivals=1, crashes=1, first=(("a",), ("b",)))
SPANNING_LAG = replace(SPANNING, name="spanning, lagging", arrivals=1, lags=1, first=(("a",), ("b",)))
"""Reservations lapse, commits come late or to the dead."""
HANGING = replace(
    SWAP,
    name="hanging",
    profiles=(model("a", 2, load_deadline=STEP), model("c", 3, load_deadline=STEP)),
    longest_load=STEP,
)
"""Loads may take too long: the device and the broker both notice, in either order."""

SCENES = (
    SWAP, TURNS, LEAVING, FAILING, CRASHING, LAGGING, SHARING, CROWDED, WHOLE, YOUNG, PINNED, IDLE, REPLICAS,
    SPANNING, SPANNING_CRASH, SPANNING_LAG, HANGING,
)  # fmt: skip

DEEP = (
    replace(SWAP, name="deep swap", arrivals=4),
    replace(SWAP, name="deep leaving", arrivals=3, leaves=1),
    replace(CRASHING, name="deep crashing", arrivals=2),
    replace(SWAP, name="deeper crashing", arrivals=2, crashes=2),
    replace(SWAP, name="deep lagging", arrivals=2, leaves=1, lags=1),
    replace(SHARING, name="deep sharing", arrivals=3, failures=1, leaves=1),
    replace(SPANNING, name="deep spanning", arrivals=3, crashes=1),
)
"""For a run by hand: minutes each."""
