"""What must always hold between a device's ledger and the models that it has: asserted by every test, and by nothing else."""

from __future__ import annotations

from collections.abc import Mapping

from cortex.neuron.ledger import Stage
from cortex.neuron.lifecycle import State
from cortex.neuron.residency import Residency

ALLOWED: Mapping[State, set[Stage | None]] = {
    State.COLD: {None, Stage.LOST},
    State.LOADING: {Stage.WAITING, Stage.HELD},
    State.HOT: {Stage.HELD},
    State.DRAINING: {Stage.LEAVING},
    State.ASLEEP: {None},
    State.FAILED: {None, Stage.LEAVING, Stage.LOST},
}
"""Which entry of the ledger a state may have."""


def check(residency: Residency) -> None:
    """Assert it."""
    residency.ledger.check()
    residency.asleep.check()
    sleeping = {name for name, one in residency.holdings.items() if one.state is State.ASLEEP}
    assert sleeping <= residency.asleep.sizes.keys(), "it sleeps, and nobody knows where"
    for name in residency.asleep.sizes.keys() - sleeping:
        assert residency.holdings[name].state is State.LOADING, (
            f"{name} is {residency.holdings[name].state} and asleep"
        )
    stages = {name: entry.stage for name, entry in residency.ledger.entries.items()}
    assert stages.keys() <= residency.holdings.keys(), "bytes of a model that nobody knows"
    for name, holding in residency.holdings.items():
        allowed = ALLOWED[holding.state]
        assert stages.get(name) in allowed, f"{name} is {holding.state} and {stages.get(name)}"
        assert (holding.loading is not None) == (holding.state is State.LOADING), f"{name}: its load"
        assert not holding.running or holding.state in {State.HOT, State.DRAINING}, f"{name} runs"
        if holding.loading is not None:
            assert holding.loading.begun == (stages[name] is Stage.HELD), f"{name}: begun"
