"""Stopping: one flag, and one descriptor that wakes a poll loop."""

from __future__ import annotations

import os
import select
import signal

import pytest

from cortex.protocol.kit.signals import Stop


@pytest.fixture
def stop():
    """A `Stop` whose signal handlers and descriptors are gone after the test."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    stop = Stop()
    yield stop
    for number, handler in before.items():
        signal.signal(number, handler)
    os.close(stop._read)
    os.close(stop._write)


def readable(stop: Stop) -> bool:
    return bool(select.select([stop], [], [], 0)[0])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_requests_the_stop(stop: Stop, number: signal.Signals) -> None:
    """SIGTERM and SIGINT set the flag and make the descriptor readable."""
    assert stop.install() is stop
    assert (stop.requested, readable(stop)) == (False, False)
    signal.raise_signal(number)
    assert (stop.requested, readable(stop)) == (True, True)


def test_a_stop_is_requested_once(stop: Stop) -> None:
    """Asking again neither blocks nor fills the pipe, and the descriptor stays readable."""
    for _ in range(100_000):
        stop.request()
    assert os.read(stop.fileno(), 10) == b"\0"
    assert stop.requested
