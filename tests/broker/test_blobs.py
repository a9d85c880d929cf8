"""What edges leave with a broker: whose it is, for how long, and how much."""

import hypothesis.strategies as st
from hypothesis import given

from cortex.broker.blobs import OVERHEAD, TTL, Blobs
from cortex.broker.core import Broker
from cortex.broker.events import FromEdge
from cortex.protocol.messages import Fetch, Forget, Held, Keep

ROOM = 4 * (OVERHEAD + 10)


def test_only_who_left_it_gets_it() -> None:
    """Others neither read, nor drop, nor replace it."""
    blobs = Blobs(ROOM)
    assert blobs.keep("a", "me", b"mine", 0)
    assert blobs.fetch("a", "me", 1) == b"mine"
    assert blobs.fetch("a", "you", 1) is None
    assert not blobs.forget("a", "you", 1)
    assert not blobs.keep("a", "you", b"yours", 1)
    assert blobs.forget("a", "me", 1)
    assert blobs.fetch("a", "me", 1) is None


def test_an_hour_is_the_end() -> None:
    """Reading it does not make it younger."""
    blobs = Blobs(ROOM)
    blobs.keep("a", "me", b"x", 0)
    assert blobs.fetch("a", "me", TTL - 1) == b"x"
    assert blobs.fetch("a", "me", TTL) is None
    assert (len(blobs), blobs.bytes) == (0, 0)


def test_what_was_unused_for_longest_leaves_first() -> None:
    """Reading it counts as use."""
    blobs = Blobs(ROOM)
    for name in "abcd":
        assert blobs.keep(name, "me", bytes(10), 0)
    blobs.fetch("a", "me", 1)
    blobs.keep("e", "me", bytes(10), 2)
    assert [name for name in "abcde" if blobs.fetch(name, "me", 3) is not None] == ["a", "c", "d", "e"]
    assert not blobs.keep("f", "me", bytes(ROOM), 4)
    assert len(blobs) == 4


def test_who_keeps_most_makes_room() -> None:
    """However much somebody leaves, it costs nobody else what they left before."""
    blobs = Blobs(ROOM)
    blobs.keep("mine", "me", bytes(10), 0)
    for number in range(100):
        assert blobs.keep(f"yours{number}", "you", bytes(10), 1 + number)
    assert blobs.fetch("mine", "me", 102) is not None
    left = [number for number in range(100) if blobs.fetch(f"yours{number}", "you", 102) is not None]
    assert left == [97, 98, 99]
    for number in range(100):
        assert blobs.keep(f"more{number}", "me", bytes(10), 103)
    assert blobs.fetch("yours99", "you", 104) is not None
    assert len(blobs) == 4


def test_many_who_keep_little_take_little() -> None:
    """What is noted of them to find who makes room does not grow with what they leave."""
    blobs = Blobs(2_000 * (OVERHEAD + 10))
    for number in range(9_000):
        blobs.keep(f"b{number}", f"p{number % 2_000}", bytes(10), 0)
    assert len(blobs) == 2_000
    assert len(blobs._richest) <= 2 * 2_000 + 64
    blobs.check()


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["keep", "fetch", "forget", "expire"]),
            st.sampled_from("abcdef"),
            st.sampled_from(["me", "you"]),
            st.integers(0, 2000),
            st.integers(0, 900),
        ),
        max_size=40,
    )
)
def test_the_bound_holds_whatever_happens(steps: list[tuple[str, str, str, int, int]]) -> None:
    """In bytes and in age, and nothing is found that was not left by the same."""
    blobs, now, left = Blobs(ROOM), 0.0, {}
    for what, name, principal, size, wait in steps:
        now += wait
        match what:
            case "keep" if blobs.keep(name, principal, bytes(size), now):
                left[name, principal] = (size, now)
            case "fetch" if (data := blobs.fetch(name, principal, now)) is not None:
                length, kept_at = left[name, principal]
                assert (len(data), now < kept_at + TTL) == (length, True)
            case "forget":
                blobs.forget(name, principal, now)
            case "expire":
                blobs.expire(now)
        blobs.check()


def test_an_edge_leaves_and_finds_it() -> None:
    """Every question has one answer, with its number; what is there is attached."""
    broker = Broker("b", 0.0)

    def ask(message: object, *payload: bytes) -> tuple[Held, tuple[bytes, ...]]:
        [effect] = broker.handle(FromEdge(b"E", b"session1", message, payload), 1.0)
        return effect.message, effect.payload

    assert ask(Keep(ask=1, name="a", principal="me"), b"x") == (Held(ask=1, found=True), ())
    assert ask(Fetch(ask=2, name="a", principal="me")) == (Held(ask=2, found=True), (b"x",))
    assert ask(Fetch(ask=3, name="a", principal="you")) == (Held(ask=3, found=False), ())
    assert ask(Forget(ask=4, name="a", principal="me")) == (Held(ask=4, found=True), ())
    assert ask(Fetch(ask=5, name="a", principal="me")) == (Held(ask=5, found=False), ())
