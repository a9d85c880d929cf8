"""Which key file `cortex-ctl keys` is about: the very one that the gateway reads, on the gateway's own host.

In this order:

1. `--file`;
2. the one that `--config` names, or leaves in the data directory;
3. the one that the gateway reads that runs on the data directory;
4. the one that cortex.toml in the data directory names, or leaves there.

`CORTEX_GATEWAY__KEYS` stands above a cortex.toml, as it does for the gateway. The data directory is `--data`,
`CORTEX_DATA`, that of a broker's own socket, or this user's. A broker elsewhere has no keys here: that is an error, for
a key that is written where no gateway reads it opens nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cortex.protocol.kit import keyfile
from cortex.protocol.kit.paths import CORTEX_TOML, Planes, ctl_of, default_data_directory, keys_of
from cortex.protocol.kit.settings import Document, SettingsError, read_text

VARIABLE = "CORTEX_GATEWAY__KEYS"
ANYWHERE = ("", "0.0.0.0", "[::]", "::")  # noqa: S104  # read here, and bound by nobody
"""Hosts that are no address to call."""


def file_of(options: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> Path:
    """See the module's docstring. Raises `SettingsError`."""
    if options.file is not None:  # 1
        return Path(options.file).expanduser().absolute()
    data = _data_of(options, environ).absolute()
    if options.config is not None:  # 2
        return _named_in(options.config, data, environ)
    if (found := keys_of(data)) is not None:  # 3
        return found
    cortex_toml = data / CORTEX_TOML
    return _named_in(cortex_toml if cortex_toml.exists() else None, data, environ)  # 4


def address_of(options: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> str:
    """Where a client finds the gateway, as the environment or cortex.toml says it; HOST:PORT as far as they do not.

    It is shown to be copied and nothing hangs on it: what is wrong with cortex.toml is told by whoever needs it.
    """
    listen: Any = environ.get("CORTEX_GATEWAY__LISTEN")
    if listen is None:
        with contextlib.suppress(SettingsError):
            cortex_toml = options.config or _data_of(options, environ).absolute() / CORTEX_TOML
            _, gateway = _gateway_in(cortex_toml)
            listen = gateway.get("listen")
    host, _, port = listen.rpartition(":") if isinstance(listen, str) else ("", "", "")
    return f"{host if host not in ANYWHERE else 'HOST'}:{port or 'PORT'}"


def _data_of(options: argparse.Namespace, environ: Mapping[str, str]) -> Path:
    """The data directory of the gateway, which must be one on this host."""
    if options.data is not None:
        return Path(options.data)
    own = default_data_directory()
    endpoint = options.endpoint or environ.get("CORTEX_ENDPOINT", "")
    if not endpoint or endpoint == ctl_of(own) or options.config is not None:
        return own
    if not options.endpoint and environ.get("CORTEX_DATA"):
        return own
    socket = Path(endpoint.removeprefix("ipc://"))
    if endpoint == Planes.under(socket.parent.parent).ctl:
        return socket.parent.parent
    source = "--endpoint" if options.endpoint else "CORTEX_ENDPOINT"
    raise SettingsError(
        f"{source} names the broker at {endpoint}, but API keys are in a file on the gateway's host and no broker is "
        "asked about them; run this there without it, or name a file here with --data DIR or --file FILE"
    )


def _named_in(cortex_toml: Path | None, data: Path, environ: Mapping[str, str]) -> Path:
    """As the environment says, else cortex.toml, of which nothing else is judged here."""
    named: Any = environ.get(VARIABLE)
    if cortex_toml is not None:
        document, gateway = _gateway_in(cortex_toml)
        written = gateway.get("keys", "")
        if not isinstance(written, str):
            raise document.error(("gateway", "keys"), "must be the path of a file, in quotes")
        named = written if named is None else named
    return keyfile.keys_at(named or "", cortex_toml, data).path


def _gateway_in(cortex_toml: Path) -> tuple[Document, dict[str, Any]]:
    """The file, and what it says of the gateway."""
    document = Document(read_text(cortex_toml), str(cortex_toml))
    gateway = document.data.get("gateway")
    return document, gateway if isinstance(gateway, dict) else {}
