"""What a request asks for, checked once against what the model can do: past this point nothing is the client's fault."""

from __future__ import annotations

from dataclasses import dataclass

from cortex.neuron.engine.base import Job
from cortex.neuron.engine.inputs import require_answer
from cortex.neuron.engine.torch.loader import Loaded
from cortex.neuron.engine.torch.template import Prompt, render
from cortex.neuron.engine.torch.vocabulary import Vocabulary
from cortex.protocol.faults import Code, fault
from cortex.protocol.request import Chat, Complete, Sampling

MAX_BIASES = 1024
MAX_STOPS = 16_384
"""Characters of all stop strings together: each takes memory and time before the first token."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """A request that can run: `limit` is the length, prompt included, at which each choice ends.

    `window`: that is where the model's context ends, and not what was asked for.
    """

    request: Chat | Complete
    prompt: Prompt
    prefixes: tuple[tuple[int, ...], ...]
    limit: int
    window: bool

    @property
    def choices(self) -> int:
        return self.request.sampling.n


def admit(job: Job, loaded: Loaded, slots: int) -> Admitted:
    """Check everything about a request but whether there is room now. Raises `FaultError`."""
    request = job.request
    if not isinstance(request, Chat | Complete):
        raise fault(Code.UNSUPPORTED, f"{type(request).__name__} is not computed by this engine.")
    _check_parameters(request, slots)
    _check_biases(request.sampling, loaded.vocabulary)
    prefixes = _prefixes(job, request.sampling, loaded.vocabulary)
    prompt = render(request, loaded.tokenizer, loaded.context)
    if not prompt.ids:
        raise fault(Code.INVALID_REQUEST, "The prompt is empty; send some text.", param="prompt")
    _check_ids(prompt.ids, loaded.vocabulary)
    length = len(prompt.ids)
    if length >= loaded.context + (request.sampling.max_tokens == 0):
        raise fault(
            Code.CONTEXT_LENGTH_EXCEEDED,
            f"This model's maximum context length is {loaded.context} tokens, prompt and answer together, and the "
            f"prompt alone has {length} tokens.",
            param="messages" if isinstance(request, Chat) else "prompt",
            tokens=length,
            limit=loaded.context,
        )
    # Clients that always ask for 32,000 tokens get the room that there is, and finish reason "length" at its end.
    wanted = request.sampling.max_tokens
    window = wanted is None or length + wanted > loaded.context
    limit = loaded.context if window or wanted is None else length + wanted
    return Admitted(request, prompt, prefixes, limit, window)


def _check_parameters(request: Chat | Complete, slots: int) -> None:
    sampling = request.sampling
    if sampling.n > slots:
        raise fault(
            Code.UNSUPPORTED,
            f"n must be at most {slots}: this model runs as many choices at once.",
            param="n",
        )
    if sum(map(len, sampling.stop)) > MAX_STOPS:
        raise fault(
            Code.INVALID_REQUEST,
            f"stop must hold at most {MAX_STOPS} characters, all strings together.",
            param="stop",
        )
    require_answer(request)


def _check_biases(sampling: Sampling, vocabulary: Vocabulary) -> None:
    biases = sampling.logit_bias or {}
    if len(biases) > MAX_BIASES:
        raise fault(
            Code.INVALID_REQUEST, f"logit_bias must hold at most {MAX_BIASES} tokens.", param="logit_bias"
        )
    for token, value in biases.items():
        if not (token.isascii() and token.isdigit() and len(token) < 10 and int(token) < vocabulary.size):
            message = (
                f"logit_bias names the token {token[:20]!r}, which this model does not have; its ids go from 0 to "
                f"{vocabulary.size - 1}."
            )
            raise fault(Code.INVALID_REQUEST, message, param="logit_bias")
        if not -100 <= value <= 100:
            raise fault(
                Code.INVALID_REQUEST, "logit_bias must hold values from -100 to 100.", param="logit_bias"
            )


def _prefixes(job: Job, sampling: Sampling, vocabulary: Vocabulary) -> tuple[tuple[int, ...], ...]:
    """One per choice: what earlier attempts delivered, which is nothing for choices that are not named."""
    if len(job.prefix) > sampling.n:
        raise fault(Code.INVALID_REQUEST, f"{len(job.prefix)} prefixes came for {sampling.n} choices.")
    for prefix in job.prefix:
        _check_ids(prefix, vocabulary)
    return job.prefix + ((),) * (sampling.n - len(job.prefix))


def _check_ids(ids: list[int] | tuple[int, ...], vocabulary: Vocabulary) -> None:
    if ids and not 0 <= min(ids) <= max(ids) < vocabulary.size:
        message = (
            f"prompt holds a token id that this model does not have; they go from 0 to {vocabulary.size - 1}."
        )
        raise fault(Code.INVALID_REQUEST, message, param="prompt")
