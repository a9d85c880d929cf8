"""Where beginnings of conversations were served: a bounded memory, and a score that keeps loads together."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from cortex.broker.prefixes import REPLICAS, TOLERANCE, Blocks, Prefixes, score

CAPACITY = 12
MODELS = st.sampled_from(("a", "b"))
HOSTS = st.integers(0, REPLICAS + 2).map(lambda index: b"N%d" % index)
TALKS = st.lists(st.integers(0, 2), min_size=1, max_size=5).map(tuple)


def blocks_of(talk: tuple[int, ...]) -> Blocks:
    """A turn covers 100 bytes; the hash of a beginning is the beginning."""
    return tuple((bytes(talk[:length]), 100 * length) for length in range(1, len(talk) + 1))


class PrefixesMachine(RuleBasedStateMachine):
    """Against lists that are searched from the end."""

    def __init__(self) -> None:
        super().__init__()
        self.prefixes = Prefixes(CAPACITY)
        self.plain: list[tuple[str, bytes, list[bytes]]] = []

    def _find(self, model: str, digest: bytes) -> list[bytes]:
        return next((hosts for name, other, hosts in self.plain if (name, other) == (model, digest)), [])

    def _forget(self, model: str | None, digests: set[bytes] | None, replica: bytes) -> None:
        for name, digest, hosts in self.plain:
            if model in (None, name) and (digests is None or digest in digests) and replica in hosts:
                hosts.remove(replica)
        self.plain = [entry for entry in self.plain if entry[2]]

    @rule(model=MODELS, replica=HOSTS, talk=TALKS)
    def note(self, model: str, replica: bytes, talk: tuple[int, ...]) -> None:
        self.prefixes.note(model, replica, blocks_of(talk))
        for digest, _covered in reversed(blocks_of(talk)):
            hosts = [host for host in self._find(model, digest) if host != replica]
            self.plain = [entry for entry in self.plain if entry[:2] != (model, digest)]
            self.plain.append((model, digest, [*hosts, replica][-REPLICAS:]))
        self.plain = self.plain[-CAPACITY:]

    @rule(model=MODELS, replica=HOSTS, talk=TALKS, cached=st.floats(0, 1))
    def correct(self, model: str, replica: bytes, talk: tuple[int, ...], cached: float) -> None:
        blocks = blocks_of(talk)
        self.prefixes.correct(model, replica, blocks, cached)
        enough = (cached + TOLERANCE) * blocks[-1][1]
        self._forget(model, {digest for digest, covered in blocks if covered > enough}, replica)

    @rule(model=MODELS, replica=HOSTS)
    def forget(self, model: str, replica: bytes) -> None:
        self.prefixes.forget(model, replica)
        self._forget(model, None, replica)

    @rule(replica=HOSTS)
    def forget_replica(self, replica: bytes) -> None:
        self.prefixes.forget_replica(replica)
        self._forget(None, None, replica)

    @rule(model=MODELS, talk=TALKS)
    def match(self, model: str, talk: tuple[int, ...]) -> None:
        blocks = blocks_of(talk)
        expected: dict[bytes, float] = {}
        for digest, covered in blocks:
            expected |= dict.fromkeys(self._find(model, digest), covered / blocks[-1][1])
        assert self.prefixes.matched(model, blocks) == expected

    @invariant()
    def bounded_and_consistent(self) -> None:
        self.prefixes.check()
        assert len(self.prefixes) == len(self.plain)


TestPrefixes = PrefixesMachine.TestCase
TestPrefixes.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_the_longest_beginning_counts() -> None:
    """Each replica is credited with the longest beginning it served, as a share of the whole."""
    prefixes = Prefixes()
    prefixes.note("m", b"X", blocks_of((1, 2)))
    prefixes.note("m", b"Y", blocks_of((1, 2, 3, 4, 5)))
    assert prefixes.matched("m", blocks_of((1, 2, 3, 9))) == {b"X": 0.5, b"Y": 0.75}
    assert prefixes.matched("other", blocks_of((1, 2, 3, 9))) == {}
    assert prefixes.matched("m", ()) == {}
    assert prefixes.matched("m", ((b"", 0),)) == {}


def test_what_many_share_outlives_what_nobody_else_has() -> None:
    """When memory is short the longest beginnings of an old conversation go first."""
    prefixes = Prefixes(4)
    prefixes.note("m", b"X", blocks_of((1, 2, 3)))
    prefixes.note("m", b"X", blocks_of((7, 8)))
    assert prefixes.matched("m", blocks_of((1, 2, 3))) == {b"X": pytest.approx(2 / 3)}
    assert repr(prefixes) == "<Prefixes 4 of 4 at 1 replicas>"


def test_of_many_replicas_the_latest_are_remembered() -> None:
    """The one that served longest ago is forgotten, not the one that was first to serve."""
    prefixes = Prefixes()
    for number in (*range(REPLICAS), 0, REPLICAS):
        prefixes.note("m", b"N%d" % number, blocks_of((1,)))
    remembered = {b"N%d" % number for number in range(REPLICAS + 1)} - {b"N1"}
    assert set(prefixes.matched("m", blocks_of((1,)))) == remembered


def test_a_neuron_that_had_less_is_believed() -> None:
    """The longer beginnings are forgotten there, and only there; a little less is within the measure's error."""
    prefixes = Prefixes()
    blocks = blocks_of((1, 2, 3, 4))
    for replica in (b"X", b"Y"):
        prefixes.note("m", replica, blocks)
    prefixes.correct("m", b"X", blocks, 0.45)
    assert prefixes.matched("m", blocks) == {b"X": 0.5, b"Y": 1.0}
    prefixes.correct("m", b"Y", (), 0.0)
    prefixes.correct("m", b"X", blocks, 0.0)
    assert prefixes.matched("m", blocks) == {b"Y": 1.0}


