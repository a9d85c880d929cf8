"""Where a broker's rim gets its settings from while it runs: what it needs of the catalogue's file, and where it binds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from cortex.broker.catalogue import Catalogue


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where the planes are bound; `peers` are the peer endpoints of the other brokers. `peer` may be empty: no mesh."""

    edge: str
    neuron: str
    ctl: str
    peer: str = ""
    peers: tuple[str, ...] = ()

    @property
    def bound(self) -> tuple[str, ...]:
        return tuple(filter(None, (self.edge, self.neuron, self.ctl, self.peer)))


class Source(Protocol):
    """Where the catalogue comes from: a file that may change while everything runs."""

    @property
    def catalogue(self) -> Catalogue: ...
    def texts(self) -> dict[str, str]:
        """The settings in force, as TOML, by file."""

    def changed(self, now: float) -> bool:
        """Whether the file is another one than was read last."""

    def reload(self) -> str | None:
        """Read it again; answers what is wrong with it, and then the catalogue stays what it was."""


class NoSource:
    """No file: an empty catalogue."""

    catalogue = Catalogue()

    def texts(self) -> dict[str, str]:
        return {"defaults": ""}

    def changed(self, _now: float) -> bool:
        return False

    def reload(self) -> str | None:
        return None
