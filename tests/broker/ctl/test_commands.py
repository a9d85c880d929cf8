"""Commands: sent once under one id, followed to their end, told as they move."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from msgspec import Struct

from cortex.broker.ctl.commands import FailedError, new_command, perform
from cortex.broker.ctl.output import Output
from cortex.protocol.faults import Code, Fault, FaultError
from cortex.protocol.messages import Command, Operation, Wait

Answer = Operation | BaseException | Callable[[], Operation]


@dataclass
class Asked:
    """A client whose answers are written down; the clock moves by `step` seconds with each question."""

    answers: list[Answer]
    step: float = 1.0
    now: float = 0.0
    peer: bytes = b"one"
    seen: list[Struct] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)

    def ask(self, message: Struct, expected: type[Struct], *, held_ms: int = 0) -> Struct:
        self.seen.append(message)
        self.now += self.step
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer() if callable(answer) else answer

    def clock(self) -> float:
        return self.now

    def waits(self) -> list[Wait]:
        return [message for message in self.seen if isinstance(message, Wait)]


LOAD = Command(command="c1", verb="load", model="m")


def moving(percent: int, detail: str = "") -> Operation:
    return Operation(command="c1", state="running", percent=percent, detail=detail)


DONE = Operation(command="c1", state="done", percent=100)


def do(
    asked: Asked,
    command: Command = LOAD,
    *,
    as_json: bool = False,
    wait: bool = True,
    timeout_s: float | None = None,
) -> str:
    """Perform it; answers what was printed, which an error carries as a note."""
    stream = io.StringIO()
    output = Output(as_json=as_json, stream=stream, complaints=io.StringIO())
    try:
        perform(
            asked,  # type: ignore[arg-type]
            output,
            command,
            wait=wait,
            timeout_s=timeout_s,
            clock=asked.clock,
            sleep=asked.slept.append,
        )
    except FailedError as error:
        error.add_note(stream.getvalue())
        raise
    return stream.getvalue()


def test_commands_have_ids_that_nobody_had_before() -> None:
    """Two loads of one model are two commands."""
    first, second = new_command("load", model="m"), new_command("load", model="m")
    assert first.command != second.command
    assert len(first.command) == 16


def test_a_load_is_followed_to_its_end_with_plain_lines() -> None:
    """A line for each ten percent and each new detail, one at the end."""
    asked = Asked([moving(0), moving(12, "reading"), moving(17, "reading"), moving(95, "warming up"), DONE])
    assert do(asked).splitlines() == [
        "m: loading",
        "m: 12 % reading",
        "m: 95 % warming up",
        "m: loaded in 5.0 s",
    ]
    assert asked.waits() == [Wait(command="c1", patience_ms=10_000)] * 4


def test_what_is_done_at_once_is_not_waited_for() -> None:
    """One question, one line."""
    pin = Command(command="c1", verb="pin", model="m", node="beast")
    asked = Asked([Operation(command="c1", state="done", detail="on beast/cuda-0")], step=0.01)
    assert do(asked, pin) == "m: pinned (on beast/cuda-0)\n"
    assert asked.seen == [pin]


def test_no_wait_returns_what_the_broker_said_first() -> None:
    """And it is not an error that it still runs."""
    asked = Asked([moving(0)])
    assert do(asked, wait=False) == "m: loading\n"
    assert asked.waits() == []


def test_an_unload_says_that_it_waits_for_running_requests() -> None:
    """Nobody should wonder why it takes a minute."""
    asked = Asked([moving(0), DONE])
    text = do(asked, Command(command="c1", verb="unload", model="m"))
    assert "once its running requests have ended" in text
    assert text.endswith("m: unloaded in 2.0 s\n")


def test_a_drain_names_the_node() -> None:
    """It has no model."""
    asked = Asked([moving(0, "2 requests run"), DONE])
    text = do(asked, Command(command="c1", verb="drain", node="beast"))
    assert text == "beast: 2 requests run\nbeast: drained in 2.0 s\n"


def test_json_is_the_last_operation_with_every_field() -> None:
    """No lines in between: a script reads one object."""
    asked = Asked([moving(0), moving(50, "reading"), DONE])
    assert json.loads(do(asked, as_json=True)) == {
        "command": "c1",
        "state": "done",
        "percent": 100,
        "detail": "",
        "fault": None,
        "outdated": None,
    }


@pytest.mark.parametrize("as_json", [False, True])
def test_a_failure_is_an_error_with_the_broker_s_reason(as_json: bool) -> None:
    """The fault's words and when to try again; scripts get the operation as well."""
    fault = Fault(code=Code.LOAD_FAILED, message="out of memory", retry_after=30.0)
    failed = Operation(command="c1", state="failed", fault=fault)
    with pytest.raises(FailedError, match=r"^load m: out of memory \(try again in 30 s\)") as caught:
        do(Asked([moving(0), failed]), as_json=as_json)
    if as_json:
        assert json.loads(caught.value.__notes__[0])["fault"]["code"] == "load_failed"


