"""gunicorn in this process: an application object instead of a command line, and what its asgi worker lacks.

The worker has no deadline for headers, does not enforce its connection limit, waits the whole grace for idle
connections and lowers the listen backlog to 100. Its parser's refusals are plain text, and one of its errors
is no answer at all. The two subclasses below cure that. They touch private names, so the version is pinned and `self_test` refuses to start with any other; the system tests run over real sockets.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import time
from collections.abc import Iterable
from http import HTTPStatus
from pathlib import Path
from typing import Any

import gunicorn
from gunicorn.app.base import BaseApplication
from gunicorn.asgi import protocol
from gunicorn.asgi.protocol import ASGIProtocol
from gunicorn.workers import gasgi
from prometheus_client import CollectorRegistry, multiprocess

from cortex.edge.app import Edge, create_app
from cortex.edge.config import Gateway
from cortex.edge.errors import JSON_TYPE, http_envelope
from cortex.edge.keyring import Keyring
from cortex.edge.link import FleetLink
from cortex.edge.metrics import Metrics
from cortex.protocol.kit import log as logs
from cortex.protocol.kit.keyfile import MAKE_KEYS
from cortex.protocol.kit.sockets import check_host, is_loopback

log = logging.getLogger("cortex.edge")

TESTED_GUNICORN = "27.0.1"
SWEEP_S = 0.25
GC_THRESHOLDS = (20_000, 20, 50)
"""A token makes a few objects and no cycle; with Python's own thresholds collecting took a sixth of the time."""
LOOPBACK = "127.0.0.1,::1"


class UntestedGunicornError(Exception):
    """The installed gunicorn is not the one that the subclasses below were made for."""


