"""The correlation table with several brokers: who is asked, and what becomes of whose requests."""

from collections import Counter

import pytest

from cortex.edge.brokers import CANCEL_AFTER, CANCEL_TRIES, BrokerHealth
from cortex.edge.entry import QUERY_AFTER
from cortex.edge.events import Deliver, End, Left, Opened, Received, Send, Ticket
from cortex.edge.inflight import MAX_ATTEMPTS, Inflight
from cortex.protocol.deltas import Delta, Deltas, TextPiece
from cortex.protocol.faults import Code, Fault
from cortex.protocol.liveness import EXPIRY
from cortex.protocol.messages import Accepted, Cancel, Failed, Finished, Query, Queued, Submit, Welcome
from cortex.protocol.owner import owner, ranked

NAMES = ("north", "east", "south")
UNKNOWN = Fault(code=Code.UNKNOWN_REQUEST, message="?")
LOST = Fault(code=Code.NEURON_LOST, message="gone")


class Fleet:
    """The table, three brokers of which some beat, and a clock; checked after every step."""

    def __init__(self, *beating):
        self.table = Inflight(brokers=len(NAMES), stall_s=60)
        self.now = 100.0
        self.beating = set()
        self.lives = Counter()
        for name in beating or NAMES:
            self.join(name)

    def done(self, effects):
        self.table.check()
        return effects

    def hear(self, name, message, session=None):
        index = NAMES.index(name)
        session = session or f"{name} {self.lives[name]}".encode()
        return self.done(self.table.handle(Received(index, session, message), self.now))

    def beat(self, name):
        return self.hear(name, Welcome(broker=name, catalogue=1))

    def join(self, name):
        self.beating.add(name)
        return self.beat(name)

    def restart(self, name):
        self.lives[name] += 1
        return self.join(name)

    def silence(self, *names, seconds=EXPIRY):
        """These say nothing for a while, and the others beat."""
        self.beating -= set(names)
        return self.wait(seconds)

    def wait(self, seconds):
        effects = []
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + 0.25)
            for name in self.beating:
                effects += self.beat(name)
            effects += self.done(self.table.tick(self.now))
        return effects

    def open(self, request="r", model="m", **fields):
        return self.done(
            self.table.handle(
                Opened(Ticket(request=request, model=model, attachments=(b"blob",), **fields)), self.now
            )
        )

    def accept(self, name, attempt=1, neuron=b"neuron"):
        return self.hear(name, Accepted(request="r", attempt=attempt), neuron)

    def tokens(self, name, seq=0, attempt=1, neuron=b"neuron"):
        return self.hear(name, Deltas([Delta("r", attempt, 0, seq, [seq], [TextPiece("x")])]), neuron)


def sends(effects, kind):
    """(broker's name, message) of each of this kind."""
    return [(NAMES[e.broker], e.message) for e in effects if isinstance(e, Send) and type(e.message) is kind]


def ends(effects):
    return [e.outcome for e in effects if isinstance(e, End)]


FIRST, SECOND, THIRD = ranked("m", NAMES)


def test_a_request_goes_to_the_owner_of_its_model():
    """Among those that live."""
    fleet = Fleet()
    for n in range(50):
        ((name, _),) = sends(fleet.open(f"r{n}", f"m{n}"), Submit)
        assert name == owner(f"m{n}", NAMES)


def test_only_brokers_that_live_are_asked():
    """The owner has never been seen: the next in rank serves."""
    fleet = Fleet(SECOND, THIRD)
    assert sends(fleet.open(), Submit)[0][0] == SECOND


def test_it_says_who_lives():
    """By name, in the order of the settings; one that never answered has none."""
    fleet = Fleet("north")
    assert fleet.table.brokers == (
        BrokerHealth("north", True),
        BrokerHealth("", False),
        BrokerHealth("", False),
    )
    assert repr(fleet.table) == "<Inflight north: 0 held, 0 submitted, 0 accepted, 0 leaving>"
    fleet.silence("north")
    assert fleet.table.brokers[0] == BrokerHealth("north", False)
    assert not fleet.table.live


