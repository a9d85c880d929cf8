"""What a request says about itself, whatever its dialect: who sends it, and whether it is one sent again."""

from __future__ import annotations

import hashlib

import falcon
import falcon.asgi

from cortex.edge.errors import JSON_TYPE

BYTES_PER_TOKEN = 4
DIGEST_BYTES = 16


def require_json(req: falcon.asgi.Request) -> None:
    """Refuse a body that a web page could send without asking: 415."""
    kind = (req.content_type or "").partition(";")[0].strip().lower()
    if kind != JSON_TYPE:
        raise falcon.HTTPUnsupportedMediaType


def digest_of(principal: str, body: bytes) -> bytes:
    """What an identical resend of the same principal has in common with the first; a drawn seed is not in it."""
    digest = hashlib.blake2b(principal.encode("utf-8", "surrogateescape"), digest_size=DIGEST_BYTES)
    digest.update(b"\0")
    digest.update(body)
    return digest.digest()


def principal_of(req: falcon.asgi.Request) -> str:
    """Whose request it is, for fairness: the digest of the credential presented, else the peer's address."""
    credential = req.get_header("authorization") or req.get_header("x-api-key")
    if credential is None:
        return req.remote_addr
    scheme, _, token = credential.partition(" ")
    secret = token.strip() if scheme.lower() == "bearer" else credential
    return hashlib.sha256(secret.encode()).hexdigest()
