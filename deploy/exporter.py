"""The one process of a gateway that Prometheus scrapes.

Edge workers and the broker write prometheus-client's multiprocess files into one directory; this reads them at each
scrape, so that a slow scraper never holds up a request.
"""

from __future__ import annotations

import os
from pathlib import Path

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector

from cortex.protocol.kit.signals import Stop
from cortex.protocol.kit.sockets import private_directory

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def clear(directory: Path) -> None:
    """Forget the figures of an earlier run."""
    private_directory(directory)
    for path in directory.glob("*.db"):
        path.unlink(missing_ok=True)


def use(directory: Path) -> None:
    """Make this process write its figures there; call before prometheus_client is imported for metrics."""
    private_directory(directory)
    os.environ[VARIABLE] = str(directory)


def serve(host: str, port: int, directory: Path, stop: Stop) -> None:
    """Serve /metrics until a stop is requested."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(directory))  # type: ignore[no-untyped-call]
    server, thread = start_http_server(port, addr=host, registry=registry)
    os.read(stop.fileno(), 1)
    server.shutdown()
    thread.join()
