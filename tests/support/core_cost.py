"""What the broker's core costs, for the benchmarks: processor seconds of its own, best of several rounds."""

from __future__ import annotations

import time
from collections.abc import Callable

from cortex.broker.core import Broker
from cortex.broker.events import FromEdge, FromNeuron
from cortex.protocol import messages as m
from cortex.protocol.values import Device, Model


def seconds(work: Callable[[], object], count: int) -> float:
    """Processor seconds of one of `count` turns, in the best of nine rounds."""
    best = float("inf")
    for _ in range(9):
        began = time.process_time()
        for _ in range(count):
            work()
        best = min(best, time.process_time() - began)
    return best / count


def core_events_per_s() -> float:
    """Submit, accept, finish through a core with eight devices."""
    core = Broker("b", 0.0)
    model = Model(id="m", state="hot", slots=32)
    for index in range(8):
        route = b"N%d" % index
        register = m.Register(node=f"n{index}", device=Device(kind="sim"))
        core.handle(FromNeuron(route, b"s" * 8, register), 0.0)
        ready = m.Ready(version=1, device=Device(kind="sim"), models=(model,))
        core.handle(FromNeuron(route, b"s" * 8, ready), 0.0)
    number = 0

    def work() -> None:
        nonlocal number
        number += 1
        name = f"r{number}"
        [sent] = core.handle(FromEdge(b"E", b"e" * 8, m.Submit(request=name, attempt=1, model="m")), 0.0)
        core.handle(FromNeuron(sent.route, b"s" * 8, m.Accepted(request=name, attempt=1)), 0.0)
        core.handle(FromNeuron(sent.route, b"s" * 8, m.Finished(request=name, attempt=1)), 0.0)

    return 3 / seconds(work, 2000)
