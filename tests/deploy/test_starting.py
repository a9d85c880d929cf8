"""What `cortex up` waits for, and what it says then."""

from __future__ import annotations

from cortex.deploy.starting import TOLD_EVERY_S, Teller, awaited, can_serve, first_to_ask, hindered
from cortex.protocol.messages import CatalogueEntry, Models, ModelStatus, NeuronStatus, Status
from cortex.protocol.values import Device, Model


def report(*neurons: NeuronStatus) -> Status:
    return Status(
        broker="b", version="0", uptime_s=1, neurons=neurons, edges=1, running=0, waiting=0, served=0
    )


def neuron(state: str = "ready", *models: Model, phase: str = "") -> NeuronStatus:
    return NeuronStatus(node="n", device=Device(kind="cpu"), state=state, phase=phase, models=models)  # type: ignore[arg-type]


def listed(name: str, state: str = "cold", detail: str = "", *, servable: bool = False) -> ModelStatus:
    entry = CatalogueEntry(id=name, state=state, loaded=state == "hot", servable=servable)  # type: ignore[arg-type]
    return ModelStatus(entry=entry, detail=detail)


def test_a_device_that_is_starting_or_loading_is_waited_for() -> None:
    """In its own words; and not any more once every model is hot or was refused."""
    assert awaited(report()) == "the neuron (it has not joined yet)"
    assert awaited(report(neuron("registered", phase="loading"))) == "the neuron (n/cpu-0 loading)"
    loading = Model(id="m", state="loading", detail="reading")
    assert awaited(report(neuron("ready", loading))) == "m to load (reading)"
    assert awaited(report(neuron("ready", Model(id="m", state="cold"), Model(id="o", state="hot")))) == ""


def test_the_first_question_goes_to_a_model_that_answers() -> None:
    """The demo if it is hot, another hot one, one that can be loaded; never one that was refused."""
    demo, bad = listed("cortex-demo"), listed("bad", "failed", "There is no '/nope' on this host")
    hot, sleeping = listed("qwen", "hot"), listed("a", servable=True)
    assert first_to_ask(Models(models=(listed("cortex-demo", "hot"), hot))) == "cortex-demo"
    assert first_to_ask(Models(models=(sleeping, bad, demo, hot))) == "qwen"
    assert first_to_ask(Models(models=(bad, demo, sleeping))) == "a"
    nothing = Models(models=(bad, demo))
    assert not can_serve(nothing)
    assert first_to_ask(nothing) == ""
    assert hindered(nothing) == "bad: There is no '/nope' on this host"


def test_what_is_waited_for_becomes_a_line_after_some_seconds() -> None:
    """Not in a start as usual, not twice the same, and not faster than one can read."""
    shown: list[str] = []
    lines: list[str] = []
    teller = Teller(shown.append, lines.append, 0.0)
    for now, what in ((1.0, "a"), (5.0, "a"), (6.0, "a"), (7.0, "b"), (5.0 + TOLD_EVERY_S, "b")):
        teller.tell(what, now)
    assert len(shown) == 5
    assert lines == ["waiting for a", "waiting for b"]
