"""The real server: gunicorn, uvloop, sockets and signals, with a scripted broker behind it."""

import contextlib
import json
import shutil
import signal
import socket
import subprocess
import threading
import time

import httpx
import pytest
import toml
from fake_broker import FakeBroker
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector
from stack import cortex, free_port

pytestmark = pytest.mark.system

HI = {"model": "demo", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 5}
ENDLESS = {**HI, "max_tokens": 1_000_000, "stream": True}
GRACE = 2


class Server:
    """One edge process and the broker that it talks to."""

    def __init__(self, directory, **settings):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        run = directory / "run"
        run.mkdir(mode=0o700)
        self.broker = FakeBroker(f"ipc://{run}/b", rate=100)
        gateway = {"listen": f"127.0.0.1:{self.port}", "workers": 1, "grace_s": GRACE, **settings}
        self.config = directory / "cortex.toml"
        self.config.write_text(toml.dumps({"gateway": gateway, "broker": {"edge": self.broker.endpoint}}))
        self.log = directory / "edge.log"
        self.metrics = run / "metrics"

    def __enter__(self):
        self.broker.__enter__()
        with self.log.open("wb") as log:
            options = ("--config", str(self.config), "--data", str(self.config.parent))
            self.process = cortex("edge", *options, stderr=log)
        for _ in range(400):
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/readyz").status_code == 200:
                    return self
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.05)
        raise AssertionError(self.log.read_text())

    def __exit__(self, *_error):
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(GRACE + 3)
        finally:
            self.process.kill()
            self.broker.__exit__()

    def connect(self):
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        connection.settimeout(10)
        return connection

    def cancel_after(self, moment, within=2.0):
        """Seconds from `moment` to the first cancel that the broker saw."""
        end = time.monotonic() + within
        while not self.broker.seen.cancels:
            assert time.monotonic() < end, "no cancel came"
            time.sleep(0.001)
        return self.broker.seen.cancels[0][0] - moment


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with Server(
        tmp_path_factory.mktemp("edge"), header_s=0.5, body_s=0.5, max_body_bytes=1_000_000
    ) as server:
        yield server


def text_of(lines):
    return "".join(
        choice["delta"].get("content") or ""
        for line in lines
        if line.startswith("data: {")
        for choice in json.loads(line[6:]).get("choices", ())
    )


def closed_within(connection, seconds):
    """Whether the peer closes the connection in time; answers what it said before."""
    connection.settimeout(seconds)
    said = b""
    with contextlib.suppress(ConnectionResetError):
        while data := connection.recv(65536):
            said += data
    return said


def test_a_stream_by_httpx(shared):
    """All tokens, the usage, `[DONE]`."""
    body = {**HI, "stream": True, "stream_options": {"include_usage": True}}
    with httpx.stream("POST", f"{shared.url}/v1/chat/completions", json=body) as response:
        lines = [line for line in response.iter_lines() if line]
    assert text_of(lines) == " t0 t1 t2 t3 t4"
    assert lines[-1] == "data: [DONE]"
    assert json.loads(lines[-2][6:])["usage"]["completion_tokens"] == 5


def test_the_official_client(shared):
    """Streaming, not streaming, models, and errors as its own exception types."""
    openai = pytest.importorskip("openai")
    with openai.OpenAI(base_url=f"{shared.url}/v1", api_key="none", max_retries=0) as client:
        whole = client.chat.completions.create(**HI)
        assert whole.choices[0].message.content == " t0 t1 t2 t3 t4"
        assert whole.usage.prompt_tokens_details.cached_tokens == 2
        chunks = list(client.chat.completions.create(**HI, stream=True))
        assert "".join(c.choices[0].delta.content or "" for c in chunks) == " t0 t1 t2 t3 t4"
        assert chunks[-1].choices[0].finish_reason == "length"
        assert "demo" in [model.id for model in client.models.list()]
        assert client.models.retrieve("org/demo-1b").id == "org/demo-1b"
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(**{**HI, "model": "nobody"})
        with pytest.raises(openai.BadRequestError) as caught:
            client.chat.completions.create(**HI, temperature=9)
        assert caught.value.param == "temperature"
        with pytest.raises(openai.InternalServerError) as busy:
            client.chat.completions.create(**{**HI, "model": "busy"})
        assert busy.value.response.headers["retry-after"] == "3"


