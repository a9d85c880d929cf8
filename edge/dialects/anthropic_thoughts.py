"""The signature of a block of thoughts: by it a block that comes back is known to be what this model thought here. Pure.

No secret is behind it, for every worker of every edge must know the others' signatures, after a restart too: it is a
digest of the text and of the model's name as the client has it. So anybody could make one, and nobody would gain by it:
a client may put words into the model's mouth as it likes. What it tells is that nothing was changed on the way, and that
no other model, which thinks in other words, was the one that thought.
"""

from __future__ import annotations

from hashlib import blake2b

SIGNED = "cortex1-"
"""What a signature of ours begins with."""


class Thoughts:
    """The signature of one block's thoughts, as they come."""

    def __init__(self, model: str) -> None:
        self._digest = blake2b(digest_size=16, person=b"cortex.thoughts")
        self._digest.update(b"%d:" % len(model))
        self.add(model)

    def add(self, text: str) -> None:
        """More of them."""
        self._digest.update(text.encode("utf-8", "surrogatepass"))

    @property
    def signature(self) -> str:
        """Clients send it back with the thoughts, and some want there to be one."""
        return SIGNED + self._digest.hexdigest()


def signature_of(text: str, model: str) -> str:
    """The signature of a whole block."""
    thoughts = Thoughts(model)
    thoughts.add(text)
    return thoughts.signature


def are_ours(text: str, signature: str | None, model: str) -> bool:
    """Whether the model may be shown these thoughts. Many clients and proxies drop signatures: then there is nothing to check.

    It depends on the block alone, so a conversation has the same prompt each time that it is sent.
    """
    return not signature or signature == signature_of(text, model)
