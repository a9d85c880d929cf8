"""Models that compute as transformers wrote them: what they have read of a sequence is an object of their own making.

State-space and linear-attention layers keep a state where others keep keys and values, and some attention wants what
ours does not compute. Such a model reads one sequence at a time. How it goes on from what it has read differs from one
architecture to the next, and is tried out once, when it is loaded. Knows no sequence and no request.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import torch

STATES = ("past_key_values", "cache_params", "state")
"""What models call the object that holds what they have read, as an argument and in their answer."""
BEGINNING, REST = 6, 2
"""Tokens that are read at once, and after them, when a model is tried out."""
WRONG = 0.2
"""How far logits may be from what they should be, on average and in parts of their spread: bfloat16 stays below."""
SAME = 1e-5
"""How far apart they are when only the order of a float32 sum differs."""


class PlainUnsupportedError(Exception):
    """The model cannot go on from what it has read, one sequence apart from the other."""


@dataclass(frozen=True, slots=True)
class Plain:
    """How a model is run as it stands. `reason`: why it is not run together with our attention.

    A sequence takes `fixed` bytes and `each` more with every position, at most. `takes` are names of arguments.
    """

    reason: str
    state: str
    takes: frozenset[str]
    is_single: bool
    """Whether what has been read can only be continued by one token at a time."""
    fixed: int = 0
    each: int = 0

    @property
    def words(self) -> str:
        """For people."""
        return f"served one sequence at a time: {self.reason}"

    def read(
        self, model: Any, tokens: torch.Tensor, start: int, state: Any, keep: int = 1
    ) -> tuple[torch.Tensor, Any]:
        """Read [n] tokens from position `start` on; answers the logits, [keep, vocabulary], of the last `keep` of them,
        and the state after all.
        """
        length = len(tokens)
        if not (self.is_single and state is not None and length > 1):
            return self.read_at_once(model, tokens, start, state, keep)
        rows: list[torch.Tensor] = []
        for at in range(length):
            row, state = self.read_at_once(model, tokens[at : at + 1], start + at, state)
            if at >= length - keep:
                rows.append(row)
        return torch.cat(rows), state

    def read_at_once(
        self, model: Any, tokens: torch.Tensor, start: int, state: Any, keep: int = 1
    ) -> tuple[torch.Tensor, Any]:
        """The same in one forward, whether that is right or not."""
        more: dict[str, Any] = {}
        if state is not None:
            more[self.state] = state
        if "position_ids" in self.takes:
            more["position_ids"] = torch.arange(start, start + len(tokens), device=tokens.device)[None]
        if "logits_to_keep" in self.takes:
            more["logits_to_keep"] = keep
        answer = model(input_ids=tokens[None], use_cache=True, **more)
        return answer.logits[0, -keep:], getattr(answer, self.state, None)


def try_out_plain(model: Any, plain: Plain) -> None:
    """Read a token after another where the model is going to be computed."""
    tokens = torch.ones(1, dtype=torch.long, device=model.get_input_embeddings().weight.device)
    _, state = plain.read(model, tokens, 0, None)
    plain.read(model, tokens, 1, state)


def examine(model: Any, reason: str) -> Plain:
    """Find out how a model goes on from what it has read. Raises `PlainUnsupportedError`.

    What counts is what it says to a text that it reads whole. Another sequence comes between, so that one which keeps
    its state to itself is found out.
    """
    takes = frozenset(inspect.signature(model.forward).parameters)
    weight = model.get_input_embeddings().weight
    size = BEGINNING + REST
    ids = (torch.arange(1, size + 1, device=weight.device) * 7) % weight.shape[0]
    other = (ids + 3) % weight.shape[0]
    with torch.inference_mode():
        whole = model(input_ids=ids[None], use_cache=False).logits[0].float()
        plain = Plain(reason, _name(model, ids, takes), takes, is_single=True)
        tried = _Trial(plain, model, ids, other)
        one_by_one, fixed, each = tried.continued([1] * REST)
        try:
            at_once, _, _ = tried.continued([REST])
        except (RuntimeError, ValueError, TypeError, IndexError, NotImplementedError):
            at_once = None
    spread = float(whole.std())
    off = float((one_by_one - whole[-1]).abs().mean())
    if not off <= WRONG * spread:
        raise PlainUnsupportedError("it goes on otherwise from what it has read than from the whole text")
    # In doubt it is read token by token: that is slower, and the other would be wrong.
    allowed = 2 * off + SAME * spread
    is_single = at_once is None or not float((at_once - whole[-1]).abs().mean()) <= allowed
    return Plain(reason, plain.state, takes, is_single, fixed, each)


def _name(model: Any, ids: torch.Tensor, takes: frozenset[str]) -> str:
    """What the model calls its state."""
    answer = model(input_ids=ids[None, :BEGINNING], use_cache=True)
    for name in STATES:
        if name in takes and getattr(answer, name, None) is not None:
            return name
    raise PlainUnsupportedError("it hands out nothing that tells what it has read")


@dataclass(frozen=True, slots=True)
class _Trial:
    plain: Plain
    model: Any
    ids: torch.Tensor
    other: torch.Tensor

    def continued(self, pieces: list[int]) -> tuple[torch.Tensor, int, int]:
        """Logits of the last token, when the rest comes in these pieces; and what the state takes: fixed, and each."""
        read = self.plain.read_at_once
        _, state = read(self.model, self.ids[:BEGINNING], 0, None)
        before = state_bytes(state)
        read(self.model, self.other, 0, None)
        at = BEGINNING
        logits = torch.empty(0)
        for length in pieces:
            logits, state = read(self.model, self.ids[at : at + length], at, state)
            at += length
        each = -(-max(0, state_bytes(state) - before) // REST)
        return logits[-1].float(), max(0, before - BEGINNING * each), each


def state_bytes(state: Any) -> int:
    """What an object takes that a model made, of its device's memory."""
    storages = [one.untyped_storage() for one in tensors(state)]
    return sum({one.data_ptr(): one.nbytes() for one in storages}.values())


def tensors(state: Any) -> list[torch.Tensor]:
    """All that an object holds, however it holds them."""
    found: list[torch.Tensor] = []
    seen: set[int] = set()
    waiting = [state]
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, torch.Tensor):
            found.append(one)
        elif isinstance(one, list | tuple):
            waiting += one
        else:
            waiting += (one if isinstance(one, dict) else getattr(one, "__dict__", {})).values()
    return found
