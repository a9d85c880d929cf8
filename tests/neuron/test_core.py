"""The device's mind, driven with the simulated engine and a made-up clock."""

import pytest
from msgspec import Struct

from cortex.neuron import ended
from cortex.neuron.config import ModelSettings, SimSettings
from cortex.neuron.core import BACKLOG, ORPHAN, Core
from cortex.neuron.engine.sim import SimEngine
from cortex.neuron.engine.sim_vectors import packed
from cortex.neuron.engine.sim_words import text, token
from cortex.neuron.outbox import Batch, Post
from cortex.protocol import messages as m
from cortex.protocol.codec import encode_request
from cortex.protocol.deltas import Delta, TextPiece
from cortex.protocol.faults import Code
from cortex.protocol.request import Chat, Embed, Sampling, Text, Turn
from cortex.protocol.values import Device, Usage

BROKER = b"broker-1"
EDGE = b"edge"


def chat(*, max_tokens: int = 3, model: str = "m", n: int = 1) -> bytes:
    turn = Turn(role="user", parts=(Text(text="hello"),))
    return encode_request(Chat(model=model, turns=(turn,), sampling=Sampling(max_tokens=max_tokens, n=n)))


def generate(request: str = "r", attempt: int = 1, **extra: object) -> m.Generate:
    return m.Generate(request=request, attempt=attempt, edge=EDGE, model="m", **extra)


class Bench:
    """A core with one link, a clock that only moves when told, and everything that it has sent."""

    def __init__(self, *, slots: int = 2, links: int = 1) -> None:
        script = SimSettings(tokens_per_s=10, prefill_per_s=1000, slots=slots)
        self.engine = SimEngine(Device(kind="sim", memory_bytes=script.memory_bytes), script)
        self.engine.start()
        self.now = 100.0
        self.core = Core("host", self.engine, links, script.memory_bytes)
        self.core.start((ModelSettings(id="m"),), self.now)
        self.core.produced(self.engine.step(self.now), self.now)
        for index in range(links):
            self.core.link_up(index)
            self.core.handle(index, BROKER, m.Registered(interval_ms=1000), (), self.now)
        self.sent()

    def give(self, message: Struct, *payload: bytes, link: int = 0) -> list[object]:
        self.core.handle(link, BROKER, message, payload, self.now)
        return self.sent(link)

    def run(self, seconds: float) -> list[object]:
        until = self.now + seconds
        while (due := self.engine.due(self.now)) is not None and self.now + due <= until:
            self.now += due
            self.core.produced(self.engine.step(self.now), self.now)
            self.core.tick(self.now)
        self.now = until
        self.core.tick(self.now)
        return self.sent()

    def sent(self, link: int = 0) -> list[object]:
        out: list[object] = []
        outbox = self.core.links[link].outbox
        while (entry := outbox.first()) is not None:
            out += entry.items if isinstance(entry, Batch) else [entry.message]
            outbox.sent()
        self.core.check()
        return out


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_it_registers_when_a_broker_appears_and_is_ready_when_registered() -> None:
    """Register goes out when the link comes up, Ready when the broker has answered."""
    core = Bench().core
    core.link_down(0, 0.0)
    core.link_up(0)
    first = core.links[0].outbox.first()
    assert isinstance(first, Post)
    assert isinstance(first.message, m.Register)
    core.links[0].outbox.sent()
    core.handle(0, BROKER, m.Registered(interval_ms=1000), (), 0.0)
    entry = core.links[0].outbox.first()
    assert isinstance(entry, Post)
    assert isinstance(entry.message, m.Ready)
    assert entry.message.models[0].state == "hot"


def test_it_registers_again_when_told_to(bench: Bench) -> None:
    """A broker that lost its memory gets a new introduction."""
    assert [type(x) for x in bench.give(m.RegisterAgain())] == [m.Register]


def test_an_answer_to_a_beat_is_no_reason_to_tell_everything_again(bench: Bench) -> None:
    """The broker says a word a second; what is held is told when it changes."""
    assert bench.give(m.Registered(interval_ms=1000, answers_beats=True)) == []
    assert bench.core.links[0].awaits


