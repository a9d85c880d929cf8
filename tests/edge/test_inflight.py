"""The correlation table, one rule at a time."""

import pytest

from cortex.edge.entry import GRACE, HOLD, QUERY_AFTER
from cortex.edge.events import Closing, Deliver, End, Left, Opened, Received, Send, Ticket
from cortex.edge.inflight import MAX_ATTEMPTS, Inflight
from cortex.protocol.deltas import Delta, Deltas, Finish, TextPiece
from cortex.protocol.faults import Code, Fault
from cortex.protocol.messages import (
    Accepted,
    Cancel,
    Counted,
    Failed,
    Finished,
    Loading,
    Query,
    Queued,
    Refused,
    Submit,
    Welcome,
)

BROKER, NEURON, OTHER = b"broker-1", b"neuron-1", b"neuron-2"
LOST = Fault(code=Code.NEURON_LOST, message="gone")
BROKEN = Fault(code=Code.ENGINE_FAILED, message="broken")


class Driver:
    """The table with a clock, checked after every step."""

    def __init__(self, *, live=True):
        self.table = Inflight(stall_s=60)
        self.now = 100.0
        if live:
            self.welcome()

    def do(self, event):
        effects = self.table.handle(event, self.now)
        self.table.check()
        return effects

    def hear(self, message, session=BROKER, broker=0):
        return self.do(Received(broker, session, message))

    def welcome(self, session=BROKER):
        return self.hear(Welcome(broker="b", catalogue=1), session)

    def open(self, request="r", **fields):
        return self.do(Opened(Ticket(request=request, model="demo", attachments=(b"blob",), **fields)))

    def accept(self, attempt=1, session=NEURON):
        return self.hear(Accepted(request="r", attempt=attempt), session)

    def tokens(self, seq, count=1, *, attempt=1, session=NEURON, choice=0, pieces=None):
        ids = list(range(seq, seq + count))
        made = [TextPiece("x")] if pieces is None else pieces
        return self.hear(Deltas([Delta("r", attempt, choice, seq, ids, made)]), session)

    def wait(self, seconds, *, beating=True):
        """Let time pass in steps as the rim would."""
        effects = []
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + 0.5)
            if beating:
                effects += self.welcome()
            effects += self.table.tick(self.now)
            self.table.check()
        return effects


def kinds(effects):
    return [type(e.message) if isinstance(e, Send) else type(e) for e in effects]


def outcome(effects):
    (end,) = [e for e in effects if isinstance(e, End)]
    return end.outcome


def test_a_request_is_submitted_with_what_the_broker_needs():
    """Model, principal, cost and the encoded request travel in the submission."""
    driver = Driver()
    (send,) = driver.open(principal="p", cost=9, queue_ms=1234)
    assert send == Send(
        0, Submit(request="r", attempt=1, model="demo", principal="p", cost=9, queue_ms=1234), (b"blob",)
    )


def test_what_names_a_request_travels_with_it():
    """Its digest and the hashes of its beginnings, each time it is submitted."""
    driver = Driver()
    (send,) = driver.open(digest=b"d", blocks=((b"h", 9),))
    assert (send.message.digest, send.message.blocks) == (b"d", ((b"h", 9),))


def test_the_happy_way():
    """Queued, loading, accepted, tokens, finished: all delivered, and one end."""
    driver = Driver()
    driver.open()
    queued = Queued(request="r", attempt=1, position=2)
    assert driver.hear(queued) == [Deliver("r", queued)]
    assert kinds(driver.hear(Loading(request="r", attempt=1))) == [Deliver]
    assert kinds(driver.accept()) == [Deliver]
    assert kinds(driver.tokens(0, 2)) == [Deliver]
    assert kinds(driver.tokens(2)) == [Deliver]
    finished = Finished(request="r", attempt=1, totals=(3,))
    assert driver.hear(finished) == [End("r", finished)]
    assert len(driver.table) == 0


def test_nothing_follows_the_end():
    """Frames after the terminal are dropped."""
    driver = Driver()
    driver.open()
    driver.accept()
    driver.hear(Finished(request="r", attempt=1, totals=(0,)))
    assert driver.tokens(0) == []
    assert driver.hear(Failed(request="r", attempt=1, fault=LOST)) == []


def test_only_the_accepted_session_counts():
    """Another neuron's deltas, and deltas before anybody accepted, are dropped."""
    driver = Driver()
    driver.open()
    assert driver.tokens(0) == []
    driver.accept()
    assert driver.tokens(0, session=OTHER) == []
    assert driver.accept(session=OTHER) == []
    assert kinds(driver.tokens(0)) == [Deliver]


