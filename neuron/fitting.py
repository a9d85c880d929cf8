"""A model that is too large for its device: what of its settings would have to change for it to fit. Pure but for the
engine that it asks, which only looks at files.
"""

from __future__ import annotations

import msgspec

from cortex.neuron.engine.base import Engine, Order
from cortex.protocol.faults import FaultError
from cortex.protocol.sizes import mib

Changes = dict[str, object]
"""Other values of settings, by name."""
SLOTS, CONTEXT = 8, 4096
"""What is halved where settings name none."""
LEAST_CONTEXT = 512


def nearest(engine: Engine, order: Order, size: int, budget: int) -> str:
    """A sentence that names what would fit, the least painful first, or what it takes at least; maybe none.

    `size` is what was to be reserved: about one that somebody wrote down, the engine has nothing to say.
    """
    if _size(engine, order, {}) != size:
        return ""
    narrow: Changes = {"dtype": "bfloat16"}
    ways = [way for way in (_fewer_slots(order), _shorter_contexts(order), [narrow]) if way]
    for way in ways:
        # The last step is asked first: most ways do not lead there.
        if 0 < _size(engine, order, way[-1]) <= budget:
            sizes = ((change, _size(engine, order, change)) for change in way)
            change, fits = next((change, fits) for change, fits in sizes if fits <= budget)
            return f"With {_words(change)} it would take {mib(fits)} MiB."
    least = {name: value for way in ways for name, value in way[-1].items()}
    smallest = _size(engine, order, least)
    if not 0 < smallest < size:
        return ""
    verb = "it would take" if smallest <= budget else "it still takes"
    return f"With {_words(least)} {verb} {mib(smallest)} MiB."


def _fewer_slots(order: Order) -> list[Changes]:
    slots = order.settings.slots or SLOTS
    found: list[Changes] = []
    while slots > 1:
        slots //= 2
        found.append({"slots": slots})
    return found


def _shorter_contexts(order: Order) -> list[Changes]:
    context = order.settings.context or CONTEXT
    found: list[Changes] = []
    while context >= 2 * LEAST_CONTEXT:
        context //= 2
        found.append({"context": context})
    return found


def _size(engine: Engine, order: Order, changes: Changes) -> int:
    """What it would take with these; 0 if that cannot be told."""
    quantization = "" if "dtype" in changes else order.quantization
    settings = msgspec.structs.replace(order.settings, **changes)
    try:
        return engine.footprint(Order(settings, quantization, order.devices))
    except FaultError:
        return 0


def _words(changes: Changes) -> str:
    told = [f"{name} = {value!r}" for name, value in changes.items()]
    return " and ".join([", ".join(told[:-1]), told[-1]] if len(told) > 1 else told)