def test_a_broker_that_answers_no_beats_is_not_waited_for(bench: Bench) -> None:
    """One of an earlier version says nothing once it has answered the introduction."""
    assert not bench.core.links[0].awaits
    bench.give(m.RegisterAgain())
    assert bench.core.links[0].awaits


def test_a_broker_that_is_called_anew_is_met_as_if_for_the_first_time(bench: Bench) -> None:
    """What it had is cancelled, what waited for it forgotten; it is told the counter's new routing id."""
    bench.give(generate(), chat(max_tokens=100))
    bench.core.link_renewed(0, b"C-new", bench.now)
    bench.run(1.0)
    assert bench.core.live == ((),)
    bench.core.link_up(0)
    [introduction] = bench.sent()
    assert isinstance(introduction, m.Register)
    assert introduction.counter == b"C-new"
    assert [type(one) for one in bench.give(m.Registered(interval_ms=1000))] == [m.Ready]


def test_a_request_is_accepted_streamed_and_finished_once(bench: Bench) -> None:
    """Accepted, then contiguous deltas, then one terminal with the totals."""
    accepted = bench.give(generate(), chat())
    assert [type(x) for x in accepted] == [m.Accepted]
    out = bench.run(5)
    deltas = [x for x in out if isinstance(x, Delta)]
    assert [made for d in deltas for made in d.tokens] == [token("r", 0, i) for i in range(3)]
    assert "".join(p.text for d in deltas for p in d.pieces if isinstance(p, TextPiece)) == "".join(
        text(token("r", 0, i)) for i in range(3)
    )
    assert isinstance(out[-1], m.Finished)
    assert out[-1].totals == (3,)
    assert bench.core.live == ((),)


def test_a_repeated_generate_of_a_live_attempt_is_only_accepted_again(bench: Bench) -> None:
    """A lost Accepted must not lead to the work being done twice."""
    bench.give(generate(), chat())
    assert [type(x) for x in bench.give(generate(), chat())] == [m.Accepted]
    assert len(bench.core.live[0]) == 1


def test_a_repeated_generate_of_an_ended_attempt_gets_its_terminal_again(bench: Bench) -> None:
    """A lost Finished is sent again instead of doing the work again."""
    bench.give(generate(), chat())
    last = bench.run(5)[-1]
    assert bench.give(generate(), chat()) == [last]


def test_a_full_device_refuses_with_the_truth(bench: Bench) -> None:
    """Busy comes with the models and their slots, so that the broker learns."""
    bench.give(generate("a"), chat())
    bench.give(generate("b"), chat())
    [refused] = bench.give(generate("c"), chat())
    assert isinstance(refused, m.Refused)
    assert refused.fault.code is Code.BUSY
    assert refused.models[0].slots == 2


def test_cancel_ends_the_attempt_at_the_next_step(bench: Bench) -> None:
    """The slot is free after one step, and the terminal says that it was cancelled."""
    bench.give(generate(), chat(max_tokens=100))
    bench.run(0.5)
    bench.give(m.Cancel(request="r", attempt=1))
    assert bench.engine.due(bench.now) == 0
    [last] = bench.run(0.0)
    assert isinstance(last, m.Finished)
    assert last.cancelled
    assert bench.engine.due(bench.now) is None


def test_cancelling_another_attempt_changes_nothing(bench: Bench) -> None:
    """Attempts are named exactly."""
    bench.give(generate(), chat())
    assert bench.give(m.Cancel(request="r", attempt=2)) == []
    assert bench.core.live == ((("r", 1),),)


def test_a_request_without_or_with_a_broken_body_is_refused(bench: Bench) -> None:
    """Nothing that a broker sends makes the device fail."""
    for payload in ((), (b"\xc1",), (b"\x80",)):
        [refused] = bench.give(generate(), *payload)
        assert isinstance(refused, m.Refused)
        assert refused.fault.code is Code.INTERNAL


def test_an_unexpected_message_is_counted_and_dropped(bench: Bench) -> None:
    """A message of another plane has no effect."""
    assert bench.give(m.StatusQuery()) == []
    assert bench.core.dropped == 1


def test_work_of_a_lost_broker_goes_on_for_a_while_and_is_then_cancelled(bench: Bench) -> None:
    """Five seconds are left for somebody to resume it."""
    bench.give(generate(), chat(max_tokens=1000))
    bench.core.link_down(0, bench.now)
    bench.run(ORPHAN - 0.2)
    assert bench.core.live == ((("r", 1),),)
    bench.run(0.4)
    assert bench.core.live == ((),)


