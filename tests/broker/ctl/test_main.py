"""cortex-ctl against a real socket: every command as text and as JSON, and its exit code."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ctl_answers import CODER, CONFIG, EVENTS, EXPLANATION, MODELS, STATUS
from msgspec import Struct
from msgspec import json as msgspec_json
from scripted_broker import LOST, ScriptedBroker

from cortex.broker.ctl.__main__ import main
from cortex.broker.ctl.output import as_plain
from cortex.protocol.faults import Code, Fault
from cortex.protocol.messages import (
    Command,
    CommandFailed,
    ConfigQuery,
    EdgeBeat,
    Events,
    EventsSince,
    Explain,
    Explanation,
    ModelsQuery,
    Operation,
    Outdated,
    Resume,
    StatusQuery,
    Wait,
)

Run = Callable[..., tuple[int, str, str]]

REFUSED = CommandFailed(
    fault=Fault(
        code=Code.INVALID_REQUEST,
        message="models.toml:12: models[1].prioritty: unknown key; did you mean priority?",
        param="models[1].prioritty",
    )
)


def events_after(question: Struct) -> Events:
    assert isinstance(question, EventsSince)
    later = tuple(event for event in EVENTS.events if event.number > question.since)
    return Events(events=later[:2], next=3)


def begin(question: Struct) -> Struct:
    assert isinstance(question, Command)
    if question.verb == "reload":
        return REFUSED
    moving = question.verb in {"load", "unload", "drain"}
    return Operation(command=question.command, state="running" if moving else "done")


def end(question: Struct) -> Operation:
    assert isinstance(question, Wait)
    return Operation(command=question.command, state="done", percent=100, detail="beast/cuda-1")


@pytest.fixture
def broker(endpoint: str) -> Iterator[ScriptedBroker]:
    script = {
        StatusQuery: STATUS,
        ModelsQuery: MODELS,
        Explain: EXPLANATION,
        EventsSince: events_after,
        ConfigQuery: CONFIG,
        Command: begin,
        Wait: end,
    }
    with ScriptedBroker(endpoint, script) as scripted:
        yield scripted


@pytest.mark.usefixtures("broker")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["status"], "broker alpha 0.1.0, up 1 h 2 min"),
        (["neurons"], "20.6/22.0 GiB"),
        (
            ["models"],
            "out of memory while reading layer 31; tried again in 42 s, or at once by cortex-ctl load mistral-small",
        ),
        (["explain", "mistral-small"], "evicting gemma-3-12b and bge-m3 to make room"),
        (["events"], "the least lately used"),
        (["config"], '# /etc/cortex/models.toml\n[[models]]\nid = "phi-4"\n'),
        (["load", "phi-4"], "phi-4: loaded (beast/cuda-1)"),
        (["load", "phi-4", "--no-wait"], "phi-4: loading"),
        (["unload", "phi-4"], "phi-4: unloaded"),
        (["pin", "phi-4", "--node", "beast/cuda-0"], "phi-4: pinned"),
        (["unpin", "phi-4"], "phi-4: no longer pinned"),
        (["drain", "beast"], "beast: drained"),
        (["resume", "beast"], "beast: in service again"),
    ],
)
def test_every_command_prints_text_and_exits_with_0(run: Run, words: list[str], expected: str) -> None:
    """Plain: no escape sequences, no padding at the ends of lines, nothing cut."""
    code, out, err = run(*words)
    assert (code, err) == (0, "")
    assert expected in out
    assert all(sign.isprintable() or sign == "\n" for sign in out)
    assert "…" not in out
    assert all(line == line.rstrip() for line in out.splitlines())


@pytest.mark.usefixtures("broker")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["status"], STATUS),
        (["neurons"], STATUS),
        (["models"], MODELS),
        (["explain", "mistral-small"], EXPLANATION),
        (["events"], EVENTS),
        (["config"], CONFIG),
    ],
)
def test_json_is_the_message_itself(run: Run, words: list[str], message: Struct) -> None:
    """It decodes into what the broker sent; the flag may stand before the command or after it."""
    code, out, _ = run(*words, "--json")
    assert code == 0
    assert msgspec_json.decode(out, type=type(message)) == message
    assert run("--json", *words)[1] == out


@pytest.mark.usefixtures("broker")
def test_json_has_every_field_even_those_that_are_as_always(run: Run) -> None:
    """A script need not know what was left out."""
    cold = json.loads(run("models", "--json")[1])["models"][-1]
    assert (cold["pinned"], cold["running"], cold["detail"]) == (False, 0, "")


def test_json_shows_bytes_as_hexadecimal() -> None:
    """Also deep inside, and names of enumerations as words."""
    resume = Resume(request="r", attempt=1, session=b"\x00\xff", next_seq=(1,))
    assert as_plain(resume)["session"] == "00ff"
    assert as_plain(REFUSED)["fault"]["code"] == "invalid_request"
    assert as_plain(EdgeBeat(name="\x1b[31m"))["name"] == "\x1b[31m"


def test_commands_carry_verb_model_and_node(run: Run, broker: ScriptedBroker) -> None:
    """What was typed is what the broker is told."""
    run("load", CODER, "--node", "beast/cuda-1")
    run("drain", "benjy")
    sent = [(m.verb, m.model, m.node) for m in broker.seen if isinstance(m, Command)]
    assert sent == [("load", CODER, "beast/cuda-1"), ("drain", "", "benjy")]
    [wait, _] = broker.asked(Wait)
    [load, _] = broker.asked(Command)
    assert (wait.command, wait.patience_ms) == (load.command, 10_000)  # type: ignore[attr-defined]


def test_events_since_a_number_are_only_later_ones(run: Run, broker: ScriptedBroker) -> None:
    """All pages of them."""
    out = run("events", "--since", "1")[1]
    assert "pinned by its profile" not in out
    assert "load failed" in out
    assert [m.since for m in broker.asked(EventsSince)] == [1, 3]  # type: ignore[attr-defined]
    assert run("events", "--since", "3")[1] == "nothing was decided after event 3\n"


@pytest.mark.usefixtures("broker")
def test_a_bad_file_is_told_in_one_line_and_exits_with_1(run: Run) -> None:
    """File, line, key, in the broker's words; for scripts the fault as JSON too."""
    code, out, err = run("reload")
    assert (code, out) == (1, "")
    assert err == f"cortex-ctl: {REFUSED.fault.message}\n"
    code, out, err = run("reload", "--json")
    assert code == 1
    assert json.loads(out)["fault"]["param"] == "models[1].prioritty"
    assert err.count("\n") == 1


