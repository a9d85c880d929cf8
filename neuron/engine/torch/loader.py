"""From a directory in Hugging Face layout to a model that attends through our slots.

Nothing is fetched and no code from the directory runs: safetensors only, and a configuration that names its own
code is refused. What cannot be computed correctly is refused here, with the reason, and never served wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from cortex.neuron.config import ModelSettings
from cortex.neuron.engine.base import LoadAdvanced
from cortex.neuron.engine.torch import attention, files
from cortex.neuron.engine.torch.cache import LayerShape
from cortex.neuron.engine.torch.constraint import Grammars
from cortex.neuron.engine.torch.pooling import Pooling, pooling_of
from cortex.neuron.engine.torch.sampler import Defaults
from cortex.neuron.engine.torch.vocabulary import Vocabulary
from cortex.protocol.faults import Code, FaultError, fault

KNOWN_LAYERS = ("full_attention", "sliding_attention")
GROWING_ROPE = ("dynamic", "longrope")
"""Rotary embeddings that change for the whole batch once one sequence is long."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model ready to run, and what its files say about it."""

    model: Any
    tokenizer: Any
    layers: tuple[LayerShape, ...]
    context: int
    vocabulary: Vocabulary
    grammars: Grammars
    eos: frozenset[int]
    defaults: Defaults
    pooling: Pooling
    dtype: torch.dtype
    device: torch.device
    bytes: int


Tell = Callable[[LoadAdvanced], None]


@dataclass(frozen=True, slots=True)
class Facts:
    """What there is to know of a model besides its weights; without anything of a process, so that it travels."""

    layers: tuple[LayerShape, ...]
    context: int
    vocabulary: int
    """How many token ids it has."""
    eos: frozenset[int]
    """What its configuration says; the tokenizer may know another."""
    defaults: Defaults
    dtype: torch.dtype


def read(settings: ModelSettings, device: torch.device, tell: Tell) -> tuple[Any, Facts]:
    """A model in the memory of this process, as its files have it, tried out; `tell` hears how far it is.

    `device` is where it will be computed: that decides on the number format. Raises `FaultError`, code load_failed.
    """
    try:
        return _read(settings, device, tell)
    except FaultError:
        raise
    except Exception as error:  # configurations and weights fail in as many ways as there are libraries below
        raise fault(Code.LOAD_FAILED, f"{settings.id}: {type(error).__name__}: {error}.") from error


def _read(settings: ModelSettings, device: torch.device, tell: Tell) -> tuple[Any, Facts]:
    directory = files.directory(settings)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    attention.register()
    dtype = files.dtype(settings.dtype, device)
    model = AutoModelForCausalLM.from_pretrained(
        directory,
        dtype=dtype,
        attn_implementation=attention.NAME,
        use_safetensors=True,
        trust_remote_code=False,
        local_files_only=True,
    )
    tell(LoadAdvanced(settings.id, 55, detail="trying it out"))
    model.eval()
    config = model.config.get_text_config()
    facts = Facts(
        layers=_probe(settings.id, model, config),
        context=_context(settings, config),
        vocabulary=model.get_input_embeddings().weight.shape[0],
        eos=_eos(model.generation_config),
        defaults=_defaults(model.generation_config),
        dtype=dtype,
    )
    return model, facts


def complete(settings: ModelSettings, facts: Facts, model: Any, device: torch.device, size: int) -> Loaded:
    """What text takes, beside a model that was read. Raises `FaultError` with code load_failed."""
    directory = files.directory(settings)
    try:
        tokenizer = AutoTokenizer.from_pretrained(directory, trust_remote_code=False, local_files_only=True)
        own = tokenizer.eos_token_id
        eos = facts.eos if own is None else facts.eos | {own}
        return Loaded(
            model=model,
            tokenizer=tokenizer,
            layers=facts.layers,
            context=facts.context,
            vocabulary=Vocabulary(tokenizer, facts.vocabulary),
            grammars=Grammars(tokenizer, facts.vocabulary, eos),
            eos=eos,
            defaults=facts.defaults,
            pooling=pooling_of(directory),
            dtype=facts.dtype,
            device=device,
            bytes=size,
        )
    except Exception as error:
        raise fault(Code.LOAD_FAILED, f"{settings.id}: {type(error).__name__}: {error}.") from error


def try_out(model: Any, probe: attention.Probe) -> None:
    """Read two tokens."""
    device = model.get_input_embeddings().weight.device
    model(
        input_ids=torch.zeros(1, 2, dtype=torch.long, device=device),
        position_ids=torch.arange(2, device=device)[None],
        use_cache=False,
        cortex_batch=probe,
    )


def _context(settings: ModelSettings, config: Any) -> int:
    longest = int(config.max_position_embeddings)
    context = min(settings.context or longest, longest)
    rope = getattr(config, "rope_parameters", None) or {}
    if rope.get("rope_type") in GROWING_ROPE:
        original = int(rope.get("original_max_position_embeddings") or longest)
        if context > original:
            raise fault(
                Code.LOAD_FAILED,
                f"{settings.id}: Its context is too long; set it to {original} tokens or fewer.",
            )
    return context


def _eos(generation: Any) -> frozenset[int]:
    """Every id that ends an answer: chat models have more than one."""
    configured = generation.eos_token_id
    listed = configured if isinstance(configured, list | tuple) else [configured]
    return frozenset(int(token) for token in listed if token is not None)


def _defaults(generation: Any) -> Defaults:
    """The author's sampling. A model that does not sample by itself takes the likeliest token."""
    repetition = float(generation.repetition_penalty or 1.0)
    if not generation.do_sample:
        return Defaults(repetition_penalty=repetition)
    return Defaults(
        repetition_penalty=repetition,
        temperature=1.0 if generation.temperature is None else float(generation.temperature),
        top_p=1.0 if generation.top_p is None else float(generation.top_p),
        top_k=generation.top_k or 0,
        min_p=generation.min_p or 0.0,
    )


def _probe(name: str, model: Any, config: Any) -> tuple[LayerShape, ...]:
    """Run two tokens to see that every layer attends through our function, and what each stores."""
    probe = attention.Probe()
    with torch.inference_mode():
        try_out(model, probe)
    layers = int(config.num_hidden_layers)
    if sorted(probe.layers) != list(range(layers)):
        raise fault(
            Code.LOAD_FAILED,
            f"{name}: {len(probe.layers)} of its {layers} layers use transformers' attention interface, and this "
            f"engine (transformers {transformers.__version__}) needs all.",
        )
    for layer, kind in enumerate(getattr(config, "layer_types", None) or ()):
        if kind not in KNOWN_LAYERS or (kind == "sliding_attention") != (layer in probe.windowed):
            raise fault(Code.LOAD_FAILED, f"{name}: attention of kind {kind!r} is not supported.")
    return tuple(probe.layers[layer] for layer in range(layers))