def test_duplicates_are_dropped():
    """A delta that came before does not come again."""
    driver = Driver()
    driver.open()
    driver.accept()
    driver.tokens(0, 2)
    assert driver.tokens(0, 2) == []
    assert driver.tokens(1) == []
    assert kinds(driver.tokens(2, pieces=[Finish("stop")])) == [Deliver]
    assert driver.tokens(3) == []


def test_choices_are_counted_apart():
    """Each choice has a sequence of its own; an unknown one is dropped."""
    driver = Driver()
    driver.open(choices=2)
    driver.accept()
    assert kinds(driver.tokens(0, 3, choice=1)) == [Deliver]
    assert kinds(driver.tokens(0, 1, choice=0)) == [Deliver]
    assert driver.tokens(0, choice=2) == []
    assert kinds(driver.hear(Finished(request="r", attempt=1, totals=(1, 3)))) == [End]


def test_a_gap_fails_the_request():
    """A missing token is an error, and the device is told to stop."""
    driver = Driver()
    driver.open()
    driver.accept()
    driver.tokens(0)
    effects = driver.tokens(2)
    assert kinds(effects) == [Cancel, End]
    assert outcome(effects).code is Code.STREAM_GAP


def test_totals_that_do_not_match_are_a_gap():
    """A lost tail is noticed."""
    driver = Driver()
    driver.open()
    driver.accept()
    driver.tokens(0)
    assert outcome(driver.hear(Finished(request="r", attempt=1, totals=(2,)))).code is Code.STREAM_GAP


def test_a_failure_before_the_first_token_is_tried_again():
    """As long as the client has seen nothing, another attempt is silent; the third failure is told."""
    driver = Driver()
    driver.open()
    for attempt in range(1, MAX_ATTEMPTS):
        driver.accept(attempt)
        (send,) = driver.hear(Failed(request="r", attempt=attempt, fault=LOST))
        assert (send.message.attempt, send.attachments) == (attempt + 1, (b"blob",))
    assert outcome(driver.hear(Failed(request="r", attempt=MAX_ATTEMPTS, fault=LOST))) == LOST


def test_a_failure_after_the_first_token_is_told():
    """What the client has seen cannot be taken back."""
    driver = Driver()
    driver.open()
    driver.accept()
    driver.tokens(0)
    assert outcome(driver.hear(Failed(request="r", attempt=1, fault=LOST))) == LOST


@pytest.mark.parametrize("message", [Failed, Refused])
def test_a_lasting_fault_is_told_at_once(message):
    """Where trying again cannot help, nothing is tried."""
    driver = Driver()
    driver.open()
    assert outcome(driver.hear(message(request="r", attempt=1, fault=BROKEN))) == BROKEN


def test_a_refusal_is_final():
    """The broker itself requeues what can be; its refusal is the client's answer."""
    driver = Driver()
    driver.open()
    assert outcome(driver.hear(Refused(request="r", attempt=1, fault=LOST))) == LOST


def test_messages_of_an_earlier_attempt_are_dropped():
    """Once attempt 2 is under way, attempt 1 has no say."""
    driver = Driver()
    driver.open()
    driver.accept()
    driver.hear(Failed(request="r", attempt=1, fault=LOST))
    assert driver.accept(1) == []
    assert driver.tokens(0, attempt=1) == []
    assert driver.hear(Finished(request="r", attempt=1, totals=())) == []
    driver.accept(2)
    assert driver.tokens(0, attempt=1) == [], "though the same neuron runs both"
    assert kinds(driver.tokens(0, attempt=2)) == [Deliver]


def test_a_client_that_leaves_cancels_and_ends():
    """Cancel goes out first; the end follows at once; the cancel is repeated until it is answered."""
    driver = Driver()
    driver.open()
    driver.accept()
    effects = driver.do(Left("r"))
    assert kinds(effects) == [Cancel, End]
    assert outcome(effects).code is Code.CANCELLED
    assert driver.do(Left("r")) == []
    assert kinds(driver.wait(QUERY_AFTER + 1)) == [Cancel]
    driver.hear(Finished(request="r", attempt=1, cancelled=True))
    assert driver.wait(60) == []
    assert driver.table.next_deadline() == driver.now + 3


