"""The other brokers: who lives, how busy each is, and which of us owns what. Pure.

Ownership is a convenience, never a lock: while views differ two brokers may queue for one model for a moment, and the
neurons' compare-and-set keeps that correct.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cortex.protocol import liveness
from cortex.protocol.messages import BrokerStatus, PeerBeat
from cortex.protocol.owner import owner

FORGET = 600.0


@dataclass(slots=True)
class Peer:
    """One other broker, as last heard."""

    beat: PeerBeat
    seen: float


class Mesh:
    """This broker among the others."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.peers: dict[str, Peer] = {}
        self.live: frozenset[str] = frozenset({name})
        self._owners: dict[str, str] = {}
        self._disagreeing: dict[str, bytes] = {}

    def heard(self, beat: PeerBeat, now: float) -> None:
        """A broker beats. Our own name is ourselves: one list for all brokers names oneself too."""
        if beat.name != self.name:
            self.peers[beat.name] = Peer(beat, now)

    def refresh(self, now: float) -> frozenset[str]:
        """Who came or went since the last time; ownership follows."""
        for name in [name for name, peer in self.peers.items() if now - peer.seen > FORGET]:
            del self.peers[name]
        alive = {name for name, peer in self.peers.items() if not liveness.is_gone(peer.seen, now)}
        live = frozenset({self.name, *alive})
        changed = live ^ self.live
        if changed:
            self.live = live
            self._owners.clear()
        return changed

    def disagreeing(self, catalogue: bytes) -> list[str]:
        """Brokers that have come to have another models.toml than this digest's, each told of once."""
        differing = {
            name: peer.beat.catalogue + catalogue
            for name, peer in self.peers.items()
            if name in self.live and peer.beat.catalogue not in {b"", catalogue}
        }
        news = [name for name, digests in differing.items() if self._disagreeing.get(name) != digests]
        self._disagreeing = differing
        return news

    def owner_of(self, key: str) -> str:
        """The live broker that keeps this model's queue (or looks after this device)."""
        if len(self.live) == 1:
            return self.name
        found = self._owners.get(key)
        if found is None:
            if len(self._owners) > 4096:
                self._owners.clear()
            found = self._owners[key] = owner(key, self.live) or self.name
        return found

    def owns(self, key: str) -> bool:
        return self.owner_of(key) == self.name

    def statuses(self) -> tuple[BrokerStatus, ...]:
        """The others, for `cortex-ctl status`."""
        return tuple(
            described(peer.beat, "live")
            if name in self.live
            else BrokerStatus(name=name, state="gone", served=peer.beat.served)
            for name, peer in sorted(self.peers.items())
        )


def described(beat: PeerBeat, state: Literal["here", "live"]) -> BrokerStatus:
    """What a broker says of itself, for `cortex-ctl status`."""
    return BrokerStatus(
        name=beat.name,
        state=state,
        running=beat.running,
        waiting=beat.waiting,
        served=beat.served,
        owns=beat.owns,
    )
