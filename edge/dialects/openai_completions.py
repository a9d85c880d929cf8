"""OpenAI completions, the old way without roles: body → one normalized `Complete` for each prompt. Pure.

Whatever is wrong is one fault that names the field. The way back is `openai_completions_reply`.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from cortex.edge.dialects.decoding import Whole, decode, invalid, unsupported
from cortex.edge.dialects.fields import MAX_LIKELIEST, SEED_MASK, check_name, same_kind, token_ids, whole
from cortex.edge.dialects.openai_sampling import SamplingFields, StreamOptions, sampling_of
from cortex.protocol.faults import Code, fault
from cortex.protocol.request import Complete, Sampling

MAX_PROMPTS = 128
MAX_CHOICES = 16
MAX_TOKENS = 16
"""What a client gets that asks for no number of tokens; chat gives more."""
MAX_RATINGS = 2**23
"""Log probabilities of prompts in one whole answer: some 300 MB."""
BYTES_PER_TOKEN = 4

Prompt = str | tuple[int, ...]


class Body(SamplingFields, frozen=True, kw_only=True):
    """As clients send it. Null means absent; unknown fields are ignored, `user` among them."""

    model: str
    prompt: str | list[str | int | list[int]] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    suffix: str | None = None
    echo: bool | None = None
    best_of: Whole | None = None
    logprobs: Whole | None = None


class ParsedCompletion(NamedTuple):
    """A request for each prompt, and how its client wants the answer."""

    requests: tuple[Complete, ...]
    stream: bool
    include_usage: bool

    @property
    def request(self) -> Complete:
        """The first of them."""
        return self.requests[0]


_decoder = msgspec.json.Decoder(Body)


def parse(data: bytes, *, seed: int = 0) -> ParsedCompletion:
    """Read a body. `seed` is used where the client gives none: it is drawn outside, for this is pure."""
    body = decode(data, _decoder)
    check_name(body.model, "model")
    if body.suffix:
        raise unsupported(
            "suffix", "is not supported: models here write on, and do not fill in; leave it out"
        )
    prompts = _prompts(body.prompt)
    sampling = _sampling(body, seed)
    if body.echo and sampling.logprobs is not None and not body.stream:
        _require_rateable(prompts, sampling)
    requests = tuple(
        Complete(
            model=body.model,
            prompt=prompt,
            echo=bool(body.echo),
            sampling=msgspec.structs.replace(
                sampling, seed=seed_of(sampling.seed, number if body.seed is None else 0)
            ),
        )
        for number, prompt in enumerate(prompts)
    )
    wants_usage = body.stream_options is not None and bool(body.stream_options.include_usage)
    return ParsedCompletion(requests, bool(body.stream), wants_usage)


def seed_of(drawn: int, number: int) -> int:
    """The seed of the prompt of this number, where one was drawn for all."""
    return (drawn + number) & SEED_MASK


def _require_rateable(prompts: list[Prompt], sampling: Sampling) -> None:
    """A whole answer is held until its last prompt is rated: that must not take gigabytes."""
    tokens = sum(len(one) // BYTES_PER_TOKEN if isinstance(one, str) else len(one) for one in prompts)
    values = tokens * sampling.n * (1 + (sampling.logprobs or 0))
    if values > MAX_RATINGS:
        raise fault(
            Code.REQUEST_TOO_LARGE,
            f"prompt asks for about {values} log probabilities with echo, and {MAX_RATINGS} are told at a time; send "
            "fewer prompts, ask for fewer logprobs, or stream.",
            param="prompt",
        )


def _prompts(given: str | list[str | int | list[int]] | None) -> list[Prompt]:
    """A text, texts, token ids, or lists of them; never a mixture."""
    if given is None:
        raise invalid("prompt", "is required")
    if isinstance(given, str):
        return [given]
    if not given:
        raise invalid("prompt", "is empty; send some text")
    if same_kind(given, "prompt", MAX_PROMPTS, "prompts") is int:
        return [token_ids(given, "prompt")]
    return [
        token_ids(one, f"prompt[{index}]") if isinstance(one, list) else str(one)
        for index, one in enumerate(given)
    ]


def _sampling(body: Body, seed: int) -> Sampling:
    if body.best_of is not None and body.best_of != (body.n or 1):
        raise unsupported(
            "best_of", "must be as many as n: no answer is made to be thrown away; leave it out"
        )
    # With nothing but a prompt to rate or to repeat, no token needs to follow.
    limit = whole(body.max_tokens, "max_tokens", 0 if body.echo else 1)
    likeliest = whole(body.logprobs, "logprobs", 0, MAX_LIKELIEST)
    return sampling_of(
        body, seed, choices=MAX_CHOICES, max_tokens=MAX_TOKENS if limit is None else limit, logprobs=likeliest
    )
