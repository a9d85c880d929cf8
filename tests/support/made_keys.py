"""API keys for tests: an entry of the key file, what its owner presents, and a key ring that holds some."""

from __future__ import annotations

from pathlib import Path

from cortex.edge.keyring import Keyring
from cortex.protocol.keys import KeyEntry, KeyFile, digest_of, key_of
from cortex.protocol.kit import keyfile


def entry(id_: str = "abcd", *, secret: str | None = None, **rest: object) -> KeyEntry:
    """A key whose secret is known."""
    values = {"name": f"key {id_}", **rest}
    return KeyEntry(id=id_, digest=digest_of(secret_of(id_) if secret is None else secret), **values)  # type: ignore[arg-type]


def secret_of(id_: str) -> str:
    return f"secret{id_}"


def presented(id_: str = "abcd") -> str:
    """The key as its owner sends it."""
    return key_of(id_, secret_of(id_))


def ring(path: Path, *entries: KeyEntry) -> Keyring:
    """A key ring with these keys, from a file that is written here."""
    keyfile.write(path, KeyFile(keys=entries))
    keyring = Keyring(path)
    keyring.load()
    return keyring
