"""What happens to a request for a model now? Pure: it looks, answers, and changes nothing.

Arrival, completion, retry and `cortex-ctl explain` all ask `choose`:

1. refuse a name that nobody knows;
2. serve on the hot replica with the best score: matched prefix against load;
3. wait while every hot replica is busy;
4. join a load that is under way, whoever ordered it;
5. refuse while the model's last load failed not long ago;
6. load where it fits, after evicting whom the strategy names; victims that still work are chosen only for a queue
   that has waited its turn;
7. wait while it could fit, were it not for what works, is pinned, is young or is more important;
8. refuse what can never fit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter

from cortex.broker.fleet import Neuron
from cortex.broker.placement import Plan, could_ever, looks, nearest_first, refusal
from cortex.broker.prefixes import score
from cortex.broker.shortlist import best
from cortex.broker.view import View
from cortex.protocol.faults import Code, Fault

NO_MATCH: Mapping[bytes, float] = {}
NO_ROOM = "no device has room that may be given to it"
NAMED = 4
"""Devices of which a reason is told in one sentence."""


@dataclass(frozen=True, slots=True)
class Want:
    """A request, as far as deciding needs it. `matched`: the share of its beginning that each replica has seen."""

    model: str
    matched: Mapping[bytes, float] = field(default_factory=lambda: NO_MATCH)
    waited: float = 0.0
    """Seconds that the one who waits longest for this model has waited."""


@dataclass(frozen=True, slots=True)
class Serve:
    neuron: Neuron


@dataclass(frozen=True, slots=True)
class Join:
    node: str
    percent: int


@dataclass(frozen=True, slots=True)
class Load:
    plan: Plan


@dataclass(frozen=True, slots=True)
class Wait:
    reason: str
    is_busy: bool = False
    """Hot, but every replica is full: another replica might help."""


@dataclass(frozen=True, slots=True)
class Refuse:
    fault: Fault


Choice = Serve | Join | Load | Wait | Refuse


def choose(want: Want, view: View, now: float) -> Choice:
    """See the module's docstring; the numbers there are those below."""
    model = want.model
    if not view.exists(model):  # 1
        return _unknown(model, view, now)
    replica, is_hot = _best_replica(want, view)
    if replica is not None:  # 2
        return Serve(replica)
    if is_hot:  # 3
        return Wait("every replica is busy", is_busy=True)
    if (underway := view.underway(model)) is not None:  # 4
        return Join(underway.node, underway.percent)
    if (neuron := view.loading_at(model)) is not None:
        return Join(neuron.name, 0)
    failure = view.failures.get(model)
    if failure is not None and now < failure.until:  # 5
        return Refuse(load_failed(model, failure.detail, failure.until - now))
    return _place(want, view, now)


def _best_replica(want: Want, view: View) -> tuple[Neuron | None, bool]:
    """The replica to serve on, and whether there is any, busy or not."""
    model, matched = want.model, want.matched
    candidates: list[tuple[float, int, int, Neuron]] = []
    total, count = 0, 0
    for neuron in view.hot.get(model, {}).values():
        if neuron.stalled or neuron.drained or neuron.state != "ready" or model in neuron.closing:
            continue
        load, slots = neuron.load.get(model, 0), neuron.models[model].slots
        total += load
        count += 1
        if load < slots and model not in neuron.full:
            candidates.append((load / slots, neuron.dispatches, load, neuron))
    if not candidates:
        return None, count > 0
    if not matched:
        return min(candidates, key=itemgetter(0, 1))[3], True
    mean = total / count
    few = [one for one in candidates if one[3].route in matched]
    others = [one for one in candidates if one[3].route not in matched]
    if others:  # without a match the score falls with the load, so only one of them can win
        few.append(min(others, key=itemgetter(2, 0, 1)))
    ranked = max(few, key=lambda one: (score(matched.get(one[3].route, 0.0), one[2], mean), -one[0], -one[1]))
    return ranked[3], True


