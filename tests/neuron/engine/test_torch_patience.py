"""What a model's own files make us compute ends in time, and what ended in time is never disturbed."""

import contextlib
import sys
import threading
import time
from collections.abc import Callable

import pytest
from lines_run import lines_run

from cortex.neuron.engine.torch import patience, template
from cortex.neuron.engine.torch.patience import OverdueError, Patience
from cortex.protocol.faults import Code, FaultError
from cortex.protocol.request import Chat, Text, Turn

LOOPS = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> Patience:
    """One that looks all the time."""
    monkeypatch.setattr(patience, "LOOK_EVERY", 0.0005)
    return Patience()


def forever() -> None:
    while True:
        try:
            int("1")
        except Exception:  # what is thrown is none
            continue


def test_work_without_end_is_ended(eager: Patience) -> None:
    """Python code cannot hold it off, not even by catching every exception."""
    with pytest.raises(OverdueError):
        eager.within(0.01, forever)


def test_what_work_says_and_raises_comes_through(eager: Patience) -> None:
    """In time, it is as if nobody watched."""
    assert eager.within(5.0, lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        eager.within(5.0, lambda: 1 // 0)


def test_nothing_arrives_after_the_work(eager: Patience) -> None:
    """Work that ends just as its time does answers or is overdue; what follows is never struck."""
    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        ended = overdue = 0
        for at in range(400):
            try:
                eager.within(0.0, lambda at=at: sum(range(50 * at)))  # type: ignore[misc]
                ended += 1
            except OverdueError:
                overdue += 1
            sum(range(100))
    finally:
        sys.setswitchinterval(switch)
    assert ended + overdue == 400


def test_nothing_is_left_for_the_interpreter_to_look_for(eager: Patience) -> None:
    """What was thrown has arrived: something taken back would slow every loop down, and hold traced code up for ever."""
    for at in range(200):
        with contextlib.suppress(OverdueError):
            eager.within(0.0, lambda at=at: sum(range(50 * at)))  # type: ignore[misc]
    assert lines_run(lambda: sum(range(10))) < 10


def test_threads_are_told_apart(eager: Patience) -> None:
    """Who is overdue is struck, and not who works beside it."""
    told: list[str] = []

    def other() -> None:
        try:
            eager.within(0.01, forever)
        except OverdueError:
            told.append("overdue")

    thread = threading.Thread(target=other)
    thread.start()

    def mine() -> str:
        thread.join()
        return "mine"

    assert eager.within(60.0, mine) == "mine"
    assert told == ["overdue"]


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], FaultError]:
    """How a chat with a template is refused by a tokenizer that has a tenth of a second."""
    import checkpoints

    monkeypatch.setattr(template, "RENDERING_S", 0.1)
    tokenizer = checkpoints.tokenizer()

    def refusal(text: str) -> FaultError:
        tokenizer.chat_template = text
        request = Chat(model="m", turns=(Turn(role="user", parts=(Text(text="hello"),)),))
        with pytest.raises(FaultError) as caught:
            template.render(request, tokenizer, 512)
        return caught.value

    return refusal


def test_a_template_that_loops_ends_alone(hurried: Callable[[str], FaultError]) -> None:
    """The request is refused with the reason, and the thread goes on."""
    began = time.monotonic()
    fault = hurried(LOOPS).fault
    assert fault.code is Code.INVALID_REQUEST
    assert "chat template did not end within" in fault.message
    assert time.monotonic() - began < 10
