"""What a request says about itself, whatever its dialect: who sends it, which model it may use, whether it is one sent again."""

from __future__ import annotations

import hashlib
from typing import TypeVar

import falcon
import falcon.asgi
from msgspec import structs

from cortex.edge.catalogue import UNKNOWN, Catalogue
from cortex.edge.errors import JSON_TYPE
from cortex.edge.keys import Key, not_allowed
from cortex.edge.routes import SHOWN
from cortex.protocol.faults import Code, FaultError
from cortex.protocol.messages import CatalogueEntry
from cortex.protocol.request import Chat, Complete

R = TypeVar("R", bound=Chat | Complete)

BYTES_PER_TOKEN = 4
DIGEST_BYTES = 16


def require_json(req: falcon.asgi.Request) -> None:
    """Refuse a body that a web page could send without asking, and one that is compressed: 415."""
    encoding = (req.get_header("content-encoding") or "identity").strip().lower()
    if encoding != "identity":
        raise falcon.HTTPUnsupportedMediaType(
            headers={"accept-encoding": "identity"},  # RFC 9110, 15.5.16: it tells what would do
            description=f"Content-Encoding {encoding[:SHOWN]!r} is not read here; send the body as it is, without it.",
        )
    kind = (req.content_type or "").partition(";")[0].strip().lower()
    if kind != JSON_TYPE:
        raise falcon.HTTPUnsupportedMediaType


def digest_of(principal: str, *parts: bytes) -> bytes:
    """What an identical resend of the same principal has in common with the first; a drawn seed is not in it."""
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for part in (principal.encode("utf-8", "surrogateescape"), *parts):
        digest.update(b"%d " % len(part))
        digest.update(part)
    return digest.digest()


def without_seed(request: R) -> R:
    """The same, whatever seed was drawn for it."""
    return structs.replace(request, sampling=structs.replace(request.sampling, seed=0))


def key_of(req: falcon.asgi.Request) -> Key | None:
    """The key that it was let in with; None where keys are not in use."""
    key: Key | None = req.scope.get("cortex.key")
    return key


def model_for(req: falcon.asgi.Request, catalogue: Catalogue, name: str) -> CatalogueEntry:
    """The model of this name. Raises `FaultError` if there is none, or if the request's key may not use it.

    A key that may use some models alone is not told which others there are.
    """
    key = key_of(req)
    try:
        entry = catalogue.find(name)
    except FaultError as error:
        if error.fault.code is Code.MODEL_NOT_FOUND and key is not None and key.models:
            raise FaultError(not_allowed(key, name)) from None
        raise
    req.context.model = entry.id
    if key is not None and not key.may_use(entry.id, catalogue.written(name), asked=name):
        # Until the whole fleet is known a name that is not there is told to try again; so is one that is.
        raise FaultError(not_allowed(key, name) if catalogue.is_known else UNKNOWN)
    return entry


def may_name(req: falcon.asgi.Request, id_: str) -> bool:
    """Whether the client may read this id: its key may know a model by another name alone."""
    key = key_of(req)
    return key is None or key.may_use(id_, asked=id_)


def is_restricted(req: falcon.asgi.Request) -> bool:
    """Whether there may be models that the client must hear nothing of."""
    key = key_of(req)
    return key is not None and bool(key.models)


def may_see(req: falcon.asgi.Request, name: str, id_: str) -> bool:
    """Whether a list shows this name of the model of that id."""
    key = key_of(req)
    return key is None or key.may_use(name, id_)


def principal_of(req: falcon.asgi.Request) -> str:
    """Whose request it is, for fairness: the id of its key; without keys the digest of what it presents, else its address."""
    if (key := key_of(req)) is not None:
        return key.id
    credential = req.get_header("authorization") or req.get_header("x-api-key")
    if credential is None:
        return req.remote_addr
    scheme, _, token = credential.partition(" ")
    secret = token.strip() if scheme.lower() == "bearer" else credential
    return hashlib.sha256(secret.encode()).hexdigest()
