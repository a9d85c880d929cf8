"""How long is this prompt? Passed on to whoever can tell, and the answer back; nothing of it is remembered here.

A count takes no slot and waits in no queue: a neuron that holds the model, or whose host could, has a counter beside its
device thread. An edge that hears nothing in time estimates by itself, so what gets lost needs no care.
"""

from __future__ import annotations

from collections.abc import Iterator

from cortex.broker.events import FromEdge, FromNeuron, ToEdge, ToNeuron
from cortex.broker.fleet import Neuron
from cortex.broker.placement import unable
from cortex.broker.state import State
from cortex.broker.view import View
from cortex.protocol import messages as m
from cortex.protocol.faults import Code, Fault

NOBODY = Fault(code=Code.NO_CAPACITY, message="No neuron can count for this model now; try again.")


class Counting:
    """Between an edge and a counter."""

    def __init__(self, state: State) -> None:
        self._state = state

    def ask(self, submit: m.Submit, event: FromEdge) -> None:
        """An edge wants to know."""
        view, effects = self._state.view, self._state.effects
        neuron = next(able_to_count(view, submit.model), None)
        if neuron is None:
            refused = m.Refused(request=submit.request, attempt=submit.attempt, fault=NOBODY)
            effects.append(ToEdge(event.route, refused))
            return
        tally = m.Tally(
            request=submit.request,
            attempt=submit.attempt,
            edge=event.route,
            model=submit.model,
            source=view.profile(submit.model).source,
        )
        effects.append(ToNeuron(neuron.counter, tally, event.payload))

    def answered(self, message: m.Tallied, event: FromNeuron) -> None:
        """A counter has counted. Who is no counter of a neuron at hand is not believed."""
        state = self._state
        known = any(
            one.counter == event.route and one.session == event.session for one in state.view.neurons.values()
        )
        if not known:
            state.dropped["unregistered_counter"] += 1
            return
        if message.edge not in state.edges:
            state.dropped["count_of_unknown_edge"] += 1
            return
        name, attempt = message.request, message.attempt
        answer = (
            m.Counted(request=name, attempt=attempt, tokens=message.tokens, estimated=message.estimated)
            if message.fault is None
            else m.Refused(request=name, attempt=attempt, fault=message.fault)
        )
        state.effects.append(ToEdge(message.edge, answer, session=event.session))


def able_to_count(view: View, model: str) -> Iterator[Neuron]:
    """Those who know the model, the same one first each time: who has counted before has its tokenizer at hand."""
    holders = [one for one in view.holders.get(model, {}).values() if one.counter and not one.stalled]
    yield from sorted(holders, key=lambda one: not one.is_hot(model))
    profile = view.profiles.get(model)
    if profile is None or not profile.source:
        return
    for neuron in view.neurons.values():
        asked = neuron.counter and not neuron.stalled and neuron not in holders
        if asked and not unable(profile, neuron, 0, is_held=False):
            yield neuron