def _place(want: Want, view: View, now: float) -> Choice:
    """Cases 6 to 8."""
    profile = view.profile(want.model)
    turn = want.waited >= view.policy.turn_s
    for drain in (False, True) if turn else (False,):
        if (found := best(view, profile, now, drain=drain)) is not None:
            return Load(found)  # 6
    present, departed = could_ever(view, profile)
    if present:
        if (refused := refusal(view, profile, now)) is not None:  # 8, by the devices' own word
            return Refuse(refused_by_all(want.model, *refused))
        return Wait(NO_ROOM)  # 7
    if departed or not view.is_settled(now) or not view.neurons or want.model not in view.profiles:
        return Wait("no replica is ready")
    return Refuse(never_fits(want.model, view, now))  # 8


def _unknown(model: str, view: View, now: float) -> Choice:
    if not view.is_settled(now):
        return Wait("this broker has just started")
    text = f"The model {model!r} does not exist here; GET /v1/models lists those that do."
    return Refuse(Fault(code=Code.MODEL_NOT_FOUND, message=text, param="model"))


def told(wait: Wait, model: str, view: View, now: float) -> str:
    """The reason in full; looking at every device for it would be too dear at each decision."""
    return told_both(wait, model, view, now)[0]


def told_both(wait: Wait, model: str, view: View, now: float) -> tuple[str, str]:
    """The same, and once more for clients that may not know of other models."""
    if wait.reason != NO_ROOM:
        return wait.reason, wait.reason
    profile = view.profile(model)
    able = [one for one in nearest_first(profile, looks(view, profile, now)) if one.able]
    if not able:
        return NO_ROOM, NO_ROOM
    full = _each([(one.neuron.name, one.reason) for one in able])
    discreet = _each([(one.neuron.name, one.discreet or one.reason) for one in able])
    return f"{NO_ROOM} ({full})", f"{NO_ROOM} ({discreet})"


def _each(reasons: Sequence[tuple[str, str]]) -> str:
    """Why of the first few devices, those with the same reason together."""
    names: dict[str, list[str]] = {}
    for name, reason in reasons[:NAMED]:
        names.setdefault(reason, []).append(name)
    more = [f"{len(reasons) - NAMED} more"] if len(reasons) > NAMED else []
    return "; ".join([f"{', '.join(where)}: {reason}" for reason, where in names.items()] + more)


def could_not_be_loaded(model: str, detail: str) -> str:
    return f"{model} could not be loaded: {detail.removeprefix(f'{model}: ').rstrip(' .!')}."


def load_failed(model: str, detail: str, seconds: float) -> Fault:
    """What everybody is told who asks for a model whose load failed."""
    after = max(1.0, seconds)
    text = (
        f"{could_not_be_loaded(model, detail)} It is tried again after {after:.0f} s, or at once by "
        f"`cortex-ctl load {model}`."
    )
    return Fault(code=Code.LOAD_FAILED, message=text, param="model", retry_after=after)


def refused_by_all(model: str, why: Fault, seconds: float) -> Fault:
    """What is told of a model that every device that could hold it has refused."""
    if why.code is Code.DOES_NOT_FIT:
        return Fault(code=Code.DOES_NOT_FIT, message=f"{model} fits nowhere: {why.message}", param="model")
    return load_failed(model, why.message, seconds)


def never_fits(model: str, view: View, now: float) -> Fault:
    """Why no device of the fleet can hold the model."""
    profile = view.profile(model)
    found = nearest_first(profile, looks(view, profile, now))
    reasons = [(one.neuron.name, one.reason) for one in found if not one.able]
    if reasons:
        why = _each(reasons)
    else:
        why = f"it needs {profile.min_devices} devices of one host that can each hold a share"
    text = f"{model} fits on no device of this fleet ({why})."
    return Fault(code=Code.DOES_NOT_FIT, message=text, param="model")
