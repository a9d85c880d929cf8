"""Single flight: whatever is ordered, answered, lost or late, a model is loaded once at a time and everything ends."""

from __future__ import annotations

from fleets import Card, Fleet, profile
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cortex.broker.events import Effect, NeuronUnreachable, ToNeuron
from cortex.protocol import messages as m
from cortex.protocol.faults import Code

DEADLINE = 8.0
UNANSWERED = 10.0
MODELS = ("a", "b", "wide")
HOSTS = st.sampled_from([("h", 0), ("h", 1), ("g", 0)])
NAMES = st.sampled_from(MODELS)


class LoadsMachine(RuleBasedStateMachine):
    """Three devices, a model for each two of which there is room, one that takes two devices.

    `open` is the model of single flight: which command loads what, until an answer, a device's word, a loss or time
    has ended it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.fleet = Fleet(
            profile("a", 15_000, load_deadline=DEADLINE),
            profile("b", 15_000, load_deadline=DEADLINE),
            profile("wide", 30_000, min_devices=2, load_deadline=DEADLINE),
        )
        self.open: dict[str, tuple[str, float]] = {}
        self.unanswered: list[tuple[bytes, m.Place]] = []
        self.begun: set[str] = set()
        self.commands = 0
        for node, index in (("h", 0), ("h", 1), ("g", 0)):
            self.fleet.join_card(Card(node, index))

    def see(self, effects: list[Effect]) -> None:
        """Take in what was sent."""
        for effect in effects:
            if not isinstance(effect, ToNeuron) or not isinstance(effect.message, m.Place):
                continue
            place = effect.message
            if (effect.route, place) not in self.unanswered:
                self.unanswered.append((effect.route, place))
            if place.load is not None and place.command not in self.begun:
                model = place.load.model
                before = self.open.get(model)
                assert before is None or before[0] == place.command, f"{model} is loaded twice at once"
                self.open[model] = (place.command, self.fleet.now)
        self.begun |= {command for command, _ in self.open.values()}

    def closes(self, model: str) -> None:
        self.open.pop(model, None)

    def seen_late(self) -> None:
        """What the broker may have given up by now."""
        for model, (_, since) in list(self.open.items()):
            if self.fleet.now - since >= min(DEADLINE, UNANSWERED):
                self.closes(model)

    def there(self, node: str, index: int) -> Card | None:
        route = f"{node}-{index}".encode()
        return self.fleet.cards[route] if route in self.fleet.broker.neurons else None

    @rule(model=NAMES)
    def ask(self, model: str) -> None:
        self.see(self.fleet.ask(model, queue_ms=5000))

    @rule(verb=st.sampled_from(["load", "unload", "pin", "unpin"]), model=NAMES)
    def order(self, verb: m.Verb, model: str) -> None:
        self.commands += 1
        self.fleet.forget()
        self.fleet.order(verb, model, command=f"c{self.commands}")
        self.see(self.fleet.sent)

    @precondition(lambda self: self.unanswered)
    @rule(data=st.data(), refuses=st.sampled_from([False, False, False, True]))
    def answer(self, data: st.DataObject, refuses: bool) -> None:
        """A device answers something that it was asked, now or long ago; once accepted, the same again changes nothing."""
        one = data.draw(st.sampled_from(self.unanswered))
        self.unanswered.remove(one)
        route, place = one
        card = self.fleet.cards[route]
        if route not in self.fleet.broker.neurons:
            return
        stale = place.version != card.version or any(
            name not in card.models or card.models[name].state != "hot" for name in place.evict
        )
        if refuses or stale:
            if place.load is not None and self.open.get(place.load.model, ("",))[0] == place.command:
                self.closes(place.load.model)
            self.see(self.fleet.decline(card, Code.STALE if stale else Code.BUSY, place=place))
        else:
            self.see(self.fleet.accept(card, place))

    @rule(host=HOSTS, ends=st.sampled_from(["hot", "failed", "gone"]))
    def load_ends(self, host: tuple[str, int], ends: str) -> None:
        card = self.there(*host)
        for name, model in list(card.models.items()) if card is not None else []:
            assert card is not None
            if model.state == "loading":
                self.closes(name)
                if ends == "gone":
                    self.see(self.fleet.leave(card, name))
                else:
                    self.see(self.fleet.become(card, name, ends))  # type: ignore[arg-type]

    @rule(host=HOSTS)
    def repeat(self, host: tuple[str, int]) -> None:
        card = self.there(*host)
        if card is not None:
            self.see(self.fleet.repeat(card))

    @rule(host=HOSTS)
    def lose(self, host: tuple[str, int]) -> None:
        card = self.there(*host)
        if card is not None:
            for name in list(self.open):
                self.closes(name)  # of those that took part; the others are checked by the core itself
            self.unanswered = [one for one in self.unanswered if one[0] != card.route]
            self.see(self.fleet.handle(NeuronUnreachable(card.route)))
            card.models.clear()

    @rule(host=HOSTS)
    def join(self, host: tuple[str, int]) -> None:
        if self.there(*host) is None:
            self.fleet.forget()
            self.fleet.join_card(Card(*host))
            self.see(self.fleet.sent)

    @rule(seconds=st.sampled_from([0.3, 1.2, 4.0, 11.0]))
    def time_passes(self, seconds: float) -> None:
        end = self.fleet.now + seconds
        while self.fleet.now < end - 1e-6:
            self.fleet.now += 0.3
            self.seen_late()
            self.fleet.now -= 0.3
            self.see(self.fleet.live(0.3))

    @rule(data=st.data())
    def requests_end(self, data: st.DataObject) -> None:
        for neuron in list(self.fleet.broker.neurons.values()):
            for request, attempt in list(neuron.assigned):
                finished = m.Finished(request=request, attempt=attempt, totals=(1,))
                self.see(self.fleet.from_neuron(finished, neuron.route))

    @invariant()
    def one_load_a_model(self) -> None:
        """The book holds no load that the model of single flight does not know."""
        for model, placement in self.fleet.broker.state.loads.by_model.items():
            known = self.open.get(model)
            assert known is None or known[0] == placement.command
        self.fleet.broker.check()

    def teardown(self) -> None:
        """Devices answer all that is asked, loads end, nobody asks any more: then nothing is left over."""
        fleet = self.fleet
        for _ in range(40):
            for neuron in list(fleet.broker.neurons.values()):
                for request, attempt in list(neuron.assigned):
                    finished = m.Finished(request=request, attempt=attempt, totals=(1,))
                    fleet.from_neuron(finished, neuron.route)
            fleet.load_all()
            fleet.live(1.0)
        state = fleet.broker.state
        assert not state.loads.by_command
        assert not state.requests.live
        for neuron in state.view.neurons.values():
            assert not neuron.asked
            assert not neuron.closing
        super().teardown()


TestLoads = LoadsMachine.TestCase
TestLoads.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
