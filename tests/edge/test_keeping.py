"""What an edge worker leaves with brokers: given to them in their rank, asked of all, and given up after a while."""

import asyncio

import pytest
from asgi_driver import turn_until

from cortex.edge.keeping import AT_ONCE, LARGE, Keeping
from cortex.protocol.faults import Code, FaultError
from cortex.protocol.messages import Fetch, Forget, Held, Keep


class Brokers:
    """Brokers by index, each with what it keeps. A silent one hears all and answers when it wakes; a full one keeps nothing."""

    def __init__(self, *kept, silent=(), full=(), **settings):
        self.kept = [dict(one) for one in kept]
        self.silent = silent
        self.full = full
        self.asked = []
        self.unheard = []
        settings = {"deadline_s": 0.05, "patience_s": 0.001, **settings}
        self.keeping = Keeping(lambda _name: list(range(len(self.kept))), self.send, **settings)

    def send(self, index, message, attachments):
        self.asked.append((index, type(message)))
        if index in self.silent:
            self.unheard.append((index, message, attachments))
        else:
            asyncio.get_running_loop().call_soon(self.answer, index, message, attachments)

    def wake(self):
        self.silent = ()
        for heard in self.unheard:
            self.answer(*heard)

    def answer(self, index, message, attachments):
        key, payload = (message.name, message.principal), ()
        found = key in self.kept[index]
        match message:
            case Keep() if index not in self.full:
                self.kept[index][key], found = attachments[0], True
            case Fetch() if found:
                payload = (self.kept[index][key],)
            case Forget() if found:
                del self.kept[index][key]
        self.keeping.answered(index, Held(ask=message.ask, found=found), payload)


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 5))


def everybody(question):
    """Ten who ask at the same time."""
    return asyncio.gather(*(question("a", "me") for _ in range(10)), return_exceptions=True)


def test_it_is_left_with_its_owner_and_looked_for_everywhere():
    """The first in rank keeps it, all are asked for it, and all drop it."""

    async def scenario():
        brokers = Brokers({}, {})
        assert await brokers.keeping.keep("a", "me", b"x")
        assert await brokers.keeping.fetch("a", "me") == b"x"
        assert await brokers.keeping.forget("a", "me")
        assert sorted(index for index, kind in brokers.asked if kind is Fetch) == [0, 1]
        assert sorted(index for index, kind in brokers.asked if kind is Forget) == [0, 1]
        assert [index for index, kind in brokers.asked if kind is Keep] == [0]
        assert await brokers.keeping.fetch("a", "me") is None

    run(scenario())


def test_whoever_was_the_owner_before_is_asked_too():
    """A broker that has joined has nothing yet."""

    async def scenario():
        brokers = Brokers({}, {("a", "me"): b"x"})
        assert await brokers.keeping.fetch("a", "me") == b"x"
        assert await brokers.keeping.forget("a", "me")
        assert brokers.kept == [{}, {}]

    run(scenario())


@pytest.mark.parametrize("how", ["silent", "full"])
def test_the_next_in_rank_keeps_what_the_owner_does_not(how):
    """Because it does not answer, or because it has no room; and there it is found, while the owner is silent too."""

    async def scenario():
        brokers = Brokers({}, {}, {}, **{how: (0,)})
        assert await brokers.keeping.keep("a", "me", b"x")
        assert brokers.kept == [{}, {("a", "me"): b"x"}, {}]
        assert await brokers.keeping.fetch("a", "me") == b"x"

    run(scenario())


def test_an_owner_that_is_only_slow_keeps_it_too():
    """What it says late counts as well, if the next says no; deleted, it is gone everywhere."""

    async def scenario():
        brokers = Brokers({}, {}, silent=(0,), full=(1,), deadline_s=4)
        keeping = asyncio.ensure_future(brokers.keeping.keep("a", "me", b"x"))
        await turn_until(lambda: len(brokers.asked) == 2)
        brokers.wake()
        assert await keeping
        brokers.kept[1]["a", "me"] = b"x"
        assert await brokers.keeping.forget("a", "me")
        assert brokers.kept == [{}, {}]

    run(scenario())


def test_nothing_is_kept_where_all_say_no():
    """And nobody waits to hear it."""

    async def scenario():
        brokers = Brokers({}, {}, full=(0, 1), deadline_s=4, patience_s=4)
        assert not await brokers.keeping.keep("a", "me", b"x")
        assert not await brokers.keeping.forget("a", "me")

    run(scenario())


@pytest.mark.parametrize("silent", [0, 1])
def test_what_one_does_not_have_another_that_is_silent_may_have(silent):
    """That is no 404: the client may try again."""

    async def scenario():
        brokers = Brokers({}, {}, silent=(silent,))
        for question in (brokers.keeping.fetch, brokers.keeping.forget):
            with pytest.raises(FaultError) as caught:
                await question("a", "me")
            assert caught.value.fault.code is Code.BROKER_LOST

    run(scenario())


