"""How often each model is asked for, and how long it takes to load: what eviction weighs. Estimates, bounded memory."""

from __future__ import annotations

import math

from cortex.broker.eviction import HORIZON

HALF_LIFE = 600.0
"""Seconds after which a request counts half in a model's rate."""
FORGET = 64 * HALF_LIFE
SECONDS_PER_GIB = 2.0
"""Assumed for a model that was never loaded: a disk that reads half a GiB a second."""
SHORTEST_LOAD = 0.5
SMOOTHING = 0.2
"""The weight of the latest request in how long one takes."""
GIB = 2**30


def assumed_load_s(footprint_bytes: int) -> float:
    """Seconds that loading so much is to take where nothing was measured."""
    return max(SHORTEST_LOAD, SECONDS_PER_GIB * footprint_bytes / GIB)


class Usage:
    """Exponentially decaying request rates, and the last load of each model in seconds."""

    def __init__(self) -> None:
        self._rates: dict[str, tuple[float, float]] = {}
        self._services: dict[str, float] = {}
        self.loads: dict[str, float] = {}
        """Seconds that each model took to load, the last time."""

    def asked(self, model: str, now: float) -> None:
        """A request for the model came."""
        self._rates[model] = (self.rate(model, now) + math.log(2) / HALF_LIFE, now)

    def rate(self, model: str, now: float) -> float:
        """Requests per second that are to be expected."""
        found = self._rates.get(model)
        if found is None:
            return 0.0
        rate, at = found
        return rate * math.exp2((at - now) / HALF_LIFE)

    def served(self, model: str, seconds: float) -> None:
        """A request of the model took a neuron this long."""
        before = self._services.get(model, seconds)
        self._services[model] = before + SMOOTHING * (seconds - before)

    def service_s(self, model: str) -> float:
        """Seconds that a request of the model takes, by the latest ones; 0 if none was seen."""
        return self._services.get(model, 0.0)

    def loaded(self, model: str, seconds: float) -> None:
        """The model took this long to load."""
        self.loads[model] = seconds

    def load_s(self, model: str, footprint_bytes: int) -> float:
        """Seconds that loading it is to take: as measured last, else by its size."""
        return self.loads.get(model) or assumed_load_s(footprint_bytes)

    def odds(self, now: float) -> dict[str, float]:
        """How likely each model is wanted again within the horizon, as `eviction.cost` reckons; 0 for the others."""
        return {
            model: -math.expm1(-rate * HORIZON * math.exp2((at - now) / HALF_LIFE))
            for model, (rate, at) in self._rates.items()
        }

    def prune(self, now: float) -> None:
        """Forget who has not been asked for in a long while."""
        for model in [name for name, (_, at) in self._rates.items() if now - at > FORGET]:
            del self._rates[model]
            self._services.pop(model, None)