def test_a_failure_without_a_fault_has_a_reason_too() -> None:
    """The detail, or the plain truth."""
    with pytest.raises(FailedError, match="the disk is gone"):
        do(Asked([Operation(command="c1", state="failed", detail="the disk is gone")]))
    with pytest.raises(FailedError, match="does not say why"):
        do(Asked([Operation(command="c1", state="failed")]))


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (LOAD, "m is still loading; cortex-ctl models shows it"),
        (
            Command(command="c1", verb="drain", node="beast"),
            "beast is still draining; cortex-ctl neurons shows it",
        ),
    ],
)
def test_ctrl_c_leaves_it_running_and_says_so(command: Command, message: str) -> None:
    """The operation is the broker's; it is only no longer watched."""
    with pytest.raises(FailedError, match=message):
        do(Asked([moving(0), KeyboardInterrupt()]), command)


def test_an_explicit_timeout_ends_the_wait_and_not_the_load() -> None:
    """The last poll is only as patient as there is time."""
    asked = Asked([moving(0), moving(1), moving(2), moving(3)], step=4.0)
    with pytest.raises(FailedError, match="after 12 s m is still loading"):
        do(asked, timeout_s=12)
    assert [wait.patience_ms for wait in asked.waits()] == [8001, 4001]


def test_a_broker_that_was_started_again_is_told_the_same_command() -> None:
    """It knows nothing of the operation; under the same id a load under way is joined, not doubled."""
    asked = Asked([moving(10)])
    unknown = Fault(code=Code.UNKNOWN_REQUEST, message="no operation c1")

    def another() -> Operation:
        asked.peer = b"two"
        raise FaultError(unknown)

    asked.answers += [another, moving(40), DONE]
    do(asked)
    assert [type(message) for message in asked.seen] == [Command, Wait, Command, Wait]
    assert asked.seen[2] == LOAD


def test_a_broker_that_forgot_its_own_operation_ends_the_wait() -> None:
    """It is told again a few times, for the owner that it was passed on to may have died; then asking would never end."""
    unknown = FaultError(Fault(code=Code.UNKNOWN_REQUEST, message="no operation c1"))
    asked = Asked([moving(10), *[unknown, moving(10)] * 5, unknown])
    with pytest.raises(FaultError, match="no operation"):
        do(asked)
    again = Asked([moving(10), unknown, moving(20), DONE])
    do(again)
    assert [type(message) for message in again.seen] == [Command, Wait, Command, Wait]


def test_answers_without_news_do_not_become_a_busy_loop() -> None:
    """A broker that answers at once is asked again after a breath."""
    asked = Asked([moving(10), moving(10), moving(10), DONE], step=0.01)
    do(asked)
    assert asked.slept == [0.2, 0.2]