def test_a_disconnect_cancels_at_once(shared):
    """The device is free again as soon as the client has gone."""
    shared.broker.seen.cancels.clear()
    with shared.connect() as connection:
        connection.sendall(request(ENDLESS))
        connection.recv(65536)
        moment = time.monotonic()
    assert shared.cancel_after(moment) < 2


def test_a_disconnect_while_waiting_cancels_too(shared):
    """Also before the first token, and without streaming."""
    shared.broker.seen.cancels.clear()
    with shared.connect() as connection:
        connection.sendall(request({**HI, "model": "mute"}))
        time.sleep(0.1)
        moment = time.monotonic()
    assert shared.cancel_after(moment) < 2


def request(value, *, length=None):
    body = json.dumps(value).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Content-Length: {length or len(body)}\r\n\r\n"
    )
    return head.encode() + body


@pytest.mark.parametrize("sent", [b"", b"GET /livez HTTP/1.1\r\nHo"])
def test_a_silent_client_is_closed(shared, sent):
    """Neither silence nor half a header holds a connection."""
    with shared.connect() as connection:
        connection.sendall(sent)
        began = time.monotonic()
        closed_within(connection, 3)
        assert time.monotonic() - began < 5


def test_half_a_body_is_a_timeout(shared):
    """408, never a 200 for a part."""
    with shared.connect() as connection:
        connection.sendall(request(HI, length=5000))
        assert closed_within(connection, 3).startswith(b"HTTP/1.1 408 ")


def test_a_body_too_large_is_told(shared):
    """413 in time for its sender to read it, however it is framed."""
    big = {**HI, "user": "x" * 2_000_000}
    assert httpx.post(f"{shared.url}/v1/chat/completions", json=big).status_code == 413
    data = json.dumps(big).encode()
    chunks = (data[start : start + 65536] for start in range(0, len(data), 65536))
    headers = {"content-type": "application/json"}
    answer = httpx.post(f"{shared.url}/v1/chat/completions", content=chunks, headers=headers)
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "request_too_large"


def test_requests_share_a_connection(shared):
    """Keep-alive holds over bodies, streams and errors."""
    with httpx.Client(base_url=shared.url) as client:
        for body in (HI, {**HI, "stream": True}, {**HI, "model": "nobody"}, HI):
            client.post("/v1/chat/completions", json=body)
        answer = client.get("/v1/models/org%2Fdemo-1b")
        assert answer.json()["id"] == "org/demo-1b"


def test_figures_can_be_read_from_outside(shared):
    """Every worker's series are in the directory that an exporter reads."""
    httpx.post(f"{shared.url}/v1/chat/completions", json=HI)
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(shared.metrics))
    labels = {"model": "demo", "route": "/v1/chat/completions", "status": "200"}
    assert registry.get_sample_value("cortex_requests_total", labels) >= 1
    assert registry.get_sample_value("cortex_edge_inflight") == 0


def test_a_client_may_ask_before_sending(shared):
    """`Expect: 100-continue` gets its answer, as curl wants for large bodies."""
    body = json.dumps(HI).encode()
    head = request(HI).removesuffix(body).replace(b"Host: x", b"Host: x\r\nExpect: 100-continue")
    with shared.connect() as connection:
        connection.sendall(head)
        assert connection.recv(65536).startswith(b"HTTP/1.1 100 ")
        connection.sendall(body)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


