"""What must hold before a launcher starts anything: addresses that are well-formed, allowed and free, no other cortex.

It leaves no trace: a start that is refused writes no file and makes no directory. Knows nothing of roles or settings
files. Somebody else may still take a port between the look and the bind; then the role's own error tells.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

from cortex.deploy.roles import claim, lock_of
from cortex.protocol.kit.sockets import EndpointError, check_host

LAUNCHER = "launcher"
LAST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Address:
    """A HOST:PORT and the flag or key that a user would change to move it.

    `protected`: whoever connects there is asked for a key. `remedy` is what would do so, as `check_host` says it.
    """

    field: str
    text: str
    protected: bool = False
    remedy: str = ""

    def parts(self) -> tuple[str, int]:
        """Host and port, or `EndpointError`."""
        host, _, port = self.text.rpartition(":")
        if not host or not port.isdecimal():
            raise EndpointError(
                f"{self.field}: {self.text!r} is not HOST:PORT; write it like 127.0.0.1:31313"
            )
        if not 1 <= int(port) <= LAST_PORT:
            raise EndpointError(f"{self.field}: {port} is not a port; choose one from 1 to {LAST_PORT}")
        return host.strip("[]"), int(port)


def check(data: Path, addresses: tuple[Address, ...], *, insecure_open: bool) -> None:
    """Raise `EndpointError` for the first thing that stands in the way."""
    for index, address in enumerate(addresses):
        check_host(
            address.parts()[0],
            what=address.field,
            insecure_open=insecure_open or address.protected,
            remedy=address.remedy,
        )
        for earlier in addresses[:index]:
            if earlier.parts() == address.parts():
                raise EndpointError(
                    f"{address.field}: {address.text} is the address of {earlier.field} too; choose another"
                )
    if data.exists() and not data.is_dir():
        raise EndpointError(f"--data: {data} is not a directory; name one, or a path where one can be made")
    if lock_of(data, LAUNCHER).exists():
        os.close(claim(data, LAUNCHER))
    for address in addresses:
        _check_free(address)


def _check_free(address: Address) -> None:
    host, port = address.parts()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # as the servers do: a port just left is free
        try:
            probe.bind((host, port))
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise EndpointError(
                f"{address.field}: cannot listen on {address.text}: {reason}; choose another HOST:PORT"
            ) from error
