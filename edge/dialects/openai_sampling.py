"""The fields of OpenAI's bodies that chats and completions share: how tokens are chosen, and what a stream tells. Pure."""

from __future__ import annotations

from msgspec import Struct

from cortex.edge.dialects.decoding import Whole
from cortex.edge.dialects.fields import MAX_OUTPUT, SEED_MASK, biases, stops, whole, within
from cortex.protocol.request import Sampling


class StreamOptions(Struct, frozen=True):
    """What a stream tells beside the answer."""

    include_usage: bool | None = None


class SamplingFields(Struct, frozen=True, kw_only=True):
    """As clients send them; null means absent."""

    max_tokens: Whole | None = None
    min_tokens: Whole | None = None
    n: Whole | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: Whole | None = None
    min_p: float | None = None
    seed: Whole | None = None
    stop: str | list[str] | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    repetition_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    ignore_eos: bool | None = None


def sampling_of(
    body: SamplingFields, seed: int, *, choices: int, max_tokens: int | None, logprobs: int | None
) -> Sampling:
    """What they mean; `seed` is taken where the client gave none, and `choices` is the most of them. Raises `FaultError`."""
    top_p = within(body.top_p, "top_p", 0, 1)
    given = whole(body.seed, "seed", -(2**63))
    top_k = whole(body.top_k, "top_k", -1)
    return Sampling(
        temperature=within(body.temperature, "temperature", 0, 2),
        top_p=1e-6 if top_p == 0 else top_p,  # OpenAI takes 0; it leaves the likeliest token alone
        top_k=None if top_k is None else min(top_k, MAX_OUTPUT),
        min_p=within(body.min_p, "min_p", 0, 1),
        frequency_penalty=within(body.frequency_penalty, "frequency_penalty", -2, 2),
        presence_penalty=within(body.presence_penalty, "presence_penalty", -2, 2),
        repetition_penalty=within(body.repetition_penalty, "repetition_penalty", 0, 10, open_low=True),
        logit_bias=biases(body.logit_bias),
        seed=(seed if given is None else given) & SEED_MASK,
        stop=stops(body.stop, "stop"),
        max_tokens=None if max_tokens is None else min(max_tokens, MAX_OUTPUT),
        min_tokens=min(whole(body.min_tokens, "min_tokens", 0) or 0, MAX_OUTPUT),
        ignore_eos=bool(body.ignore_eos),
        n=whole(body.n, "n", 1, choices) or 1,
        logprobs=logprobs,
    )
