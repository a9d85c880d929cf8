"""Asking: tries, deadlines, and answers that are none."""

from __future__ import annotations

from pathlib import Path

import pytest
from ctl_answers import MODELS, STATUS
from scripted_broker import LOST, ScriptedBroker

from cortex.broker.ctl import client as client_module
from cortex.broker.ctl.client import Client, NoAnswerError, OlderBrokerError
from cortex.protocol.faults import Code, Fault, FaultError
from cortex.protocol.messages import (
    Command,
    CommandFailed,
    Models,
    ModelsQuery,
    Operation,
    Status,
    StatusQuery,
    Unsupported,
)


def test_an_answer_is_the_message_and_tells_who_answered(endpoint: str) -> None:
    """The session of the broker's process is remembered."""
    with (
        ScriptedBroker(endpoint, {StatusQuery: STATUS}, session=b"sessionA"),
        Client(endpoint) as client,
    ):
        assert client.ask(StatusQuery(), Status) == STATUS
        assert client.peer == b"sessionA"


@pytest.mark.usefixtures("short_tries")
def test_a_lost_reply_is_asked_for_with_the_same_command(endpoint: str) -> None:
    """The id stays, so that the broker does it once."""
    command = Command(command="c1", verb="load", model="m")
    done = Operation(command="c1", state="done")
    with ScriptedBroker(endpoint, {Command: [LOST, LOST, done]}) as broker, Client(endpoint) as client:
        assert client.ask(command, Operation) == done
    assert broker.seen == [command] * 3


def test_patience_grows_up_to_the_time_that_was_given(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """1, 2 and 2 seconds make the 5 of a question; what the broker may hold back is on top of each try."""
    tries: list[int] = []

    def silence(_context: object, _endpoint: str, message: object, _session: bytes, try_ms: int) -> None:
        if isinstance(message, ModelsQuery):
            tries.append(try_ms)

    monkeypatch.setattr(client_module, "_try", silence)
    with Client(endpoint, timeout_s=5) as client:
        with pytest.raises(NoAnswerError):
            client.ask(ModelsQuery(), Models)
        with pytest.raises(NoAnswerError):
            client.ask(ModelsQuery(), Models, held_ms=10_000)
    assert tries == [1000, 2000, 2000, 11_000, 12_000, 12_000]


def test_a_socket_file_that_is_not_there_is_believed_at_once(endpoint: str, tmp_path: Path) -> None:
    """It names the endpoint and what to do."""
    with Client(endpoint) as client, pytest.raises(NoAnswerError) as caught:
        client.ask(StatusQuery(), Status)
    assert str(tmp_path) in str(caught.value)
    assert "is cortex running?" in str(caught.value)
    assert "--data DIR" in str(caught.value)


def test_nobody_at_a_tcp_address_is_told_within_the_time_given() -> None:
    """The hint is another one: no data directory is involved."""
    with Client("tcp://127.0.0.1:9", timeout_s=0.05) as client, pytest.raises(NoAnswerError) as caught:
        client.ask(StatusQuery(), Status)
    assert "--endpoint EP" in str(caught.value)


def test_an_address_that_is_none_tells_what_one_looks_like() -> None:
    """Instead of zmq's own words alone."""
    with Client("tcp://nowhere") as client, pytest.raises(NoAnswerError, match="tcp://HOST:PORT"):
        client.ask(StatusQuery(), Status)


def test_a_refusal_carries_the_broker_s_fault(endpoint: str) -> None:
    """As an exception, so that no caller can take it for an answer."""
    fault = Fault(code=Code.MODEL_NOT_FOUND, message="no model m")
    with (
        ScriptedBroker(endpoint, {ModelsQuery: CommandFailed(fault=fault)}),
        Client(endpoint) as client,
        pytest.raises(FaultError) as caught,
    ):
        client.ask(ModelsQuery(), Models)
    assert caught.value.fault == fault


@pytest.mark.parametrize("answer", [None, Unsupported(kind=70)])
def test_a_broker_that_does_not_know_a_question_is_called_older(
    endpoint: str, answer: Unsupported | None
) -> None:
    """Whichever way it says so."""
    script = {ModelsQuery: answer} if answer else {}
    with (
        ScriptedBroker(endpoint, script),
        Client(endpoint) as client,
        pytest.raises(OlderBrokerError, match="does not know ModelsQuery: it is older"),
    ):
        client.ask(ModelsQuery(), Models)


@pytest.mark.usefixtures("short_tries")
def test_a_broker_that_keeps_silent_about_one_question_only_is_told_from_none(endpoint: str) -> None:
    """Brokers before this version drop what they cannot decode."""
    with (
        ScriptedBroker(endpoint, {ModelsQuery: LOST, StatusQuery: STATUS}),
        Client(endpoint, timeout_s=0.1) as client,
        pytest.raises(OlderBrokerError, match=r"\(cortex 0.1.0\) answers `status` but not ModelsQuery"),
    ):
        client.ask(ModelsQuery(), Models)


@pytest.mark.usefixtures("short_tries")
def test_a_broker_that_comes_at_the_last_moment_is_asked_once_more(endpoint: str) -> None:
    """It answers `status` because it has just started, not because it knows nothing else."""
    with (
        ScriptedBroker(endpoint, {ModelsQuery: [LOST, MODELS], StatusQuery: STATUS}),
        Client(endpoint, timeout_s=0.1) as client,
    ):
        assert client.ask(ModelsQuery(), Models) == MODELS


def test_an_answer_to_another_question_is_no_answer(endpoint: str) -> None:
    """Some other plane's socket, perhaps."""
    with (
        ScriptedBroker(endpoint, {StatusQuery: MODELS}),
        Client(endpoint) as client,
        pytest.raises(NoAnswerError, match="answered StatusQuery with Models"),
    ):
        client.ask(StatusQuery(), Status)