@pytest.mark.skipif(shutil.which("ss") is None, reason="needs ss, of Debian's iproute2")
def test_the_backlog_is_as_set(shared):
    """The worker's own 100 would make quick connects wait a second."""
    time.sleep(0.6)
    found = subprocess.run(["ss", "-ltn"], capture_output=True, text=True, check=True).stdout
    line = next(line for line in found.splitlines() if f":{shared.port} " in line)
    assert int(line.split()[2]) > 100


NO_HTTP = {
    "a chunk without a size": (400, b"Transfer-Encoding: chunked\r\n\r\nZZ\r\nabc\r\n"),
    "two lengths": (400, b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef"),
    "a length of 5,000 digits": (400, b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n{}"),
    "a field too large": (431, b"X-A: " + b"a" * 20_000 + b"\r\n\r\n"),
    "a field without a colon": (400, b"nonsense\r\n\r\n"),
}


@pytest.mark.parametrize(("status", "rest"), NO_HTTP.values(), ids=NO_HTTP)
def test_what_is_no_http_is_refused_like_anything_else(shared, status, rest):
    """One error object in OpenAI's shape, then the end of the connection; the worker serves on."""
    with shared.connect() as connection:
        connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n" + rest)
        head, _, body = closed_within(connection, 5).partition(b"\r\n\r\n")
    assert int(head.split()[1]) == status
    error = json.loads(body)["error"]
    assert error["type"] == "invalid_request_error"
    assert error["message"].startswith("The request is not valid HTTP: ")
    assert httpx.get(f"{shared.url}/livez").status_code == 200


@pytest.mark.parametrize(("number", "least"), [(signal.SIGTERM, 0.8), (signal.SIGINT, 0)])
def test_a_signal_ends_live_streams_with_an_event(tmp_path, number, least):
    """New requests are refused, idle connections closed, streams ended by a terminal event, all within the grace."""
    with Server(tmp_path) as server, server.connect() as idle:
        lines = []
        idle.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        idle.recv(65536)

        def read():
            with httpx.stream(
                "POST", f"{server.url}/v1/chat/completions", json=ENDLESS, timeout=20
            ) as response:
                lines.extend(line for line in response.iter_lines() if line)

        reader = threading.Thread(target=read)
        reader.start()
        while not server.broker.running:
            time.sleep(0.01)
        time.sleep(0.2)
        began = time.monotonic()
        server.process.send_signal(number)
        assert closed_within(idle, 3) == b""
        assert server.process.wait(GRACE + 5) == 0
        took = time.monotonic() - began
        reader.join(5)
        assert json.loads(lines[-1][6:])["error"]["code"] == "draining"
        assert took > least
        assert server.broker.seen.cancels


def test_sigterm_without_streams_is_quick(tmp_path):
    """An idle keep-alive connection does not delay the exit."""
    with Server(tmp_path, grace_s=20) as server, server.connect() as idle:
        idle.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        idle.recv(65536)
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(10) == 0
        assert time.monotonic() - began < 15  # of a grace of 20


def test_connections_are_capped(tmp_path):
    """Beyond the cap a connection is closed at once; those within it are served."""
    with Server(tmp_path, connections=5) as server:
        time.sleep(0.2)
        held = [server.connect() for _ in range(12)]
        time.sleep(0.3)
        refused = 0
        for connection in held:
            connection.setblocking(False)
            try:
                refused += connection.recv(1) == b""
            except ConnectionResetError:
                refused += 1
            except BlockingIOError:
                pass
        for connection in held:
            connection.close()
        assert refused == 7


def test_a_slow_reader_is_cut_off(tmp_path):
    """A client that reads nothing holds neither memory nor a device."""
    with Server(tmp_path, write_stall_s=0.5) as server:
        server.broker.rate = 50_000
        with server.connect() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            moment = time.monotonic()
            connection.sendall(request(ENDLESS))
            assert server.cancel_after(moment, within=10) < 8