def test_silence_is_asked_about():
    """No frame for 5 s: what has become of it? The answer counts as a frame."""
    driver = Driver()
    driver.open()
    assert driver.wait(QUERY_AFTER - 1) == []
    assert driver.wait(1) == [Send(0, Query(request="r", attempt=1))]
    driver.hear(Queued(request="r", attempt=1))
    assert driver.wait(QUERY_AFTER - 0.5) == []


def test_an_unknown_request_is_submitted_once_more():
    """A broker that never got it gets it again; if it forgets a running one, another attempt is made."""
    driver = Driver()
    driver.open()
    unknown = Fault(code=Code.UNKNOWN_REQUEST, message="?")
    assert kinds(driver.hear(Failed(request="r", attempt=1, fault=unknown))) == [Submit]
    (send,) = driver.hear(Failed(request="r", attempt=1, fault=unknown))
    assert send.message.attempt == 2


def test_the_queue_deadline_holds_even_if_the_broker_forgets_it():
    """A little after its time in the queue a request ends, whatever the broker does."""
    driver = Driver()
    driver.open(queue_ms=10_000)
    effects = driver.wait(10 + GRACE)
    assert kinds(effects) == [Query, Query, Cancel, End]
    assert outcome(effects).code is Code.DEADLINE


def test_a_cold_load_may_take_longer_than_the_queue():
    """While the model loads, the broker's deadline counts."""
    driver = Driver()
    driver.open(queue_ms=10_000)
    for _ in range(10):
        driver.hear(Loading(request="r", attempt=1))
        assert End not in kinds(driver.wait(4))
    assert kinds(driver.accept()) == [Deliver]


def test_a_standing_stream_fails():
    """No token for the stall limit, though the broker answers: cancelled and told."""
    driver = Driver()
    driver.open()
    driver.accept()
    driver.tokens(0)
    effects = []
    for _ in range(15):
        effects += driver.wait(4)
        driver.accept()  # answers to queries are no tokens
    assert kinds(effects)[-2:] == [Cancel, End]
    assert outcome(effects).code is Code.STALLED


def test_what_waits_outlives_its_broker():
    """A silent broker: what nobody accepted is submitted to the next one, with the time already waited."""
    driver = Driver()
    driver.open()
    driver.hear(Queued(request="r", attempt=1))
    assert driver.wait(4, beating=False) == []
    assert not driver.table.live
    driver.now += 1
    (send,) = driver.welcome(b"broker-2")
    assert (send.message.attempt, send.message.waited_ms) == (1, 5000)


def test_a_new_session_is_a_new_broker():
    """Even without a silence, a restarted broker knows nothing: submit again."""
    driver = Driver()
    driver.open()
    assert kinds(driver.welcome(b"broker-2")) == [Submit]
    assert driver.welcome(b"broker-2") == []


def test_a_started_answer_does_not_outlive_its_broker():
    """What runs and has said something fails with a fault that may be tried again."""
    driver = Driver()
    driver.open()
    driver.accept()
    driver.tokens(0)
    effects = driver.wait(4, beating=False)
    assert outcome(effects).code is Code.BROKER_LOST


def test_an_accepted_request_without_a_token_gets_another_attempt():
    """Its time with the lost neuron is not counted as waiting."""
    driver = Driver()
    driver.open()
    driver.now += 2
    driver.accept()
    assert End not in kinds(driver.wait(4, beating=False))
    (send,) = driver.welcome(b"broker-2")
    assert send.message.attempt == 2
    assert 2000 <= send.message.waited_ms <= 3100


def test_without_a_broker_a_request_does_not_wait_for_ever():
    """No broker for as long as it may wait: told."""
    driver = Driver(live=False)
    assert driver.open(queue_ms=1000) == []
    effects = driver.wait(HOLD, beating=False)
    assert kinds(effects) == [End]
    assert outcome(effects).code is Code.BROKER_LOST


def test_closing_ends_everything():
    """A stopping worker gives every request its terminal."""
    driver = Driver()
    driver.open("r")
    driver.open("s")
    fault = Fault(code=Code.DRAINING, message="bye")
    assert kinds(driver.do(Closing(fault))) == [Cancel, End, Cancel, End]


def test_a_count_ends_with_its_number():
    """Counting has no deltas."""
    driver = Driver()
    driver.open(operation="count", choices=0)
    counted = Counted(request="r", attempt=1, tokens=5)
    assert driver.hear(counted) == [End("r", counted)]


def test_its_repr_says_what_it_holds():
    """One line shows the state."""
    driver = Driver()
    driver.open()
    assert repr(driver.table) == "<Inflight b: 0 held, 1 submitted, 0 accepted, 0 leaving>"
