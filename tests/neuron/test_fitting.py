"""What is said of a model that is too large for its device: the nearest thing that would fit, with its size."""

import pytest
from neuron_bench import NeuronBench

from cortex.neuron.config import ModelSettings
from cortex.neuron.engine.base import Order
from cortex.neuron.engine.sim import SimEngine
from cortex.neuron.fitting import nearest
from cortex.neuron.ledger import MIB
from cortex.protocol import messages as m
from cortex.protocol.faults import Code, fault


class Sizes:
    """An engine whose models take 100 MiB in two bytes a number, and 1 MiB for 64 positions of a slot."""

    def footprint(self, order: Order) -> int:
        settings = order.settings
        if settings.source == "broken":
            raise fault(Code.LOAD_FAILED, "Its files are not there.")
        width = 1 if settings.dtype == "bfloat16" or order.quantization == "bf16" else 2
        slots, context = settings.slots or 8, settings.context or 4096
        return width * (100 + slots * context // 64) * MIB


def told(budget: int, quantization: str = "", **settings: object) -> str:
    order = Order(ModelSettings(id="m", **settings), quantization)
    engine = Sizes()
    return nearest(engine, order, engine.footprint(order), budget * MIB)


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        (1000, "With slots = 4 it would take 712 MiB."),
        (500, "With slots = 2 it would take 456 MiB."),
        (328, "With slots = 1 it would take 328 MiB."),
    ],
)
def test_fewer_slots_come_first(budget: int, words: str) -> None:
    """As many as fit."""
    assert told(budget) == words


def test_then_a_shorter_context() -> None:
    """The longest that fits, if slots do not do it."""
    assert told(240, slots=1, context=4096) == "With context = 1024 it would take 232 MiB."


def test_then_half_the_width() -> None:
    """If neither does it."""
    assert told(120, slots=1, context=512) == "With dtype = 'bfloat16' it would take 108 MiB."


def test_else_what_it_takes_at_least() -> None:
    """With everything together, which may do or not."""
    together = "With slots = 1, context = 512 and dtype = 'bfloat16' it"
    assert told(110) == f"{together} would take 108 MiB."
    assert told(50) == f"{together} still takes 108 MiB."
    assert told(50, "bf16", slots=1, context=512) == ""


def test_nothing_is_said_of_what_cannot_be_told() -> None:
    """A size that somebody wrote down, and files that cannot be read."""
    order = Order(ModelSettings(id="m"))
    assert nearest(Sizes(), order, 5000 * MIB, 1000 * MIB) == ""
    assert nearest(Sizes(), Order(ModelSettings(id="m", source="broken")), 1, 0) == ""


class Large(SimEngine):
    """Halves with its slots."""

    def footprint(self, order: Order) -> int:
        return 20 * MIB * (order.settings.slots or 8)


def test_a_refusal_names_it() -> None:
    """As well as what it takes and what there is."""
    bench = NeuronBench(make=Large, memory=100 * MIB)
    answer = bench.place("a")
    assert isinstance(answer, m.PlaceRefused)
    assert answer.fault.code is Code.DOES_NOT_FIT
    assert answer.fault.message == (
        "a takes 160 MiB, and this device has 100 MiB of 100 MiB for models. With slots = 4 it would take 80 MiB."
    )