class Connection(ASGIProtocol):  # type: ignore[misc]  # gunicorn is untyped
    """One connection: a deadline for its first headers, a cap on their number, a way to be cut off."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        worker: EdgeWorker = self.worker
        worker.connections.add(self)
        if worker.nr_conns > worker.worker_connections:
            transport.abort()
            return
        self.header_timer = worker.loop.call_later(worker.header_s, self._no_request)

    def connection_lost(self, exc: Exception | None) -> None:
        self.worker.connections.discard(self)
        super().connection_lost(exc)

    def _no_request(self) -> None:
        if self.req_count <= 1 and self._awaiting_request and not self._closed:
            self.transport.abort()

    def close_if_idle(self) -> None:
        """Close it unless a request is being served."""
        if self._awaiting_request and not self._closed:
            self._keepalive_timeout()

    def _send_error_response(
        self, status: int, message: str, extra_headers: Iterable[tuple[str, str]] = ()
    ) -> None:
        """What is no HTTP is refused in the shape of every other error. The connection ends here."""
        is_ours = status == HTTPStatus.INTERNAL_SERVER_ERROR
        text = "The server failed." if is_ours else f"The request is not valid HTTP: {message.rstrip('.')}."
        body = http_envelope(status, text)
        fields = (
            ("content-type", JSON_TYPE),
            ("content-length", str(len(body))),
            ("server", "cortex"),
            *extra_headers,
            ("connection", "close"),
        )
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{k}: {v}" for k, v in fields)]
        self._safe_write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)

    def _feed_callback_parser(self, data: bytes) -> bool:
        """A length of more digits than Python reads is an error that the parser does not know."""
        try:
            return bool(super()._feed_callback_parser(data))
        except ValueError:
            self._send_error_response(400, "a number in its head is not one")
            self._close_transport()
            return False

    def _is_websocket_upgrade(self, request: Any) -> bool:  # noqa: ARG002
        """No request is: the app refuses it as what it is, an HTTP request that asks for another protocol."""
        return False

    def _build_http_scope(self, request: Any, sockname: Any, peername: Any) -> dict[str, Any]:
        scope: dict[str, Any] = super()._build_http_scope(request, sockname, peername)
        scope["cortex.abort"] = self.transport.abort
        scope["cortex.close"] = self._serve_no_more
        return scope

    def _serve_no_more(self) -> None:
        """The connection ends with this answer: gunicorn does not read in it that it should."""
        self._keepalive = 0


class EdgeWorker(gasgi.ASGIWorker):  # type: ignore[misc]  # gunicorn is untyped
    """One worker process."""

    asgi: Edge

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.connections: set[Connection] = set()
        self.header_s: float = self.app.gateway.header_s

    def init_process(self) -> None:
        gasgi.ASGIProtocol = Connection
        for status in HTTPStatus:  # it calls some of ours unknown
            protocol._REASON_PHRASES.setdefault(status.value, status.phrase)  # noqa: SLF001  # as above
        super().init_process()

    async def _serve(self) -> None:
        self.loop.call_later(SWEEP_S, self._restore_backlog)
        await super()._serve()

    def _restore_backlog(self) -> None:
        if not self.servers:
            self.loop.call_later(SWEEP_S, self._restore_backlog)
            return
        for listener in self.sockets:
            listener.sock.listen(self.cfg.backlog)

    def handle_exit_signal(self) -> None:
        """SIGTERM. Runs in the event loop."""
        super().handle_exit_signal()
        self._begin_drain()

    def handle_quit_signal(self) -> None:
        """SIGINT or SIGQUIT: a second at most, which is enough for last words."""
        super().handle_quit_signal()
        self.asgi.begin_drain(at_once=True)

    async def _shutdown(self) -> None:
        self._begin_drain()  # also when the parent has died, which is no signal
        await super()._shutdown()

    def _begin_drain(self) -> None:
        if not self.asgi.draining:
            self.asgi.begin_drain()
            self._close_idle()

    def _close_idle(self) -> None:
        for connection in list(self.connections):
            connection.close_if_idle()
        self.loop.call_later(SWEEP_S, self._close_idle)


class EdgeServer(BaseApplication):  # type: ignore[misc]  # gunicorn is untyped
    """The arbiter's view: settings in, app out."""

    def __init__(
        self, gateway: Gateway, edge_endpoints: tuple[str, ...], keyring: Keyring | None = None
    ) -> None:
        self.gateway = gateway
        self.edge_endpoints = edge_endpoints
        self.keyring = keyring or Keyring()
        self._started = time.time()
        super().__init__()

    def load_config(self) -> None:
        """Translate our settings into gunicorn's."""
        gateway = self.gateway
        shm = Path("/dev/shm")  # noqa: S108  # a heartbeat on a disk may block
        options = {
            "bind": gateway.listen,
            "workers": gateway.workers,
            "worker_class": EdgeWorker,
            "worker_connections": gateway.connections,
            "worker_tmp_dir": str(shm) if shm.is_dir() else None,
            "backlog": gateway.backlog,
            "timeout": 30,
            "graceful_timeout": gateway.grace_s,
            "keepalive": gateway.idle_s,
            "limit_request_line": 4094,
            "limit_request_fields": 64,
            "limit_request_field_size": 8190,
            "forwarded_allow_ips": LOOPBACK,
            "control_socket_disable": True,
            "asgi_loop": "uvloop",
            "asgi_lifespan": "on",
            "loglevel": "warning",
            "proc_name": "cortex-edge",
            "post_fork": _post_fork,
            "child_exit": _child_exit,
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Edge:
        """Build the app; called in each worker, after the fork."""
        logs.set_up("edge")
        metrics = Metrics(CollectorRegistry())
        link = FleetLink(self.edge_endpoints, self.gateway, count_error=metrics.wire_error)
        self.keyring.load_or_close()  # again: the file may be another one than the first worker found
        app = create_app(self.gateway, link, metrics, self.keyring, started=self._started)
        gc.collect()
        gc.freeze()  # what is here now stays: the collector need not look at it again
        gc.set_threshold(*GC_THRESHOLDS)
        return app


def _post_fork(_arbiter: Any, _worker: Any) -> None:
    """Until the worker's loop takes the signal over, SIGTERM ends it: the arbiter's handler would swallow it."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _child_exit(_arbiter: Any, worker: Any) -> None:
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def self_test() -> None:
    """Refuse to run on a gunicorn whose private parts are not those that the subclasses rely on."""
    missing = [
        name
        for owner, names in (
            (gasgi, ("ASGIProtocol", "ASGIWorker")),
            (
                gasgi.ASGIWorker,
                ("handle_exit_signal", "handle_quit_signal", "init_process", "_serve", "_shutdown"),
            ),
            (
                ASGIProtocol,
                (
                    "connection_made",
                    "connection_lost",
                    "_build_http_scope",
                    "_keepalive_timeout",
                    "_send_error_response",
                    "_feed_callback_parser",
                    "_safe_write",
                    "_close_transport",
                ),
            ),
        )
        for name in names
        if not hasattr(owner, name)
    ]
    missing += [n for n in ("_REASON_PHRASES",) if not hasattr(protocol, n)]
    set_by_protocol = ASGIProtocol.__init__.__code__.co_names
    missing += [
        n for n in ("_awaiting_request", "_keepalive", "req_count", "_closed") if n not in set_by_protocol
    ]
    set_by_worker = gasgi.ASGIWorker.__init__.__code__.co_names
    missing += [n for n in ("servers", "nr_conns", "worker_connections") if n not in set_by_worker]
    if gunicorn.__version__ != TESTED_GUNICORN or missing:
        lacking = f"; it lacks {', '.join(missing)}" if missing else ""
        raise UntestedGunicornError(
            f"gunicorn {gunicorn.__version__} is not the tested {TESTED_GUNICORN}{lacking}: "
            f"pip install gunicorn=={TESTED_GUNICORN}"
        )


def serve(
    gateway: Gateway,
    edge_endpoints: tuple[str, ...],
    *,
    keyring: Keyring | None = None,
    insecure_open: bool = False,
) -> None:
    """Run until told to stop. Wait for `/readyz` before stopping it, and allow `grace_s` and a second after.

    Raises `SettingsError` for keys that cannot be read: a gateway that was meant to ask for them must not run without.
    """
    self_test()
    keyring = keyring or Keyring()
    keyring.load()
    host = gateway.listen.rpartition(":")[0]
    check_host(
        host, what="gateway.listen", insecure_open=insecure_open or keyring.keys is not None, remedy=MAKE_KEYS
    )
    brokers = ", ".join(edge_endpoints)
    log.info("serving http://%s with %d workers, for %s", gateway.listen, gateway.workers, brokers)
    if keyring.keys is not None:
        log.info("%d API key(s) from %s", len(keyring.keys), keyring.path)
        if not is_loopback(host):
            log.warning(
                "%s: keys and prompts cross the network as they are; put a proxy that speaks TLS in front",
                host,
            )
    EdgeServer(gateway, edge_endpoints, keyring).run()
