"""A model's token ids: how many there are, and which bytes each stands for by itself.

Tokens of a byte-level vocabulary are written in an alphabet of 256 printable characters (GPT-2's `bytes_to_unicode`);
those of a sentencepiece one have a mark for a space, and names such as <0xE2> for bytes. A token may be part of a
character, so text cannot tell them.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

SPACE = "\u2581"
_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


class Vocabulary:
    """`size` is the model's, which may be larger than the tokenizer's: it is often padded."""

    def __init__(self, tokenizer: Any, size: int) -> None:
        self.size = size
        self._tokenizer = tokenizer
        self._special = frozenset(tokenizer.all_special_ids)
        self._is_byte_level = "ByteLevel" in str(
            getattr(tokenizer, "backend_tokenizer", None) and tokenizer.backend_tokenizer.decoder
        )
        self._known: dict[int, bytes] = {}

    def bytes_of(self, token: int) -> bytes:
        """The bytes of one token; a special token's are its name's, and those of padding are none."""
        found = self._known.get(token)
        if found is None:
            found = self._known[token] = self._look_up(token)
        return found

    def _look_up(self, token: int) -> bytes:
        name = self._tokenizer.convert_ids_to_tokens(token)
        if name is None:
            return b""
        if token in self._special or token in self._tokenizer.added_tokens_decoder:
            return str(name).encode()
        if self._is_byte_level:
            alphabet = byte_alphabet()
            if all(sign in alphabet for sign in name):
                return bytes(alphabet[sign] for sign in name)
        elif (byte := _BYTE.fullmatch(name)) is not None:
            return bytes([int(byte[1], 16)])
        return str(name).replace(SPACE, " ").encode()


@cache
def byte_alphabet() -> dict[str, int]:
    """The character that stands for each byte: printable ones for themselves, the others from 256 on in order."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in set(shown)]
    return {chr(byte): byte for byte in shown} | {chr(256 + at): byte for at, byte in enumerate(others)}
