"""What would become of a request for a model now, and why: `choose`, told in words. Pure; it changes nothing."""

from __future__ import annotations

from msgspec.structs import replace

from cortex.broker.operations import unknown
from cortex.broker.placement import Look, Plan, footprint_on, is_cold, looks
from cortex.broker.routing import Choice, Join, Load, Refuse, Serve, Wait, Want, choose, told
from cortex.broker.shortlist import best
from cortex.broker.state import State
from cortex.protocol.faults import Code, Fault
from cortex.protocol.messages import Explanation, Option


def explain(state: State, model: str, now: float) -> Explanation:
    """The decision, and every device that was looked at."""
    view, waiting = state.view, state.requests.waiting
    count = waiting.count(model)
    choice: Choice = choose(Want(model, waited=waiting.waited(model, now)), view, now)
    if isinstance(choice, Refuse) and choice.fault.code is Code.MODEL_NOT_FOUND:
        choice = Refuse(unknown(state, model))
    if count and isinstance(choice, Serve):  # they are served first, in the same breath
        choice = Wait("others wait before it", is_busy=True)
    profile = view.profile(model)
    drain = isinstance(choice, Load) and choice.plan.drain
    found = looks(view, profile, now, drain=drain) if view.exists(model) else []
    until = "" if not isinstance(choice, Refuse) else _tried_again(choice.fault)
    return replace(
        _told(state, model, choice, now),
        owner=state.mesh.owner_of(model),
        waiting=count,
        options=tuple(_option(one, model, until) for one in sorted(found, key=lambda one: one.neuron.name)),
    )


def _told(state: State, model: str, choice: Choice, now: float) -> Explanation:
    view = state.view
    match choice:
        case Serve(neuron=neuron):
            load, slots = neuron.load[model], neuron.models[model].slots
            reason = f"it is hot on {neuron.name}, {load} of {slots} slots taken"
            return Explanation(model=model, verdict="serve", reason=reason, node=neuron.name)
        case Join(node=node, percent=percent):
            reason = f"it is loading on {node}, {percent} % done"
            left = int(1000 * _remaining(state, model, now))
            return Explanation(model=model, verdict="join", reason=reason, node=node, wait_ms=left)
        case Load(plan=plan):
            seconds = view.usage.load_s(model, footprint_on(view.profile(model), plan.leader))
            if plan.drain:
                seconds += max((view.usage.service_s(victim) for victim in plan.victims), default=0.0)
            return Explanation(
                model=model,
                verdict="load",
                reason=_why(
                    plan, "asleep" if not is_cold(model, plan.leader) else "cold", view.trouble(model)
                ),
                node=plan.leader.name,
                victims=plan.victims,
                wait_ms=int(1000 * seconds),
            )
        case Wait():
            return Explanation(
                model=model,
                verdict="wait",
                reason=told(choice, model, view, now),
                wait_ms=int(1000 * _until_served(state, model, choice, now)),
            )
        case Refuse(fault=fault):
            after = int(1000 * (fault.retry_after or 0))
            return Explanation(
                model=model, verdict="refuse", reason=fault.message, wait_ms=after, fault=fault
            )


def _until_served(state: State, model: str, wait: Wait, now: float) -> float:
    """Seconds until a request that came now would be served, as far as can be told; 0 where nothing can.

    Behind others for a busy model: as many rounds of the latest requests' time as its slots need for all of them. Where
    no device has room: until the queue's turn has come and the model is loaded, if its turn can come at all.
    """
    view, waiting = state.view, state.requests.waiting
    if not view.is_settled(now):
        return view.settles_at - now
    if wait.is_busy:
        slots = sum(neuron.models[model].slots for neuron in view.replicas(model))
        rounds = -(-(waiting.count(model) + 1) // max(1, slots))
        return rounds * view.usage.service_s(model)
    profile = view.profile(model)
    found = best(view, profile, now, drain=True)
    if found is None:
        return 0.0
    left = max(0.0, view.policy.turn_s - waiting.waited(model, now))
    return left + view.usage.load_s(model, footprint_on(profile, found.leader))


def _why(plan: Plan, state: str, trouble: str) -> str:
    if trouble:
        return f"{_why(plan, state, '')}; its last load failed or was refused ({trouble.rstrip('.')})"
    where = ", ".join(part.neuron.name for part in plan.parts if part.loads)
    if not plan.victims:
        return f"it is {state}, and there is room on {where}"
    many = len(plan.victims) > 1
    last = "which must end what runs first" if plan.drain else "which are idle" if many else "which is idle"
    leaving = " and ".join(plan.victims)
    return f"it is {state}, and there is room on {where} once {leaving} left, {last}"


def _remaining(state: State, model: str, now: float) -> float:
    """Seconds until a load under way should end, by the last one's time."""
    underway = state.view.underway(model)
    if underway is None:
        return 0.0
    if underway.percent:
        spent = now - underway.since
        return spent * (100 - underway.percent) / underway.percent
    return max(0.0, underway.since + underway.expected_s - now)


def _tried_again(fault: Fault) -> str:
    return f"no load is tried for {fault.retry_after:.0f} s" if fault.retry_after else "it would be refused"


def _option(one: Look, model: str, until: str) -> Option:
    """`until` tells why nothing is loaded at all for now, wherever there is room; empty if that is not so."""
    if one.neuron.is_hot(model) and one.neuron.serves:
        return Option(node=one.neuron.name, verdict="has it", reason="it is hot here")
    if one.victims is None:
        return Option(node=one.neuron.name, verdict="not now" if one.able else "never", reason=one.reason)
    if until:
        return Option(node=one.neuron.name, verdict="not now", reason=f"{one.reason}, but {until}")
    names = tuple(resident.model for resident in one.victims)
    return Option(node=one.neuron.name, verdict="could take it", reason=one.reason, victims=names)
