"""What people read: words, units and columns, wide and narrow."""

from __future__ import annotations

from datetime import UTC

import pytest
from ctl_answers import CODER, DECISIONS, EXPLANATION, MODELS, NOON_MS, STATUS
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, RenderableType
from wire_values import instances

from cortex.broker.ctl.render.events import EventLines
from cortex.broker.ctl.render.explanation import explanation, sentences
from cortex.broker.ctl.render.models import models
from cortex.broker.ctl.render.neurons import neurons
from cortex.broker.ctl.render.status import status
from cortex.broker.ctl.render.words import clean, duration, share, size
from cortex.protocol.faults import Code, Fault
from cortex.protocol.messages import (
    Decision,
    Explanation,
    Models,
    Names,
    NeuronStatus,
    Status,
)
from cortex.protocol.values import Device, Model

GIB = 2**30


def shown(view: RenderableType, width: int = 200) -> str:
    console = Console(width=width, force_terminal=False, markup=False, highlight=False, emoji=False)
    with console.capture() as captured:
        console.print(view)
    return captured.get()


def line_of(text: str, start: str) -> list[str]:
    """The words of the line that starts so."""
    return next(line for line in text.splitlines() if line.startswith(start)).split()


def test_the_status_table_shows_node_device_model_and_load() -> None:
    """A line per model on each device, in the broker's own words."""
    held = (Model(id="m", state="hot", slots=8), Model(id="n", state="loading"))
    device = Device(kind="cuda", index=1, memory_bytes=24 * GIB)
    fleet = (
        NeuronStatus(
            node="beast", device=device, state="ready", load={"m": 3}, models=held, tokens_per_s=41.5
        ),
        NeuronStatus(node="benjy", device=Device(kind="cpu"), state="absent"),
    )
    report = Status(
        broker="b", version="1", uptime_s=3723, neurons=fleet, edges=2, running=3, waiting=0, served=9
    )
    text = shown(status(report), 120)
    assert "up 1 h 2 min · 2 edge workers · 3 running, 0 waiting, 9 served" in text
    assert line_of(text, "beast") == [
        "beast",
        "cuda-1",
        "ready",
        "0.0",
        "s",
        "0.0/24.0",
        "GiB",
        "m",
        "hot",
        "3/8",
        "41.5",
    ]
    assert line_of(text, "benjy")[2] == "absent"


def test_status_names_the_brokers_of_a_mesh_and_what_was_dropped() -> None:
    """One broker is told in the headline, several in a table."""
    text = shown(status(STATUS))
    assert line_of(text, "bravo") == ["bravo", "live", "1", "0", "404", "2"]
    assert "messages dropped: stale 3" in text


def test_a_fleet_without_neurons_says_so() -> None:
    """No heading over nothing."""
    empty = Status(broker="b", version="1", uptime_s=1, neurons=(), edges=0, running=0, waiting=0, served=0)
    assert "no neuron has joined yet" in shown(status(empty))
    assert "no neuron has joined yet" in shown(neurons(empty))


def test_a_starting_neuron_tells_what_it_is_doing() -> None:
    """The state alone would not tell whether it moves."""
    neuron = NeuronStatus(
        node="n", device=Device(kind="cpu"), state="registered", phase="starting", detail="importing torch"
    )
    report = Status(
        broker="b", version="1", uptime_s=1, neurons=(neuron,), edges=0, running=0, waiting=0, served=0
    )
    assert "registered (importing torch)" in shown(neurons(report))


def test_a_neuron_is_one_line_with_memory_models_and_load() -> None:
    """Reserved of what models may take, what is free, what it holds, cold models only counted."""
    text = shown(neurons(STATUS))
    line = " ".join(line_of(text, "beast"))
    assert line.startswith("beast cuda-0 ready 20.6/22.0 GiB 1.4 GiB")
    assert f"{CODER} pinned, bge-m3, 1 cold" in line
    assert line.endswith("3/24 141.5 - 4 0.4 s")
    assert "llama-3.2-3b draining" in text
    assert line_of(text, "benjy")[-5:] == ["38.2", "drained", "0", "0.8", "s"]
    assert line_of(text, "moon")[1:3] == ["-", "absent"]


