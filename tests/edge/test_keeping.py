"""What an edge worker leaves with brokers: asked in their rank, answered by number, and given up after a while."""

import asyncio

import pytest

from cortex.edge.keeping import Keeping
from cortex.protocol.faults import Code, FaultError
from cortex.protocol.messages import Fetch, Forget, Held, Keep


class Brokers:
    """Brokers by index, each with what it keeps; a silent one answers nothing."""

    def __init__(self, *kept, silent=()):
        self.kept = [dict(one) for one in kept]
        self.silent = silent
        self.asked = []
        self.keeping = Keeping(lambda _name: list(range(len(self.kept))), self.send, deadline_s=0.05)

    def send(self, index, message, attachments):
        self.asked.append((index, type(message)))
        if index not in self.silent:
            asyncio.get_running_loop().call_soon(self.answer, index, message, attachments)

    def answer(self, index, message, attachments):
        key, payload = (message.name, message.principal), ()
        found = key in self.kept[index]
        match message:
            case Keep():
                self.kept[index][key], found = attachments[0], True
            case Fetch() if found:
                payload = (self.kept[index][key],)
            case Forget() if found:
                del self.kept[index][key]
        self.keeping.answered(index, Held(ask=message.ask, found=found), payload)


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 5))


def test_it_is_left_with_its_owner_and_found_there():
    """One broker is asked, the first in rank."""

    async def scenario():
        brokers = Brokers({}, {})
        assert await brokers.keeping.keep("a", "me", b"x")
        assert await brokers.keeping.fetch("a", "me") == b"x"
        assert await brokers.keeping.forget("a", "me")
        assert brokers.asked == [(0, Keep), (0, Fetch), (0, Forget)]
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