def test_who_asks_for_the_same_at_the_same_time_shares_the_answer():
    """Each broker is asked once, be there something, nothing or silence; another client is asked for apart."""

    async def scenario():
        brokers = Brokers({("a", "me"): b"x"}, {})
        *found, others = await asyncio.gather(
            everybody(brokers.keeping.fetch), brokers.keeping.fetch("a", "you")
        )
        assert (found, others) == ([[b"x"] * 10], None)
        assert len(brokers.asked) == 4
        assert await brokers.keeping.forget("a", "me")
        assert await everybody(brokers.keeping.fetch) == [None] * 10
        assert len(brokers.asked) == 8
        brokers.silent = (0,)
        faults = await everybody(brokers.keeping.fetch)
        assert [fault.fault.code for fault in faults] == [Code.BROKER_LOST] * 10
        assert len(brokers.asked) == 10

    run(scenario())


def test_one_that_gives_up_takes_the_answer_from_nobody():
    """Its client has left; the others still wait."""

    async def scenario():
        brokers = Brokers({("a", "me"): b"x"}, silent=(0,), deadline_s=4)
        first, second = (asyncio.ensure_future(brokers.keeping.fetch("a", "me")) for _ in range(2))
        await turn_until(lambda: brokers.asked)
        first.cancel()
        await asyncio.sleep(0)
        brokers.wake()
        assert await second == b"x"
        assert first.cancelled()

    run(scenario())


@pytest.mark.parametrize("before", [b"x", None])
def test_an_answer_from_before_a_change_is_not_shared_with_who_asks_after_it(before):
    """What was deleted is gone, what was kept is there, although somebody waits for an older answer."""

    async def scenario():
        brokers = Brokers({("a", "me"): b"x"} if before else {}, silent=(0,), deadline_s=4)
        early = asyncio.ensure_future(brokers.keeping.fetch("a", "me"))
        await turn_until(lambda: brokers.asked)
        brokers.silent = ()
        if before:
            assert await brokers.keeping.forget("a", "me")
        else:
            assert await brokers.keeping.keep("a", "me", b"y")
        now = None if before else b"y"
        assert await brokers.keeping.fetch("a", "me") == now
        assert not early.done()
        brokers.wake()
        assert await early == now

    run(scenario())


def test_a_few_of_one_client_are_fetched_at_a_time():
    """Another's is not behind them."""

    async def scenario():
        names = [f"a{number}" for number in range(10)]
        brokers = Brokers({("b", "you"): b"x"}, silent=(0,), deadline_s=4)
        waiting = [asyncio.ensure_future(brokers.keeping.fetch(name, "me")) for name in names]
        await turn_until(lambda: len(brokers.asked) == AT_ONCE)
        brokers.silent = ()
        assert await brokers.keeping.fetch("b", "you") == b"x"
        assert len(brokers.asked) == AT_ONCE + 1
        brokers.wake()
        assert await asyncio.gather(*waiting) == [None] * 10

    run(scenario())


@pytest.mark.parametrize(("size", "most"), [(LARGE, AT_ONCE), (LARGE - 1, 10)])
def test_large_ones_are_handed_out_a_few_at_a_time(size, most):
    """Each of ten decodes as soon as it has it: the loop comes to others between them, unless it takes no time."""

    async def scenario():
        brokers = Brokers({("a", "me"): bytes(size)})
        turn, handed = [0], []

        def tick():
            turn[0] += 1
            ticking[0] = asyncio.get_running_loop().call_soon(tick)

        ticking = [asyncio.get_running_loop().call_soon(tick)]

        async def read():
            await brokers.keeping.fetch("a", "me")
            handed.append(turn[0])

        await asyncio.gather(*(read() for _ in range(10)))
        ticking[0].cancel()
        assert len(brokers.asked) == 1
        assert max(handed.count(one) for one in handed) == most

    run(scenario())


@pytest.mark.parametrize("brokers", [(), ({},)])
def test_a_silence_is_no_answer(brokers):
    """Nothing is kept, which is no error; what cannot be looked up may be tried again."""

    async def scenario():
        world = Brokers(*brokers, silent=(0,))
        assert not await world.keeping.keep("a", "me", b"x")
        for question in (world.keeping.fetch, world.keeping.forget):
            with pytest.raises(FaultError) as caught:
                await question("a", "me")
            assert caught.value.fault.code is Code.BROKER_LOST

    run(scenario())


def test_an_answer_that_nobody_waits_for_is_dropped():
    """Late, or from a broker that was not asked."""

    async def scenario():
        world = Brokers({})
        world.keeping.answered(0, Held(ask=7, found=True), (b"x",))
        task = asyncio.ensure_future(world.keeping.fetch("a", "me"))
        await asyncio.sleep(0)
        world.keeping.answered(1, Held(ask=0, found=True), (b"wrong",))
        assert await task is None

    run(scenario())
