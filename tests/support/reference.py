"""What a model is asked in tests, and what transformers' own `generate` makes of it."""

from __future__ import annotations

import random

import torch

from cortex.protocol.request import Complete, Sampling


def prompt(length: int) -> tuple[int, ...]:
    """Token ids that are words in every checkpoint, the same for the same length."""
    source = random.Random(length)
    return tuple(source.randrange(8, 300) for _ in range(length))


def greedy(ids: tuple[int, ...], tokens: int = 24, **more: object) -> Complete:
    """So many of the likeliest tokens."""
    wanted = {"temperature": 0.0, "max_tokens": tokens, "ignore_eos": True} | more
    return Complete(model="m", prompt=ids, sampling=Sampling(**wanted))


def generated(model: torch.nn.Module, ids: tuple[int, ...], tokens: int = 24) -> list[int]:
    """The likeliest tokens after a prompt, alone and at once."""
    row = torch.tensor([ids], device=model.device)
    with torch.inference_mode():
        answer = model.generate(
            row,
            attention_mask=torch.ones_like(row),
            max_new_tokens=tokens,
            do_sample=False,
            eos_token_id=None,
            pad_token_id=0,
        )
    return answer[0, len(ids) :].tolist()
