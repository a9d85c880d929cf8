"""Counts at the edge: a figure within a second, and whether it was counted."""

import asyncio

import pytest
from memory_link import MemoryLink
from msgspec import structs

from cortex.edge.counting import count
from cortex.edge.entry import COUNT
from cortex.edge.estimate import Estimates
from cortex.edge.events import End, Left, Opened, Received, Send, Ticket
from cortex.edge.inflight import Inflight
from cortex.protocol.codec import decode_request
from cortex.protocol.faults import Code, Fault, FaultError
from cortex.protocol.messages import Counted, Refused, Submit, Welcome
from cortex.protocol.request import Chat, Count, Text, Turn

CHAT = Chat(model="demo", turns=(Turn(role="user", parts=(Text(text="hello " * 20),)),))


class Asked:
    """A table with one count in it, and a clock."""

    def __init__(self, blob=b"12345678"):
        self.table = Inflight()
        self.now = 100.0
        self.welcome()
        self.ticket = Ticket(
            request="r", model="demo", attachments=(blob,), choices=0, operation="count", queue_ms=0
        )
        self.table.handle(Opened(self.ticket), self.now)

    def hear(self, message, session=b"broker-1"):
        effects = self.table.handle(Received(0, session, message), self.now)
        self.table.check()
        return effects

    def welcome(self, session=b"broker-1"):
        return self.hear(Welcome(broker="b", catalogue=1), session)

    def wait(self, seconds):
        self.now += seconds
        effects = self.table.tick(self.now)
        self.table.check()
        return effects


def outcome(effects):
    (end,) = effects
    assert isinstance(end, End)
    return end.outcome


def refusal(code):
    return Refused(request="r", attempt=1, fault=Fault(code=code, message="no"))


def test_nobody_answers_for_a_second():
    """An estimate from the bytes, said to be one; nothing is left to cancel."""
    driver = Asked()
    assert driver.wait(COUNT - 0.5) == []
    assert driver.wait(0.5) == [End("r", Counted(request="r", attempt=1, tokens=2, estimated=True))]
    assert repr(driver.table).endswith("0 held, 0 submitted, 0 accepted, 0 leaving>")


def test_an_estimate_is_like_what_was_counted_before():
    """A model's tokens take as many bytes as they did in its last prompts of some length; other models' do not count."""
    estimates = Estimates()
    ticket = Ticket(request="r", model="m", attachments=(b"x" * 9000,), choices=0, operation="count")
    assert estimates.of(ticket).tokens == 2250
    estimates.learn(ticket, 4500)
    assert estimates.of(ticket).tokens == 4500
    estimates.learn(structs.replace(ticket, attachments=(b"x",)), 1000)
    assert estimates.of(ticket).tokens == 4500
    for _ in range(50):
        estimates.learn(ticket, 3000)
    assert estimates.of(ticket).tokens == 3000
    assert estimates.of(structs.replace(ticket, model="other")).tokens == 2250


def test_counts_and_served_prompts_teach_estimates():
    """What one count was told, the next one is estimated by; what was estimated teaches nothing."""
    driver = Asked(bytes(8000))
    outcome(driver.hear(Counted(request="r", attempt=1, tokens=4000)))
    assert driver.table._estimates.of(driver.ticket).tokens == 4000
    driver = Asked(bytes(8000))
    outcome(driver.hear(Counted(request="r", attempt=1, tokens=4000, estimated=True)))
    assert driver.table._estimates.of(driver.ticket).tokens == 2000


def test_a_client_that_leaves():
    """No broker remembers a count, so none is told."""
    driver = Asked()
    assert isinstance(outcome(driver.table.handle(Left("r"), driver.now)), Fault)


def test_nobody_can_count():
    """Who has no counter, or too much to count, says so: the estimate comes at once."""
    for code in (Code.NO_CAPACITY, Code.OVERLOADED, Code.LOAD_FAILED, Code.ENGINE_FAILED):
        assert outcome(Asked().hear(refusal(code))).estimated


def test_what_a_client_did_wrong_is_told():
    """An estimate of what cannot be sent would help nobody."""
    for code in (Code.INVALID_REQUEST, Code.UNSUPPORTED, Code.MODEL_NOT_FOUND):
        assert outcome(Asked().hear(refusal(code))).code is code


def test_a_broker_that_is_lost():
    """A count goes to the next one, or is estimated when its second is over."""
    driver = Asked()
    effects = driver.welcome(b"broker-2")
    assert [type(one.message) for one in effects if isinstance(one, Send)] == [Submit]
    assert outcome(driver.wait(COUNT)).estimated


def told(script):
    """What the dialects' own function answers, and the link that it asked."""
    link = []

    async def scenario():
        link.append(MemoryLink(script))
        return await asyncio.wait_for(count(link[0], "r", CHAT), 5)

    return asyncio.run(scenario()), link[0]


def test_the_interface_for_dialects():
    """The chat goes out as a count, without cost, and the figure comes back."""
    found, link = told(lambda ticket, stream: stream.end(Counted(request="r", attempt=1, tokens=7)))
    assert (found.tokens, found.estimated) == (7, False)
    [ticket] = link.tickets
    assert (ticket.operation, ticket.choices, ticket.cost) == ("count", 0, 0)
    assert decode_request(ticket.attachments[0]) == Count(chat=CHAT)
    assert link.cancelled == []


def test_faults_are_raised():
    """As in every other request."""
    with pytest.raises(FaultError):
        told(lambda ticket, stream: stream.end(Fault(code=Code.INVALID_REQUEST, message="no")))


def test_no_broker_at_all():
    """There is a figure all the same."""

    async def scenario():
        link = MemoryLink()
        link.catalogue.lose_broker()
        return await count(link, "r", CHAT)

    found = asyncio.run(scenario())
    assert found.estimated
    assert 30 <= found.tokens <= 60