def test_what_a_dead_owner_had_not_begun_is_submitted_once_to_the_next():
    """With the time that each has waited; nothing is told to any client."""
    fleet = Fleet()
    mine = []
    for n in range(200):
        ((name, submit),) = sends(fleet.open(f"r{n}", f"m{n % 20}"), Submit)
        if name == FIRST:
            mine.append(submit)
            if n % 2:
                fleet.hear(name, Queued(request=f"r{n}", attempt=1))
        fleet.now += 0.01
    assert len(mine) > 20
    opened = {submit.request: 100 + 0.01 * int(submit.request[1:]) for submit in mine}
    effects = fleet.silence(FIRST)
    moved = sends(effects, Submit)
    assert Counter(submit.request for _, submit in moved) == Counter(opened.keys())
    assert not [e for e in effects if isinstance(e, End | Deliver)]
    for name, submit in moved:
        assert name == ranked(submit.model, NAMES)[1]
        assert submit.attempt == 2
        assert submit.waited_ms == pytest.approx((fleet.now - opened[submit.request]) * 1000, abs=1)
    assert not sends(fleet.wait(4), Submit)


def test_within_three_beats_nobody_is_believed_dead():
    """A blip moves nothing."""
    fleet = Fleet()
    fleet.open()
    assert not sends(fleet.silence(FIRST, seconds=EXPIRY - 0.25), Submit)
    fleet.join(FIRST)
    assert not sends(fleet.wait(4), Submit)


def test_brokers_that_die_together_are_not_tried_one_after_the_other():
    """What the first had goes straight to the one that lives."""
    fleet = Fleet()
    fleet.open()
    assert [name for name, _ in sends(fleet.silence(FIRST, SECOND), Submit)] == [THIRD]


def test_moving_is_no_attempt_that_failed():
    """However many brokers a request outlives, its tries are not used up; each broker is given its own number."""
    fleet = Fleet(FIRST, SECOND)
    fleet.open(queue_ms=600_000)
    for number, gone in enumerate([FIRST, SECOND, FIRST, SECOND], start=2):
        ((_, submit),) = sends(fleet.silence(gone), Submit)
        assert submit.attempt == number
        fleet.join(gone)
    failures = [
        fleet.hear(FIRST, Failed(request="r", attempt=5 + n, fault=LOST)) for n in range(MAX_ATTEMPTS)
    ]
    assert [len(sends(effects, Submit)) for effects in failures] == [1] * (MAX_ATTEMPTS - 1) + [0]
    assert ends(failures[-1]) == [LOST]


def test_an_owner_that_joins_moves_nothing():
    """What waits stays; what comes now goes to the owner."""
    fleet = Fleet(SECOND)
    fleet.open("old")
    assert not sends(fleet.join(FIRST), Submit)
    assert not sends(fleet.wait(2), Submit)
    assert sends(fleet.open("new"), Submit)[0][0] == FIRST


def test_what_is_held_goes_to_the_first_that_comes():
    """No broker lives: held; one comes back: submitted there, whoever it is."""
    fleet = Fleet(FIRST)
    fleet.open()
    assert not sends(fleet.silence(FIRST), Submit)
    ((name, submit),) = sends(fleet.join(THIRD), Submit)
    assert (name, submit.attempt) == (THIRD, 2)
    assert not sends(fleet.join(SECOND), Submit)


def test_a_restarted_broker_is_not_the_first_to_be_asked_again():
    """It knows no neurons yet; another one does."""
    fleet = Fleet()
    fleet.open()
    effects = fleet.restart(FIRST)
    assert [(name, submit.attempt) for name, submit in sends(effects, Submit)] == [(SECOND, 2)]
    assert not sends(effects, Cancel), "there is nothing to cancel"


def test_an_answer_that_has_begun_ends_with_its_broker():
    """The fault may be tried again; the broker is told to stop, in case it lives."""
    fleet = Fleet()
    fleet.open()
    fleet.accept(FIRST)
    fleet.tokens(FIRST)
    effects = fleet.silence(FIRST)
    (fault,) = ends(effects)
    assert (fault.code, fault.retryable) == (Code.BROKER_LOST, True)
    assert [name for name, _ in sends(effects, Cancel)] == [FIRST]
    assert not sends(effects, Submit)


