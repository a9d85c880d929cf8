"""Which neuron serves this model now? Pure: it looks, answers, and changes nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cortex.broker.fleet import Neuron
from cortex.protocol.faults import Code, Fault


@dataclass(frozen=True, slots=True)
class Serve:
    neuron: Neuron


@dataclass(frozen=True, slots=True)
class Wait:
    reason: str


@dataclass(frozen=True, slots=True)
class Refuse:
    fault: Fault


Choice = Serve | Wait | Refuse


def choose(model: str, neurons: Iterable[Neuron], known: set[str], *, settled: bool) -> Choice:
    """Arrival, completion and retry all ask here.

    1. serve on the hot replica with the smallest share of its slots taken (then the least used one);
    2. wait while the model is held somewhere, was held, or may yet be announced by a neuron that this broker,
       just started, has not heard (`settled` false);
    3. refuse a name that nobody ever held.
    """
    best: Neuron | None = None
    best_rank = (1.0, 0)
    held = False
    for neuron in neurons:
        found = neuron.models.get(model)
        if found is None:
            continue
        held = True
        if neuron.free(model) > 0:  # case 1
            rank = (neuron.load[model] / found.slots, neuron.dispatches)
            if best is None or rank < best_rank:
                best, best_rank = neuron, rank
    if best is not None:
        return Serve(best)
    if held:  # case 2
        return Wait("every replica is busy")
    if model in known or not settled:
        return Wait("no replica is ready")
    return Refuse(  # case 3
        Fault(
            code=Code.MODEL_NOT_FOUND,
            message=f"The model {model!r} does not exist here; GET /v1/models lists those that do.",
            param="model",
        )
    )