def test_a_short_interruption_loses_nothing(bench: Bench) -> None:
    """What could not be sent waits, merged, and leaves in order when the link is back."""
    bench.give(generate(), chat(max_tokens=20))
    bench.core.link_down(0, bench.now)
    until = bench.now + 1.05
    while (due := bench.engine.due(bench.now)) is not None and bench.now + due < until:
        bench.now += due
        bench.core.produced(bench.engine.step(bench.now), bench.now)
    assert len(bench.core.links[0].outbox) == 1
    bench.core.link_up(0)
    out = bench.sent()
    assert isinstance(out[0], Delta)
    assert out[0].seq == 0
    assert len(out[0].tokens) == 11
    assert isinstance(out[-1], m.Register)


def test_a_backlog_past_its_bound_cancels_that_brokers_work() -> None:
    """Nobody reads it, so nobody shall compute it."""
    bench = Bench(links=2)
    bench.give(generate("a"), chat(max_tokens=1000))
    bench.give(generate("b"), chat(max_tokens=1000), link=1)
    bench.core.links[0].outbox.say(EDGE, Delta("a", 1, 0, 0, [0] * (BACKLOG + 1), []))
    bench.core.tick(bench.now)
    bench.run(0.3)
    assert bench.core.live == ((), (("b", 1),))


def test_leaving_fails_what_runs_and_says_goodbye(bench: Bench) -> None:
    """Every request gets its terminal before the process goes, and nothing new is taken."""
    bench.give(generate(), chat())
    bench.core.leave(bench.now)
    failed, goodbye = bench.sent()
    assert isinstance(failed, m.Failed)
    assert failed.fault.code is Code.DRAINING
    assert isinstance(goodbye, m.Goodbye)
    [refused] = bench.give(generate("x"), chat())
    assert isinstance(refused, m.Refused)
    assert refused.fault.code is Code.DRAINING


def test_the_engine_knows_whose_request_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it computed for one principal is of use to that one alone."""
    bench, jobs = Bench(), []
    admit = bench.engine.admit
    monkeypatch.setattr(bench.engine, "admit", lambda job, now: jobs.append(job) or admit(job, now))
    bench.give(generate(principal="somebody"), chat())
    assert [job.principal for job in jobs] == ["somebody"]


def test_what_is_known_of_a_prompt_is_told_when_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its length, and what of it was computed before: Anthropic's clients read both before the first token."""
    bench = Bench()
    admit = bench.engine.admit
    monkeypatch.setattr(bench.engine, "admit", lambda job, now: admit(job, now) and Usage(prompt=9, cached=4))
    [accepted] = bench.give(generate(), chat())
    assert (accepted.prompt_tokens, accepted.cached_tokens) == (9, 4)


# ── vectors ──────────────────────────────────────────────────────────────────────────────────────────────────────


def embed(*inputs: str) -> bytes:
    return encode_request(Embed(model="m", inputs=inputs))


def test_vectors_travel_with_the_terminal(bench: Bench) -> None:
    """One terminal, with all vectors in one attachment; a duplicate gets both again."""
    bench.give(generate(), embed("one", "two"))
    vectors = packed("one") + packed("two")
    bench.now += 1
    bench.core.produced(bench.engine.step(bench.now), bench.now)
    outbox = bench.core.links[0].outbox
    end = outbox.first()
    assert isinstance(end.message, m.Finished)
    assert end.payload == (vectors,)
    outbox.sent()
    bench.core.handle(0, BROKER, generate(), (embed("one", "two"),), bench.now)
    assert outbox.first() == end


def test_old_vectors_are_forgotten(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a total the oldest go; whoever asks for them again is told that trying again helps."""
    monkeypatch.setattr(ended, "VECTOR_BYTES", 600)
    for name in "abc":
        bench.give(generate(name), embed(name))
        bench.run(1)
    assert bench.core._ended.bytes == 512
    [forgotten], [known] = (bench.give(generate(name), embed(name)) for name in "ac")
    assert isinstance(forgotten, m.Failed)
    assert forgotten.fault.retryable
    assert isinstance(known, m.Finished)
