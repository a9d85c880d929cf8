"""Who presents which key: the table of those that are known, and what is said about the others. Pure; `now` is an argument.

A key is found by its id, so that the work does not grow with their number, and its secret is compared in constant time;
an id that nobody has is compared too, with a digest that nothing has. Whether a key has expired or was revoked is told
to the holder of its secret alone.

It knows no HTTP and no file.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable

from msgspec import Struct

from cortex.edge.names import fits
from cortex.protocol.faults import Code, Fault
from cortex.protocol.keys import KeyEntry, KeyFile, digest_of, seconds_of, taken_apart

NEVER = float("inf")
NOBODYS = "0" * 64
"""Compared with where there is no key of that id: no secret that anybody could find has this digest."""
LONGEST = 256
"""Characters of a credential that is looked at; ours are far shorter."""

NO_KEY = Fault(
    code=Code.INVALID_API_KEY,
    message="An API key is required; send it as Authorization: Bearer KEY, or as x-api-key: KEY.",
)
NO_BEARER = Fault(
    code=Code.INVALID_API_KEY,
    message="An API key is required, and the header Authorization does not begin with Bearer; send it as Authorization: "
    "Bearer KEY.",
)
INCORRECT = "Incorrect API key provided"
"""OpenAI's words. LiteLLM tells a wrong key from a wrong request by nothing else, and aider goes through it."""
WRONG = Fault(
    code=Code.INVALID_API_KEY,
    message=f"{INCORRECT}; check it, or ask the operator of this gateway for another.",
)
REVOKED = Fault(
    code=Code.INVALID_API_KEY,
    message=f"{INCORRECT}: it was revoked; ask the operator of this gateway for another.",
)


class Key(Struct, frozen=True, gc=False):
    """One key, ready to be compared. `models` are patterns cut at their `*`; none: all models."""

    id: str
    digest: str
    models: tuple[list[str], ...] = ()
    names: tuple[str, ...] = ()
    """The same as they were written."""
    priority: int = 0
    expires: float = NEVER
    expiry: str = ""
    revoked: bool = False

    def may_use(self, *names: str, asked: str = "") -> bool:
        """Whether a model is among those that it may use, by one of these names, which the fleet's settings have for it.

        `asked` is what a client calls it, which it may have made up for a pattern: it has to be written here as it is.
        """
        if not self.models or ("*" not in asked and asked in self.names):
            return True
        return any(fits(name, parts) for name in names for parts in self.models)


class Keys:
    """The keys of one moment."""

    def __init__(self, document: KeyFile) -> None:
        self._by_id = {entry.id: _key(entry) for entry in document.keys}

    def __len__(self) -> int:
        return len(self._by_id)

    def __repr__(self) -> str:
        return f"<Keys: {len(self)}>"

    def holder(self, credentials: Iterable[str], now: float) -> Key | Fault:
        """The key that one of these credentials is, or why none of them will do."""
        reason = NO_KEY
        for credential in credentials:
            found = self._holder(credential, now)
            if isinstance(found, Key):
                return found
            if reason is NO_KEY or found is not WRONG:
                reason = found
        return reason

    def _holder(self, credential: str, now: float) -> Key | Fault:
        id_, secret = taken_apart(credential[:LONGEST])
        key = self._by_id.get(id_)
        same = hmac.compare_digest(digest_of(secret), NOBODYS if key is None else key.digest)
        if key is None or not same:
            return WRONG
        if key.revoked:
            return REVOKED
        if key.expires <= now:
            return Fault(
                code=Code.INVALID_API_KEY,
                message=f"{INCORRECT}: it expired at {key.expiry}; ask the operator of this gateway for another.",
            )
        return key


def _key(entry: KeyEntry) -> Key:
    return Key(
        id=entry.id,
        digest=entry.digest,
        models=tuple(name.split("*") for name in entry.models),
        names=entry.models,
        priority=entry.priority,
        expires=seconds_of(entry.expires) if entry.expires else NEVER,
        expiry=entry.expires,
        revoked=entry.revoked,
    )


def not_allowed(key: Key, model: str) -> Fault:
    """What is said to the holder of a key that may not use this model."""
    return Fault(
        code=Code.MODEL_NOT_ALLOWED,
        message=f"This API key may not use the model {model!r}; it may use: {', '.join(key.names)}.",
        param="model",
    )
