"""Is what was started ready, what is it waiting for, and what can be asked first? Pure: it reads reports."""

from __future__ import annotations

from collections.abc import Callable

from cortex.protocol.messages import CatalogueEntry, Models, Status

TOLD_AFTER_S = 5.0
TOLD_EVERY_S = 5.0
DEMO = "cortex-demo"


def awaited(report: Status) -> str:
    """What the devices of this machine are still busy with, in their own words; empty once they are done."""
    if not any(neuron.state == "ready" for neuron in report.neurons):
        phases = [
            f"{neuron.node}/{neuron.device.kind}-{neuron.device.index} {neuron.detail or neuron.phase}".strip()
            for neuron in report.neurons
        ]
        return f"the neuron ({', '.join(phases) or 'it has not joined yet'})"
    loading = [
        f"{model.id} to load ({model.detail or 'loading'})"
        for neuron in report.neurons
        for model in neuron.models
        if model.state == "loading"
    ]
    return ", ".join(loading)


def can_serve(report: Models) -> bool:
    """Whether any model is hot or can be loaded on demand."""
    return any(model.entry.loaded or model.entry.servable for model in report.models)


def hindered(report: Models) -> str:
    """Why the models that cannot be served cannot, each in a few words."""
    found = [f"{one.entry.id}: {one.detail}" for one in report.models if one.entry.state == "failed"]
    return "; ".join(found) or "neither neuron.toml nor models.toml describes one that fits here"


def first_to_ask(report: Models) -> str:
    """The model for a first question: a hot one, the demo before others, else one that can be loaded; or empty."""

    def rank(entry: CatalogueEntry) -> tuple[bool, bool, str]:
        return not entry.loaded, entry.id != DEMO, entry.id

    usable = [one.entry for one in report.models if one.entry.loaded or one.entry.servable]
    return min(usable, key=rank).id if usable else ""


class Teller:
    """Says what is waited for: always to `show`, and to `line` after some seconds, when it changed and not too often."""

    def __init__(self, show: Callable[[str], None], line: Callable[[str], None], now: float) -> None:
        self._show = show
        self._line = line
        self._next = now + TOLD_AFTER_S
        self._told = ""

    def tell(self, what: str, now: float) -> None:
        text = f"waiting for {what}"
        self._show(text)
        if now >= self._next and text != self._told:
            self._next, self._told = now + TOLD_EVERY_S, text
            self._line(text)
