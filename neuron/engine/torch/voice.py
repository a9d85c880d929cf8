"""Puts together the way from a model's tokens to a client's pieces, for one choice of one request."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from cortex.neuron.engine.torch.admission import Admitted
from cortex.neuron.engine.torch.answer import Answer
from cortex.neuron.engine.torch.detokenize import Decode, Detokenizer
from cortex.neuron.engine.torch.loader import Loaded
from cortex.neuron.engine.torch.sampler import Picked
from cortex.neuron.engine.torch.stops import StopFilter
from cortex.neuron.engine.torch.vocabulary import Vocabulary
from cortex.protocol.deltas import Score
from cortex.protocol.request import Chat
from cortex.protocol.toolcalls import parser_for


def new_answer(loaded: Loaded, admitted: Admitted, request: str, choice: int) -> Answer:
    """An answer of which nothing has been said."""
    sampling = admitted.request.sampling
    prompt = admitted.prompt
    family = family_of(loaded.tokenizer) if isinstance(admitted.request, Chat) else "plain"
    parser = parser_for(
        family, prompt.tools, reasoning_open=prompt.reasoning_open, call_id=call_ids(request, choice)
    )
    return Answer(
        Detokenizer(decoder(loaded.tokenizer)),
        StopFilter(sampling.stop),
        parser,
        eos=frozenset() if sampling.ignore_eos else loaded.eos,
    )


def family_of(tokenizer: Any) -> str:
    """How this model writes its tool calls, told by what its template teaches it."""
    return "hermes" if "<tool_call>" in str(tokenizer.chat_template) else "plain"


def score(vocabulary: Vocabulary, picked: Picked) -> Score:
    """How likely a token was, and which others would have been."""
    bytes_of = vocabulary.bytes_of
    likeliest = [(bytes_of(token), logprob) for token, logprob in picked.likeliest]
    return Score(bytes_of(picked.token), picked.logprob, likeliest)


def call_ids(request: str, choice: int) -> Callable[[int], str]:
    """Ids of tool calls that depend on the request alone, so that a replay gives the same ones."""

    def call_id(index: int) -> str:
        digest = hashlib.sha256(f"{request}/{choice}/{index}".encode()).hexdigest()
        return f"call_{digest[:24]}"

    return call_id


def decoder(tokenizer: Any) -> Decode:
    """The tokenizer's text without special tokens; straight from its backend where it has one, ten times as fast."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        return lambda ids: str(backend.decode(ids, skip_special_tokens=True))
    return lambda ids: str(
        tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    )