def test_nothing_is_left_of_a_replica_that_is_gone() -> None:
    """Neither in what it served alone nor in what it shared; nor does its name stay behind."""
    prefixes = Prefixes()
    prefixes.note("m", b"X", blocks_of((1, 2)))
    prefixes.note("n", b"X", blocks_of((1,)))
    prefixes.note("m", b"Y", blocks_of((1,)))
    prefixes.forget("m", b"X")
    assert prefixes.matched("m", blocks_of((1, 2))) == {b"Y": 0.5}
    assert prefixes.matched("n", blocks_of((1,))) == {b"X": 1.0}
    prefixes.forget_replica(b"X")
    prefixes.forget_replica(b"unknown")
    prefixes.check()
    assert repr(prefixes) == "<Prefixes 1 of 65536 at 1 replicas>"


def test_a_score_has_no_unit_and_no_cliff() -> None:
    """Twice the load everywhere changes nothing; beside an idle fleet one request weighs a half."""
    assert score(0.5, 8.0, 4.0) == score(0.5, 16.0, 8.0) == 0.0
    assert score(1.0, 4.0, 4.0) == 1.0
    assert score(0.0, 1.0, 0.25) == pytest.approx(-0.375)
    assert score(0.0, 0.0, 4.0, beta=1.0) == 1.0


@pytest.mark.parametrize("beta", [0.5, 1.0])
def test_a_hot_prefix_starves_nobody(beta: float) -> None:
    """Three of five requests begin alike: their replica is never far above the mean, and the others get the rest."""
    prefixes = Prefixes(500)
    replicas = (b"N0", b"N1", b"N2", b"N3")
    running: deque[bytes] = deque()
    loads = dict.fromkeys(replicas, 0)
    served = dict.fromkeys(replicas, 0)
    hits = 0.0
    for number in range(2000):
        if len(running) == 40:  # as many run at a time, each for as long
            loads[running.popleft()] -= 1
        talk = (1, number % 3) if number % 5 < 3 else (2 + number % 50, number % 7, number % 2)
        blocks = tuple((repr(talk[:length]).encode(), 1000 * length) for length in range(1, len(talk) + 1))
        matched = prefixes.matched("m", blocks)
        mean = sum(loads.values()) / len(loads)
        best = max(replicas, key=lambda one: score(matched.get(one, 0.0), loads[one], mean, beta))
        prefixes.note("m", best, blocks)
        hits += matched.get(best, 0.0)
        loads[best] += 1
        served[best] += 1
        running.append(best)
        assert loads[best] <= (1 + 1 / beta) * max(1.0, mean) + 1
    assert min(served.values()) >= 2000 / 4 * 0.5
    assert hits / 2000 > 0.5
