"""API keys: how one looks, and what is written down about it. Pure; `now`, ids and secrets are arguments.

A key is `ctx_ID_SECRET`. The secret is shown once, to whoever made the key; what is kept is its SHA-256 digest, which is
enough because nobody can guess 256 random bits. Who may send it where, and what a wrong one is told, is the edge's.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta, Struct

PREFIX = "ctx_"
ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
ID_LENGTH = 10
SECRET_LENGTH = 52
"""Characters of `ALPHABET` that hold more than 256 bits."""
LOWEST, HIGHEST = -100, 100

Id = Annotated[str, Meta(pattern=r"^[0-9a-z]{4,32}$")]
Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
Label = Annotated[str, Meta(min_length=1, max_length=128)]


class Presented(NamedTuple):
    """A credential taken apart; both are empty if it does not look like a key."""

    id: str
    secret: str


class KeyEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is kept of one key. `models` are ids, other names and patterns with `*`; none means all.

    A higher `priority` is served first. Times are RFC 3339; without `expires` the key does not.
    """

    id: Id
    name: Label
    digest: Digest
    models: tuple[Label, ...] = ()
    priority: Annotated[int, Meta(ge=LOWEST, le=HIGHEST)] = 0
    created: str = ""
    expires: str = ""
    revoked: bool = False

    def __post_init__(self) -> None:
        for field in ("created", "expires"):
            if value := getattr(self, field):
                try:
                    seconds_of(value)
                except ValueError as error:
                    raise ValueError(f"{field}: {error}") from error

    def state(self, now: float) -> str:
        """In a word; `now` is in seconds since the epoch."""
        if self.revoked:
            return "revoked"
        return "expired" if self.expires and seconds_of(self.expires) <= now else "active"


class KeyFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole of keys.toml."""

    keys: tuple[KeyEntry, ...] = ()

    def __post_init__(self) -> None:
        ids = [entry.id for entry in self.keys]
        twice = {id_ for id_ in ids if ids.count(id_) > 1} if len(set(ids)) < len(ids) else set()
        if twice:
            raise ValueError(f"keys: the id {min(twice)} is there twice; give each key an id of its own")

    def revoked(self, id_: str) -> KeyFile:
        """The same with this key revoked."""
        entries = [
            msgspec.structs.replace(entry, revoked=True) if entry.id == id_ else entry for entry in self.keys
        ]
        return KeyFile(keys=tuple(entries))


def seconds_of(moment: str) -> float:
    """An RFC 3339 time as seconds since the epoch; raises `ValueError`."""
    try:
        found = dt.datetime.fromisoformat(moment)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise ValueError(f"{moment!r} is not a time; write it like 2027-01-31T00:00:00Z")
    return found.timestamp()


def moment_of(seconds: float) -> str:
    """Seconds since the epoch as an RFC 3339 time."""
    return dt.datetime.fromtimestamp(int(seconds), tz=dt.UTC).isoformat().replace("+00:00", "Z")


def key_of(id_: str, secret: str) -> str:
    """The key as its owner presents it."""
    return f"{PREFIX}{id_}_{secret}"


def digest_of(secret: str) -> str:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def taken_apart(credential: str) -> Presented:
    """The id and the secret of a credential."""
    if not credential.startswith(PREFIX):
        return Presented("", "")
    id_, _, secret = credential[len(PREFIX) :].partition("_")
    return Presented(id_, secret)
