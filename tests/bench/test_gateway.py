"""What the gateway costs: the codec, the relay, whole requests. Measured, never asserted.

`make bench` runs it. Processor time is read from /proc for edge and broker alone, so the load generator on the same
cores does not count; rates do suffer from it.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import statistics
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq
from core_cost import core_events_per_s
from figures import Figures
from stack import Stack

from cortex.protocol import messages as m
from cortex.protocol.codec import decode, decode_deltas, encode
from cortex.protocol.deltas import Delta, Deltas, TextPiece
from cortex.protocol.frames import header, pack
from cortex.protocol.kit.sockets import Plane, new_context, new_route, open_socket
from cortex.protocol.values import Device

pytestmark = pytest.mark.bench

STREAMS, RATE, DEVICES = 200, 50, 8
MEASURED_S = 10.0


@pytest.fixture(scope="module")
def figures() -> Iterator[Figures]:
    collected = Figures("gateway")
    yield collected
    collected.write()


def per_second(work: object, count: int) -> float:
    """The best of five rounds."""
    best = float("inf")
    for _ in range(5):
        began = time.perf_counter()
        work()  # type: ignore[operator]
        best = min(best, time.perf_counter() - began)
    return count / best


def test_core_events(figures: Figures) -> None:
    """The broker's mind alone: what it could decide in a second."""
    figures.add("core_events_per_s", core_events_per_s(), "submit, accepted, finished; 8 devices")


def test_codec(figures: Figures) -> None:
    """Control messages there and back; token bodies of 25 deltas."""
    submit = m.Submit(request="a" * 16, attempt=1, model="cortex-demo", principal="p" * 64, cost=2048)
    count = 20_000

    def control() -> None:
        for _ in range(count):
            decode(m.Kind.SUBMIT, encode(submit))

    figures.add(
        "codec_us_per_message", 1e6 / per_second(control, count), "Submit: encode + decode + validate"
    )
    tokens = encode(Deltas([Delta(f"{i:016x}", 1, 0, 7, [12], [TextPiece("word ")]) for i in range(25)]))

    def relay() -> None:
        for _ in range(2000):
            decode_deltas(tokens)

    figures.add("codec_us_per_delta", 1e6 / per_second(relay, 2000 * 25), "decode, 25 deltas in a body")


def test_relay(figures: Figures, tmp_path: Path) -> None:
    """Token frames through a real broker process: one DEALER in, one DEALER out."""
    with Stack(tmp_path / "c", neuron=False) as stack:
        context = new_context()
        edge = open_socket(context, zmq.DEALER, Plane.EDGE, route=new_route(b"E"))
        neuron_route = new_route(b"N")
        neuron = open_socket(context, zmq.DEALER, Plane.NEURON, route=neuron_route)
        edge.connect(stack.planes.edge)
        neuron.connect(stack.planes.neuron)
        edge.setsockopt(zmq.RCVTIMEO, 2000)
        edge.send_multipart(pack(m.EdgeBeat(name="bench"), b"e" * 8))
        neuron.send_multipart(pack(m.Register(node="n", device=Device(kind="sim")), b"n" * 8))
        edge.recv_multipart()
        neuron.recv_multipart()
        frame = [header(m.Kind.DELTAS, b"n" * 8), edge.getsockopt(zmq.ROUTING_ID), b"x" * 1000]
        count, window = 30_000, 500
        before, began = stack.cpu_s("broker"), time.perf_counter()
        sent = received = 0
        while received < count:
            while sent < count and sent - received < window:
                neuron.send_multipart(frame)
                sent += 1
            edge.recv_multipart()
            received += 1
            while edge.poll(0):
                if len(edge.recv_multipart()[1]) == 1000:
                    received += 1
        took = time.perf_counter() - began
        figures.add("relay_frames_per_s", count / took, "1 kB frames, one neuron to one edge, both here")
        figures.add("relay_cpu_us_per_frame", 1e6 * (stack.cpu_s("broker") - before) / count, "broker alone")
        context.destroy(linger=0)


