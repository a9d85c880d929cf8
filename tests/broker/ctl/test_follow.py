"""What goes on until Ctrl-C."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from ctl_answers import DECISIONS, STATUS
from msgspec import Struct

from cortex.broker.ctl.client import NoAnswerError, OlderBrokerError
from cortex.broker.ctl.follow import follow_events, top
from cortex.broker.ctl.output import Output
from cortex.protocol.messages import Decision, Events, EventsSince

Answer = Struct | BaseException | Callable[[], Struct]
END = KeyboardInterrupt()


@dataclass
class Asked:
    """A client whose answers are written down, the last of which is Ctrl-C."""

    answers: list[Answer]
    peer: bytes = b""
    process: bytes = b"one"
    seen: list[Struct] = field(default_factory=list)
    slept: int = 0
    stream: io.StringIO = field(default_factory=io.StringIO)
    complaints: io.StringIO = field(default_factory=io.StringIO)

    def ask(self, message: Struct, expected: type[Struct], *, held_ms: int = 0) -> Struct:
        self.seen.append(message)
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        reply = answer() if callable(answer) else answer
        self.peer = self.process
        return reply

    def sleep(self, _seconds: float) -> None:
        self.slept += 1

    def output(self, *, as_json: bool = False) -> Output:
        return Output(as_json=as_json, stream=self.stream, complaints=self.complaints)

    def follow(self, since: int = 0, *, as_json: bool = False) -> list[str]:
        follow_events(self, self.output(as_json=as_json), since, sleep=self.sleep)  # type: ignore[arg-type]
        return self.stream.getvalue().splitlines()

    def asked_since(self) -> list[tuple[int, int]]:
        return [(m.since, m.patience_ms) for m in self.seen if isinstance(m, EventsSince)]


def page(*events: Decision, last: int = 0) -> Events:
    return Events(events=events, next=events[-1].number if events else last)


def test_events_are_printed_as_they_come_and_asked_for_after_the_last() -> None:
    """What is kept first, without waiting; then long polls of 10 s."""
    asked = Asked([page(*DECISIONS[:2]), page(last=2), page(DECISIONS[2]), page(last=3), END])
    lines = asked.follow()
    assert [("loaded" in lines[0]), ("evicted" in lines[1]), ("load failed" in lines[2])] == [True] * 3
    assert len(lines) == 3
    assert asked.asked_since() == [(0, 0), (2, 0), (2, 10_000), (3, 0), (3, 10_000)]


def test_in_json_each_decision_is_an_object_on_a_line_of_its_own() -> None:
    """With all its fields, for scripts that read line by line."""
    lines = Asked([page(*DECISIONS), END]).follow(as_json=True)
    assert [json.loads(line)["number"] for line in lines] == [1, 2, 3]
    assert set(json.loads(lines[0])) == {"number", "at_ms", "what", "subject", "reason"}


def test_events_that_were_seen_are_not_printed_again() -> None:
    """A repeated question may bring the same page."""
    asked = Asked([page(*DECISIONS[:2]), page(*DECISIONS), END])
    assert len(asked.follow()) == 3


def test_a_broker_that_was_started_again_is_followed_from_its_first_event() -> None:
    """Its session is another one: its numbers mean other events, even higher ones."""
    asked = Asked([page(*DECISIONS)])

    def restarted() -> Struct:
        asked.process = b"two"
        return page(Decision(number=9, at_ms=0, what="ninth"))

    first = Decision(number=1, at_ms=0, what="first")
    asked.answers += [restarted, page(first), END]
    assert "first" in asked.follow()[-1]
    assert "started again" in asked.complaints.getvalue()
    assert asked.asked_since() == [(0, 0), (3, 0), (0, 0), (1, 0)]


def test_numbers_beyond_those_of_the_broker_are_taken_for_a_restart() -> None:
    """`--since 500` of yesterday's process."""
    asked = Asked([page(last=3), page(*DECISIONS), END])
    assert len(asked.follow(since=500)) == 3
    assert "numbered from 1" in asked.complaints.getvalue()


def test_a_broker_that_is_away_is_waited_for_and_told_once() -> None:
    """It goes on where it was."""
    away = NoAnswerError("no broker answers at X")
    asked = Asked([page(*DECISIONS[:2]), away, away, page(DECISIONS[2]), END])
    assert len(asked.follow()) == 3
    assert asked.complaints.getvalue() == "cortex-ctl: no broker answers at X; waiting for it\n"
    assert asked.slept == 2


@pytest.mark.parametrize("error", [NoAnswerError("nobody"), OlderBrokerError("older")])
def test_nobody_there_at_first_is_an_error(error: NoAnswerError) -> None:
    """A wrong endpoint must not look like a quiet broker."""
    with pytest.raises(NoAnswerError):
        Asked([error]).follow()


def test_top_repeats_the_status_and_ends_with_ctrl_c() -> None:
    """Elsewhere than on a terminal one below the other."""
    asked = Asked([STATUS, STATUS, END])
    top(asked, asked.output(), sleep=asked.sleep)  # type: ignore[arg-type]
    assert asked.stream.getvalue().count("broker alpha 0.1.0") == 2


def test_top_in_json_is_an_object_per_line() -> None:
    """For scripts that sample."""
    asked = Asked([STATUS, STATUS, END])
    top(asked, asked.output(as_json=True), sleep=asked.sleep)  # type: ignore[arg-type]
    assert [json.loads(line)["served"] for line in asked.stream.getvalue().splitlines()] == [1204, 1204]
