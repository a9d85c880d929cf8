"""The correlation table under any order of events: one end, whole streams, nothing after the end."""

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from cortex.edge.events import Deliver, End, Left, Opened, Received, Send, Ticket
from cortex.edge.inflight import MAX_ATTEMPTS, Inflight
from cortex.protocol.deltas import Delta, Deltas, TextPiece
from cortex.protocol.faults import Code, Fault
from cortex.protocol.messages import (
    Accepted,
    Cancel,
    Failed,
    Finished,
    Loading,
    Queued,
    Refused,
    Submit,
    Welcome,
)

SESSIONS = st.sampled_from([b"neuron-1", b"neuron-2"])
CODES = st.sampled_from(
    [Code.NEURON_LOST, Code.ENGINE_FAILED, Code.UNKNOWN_REQUEST, Code.DEADLINE, Code.BUSY]
)


@dataclass
class Client:
    """What one client saw."""

    attempts: set[int] = field(default_factory=set)
    tokens: list[int] = field(default_factory=list)
    attempt_of_tokens: int = 0
    ends: int = 0


class Table(RuleBasedStateMachine):
    """Clients come and go, messages are made for any attempt by any neuron, brokers die, time passes."""

    names = Bundle("names")

    def __init__(self):
        super().__init__()
        self.table = Inflight(stall_s=30)
        self.now = 0.0
        self.broker = 1
        self.clients: dict[str, Client] = {}
        self.generation: dict[tuple[str, int, bytes], int] = {}

    def play(self, effects):
        for effect in effects:
            if isinstance(effect, Deliver):
                client = self.clients[effect.request]
                assert client.ends == 0, "delivered after the end"
                if isinstance(effect.item, Delta):
                    if not client.tokens:
                        client.attempt_of_tokens = effect.item.attempt
                    assert effect.item.attempt == client.attempt_of_tokens, "attempts are mixed"
                    assert effect.item.seq == len(client.tokens), "a gap or a repetition"
                    client.tokens += effect.item.tokens
            elif isinstance(effect, End):
                client = self.clients[effect.request]
                client.ends += 1
                assert client.ends == 1, "ended twice"
                if isinstance(effect.outcome, Finished) and not effect.outcome.cancelled:
                    assert sum(effect.outcome.totals) == len(client.tokens)
            elif isinstance(effect, Send) and isinstance(effect.message, Submit):
                client = self.clients[effect.message.request]
                assert client.ends == 0, "submitted after the end"
                assert effect.message.attempt <= MAX_ATTEMPTS
                assert effect.message.attempt >= max(client.attempts, default=1)
                assert not client.tokens, "tried again though the client has seen something"
                client.attempts.add(effect.message.attempt)
            elif isinstance(effect, Send) and isinstance(effect.message, Cancel):
                assert effect.message.attempt in self.clients[effect.message.request].attempts

    def hear(self, message, session=None):
        self.play(self.table.handle(Received(0, session or b"broker-%d" % self.broker, message), self.now))

    @rule(target=names)
    def open(self):
        name = f"r{len(self.clients)}"
        self.clients[name] = Client()
        self.play(self.table.handle(Opened(Ticket(request=name, model="m", attachments=(b"",))), self.now))
        return name

    @rule(name=names)
    def leave(self, name):
        before = self.clients[name].ends
        self.play(self.table.handle(Left(name), self.now))
        assert self.clients[name].ends == max(before, 1)

    @rule()
    def beat(self):
        self.hear(Welcome(broker="b", catalogue=1))

    @rule()
    def restart_broker(self):
        self.broker += 1
        self.hear(Welcome(broker="b", catalogue=1))

    @rule(name=names, attempt=st.integers(1, 3), loading=st.booleans())
    def wait_in_line(self, name, attempt, loading):
        self.hear((Loading if loading else Queued)(request=name, attempt=attempt))

    @rule(name=names, attempt=st.integers(1, 3), session=SESSIONS)
    def accept(self, name, attempt, session):
        self.hear(Accepted(request=name, attempt=attempt), session)

    @rule(
        name=names,
        attempt=st.integers(1, 3),
        session=SESSIONS,
        count=st.integers(0, 3),
        skip=st.integers(-2, 1),
    )
    def say(self, name, attempt, session, count, skip):
        seq = max(0, self.generation.get((name, attempt, session), 0) + skip)
        self.generation[name, attempt, session] = max(
            seq + count, self.generation.get((name, attempt, session), 0)
        )
        ids = list(range(seq, seq + count))
        self.hear(Deltas([Delta(name, attempt, 0, seq, ids, [TextPiece("x")])]), session)

    @rule(name=names, attempt=st.integers(1, 3), lacking=st.integers(0, 1), cancelled=st.booleans())
    def finish(self, name, attempt, lacking, cancelled):
        total = len(self.clients[name].tokens) + lacking
        self.hear(Finished(request=name, attempt=attempt, totals=(total,), cancelled=cancelled))

    @rule(name=names, attempt=st.integers(1, 3), code=CODES, refused=st.booleans())
    def fail(self, name, attempt, code, refused):
        fault = Fault(code=code, message="scripted")
        self.hear((Refused if refused else Failed)(request=name, attempt=attempt, fault=fault))

    @rule(seconds=st.sampled_from([0.1, 1.0, 3.0, 6.0]))
    def pass_time(self, seconds):
        self.now += seconds
        self.play(self.table.tick(self.now))

    @invariant()
    def holds(self):
        self.table.check()
        open_clients = sum(client.ends == 0 for client in self.clients.values())
        assert len(self.table) == open_clients
        deadline = self.table.next_deadline()
        assert (deadline is not None) or not open_clients

    def teardown(self):
        """However it was left, silence alone ends every request."""
        for _ in range(100):
            deadline = self.table.next_deadline()
            if deadline is None:
                break
            self.now = max(self.now, deadline)
            self.play(self.table.tick(self.now))
            self.table.check()
        assert all(client.ends == 1 for client in self.clients.values())


TestTable = Table.TestCase
TestTable.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
