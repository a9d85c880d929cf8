"""The correlation table under any order of events: one end, whole streams, nothing after the end, one broker each."""

from collections import Counter
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from cortex.edge.events import Deliver, End, Left, Opened, Received, Send, Ticket
from cortex.edge.inflight import MAX_ATTEMPTS, Inflight
from cortex.protocol.deltas import Delta, Deltas, TextPiece
from cortex.protocol.faults import Code, Fault
from cortex.protocol.liveness import EXPIRY
from cortex.protocol.messages import (
    Accepted,
    Failed,
    Finished,
    Loading,
    Queued,
    Refused,
    Submit,
    Welcome,
)
from cortex.protocol.owner import ranked

NEURONS = st.sampled_from([b"neuron-1", b"neuron-2"])
BROKERS = st.integers(0, 2)
ABOUT = st.tuples(st.sampled_from([0, 0, 0, 1, 2]), BROKERS, st.sampled_from([True, True, True, False]))
"""How many attempts ago (mostly the one at hand), and who speaks: any broker, or mostly the one that has it."""
CODES = st.sampled_from(
    [Code.NEURON_LOST, Code.ENGINE_FAILED, Code.UNKNOWN_REQUEST, Code.DEADLINE, Code.BUSY]
)


@dataclass
class Client:
    """What one client saw, and what was asked of whom for it."""

    model: str
    given: dict[int, int] = field(default_factory=dict)
    """Attempt → the broker that was given it."""
    submits: Counter[int] = field(default_factory=Counter)
    session: bytes = b""
    tokens: list[int] = field(default_factory=list)
    attempt_of_tokens: int = 0
    ends: int = 0