def test_an_older_broker_is_named_in_one_line(run: Run, endpoint: str) -> None:
    """One that answers status, and nothing that came later."""
    with ScriptedBroker(endpoint, {StatusQuery: STATUS}):
        code, _, err = run("models")
    assert code == 1
    assert "older than this cortex-ctl" in err
    assert err.count("\n") == 1


@pytest.mark.usefixtures("short_tries")
def test_a_reply_that_is_lost_does_not_double_the_command(run: Run, endpoint: str) -> None:
    """Both arrivals have one id."""
    with ScriptedBroker(endpoint, {Command: [LOST, begin], Wait: end}) as broker:
        assert run("load", "phi-4")[0] == 0
    first, second = broker.asked(Command)
    assert first == second


def test_no_broker_is_one_line_and_1(run: Run, tmp_path: Path) -> None:
    """It names the endpoint and what to do."""
    code, out, err = run("models")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert str(tmp_path) in err
    assert "is cortex running?" in err
    assert "--data DIR" in err


@pytest.mark.usefixtures("broker")
def test_a_data_directory_names_its_broker(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--data before the environment's endpoint, on either side of the command."""
    assert main(["--data", str(tmp_path), "status"]) == 0
    assert main(["status", "--data", str(tmp_path)]) == 0
    assert "broker alpha" in capsys.readouterr().out


@pytest.mark.usefixtures("broker")
def test_the_environment_names_a_broker_too(
    endpoint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """CORTEX_ENDPOINT, unless a flag says otherwise."""
    monkeypatch.setenv("CORTEX_ENDPOINT", endpoint)
    assert main(["status"]) == 0
    assert main(["status", "--data", str(tmp_path / "other")]) == 1
    assert "other" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["modles"], "there is no command 'modles': did you mean models?"),
        (["relaod"], "did you mean reload?"),
        (["xyzzy"], "choose from status, top"),
        ([], "COMMAND"),
        (["load"], "MODEL"),
        (["events", "--since", "soon"], "'soon' is not a number of an event"),
        (["status", "--timeout", "0"], "'0' is not a time in seconds"),
        (["status", "--jso"], "--jso"),
    ],
)
def test_mistakes_in_the_arguments_exit_with_2(
    words: list[str], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mistyped command names the nearest one."""
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    assert hint in capsys.readouterr().err


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_a_model_that_nobody_knows_is_an_error_and_a_wrong_models_toml_is_told(
    endpoint: str, run: Run, flags: tuple[str, ...]
) -> None:
    """Exit code 1, with a line that says why the new model is not there; JSON stays one object."""
    fault = Fault(code=Code.MODEL_NOT_FOUND, message="The model 'nope' does not exist here.", param="model")
    outdated = Outdated(since_ms=0, problem="models.toml:3: models[0].idd: unknown key")
    answer = Explanation(model="nope", verdict="refuse", reason=fault.message, fault=fault, outdated=outdated)
    with ScriptedBroker(endpoint, {Explain: answer}):
        code, out, err = run("explain", "nope", *flags)
    assert code == 1
    lines = err.splitlines()
    assert lines[0].startswith("cortex-ctl: what models.toml said before holds, for it is wrong since ")
    assert lines[0].endswith(": models.toml:3: models[0].idd: unknown key")
    assert lines[1] == "cortex-ctl: The model 'nope' does not exist here."
    assert json.loads(out)["fault"]["code"] == "model_not_found" if flags else not out
