"""Puts together the way from a model's tokens to a client's pieces, for one choice of one request."""

from __future__ import annotations

from cortex.neuron.engine.torch.admission import Admitted
from cortex.neuron.engine.torch.answer import Answer
from cortex.neuron.engine.torch.constraint import may_call
from cortex.neuron.engine.torch.detokenize import Detokenizer
from cortex.neuron.engine.torch.loader import Loaded
from cortex.neuron.engine.torch.sampler import Picked
from cortex.neuron.engine.torch.stops import StopFilter
from cortex.neuron.engine.torch.vocabulary import Vocabulary
from cortex.protocol.deltas import Score
from cortex.protocol.request import Chat
from cortex.protocol.toolcalls import PLAIN, call_ids, parser_for
from cortex.protocol.toolcalls.detect import reasoning_is_open


def new_answer(loaded: Loaded, admitted: Admitted, request: str, choice: int) -> Answer:
    """An answer of which nothing has been said."""
    sampling = admitted.request.sampling
    prompt = admitted.prompt
    chat = admitted.request if isinstance(admitted.request, Chat) else None
    family = loaded.speech.family if chat else PLAIN
    parser = parser_for(
        family,
        prompt.tools if chat and may_call(chat, family) else (),
        reasoning_open=reasoning_is_open(family, prompt.tail),
        call_id=call_ids(request, choice),
        steps=loaded.speech.steps,
    )
    free = chat is not None and chat.tool_choice.mode == "auto" and chat.response_format.kind == "text"
    return Answer(
        Detokenizer(loaded.speech.decode),
        StopFilter(sampling.stop),
        parser,
        eos=frozenset() if sampling.ignore_eos else loaded.eos,
        window=admitted.window,
        # A grammar sees to it by itself, and lets the model write the call's end.
        single=free and chat is not None and not chat.tool_choice.parallel,
    )


def score(vocabulary: Vocabulary, picked: Picked) -> Score:
    """How likely a token was, and which others would have been."""
    bytes_of = vocabulary.bytes_of
    likeliest = [(bytes_of(token), logprob) for token, logprob in picked.likeliest]
    return Score(bytes_of(picked.token), picked.logprob, likeliest)