class Table(RuleBasedStateMachine):
    """Clients come and go; any broker says anything of any attempt, twice or late; brokers die, return and restart."""

    names = Bundle("names")

    @initialize(count=st.integers(1, 3))
    def begin(self, count):
        self.count = count
        self.table = Inflight(brokers=count, stall_s=30)
        self.now = 0.0
        self.lives = [1] * count
        self.welcomed_at = [-EXPIRY] * count
        self.losses = 0
        self.session, self.speaker = b"", 0
        self.clients: dict[str, Client] = {}
        self.generation: dict[tuple[str, int, bytes], int] = {}

    def play(self, effects):
        for effect in effects:
            if isinstance(effect, Deliver):
                self.delivered(self.clients[effect.request], effect.item)
            elif isinstance(effect, End):
                client = self.clients[effect.request]
                client.ends += 1
                assert client.ends == 1, "ended twice"
                if isinstance(effect.outcome, Finished) and not effect.outcome.cancelled:
                    assert sum(effect.outcome.totals) == len(client.tokens)
            elif isinstance(effect, Send) and isinstance(effect.message, Submit):
                self.submitted(effect.broker, effect.message)
            else:  # a query or a cancel
                given = self.clients[effect.message.request].given
                assert given[effect.message.attempt] == effect.broker, "told to one that never had it"

    def delivered(self, client, item):
        assert client.ends == 0, "delivered after the end"
        if not isinstance(item, Delta):
            assert client.given[item.attempt] == self.speaker, "a broker that was not asked is heard"
            if isinstance(item, Accepted):
                client.session = self.session
            return
        assert self.session == client.session, "another neuron's tokens"
        if not client.tokens:
            client.attempt_of_tokens = item.attempt
        assert item.attempt == client.attempt_of_tokens, "attempts are mixed"
        assert item.seq == len(client.tokens), "a gap or a repetition"
        client.tokens += item.tokens

    def submitted(self, broker, message):
        client = self.clients[message.request]
        attempt = message.attempt
        assert client.ends == 0, "submitted after the end"
        assert not client.tokens, "tried again though the client has seen something"
        assert attempt <= MAX_ATTEMPTS + self.losses
        assert attempt >= max(client.given, default=1)
        assert client.given.setdefault(attempt, broker) == broker, "one attempt at two brokers"
        client.submits[attempt] += 1
        assert client.submits[attempt] <= 2 + self.losses, "submitted again and again"
        assert self.table.brokers[broker].live, "given to one that is gone"

    def hear(self, broker, message, session=None):
        self.session = session or b"broker-%d-%d" % (broker, self.lives[broker])
        self.speaker = broker
        self.play(self.table.handle(Received(broker, self.session, message), self.now))

    def spoken_of(self, name, about):
        """The attempt and the broker that speaks of it."""
        back, broker, asked = about
        given = self.clients[name].given
        attempt = max(1, max(given, default=1) - back)
        return attempt, given.get(attempt, 0) if asked else broker % self.count

    @rule(target=names, model=st.sampled_from("abcd"))
    def open(self, model):
        name = f"r{len(self.clients)}"
        self.clients[name] = Client(model)
        ticket = Ticket(request=name, model=model, attachments=(b"",))
        effects = self.table.handle(Opened(ticket), self.now)
        live = [broker.name for broker in self.table.brokers if broker.live]
        assert [f"b{e.broker}" for e in effects] == ranked(model, live)[:1], "its owner is asked, or nobody"
        self.play(effects)
        return name

    @rule(name=names)
    def leave(self, name):
        before = self.clients[name].ends
        self.play(self.table.handle(Left(name), self.now))
        assert self.clients[name].ends == max(before, 1)

    @rule(broker=BROKERS, restarted=st.sampled_from([False, False, True]))
    def beat(self, broker, restarted):
        broker %= self.count
        if restarted:
            self.lives[broker] += 1
            self.losses += 1
        self.welcome(broker, moves=restarted)

    @rule(seconds=st.integers(1, 12))
    def go_on(self, seconds):
        """Time passes, and whoever lives beats."""
        for _ in range(seconds):
            self.now += 1.0
            for index, broker in enumerate(self.table.brokers):
                if broker.live:
                    self.welcome(index)
            self.tick()

    def welcome(self, broker, *, moves=False):
        moves = moves or not self.table.live
        before = {name: len(client.given) for name, client in self.clients.items()}
        self.welcomed_at[broker] = self.now
        self.hear(broker, Welcome(broker=f"b{broker}", catalogue=1))
        after = {name: len(client.given) for name, client in self.clients.items()}
        assert moves or before == after, "moved though its broker lives"

    @rule(name=names, about=ABOUT, loading=st.booleans())
    def wait_in_line(self, name, about, loading):
        attempt, broker = self.spoken_of(name, about)
        self.hear(broker, (Loading if loading else Queued)(request=name, attempt=attempt))

    @rule(name=names, about=ABOUT, neuron=NEURONS)
    def accept(self, name, about, neuron):
        attempt, broker = self.spoken_of(name, about)
        self.hear(broker, Accepted(request=name, attempt=attempt), neuron)

    @rule(
        name=names,
        about=ABOUT,
        neuron=NEURONS,
        count=st.integers(0, 3),
        skip=st.integers(-2, 1),
    )
    def say(self, name, about, neuron, count, skip):
        attempt, broker = self.spoken_of(name, about)
        key = (name, attempt, neuron)
        seq = max(0, self.generation.get(key, 0) + skip)
        self.generation[key] = max(seq + count, self.generation.get(key, 0))
        ids = list(range(seq, seq + count))
        self.hear(broker, Deltas([Delta(name, attempt, 0, seq, ids, [TextPiece("x")])]), neuron)

    @rule(
        name=names,
        about=ABOUT,
        lacking=st.integers(0, 1),
        cancelled=st.booleans(),
    )
    def finish(self, name, about, lacking, cancelled):
        attempt, broker = self.spoken_of(name, about)
        total = len(self.clients[name].tokens) + lacking
        message = Finished(request=name, attempt=attempt, totals=(total,), cancelled=cancelled)
        self.hear(broker, message)

    @rule(name=names, about=ABOUT, code=CODES, refused=st.booleans())
    def fail(self, name, about, code, refused):
        attempt, broker = self.spoken_of(name, about)
        fault = Fault(code=code, message="scripted")
        self.hear(broker, (Refused if refused else Failed)(request=name, attempt=attempt, fault=fault))

    @rule(seconds=st.sampled_from([0.1, 1.0, 3.0, 6.0]))
    def pass_time(self, seconds):
        self.now += seconds
        self.tick()

    def tick(self):
        before = sum(broker.live for broker in self.table.brokers)
        effects = self.table.tick(self.now)
        self.losses += before - sum(broker.live for broker in self.table.brokers)
        self.play(effects)

    @invariant()
    def holds(self):
        self.table.check()
        open_clients = sum(client.ends == 0 for client in self.clients.values())
        assert len(self.table) == open_clients
        deadline = self.table.next_deadline()
        assert (deadline is not None) or not open_clients
        if any(self.now - at < EXPIRY - 0.01 for at in self.welcomed_at):
            assert " 0 held" in repr(self.table), "held though a broker lives"

    def teardown(self):
        """However it was left, silence alone ends every request."""
        if not hasattr(self, "table"):
            return
        for _ in range(100):
            deadline = self.table.next_deadline()
            if deadline is None:
                break
            self.now = max(self.now, deadline)
            self.tick()
            self.table.check()
        assert all(client.ends == 1 for client in self.clients.values())


TestTable = Table.TestCase
TestTable.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
