"""Why those who wait are waiting, in words for their clients: found out once a second, told when it has changed.

To look at every device for it is dear, and some reasons count seconds: so a reason that differs in its numbers alone is
told again only now and then.
"""

from __future__ import annotations

import re

from cortex.broker.requests import NO_REASON, Why
from cortex.broker.routing import Wait, Want, choose, told_both
from cortex.broker.serving import Serving
from cortex.broker.state import State

COUNTED_S = 5.0
"""How often a reason is told that differs from the last one in its numbers alone."""
_NUMBER = re.compile(r"\d+")


class Reasons:
    """Fills `requests.reasons`, which every answer to an edge is made from."""

    def __init__(self, state: State, serving: Serving) -> None:
        self._state = state
        self._serving = serving
        self._requests = state.requests
        self._told_at: dict[str, float] = {}

    def begin(self, model: str, now: float) -> None:
        """Somebody has come to wait for a model; whoever waited before knows why."""
        if model not in self._requests.reasons:
            self._requests.reasons[model] = self._why(model, now)
            self._told_at[model] = now

    def refresh(self, now: float) -> None:
        """Look again for every queue, and tell those in it what is new."""
        reasons, models = self._requests.reasons, self._requests.waiting.models()
        for model in reasons.keys() - models:
            del reasons[model]
            self._told_at.pop(model, None)
        for model in models:
            before, why = reasons.get(model, NO_REASON), self._why(model, now)
            if why == before:
                continue
            counts_on = _NUMBER.sub("", why.full) == _NUMBER.sub("", before.full)
            if counts_on and now - self._told_at.get(model, now) < COUNTED_S:
                continue
            reasons[model], self._told_at[model] = why, now
            if model not in self._requests.loading:
                self._serving.tell(model)

    def _why(self, model: str, now: float) -> Why:
        view, waiting = self._state.view, self._requests.waiting
        choice = choose(Want(model, waited=waiting.waited(model, now)), view, now)
        return Why(*told_both(choice, model, view, now)) if isinstance(choice, Wait) else NO_REASON
