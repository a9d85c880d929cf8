"""Placements that this broker has ordered and that have not ended: one load per model, one question per device.

Books only, and the messages that belong to them: it orders a plan, sends it again until it is answered, and says how it
ended. Why something is placed, and what becomes of those who wait for it, is decided elsewhere.

    asked ──Placed──▶ placed ──Ready: hot──▶ done
      │ refused         │ Ready: failed or gone, device lost, overdue
      └───────▶ refused └───────▶ failed
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

from cortex.broker.catalogue import Profile
from cortex.broker.decisions import Decisions
from cortex.broker.events import Effect, ToNeuron
from cortex.broker.fleet import Neuron
from cortex.broker.placement import Part, Plan
from cortex.broker.view import Underway, View
from cortex.protocol import messages as m
from cortex.protocol.faults import Code

Reason = Literal["load", "ttl", "operator", "repair", "abandoned"]
"""Why something leaves: for another model, unused for too long, by order, as what is left of a broken replica, or as a
load that nobody waits for any more."""
GRACE = 3.0
"""Seconds that a load may be over its deadline here: the device keeps the same one, and its word is the better one."""
RESEND = 1.0
UNANSWERED = 10.0
"""Seconds after which a device that lives and does not answer is asked no longer."""
SHUT: dict[Code, float] = {Code.STALE: 0.0, Code.BUSY: 1.0, Code.NO_CAPACITY: 1.0, Code.DRAINING: 1.0}
"""Seconds for which a device that refused is not asked for the same model again; any other refusal lasts longer."""
SHUT_LONG = 60.0


class End(Enum):
    """How a placement ended."""

    DONE = "done"
    REFUSED = "refused"
    """Nothing was changed; the truth that came with the refusal may lead to another plan."""
    LOST = "lost"
    """A device that took part is gone, does not answer, or let its reservation lapse."""
    FAILED = "failed"


@dataclass(slots=True)
class Placement:
    """`model` is what it loads, empty where something only leaves."""

    command: str
    plan: Plan
    why: str
    reason: Reason
    begun: float
    deadline: float
    allowed_s: float
    messages: dict[bytes, m.Place]
    asked_at: float
    versions: dict[bytes, int] = field(default_factory=dict)
    """Residency of each device that has answered."""
    committed: bool = False
    for_clients: bool = False
    """Only those who wait want it."""
    is_abandoned: bool = False
    percent: int = 0
    detail: str = ""

    @property
    def model(self) -> str:
        return self.plan.model

    @property
    def is_answered(self) -> bool:
        return self.versions.keys() == self.messages.keys()


@dataclass(frozen=True, slots=True)
class Ended:
    placement: Placement
    end: End
    detail: str = ""


class Loads:
    """The book. Effects go to the list that the core hands out."""

    def __init__(self, view: View, effects: list[Effect], decisions: Decisions, prefix: str) -> None:
        self._view = view
        self._effects = effects
        self._decisions = decisions
        self._prefix = prefix
        self._number = 0
        self.by_command: dict[str, Placement] = {}
        self.by_model: dict[str, Placement] = {}
        self.evicted: Counter[tuple[str, str]] = Counter()
        """Victims that devices have agreed to let go, by (device, reason)."""
        self.ended: Counter[tuple[str, str]] = Counter()
        """Loads, by (model, how they ended)."""
        self.durations: list[float] = []
        """Seconds of loads that ended well, since somebody last took them."""

    # ── ordering ─────────────────────────────────────────────────────────────────────────────────────────────────

    def order(
        self,
        plan: Plan,
        why: str,
        now: float,
        *,
        pinned: bool = False,
        for_clients: bool = False,
        reason: Reason = "load",
    ) -> Placement:
        """Ask every device of the plan, as one command. `reason` is the short word for what leaves."""
        self._number += 1
        command = f"{self._prefix}-{self._number}"
        profile = self._view.profile(plan.model)
        allowed = profile.load_deadline + GRACE
        spec = load_spec(plan, profile, pinned=pinned) if plan.model else None
        messages: dict[bytes, m.Place] = {}
        for part in plan.parts:
            neuron = part.neuron
            assert not neuron.asked, f"{neuron.name} is asked twice at once"
            messages[neuron.route] = m.Place(
                command=command,
                version=neuron.version,
                evict=part.evict,
                load=spec if part.loads else None,
                drain=plan.drain,
                sleep=reason != "operator",
            )
            neuron.asked = command
            neuron.closing.update(part.evict)
        placement = Placement(command, plan, why, reason, now, now + allowed, allowed, messages, now)
        placement.for_clients = for_clients
        self.by_command[command] = placement
        if plan.model:
            assert plan.model not in self.by_model, f"{plan.model} is loaded twice at once"
            self.by_model[plan.model] = placement
        self._note(placement, now)
        for route, message in messages.items():
            self._effects.append(ToNeuron(route, message))
        return placement

    def unload(
        self,
        neuron: Neuron,
        models: tuple[str, ...],
        why: str,
        now: float,
        *,
        reason: Reason,
        drain: bool = False,
    ) -> Placement:
        """Have models leave, with all devices that share them; none of these may be asked something already."""
        leaving: dict[bytes, list[str]] = {}
        where: dict[bytes, Neuron] = {}
        for name in models:
            for member in self._view.members(neuron, name):
                where[member.route] = member
                leaving.setdefault(member.route, []).append(name)
        parts = tuple(Part(where[route], tuple(names), loads=False) for route, names in leaving.items())
        return self.order(Plan("", parts, drain), why, now, reason=reason)

    def give_up(self, placement: Placement, why: str, now: float) -> None:
        """Have the devices forget what they have reserved for it: nothing of it is loaded yet."""
        placement.is_abandoned = True
        parts = tuple(
            Part(part.neuron, (placement.model,), loads=False) for part in placement.plan.parts if part.loads
        )
        self.order(Plan("", parts, drain=True), why, now, reason="abandoned")

    def _note(self, placement: Placement, now: float) -> None:
        plan = placement.plan
        for part in plan.parts:
            for victim in part.evict:
                self._decisions.note(now, "evict", f"{victim} on {part.neuron.name}", placement.why)
        if plan.model:
            names = ", ".join(part.neuron.name for part in plan.parts if part.loads)
            held = plan.leader.models.get(plan.model)
            word = "wake" if held is not None and held.state == "asleep" else "load"
            self._decisions.note(now, word, f"{plan.model} on {names}", placement.why)

    def underway(self, model: str) -> Underway | None:
        """The load of this model that was ordered here."""
        placement = self.by_model.get(model)
        if placement is None:
            return None
        expected = self._view.usage.load_s(model, self._view.profile(model).footprint_bytes)
        return Underway(
            placement.plan.leader.name, placement.percent, placement.detail, placement.begun, expected
        )

    def has_begun(self, model: str) -> bool:
        """Whether the devices have taken its load on, for this broker or for another."""
        placement = self.by_model.get(model)
        return placement is None or placement.is_answered

    # ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────

    def placed(self, neuron: Neuron, message: m.Placed) -> bool:
        """A device has reserved all it was asked for; False if the command is not one of ours.

        What it holds now is told by its next `Ready`; until that is here, it is asked nothing else.
        """
        placement = self.by_command.get(message.command)
        if placement is None:
            if neuron.asked == message.command:
                self._reopen(neuron)
            return False
        if neuron.route not in placement.versions:
            placement.versions[neuron.route] = message.version
            gone = len(placement.messages[neuron.route].evict)
            if gone:
                self.evicted[neuron.name, placement.reason] += gone
        if placement.is_answered and len(placement.plan.devices) > 1 and not placement.committed:
            placement.committed = True
            for part in placement.plan.parts:
                if part.loads:
                    self._effects.append(ToNeuron(part.neuron.route, m.Commit(command=placement.command)))
        return True

    def refused(self, neuron: Neuron, message: m.PlaceRefused, now: float) -> Ended | None:
        """Nothing was changed there; the caller has taken in the truth that came along."""
        if neuron.asked == message.command:
            self._reopen(neuron)
        placement = self.by_command.get(message.command)
        if placement is None:
            return None
        pause = SHUT.get(message.fault.code, SHUT_LONG)
        if placement.model:
            if pause:
                neuron.shut[placement.model] = now + pause
            if pause == SHUT_LONG:
                neuron.refused[placement.model] = message.fault
                said = message.fault.message.removeprefix(f"{placement.model}: ")
                self._view.refused[placement.model] = f"{neuron.name}: {said}"
            else:
                neuron.refused.pop(placement.model, None)
        return self._end(placement, End.REFUSED, message.fault.message)

    def progress(self, message: m.LoadProgress) -> None:
        """How far a load is; nothing is noted of one that was not ordered here."""
        placement = self.by_model.get(message.model)
        if placement is not None:
            placement.percent, placement.detail = message.percent, message.detail

    def announced(self, neuron: Neuron, now: float) -> list[Ended]:
        """A device said what it holds: which placements does that end?"""
        placement = self.by_command.get(neuron.asked)
        if neuron.asked and (
            placement is None or neuron.version >= placement.versions.get(neuron.route, neuron.version + 1)
        ):
            self._reopen(neuron)
        ended = []
        for found in list(self.by_command.values()):
            if found.is_answered and neuron.route in found.messages:
                outcome = self._outcome(found, now)
                if outcome is not None:
                    ended.append(self._end(found, *outcome))
        return ended

    def _outcome(self, placement: Placement, now: float) -> tuple[End, str] | None:
        """What the devices' residency says about a placement that they all have answered."""
        plan = placement.plan
        for part in plan.parts:
            if part.neuron.version < placement.versions[part.neuron.route]:
                return None  # what it said is older than its answer
        leaving = any(
            (held := part.neuron.models.get(victim)) is not None and held.state == "draining"
            for part in plan.parts
            for victim in part.evict
        )
        if leaving:
            placement.deadline = now + placement.allowed_s
            return None
        if not plan.model:
            return End.DONE, ""
        held = plan.leader.models.get(plan.model)
        if held is not None and held.state == "loading":
            return None
        if held is not None and held.state == "hot":
            if held.wake_ms:
                self.durations.append(held.wake_ms / 1000)
            else:
                seconds = held.load_ms / 1000 or now - placement.begun
                self._view.usage.loaded(plan.model, seconds)
                self.durations.append(seconds)
            return End.DONE, ""
        if placement.is_abandoned and held is None:
            return End.REFUSED, "nobody waited for it any more"
        if held is None or held.state != "failed":  # a reservation that lapsed says nothing about the model
            return End.LOST, "the device gave the load up"
        return End.FAILED, held.detail or "it failed to load"

    # ── what does not come ───────────────────────────────────────────────────────────────────────────────────────

    def lost(self, neuron: Neuron) -> list[Ended]:
        """A device is gone, and what was placed there with it."""
        return [
            self._end(placement, End.LOST, f"{neuron.name} was lost")
            for placement in list(self.by_command.values())
            if neuron.route in placement.messages
        ]

    def remind(self, neuron: Neuron, now: float) -> None:
        """Ask again what has not been answered: the question or the answer may have been lost with a connection."""
        placement = self.by_command.get(neuron.asked)
        if placement is not None and now - placement.asked_at >= RESEND:
            if neuron.route not in placement.versions:
                self._effects.append(ToNeuron(neuron.route, placement.messages[neuron.route]))
            elif placement.committed:
                self._effects.append(ToNeuron(neuron.route, m.Commit(command=placement.command)))

    def overdue(self, now: float) -> list[Ended]:
        """Give up what takes too long. Moments are added up as `next_deadline` does, or a rounding lets it spin."""
        ended = []
        for placement in list(self.by_command.values()):
            if not placement.is_answered and now >= placement.asked_at + UNANSWERED:
                for part in placement.plan.parts:
                    if placement.model:
                        part.neuron.shut[placement.model] = now + UNANSWERED
                ended.append(self._end(placement, End.LOST, "a device did not answer"))
            elif placement.model and placement.is_answered and now >= placement.deadline:
                detail = f"it was not loaded within {placement.allowed_s - GRACE:.0f} s"
                leader = placement.plan.leader
                leader.shut[placement.model] = now + SHUT_LONG
                leader.stuck.add(placement.model)
                ended.append(self._end(placement, End.FAILED, detail))
        return ended

    def next_deadline(self) -> float | None:
        """When `overdue` will next have something to do."""
        times = [
            placement.deadline if placement.is_answered else placement.asked_at + UNANSWERED
            for placement in self.by_command.values()
            if placement.model or not placement.is_answered
        ]
        return min(times, default=None)

    def _end(self, placement: Placement, end: End, detail: str = "") -> Ended:
        del self.by_command[placement.command]
        if placement.model:
            del self.by_model[placement.model]
            self.ended[placement.model, end.value] += 1
        for part in placement.plan.parts:
            if part.neuron.asked == placement.command and end is not End.DONE:
                self._reopen(part.neuron)
        return Ended(placement, end, detail)

    def _reopen(self, neuron: Neuron) -> None:
        """It has said its word, so what it says it holds is the truth again."""
        neuron.asked = ""
        neuron.closing.clear()

    def check(self) -> None:
        """Assert what must always hold."""
        for model, placement in self.by_model.items():
            assert placement.model == model, f"{model} is filed wrongly"
            assert placement.command in self.by_command, f"the load of {model} is a ghost"
        for neuron in self._view.neurons.values():
            assert bool(neuron.closing) <= bool(neuron.asked), f"{neuron.name}: a victim of nobody"
        for placement in self.by_command.values():
            for route in placement.messages:
                assert route in self._view.neurons, f"{placement.command} waits for a device that is gone"


def load_spec(plan: Plan, profile: Profile, *, pinned: bool) -> m.LoadSpec:
    """What the devices are asked to load."""
    return m.LoadSpec(
        model=profile.id,
        source=profile.source,
        engine=profile.engine,
        quantization=profile.quantization,
        footprint_bytes=profile.footprint_bytes,
        deadline_ms=int(1000 * profile.load_deadline),
        devices=plan.devices if len(plan.devices) > 1 else (),
        slots=profile.slots,
        context=profile.limit.context,
        pinned=pinned or profile.pinned,
        tool_calls=profile.tool_calls,
        repairs=profile.repairs,
    )
