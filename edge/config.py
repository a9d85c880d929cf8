"""What an operator may set about the edge: the section `[gateway]` of cortex.toml.

Durations are in seconds and carry `_s`. It reads no file; `cortex.protocol.kit.settings` does.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

Seconds = Annotated[float, Meta(gt=0)]
Positive = Annotated[int, Meta(ge=1)]


class Gateway(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The HTTP side. One of `workers` processes serves up to `connections`, of which `max_inflight` generate."""

    listen: str = "127.0.0.1:31313"
    metrics_listen: str = "127.0.0.1:31314"
    brokers: tuple[str, ...] = ()
    """The edge planes of all brokers of the mesh; empty: the one of this data directory."""
    keys: str = ""
    """The file of the API keys, relative to this one; empty: keys.toml in the data directory, if there is one."""
    workers: Positive = 2
    connections: Positive = 4096
    max_inflight: Positive = 1024
    backlog: Positive = 2048
    max_body_bytes: Positive = 32 * 1024 * 1024

    header_s: Seconds = 5.0
    """From connecting to the end of the first request's headers."""
    body_s: Seconds = 10.0
    """From the headers to the end of the body."""
    idle_s: Positive = 5
    """A connection kept alive between two requests."""
    queue_s: Seconds = 30.0
    """How long a request may wait for a place, a cold load apart."""
    stall_s: Seconds = 120.0
    """The longest silence between two tokens, or before the first."""
    write_stall_s: Seconds = 15.0
    """How long a client may leave bytes unread before it is given up."""
    keepalive_s: Seconds = 10.0
    """A comment goes out after this much silence, so that nobody on the way closes the stream."""
    grace_s: Positive = 30
    """From the order to stop until the process is gone; live streams get all of it but the last second."""

    def __post_init__(self) -> None:
        for endpoint in self.brokers:
            if not endpoint.startswith(("ipc:///", "tcp://")):
                raise ValueError(f"brokers: {endpoint!r}: use ipc:///absolute/path or tcp://HOST:PORT")
        twice = {endpoint for endpoint in self.brokers if self.brokers.count(endpoint) > 1}
        if twice:
            raise ValueError(f"brokers: {', '.join(sorted(twice))} is listed twice; list each broker once")