def test_an_accepted_request_without_a_token_is_tried_elsewhere():
    """The client has seen nothing: another attempt at the next broker."""
    fleet = Fleet()
    fleet.open()
    fleet.accept(FIRST)
    ((name, submit),) = sends(fleet.silence(FIRST), Submit)
    assert (name, submit.attempt) == (SECOND, 2)


def test_other_brokers_streams_go_on():
    """One broker's death is nothing to what another one serves."""
    fleet = Fleet()
    fleet.open()
    fleet.accept(FIRST)
    fleet.tokens(FIRST)
    assert not ends(fleet.silence(SECOND, THIRD))
    assert [type(e) for e in fleet.tokens(FIRST, 1)] == [Deliver]
    assert len(ends(fleet.hear(FIRST, Finished(request="r", attempt=1, totals=(2,))))) == 1


def test_a_broker_that_wakes_has_no_say_any_more():
    """Its late answers are dropped, and what it may still run is cancelled there, and only there."""
    fleet = Fleet()
    fleet.open()
    fleet.silence(FIRST)
    effects = fleet.join(FIRST)
    ((name, cancel),) = sends(effects, Cancel)
    assert (name, cancel.request, cancel.attempt) == (FIRST, "r", 1)
    assert fleet.accept(FIRST, neuron=b"other") == []
    assert fleet.tokens(FIRST, neuron=b"other") == []
    assert fleet.hear(FIRST, Finished(request="r", attempt=1, cancelled=True)) == []
    assert not sends(fleet.wait(4 * CANCEL_AFTER), Cancel)
    fleet.accept(SECOND, attempt=2)
    assert [type(e) for e in fleet.tokens(SECOND, attempt=2)] == [Deliver]


def test_only_the_broker_that_was_asked_is_heard():
    """The right attempt from the wrong broker is nobody's answer."""
    fleet = Fleet()
    fleet.open()
    assert fleet.hear(SECOND, Queued(request="r", attempt=1)) == []
    assert fleet.accept(SECOND) == []
    assert fleet.hear(THIRD, Failed(request="r", attempt=1, fault=LOST)) == []


def test_a_silent_broker_is_told_to_cancel_when_it_is_back():
    """Whatever was sent into its silence may be lost; then as often as to any other."""
    fleet = Fleet()
    fleet.open()
    fleet.accept(FIRST)
    fleet.tokens(FIRST)
    assert len(sends(fleet.silence(FIRST), Cancel)) == 1
    assert not sends(fleet.wait(5 * CANCEL_AFTER), Cancel)
    assert len(sends(fleet.join(FIRST), Cancel)) == 1
    assert not sends(fleet.wait(CANCEL_AFTER - 1), Cancel)
    assert len(sends(fleet.wait(5 * CANCEL_AFTER), Cancel)) == CANCEL_TRIES - 1


def test_a_client_that_leaves_cancels_where_its_request_is():
    """After a move that is the second broker; its answer ends the cancelling."""
    fleet = Fleet()
    fleet.open()
    fleet.silence(FIRST)
    effects = fleet.done(fleet.table.handle(Left("r"), fleet.now))
    assert [(name, cancel.attempt) for name, cancel in sends(effects, Cancel)] == [(SECOND, 2)]
    fleet.hear(SECOND, Finished(request="r", attempt=2, cancelled=True))
    assert not sends(fleet.wait(6), Cancel)


def test_a_query_goes_to_the_broker_that_has_the_request():
    """And an answer that nobody knows it is a reason to submit it there once more."""
    fleet = Fleet()
    fleet.open()
    ((name, _),) = sends(fleet.wait(QUERY_AFTER), Query)
    assert name == FIRST
    assert fleet.hear(SECOND, Failed(request="r", attempt=1, fault=UNKNOWN)) == []
    ((name, submit),) = sends(fleet.hear(FIRST, Failed(request="r", attempt=1, fault=UNKNOWN)), Submit)
    assert (name, submit.attempt) == (FIRST, 1)


def test_two_endpoints_of_one_broker_do_no_harm():
    """The same name twice is one in rank."""
    table = Inflight(brokers=2)
    for index in range(2):
        table.handle(Received(index, b"session", Welcome(broker="same", catalogue=1)), 0.0)
    (send,) = table.handle(Opened(Ticket(request="r", model="m", attachments=())), 0.0)
    assert isinstance(send.message, Submit)
    table.check()