def test_a_model_is_one_line_with_place_and_load() -> None:
    """Where it is and in which state there, replicas, running and waiting, priority, pin, size, owner."""
    line = line_of(shown(models(MODELS)), CODER)
    assert line == [CODER, "hot", "beast/cuda-0", "hot", "1", "3/2", "100", "yes", "18.0", "GiB", "alpha"]


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("gemma-3-12b", "beast/cuda-1 loading"),
        ("gemma-3-12b", "63 %; reading weights"),
        (
            "mistral-small",
            "out of memory while reading layer 31; tried again in 42 s, or at once by cortex-ctl",
        ),
        ("phi-4", "fits beast, benjy"),
        ("deepseek-v3", "fits no host"),
    ],
)
def test_a_model_that_is_not_hot_tells_why(model: str, words: str) -> None:
    """Progress, the failure and its pause, or the hosts that could hold it."""
    assert words in " ".join(line_of(shown(models(MODELS)), model))


def test_other_names_stand_below_the_models() -> None:
    """Aliases, patterns too, and the name for small models."""
    text = shown(models(MODELS))
    assert f"gpt-4o*         → {CODER}" in text
    assert "unknown names of small models → llama-3.2-3b" in text


def test_no_models_at_all_is_said() -> None:
    """It names where they would come from."""
    assert "models.toml" in shown(models(Models(models=())))


@pytest.mark.parametrize("width", [60, 80, 100, 130, 200])
@pytest.mark.parametrize("view", [models(MODELS), neurons(STATUS), status(STATUS)])
def test_a_narrow_terminal_loses_columns_and_says_which(view: RenderableType, width: int) -> None:
    """No line is wider than the terminal, and nothing is cut."""
    text = shown(view, width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text


def test_the_least_important_columns_go_first() -> None:
    """At 80 columns one still sees what is where, and how busy it is."""
    text = shown(models(MODELS), 80)
    assert text.splitlines()[0].split() == ["model", "state", "where", "run/wait", "detail"]
    missing = text[text.index("(this terminal") : text.index(")")]
    assert " ".join(missing.split()).endswith("replicas, priority, pinned, size, owner")


def test_columns_without_anything_in_them_are_left_out() -> None:
    """Nobody pinned: no such column."""
    calm = Models(models=MODELS.models[4:5], names=Names())
    assert "pinned" not in shown(models(calm))


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (
            {"verdict": "serve", "node": "beast/cuda-0"},
            "A request for m would be served by beast/cuda-0, at once.",
        ),
        (
            {"verdict": "join", "node": "beast/cuda-0", "wait_ms": 12_000},
            "A request for m would wait for the load that is under way on beast/cuda-0, about 12 s.",
        ),
        (
            {"verdict": "load", "node": "benjy/cuda-0"},
            (
                "A request for m would load it on benjy/cuda-0, where there is room for it; "
                "how long is not known yet."
            ),
        ),
        (
            {"verdict": "load", "node": "benjy/cuda-0", "victims": ("a", "b"), "wait_ms": 90_000},
            (
                "A request for m would load it on benjy/cuda-0, evicting a and b to make room; "
                "it would wait about 1 min 30 s."
            ),
        ),
        ({"verdict": "wait", "wait_ms": 8_000}, "A request for m would wait in its queue, about 8.0 s."),
        ({"verdict": "refuse"}, "A request for m would be refused."),
    ],
)
def test_an_explanation_begins_with_what_would_happen(answer: dict[str, object], sentence: str) -> None:
    """In a sentence, with node, victims and wait."""
    assert sentences(Explanation(model="m", reason="so it is", **answer), "m") == [  # type: ignore[arg-type]
        sentence,
        "Reason: so it is.",
    ]