def body(*, stream: bool, max_tokens: int) -> bytes:
    message = {"role": "user", "content": "Say something."}
    asked = {"model": "sim-model", "messages": [message], "stream": stream, "max_tokens": max_tokens}
    return json.dumps(asked).encode()


def post(content: bytes) -> bytes:
    return (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n" % len(content)
    ) + content


async def read_stream(port: int, request: bytes, counts: list[int], index: int) -> None:
    """Count the events of one streamed answer, without parsing it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
    try:
        writer.write(request)
        while data := await reader.read(2**16):
            counts[index] += data.count(b"data: ")
    finally:
        writer.transport.abort()


async def drive_streams(stack: Stack) -> tuple[float, float, float]:
    """Edge and broker processor seconds and streamed events, over the measured window."""
    counts = [0] * STREAMS
    request = post(body(stream=True, max_tokens=int(RATE * (MEASURED_S + 15))))
    tasks = []
    for index in range(STREAMS):
        tasks.append(asyncio.create_task(read_stream(stack.port, request, counts, index)))
        await asyncio.sleep(0.007)
    await asyncio.sleep(3.0)
    edge, broker, events = stack.cpu_s("edge"), stack.cpu_s("broker"), sum(counts)
    await asyncio.sleep(MEASURED_S)
    used = stack.cpu_s("edge") - edge, stack.cpu_s("broker") - broker, float(sum(counts) - events)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return used


def test_streaming_cost(figures: Figures, tmp_path: Path) -> None:
    """200 streams at 50 tokens a second from eight devices that do not keep step with one another."""
    sim = {"devices": DEVICES, "tokens_per_s": RATE, "slots": 32, "max_tokens": 100_000}
    with Stack(tmp_path / "c", sim=sim, gateway={"workers": 2}) as stack:
        stack.wait_for(lambda: len(stack.status().neurons) == DEVICES, 30, "not all devices joined")
        edge, broker, events = asyncio.run(drive_streams(stack))
    rate = events / MEASURED_S
    note = f"{STREAMS} streams, {rate:,.0f} tokens/s"
    figures.add("cpu_us_per_token", 1e6 * (edge + broker) / events, f"edge + broker; {note}")
    figures.add("edge_cpu_us_per_token", 1e6 * edge / events, note)
    figures.add("broker_cpu_us_per_token", 1e6 * broker / events, note)
    figures.add("coalescing", rate / (DEVICES * 2 * RATE), "tokens per frame: 8 devices, 2 edge workers")
    figures.add("streamed_tokens_per_s", rate, f"of {STREAMS * RATE:,} asked for")


LUA = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '%s'
"""


def test_requests_per_second(figures: Figures, tmp_path: Path) -> None:
    """Whole requests, not streamed, one token each; wrk drives 32 connections."""
    wrk = shutil.which("wrk")
    assert wrk, "wrk is missing: make bench installs it from Debian"
    script = tmp_path / "post.lua"
    script.write_text(LUA % body(stream=False, max_tokens=1).decode())
    sim = {"devices": 1, "tokens_per_s": 5000, "prefill_per_s": 1e9, "slots": 128}
    with Stack(tmp_path / "c", sim=sim, gateway={"workers": 2}) as stack:
        url = f"{stack.url}/v1/chat/completions"

        def drive(connections: int, seconds: int) -> str:
            command = [wrk, "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(script), url]
            return subprocess.run(command, capture_output=True, text=True, check=True).stdout

        drive(32, 2)
        busy = [drive(32, 5) for _ in range(3)]
        quiet = [drive(1, 3) for _ in range(3)]
    failed = [line for text in busy for line in text.splitlines() if "Non-2xx" in line]
    rates = [float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1]) for text in busy]  # type: ignore[index]
    figures.add("rps_32", max(rates), f"32 connections, 2 workers; of {rates}; errors: {failed or 'none'}")
    p50 = [_milliseconds(re.search(r"50%\s+([\d.]+)(us|ms|s)", text)) for text in quiet]
    figures.add("added_ms_p50", statistics.median(p50), "one connection; the model's own 0.2 ms included")


def _milliseconds(found: re.Match[str] | None) -> float:
    assert found is not None
    return float(found[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[found[2]]