def test_an_explanation_tells_aliases_the_client_s_message_and_the_queue() -> None:
    """Whatever else there is to know."""
    fault = Fault(code=Code.DOES_NOT_FIT, message="needs 380.0 GiB; the largest host has 24.0 GiB")
    report = Explanation(model="m", verdict="refuse", reason="no host", owner="b", waiting=1, fault=fault)
    assert sentences(report, "gpt-4o") == [
        "gpt-4o is another name of m.",
        "A request for m would be refused.",
        "Reason: no host.",
        "The client would read: needs 380.0 GiB; the largest host has 24.0 GiB.",
        "Broker b keeps its queue: 1 request waiting.",
    ]


def test_an_explanation_lists_the_places_that_were_looked_at() -> None:
    """Each with its verdict, whom it would cost and the reason."""
    text = shown(explanation(EXPLANATION, "mistral-small"))
    line = " ".join(line_of(text, "beast/cuda-1"))
    assert line == (
        "beast/cuda-1 load gemma-3-12b, bge-m3 15.0 GiB needed, 13.0 GiB free, 9.0 GiB can be freed"
    )
    assert line_of(text, "benjy/cuda-0") == ["benjy/cuda-0", "refuse", "-", "drained"]


def test_events_are_aligned_lines_with_time_what_subject_and_reason() -> None:
    """One decision a line; the columns of a batch stand under one another."""
    lines = [line.plain for line in EventLines(UTC).lines(DECISIONS)]
    assert lines[1].startswith("2026-01-01 12:01:01  evicted      phi-4 on beast/cuda-1")
    assert lines[0].index(CODER) == lines[1].index("phi-4") == lines[2].index("mistral-small")
    assert lines[1].endswith("the least lately used")


def test_a_time_that_no_calendar_has_is_shown_as_it_is() -> None:
    """An event must not end the command."""
    [line] = EventLines(UTC).lines((Decision(number=1, at_ms=2**62, what="x"),))
    assert line.plain.startswith(str(2**62))


def test_what_comes_over_the_wire_cannot_steer_the_terminal() -> None:
    """Escape sequences, line breaks and reordering marks lose their power; letters of all scripts stay."""
    assert clean("a\x1b[2Jb\nc\u202ed") == "a\ufffd[2Jb c\ufffdd"
    assert clean("Zürich 東京") == "Zürich 東京"
    event = Decision(number=1, at_ms=NOON_MS, what="evicted\x1b[31m", subject="[red]m[/red]")
    [line] = EventLines(UTC).lines((event,))
    assert "\x1b" not in line.plain
    assert "[red]m[/red]" in line.plain


@given(st.one_of(instances(Models), instances(Status), instances(Explanation)), st.integers(40, 200))
def test_every_message_can_be_shown(message: Models | Status | Explanation, width: int) -> None:
    """Whatever a broker says, on whatever width, without a control character."""
    if isinstance(message, Models):
        views = [models(message)]
    elif isinstance(message, Status):
        views = [status(message), neurons(message)]
    else:
        views = [explanation(message, "asked")]
    for view in views:
        assert all(sign.isprintable() or sign == "\n" for sign in shown(view, width))


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "-"), (1, "1 MiB"), (50 * 2**20, "50 MiB"), (300 * 2**20, "0.3 GiB"), (24 * GIB, "24.0 GiB")],
)
def test_sizes_are_in_gib_with_one_decimal(number: int, text: str) -> None:
    """What is too small for that in MiB."""
    assert size(number) == text


def test_a_share_has_one_unit() -> None:
    """Used and whole can be compared at a glance."""
    assert share(int(20.6 * GIB), 22 * GIB) == "20.6/22.0 GiB"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.42, "0.4 s"), (9.97, "10 s"), (59.7, "1 min 0 s"), (3723, "1 h 2 min"), (200_000, "2 d 7 h")],
)
def test_durations_have_two_units_at_most(seconds: float, text: str) -> None:
    """Tenths only where they matter."""
    assert duration(seconds) == text
