"""From a directory in Hugging Face layout to a model that attends through our slots, or as it stands where it cannot.

Nothing is fetched and no code from the directory runs: safetensors only, and a configuration that names its own
code is refused. What cannot be computed correctly is refused here, with the reason, and never served wrong.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from cortex.neuron.config import ModelSettings
from cortex.neuron.engine.base import LoadAdvanced
from cortex.neuron.engine.torch import attention, files
from cortex.neuron.engine.torch.cache import LayerShape
from cortex.neuron.engine.torch.complaints import broken, names_of, require_whole, sentence
from cortex.neuron.engine.torch.constraint import Grammars
from cortex.neuron.engine.torch.plain import Plain, examine, try_out_plain
from cortex.neuron.engine.torch.pooling import Pooling, pooling_of
from cortex.neuron.engine.torch.sampler import Defaults
from cortex.neuron.engine.torch.speech import Speech, speech_of
from cortex.neuron.engine.torch.template import why_mute
from cortex.neuron.engine.torch.vocabulary import Vocabulary
from cortex.protocol.faults import Code, FaultError, fault

log = logging.getLogger("cortex.engine")

KNOWN_LAYERS = ("full_attention", "sliding_attention")
GROWING_ROPE = ("dynamic", "longrope")
"""Rotary embeddings that change once a sequence is long: for the whole batch, and for what was read of it before."""
LENGTHS = ("max_position_embeddings", "max_seq_len", "seq_length")
"""What configurations call the longest context. One of a recurrent model names none."""
CONVERSION = "conversion of the weights"
"""What transformers says when it cannot make one tensor of many."""
UNCONVERTED = (
    "The tensors of its experts have different shapes, or some are missing; fetch the model's files again."
)


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
    speech: Speech
    dtype: torch.dtype
    device: torch.device
    bytes: int
    plain: Plain | None = None
    """How it reads if it does not attend through our slots; `layers` is empty then."""
    mute: str = ""
    """Why it cannot chat."""

    @property
    def capabilities(self) -> tuple[str, ...]:
        """In alphabetical order."""
        if self.mute:
            return ("text",)
        return tuple(sorted(("chat", "text", *self.speech.abilities(str(self.tokenizer.chat_template)))))

    @property
    def words(self) -> str:
        """What there is to say of how it is served, for people."""
        return "; ".join(part for part in (self.plain.words if self.plain else "", self.mute) if part)


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
    plain: Plain | None = None


def read(settings: ModelSettings, device: torch.device, tell: Tell) -> tuple[Any, Facts]:
    """A model in the memory of this process, as its files have it, tried out; `tell` hears how far it is.

    `device` is where it will be computed: that decides on the number format. Raises `FaultError`, code load_failed.
    """
    try:
        return _read(settings, device, tell)
    except FaultError:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise broken(f"config.json asks for a model that cannot be built: {sentence(error)}") from error
    except Exception as error:  # configurations and weights fail in as many ways as there are libraries below
        raise fault(Code.LOAD_FAILED, f"{settings.id}: {sentence(error)}") from error


def _read(settings: ModelSettings, device: torch.device, tell: Tell) -> tuple[Any, Facts]:
    directory = files.directory(settings)
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    attention.register()
    dtype = files.dtype(settings.dtype, device)
    _require_config(directory)
    model, layers, reason = _attending(
        directory, dtype, lambda: tell(LoadAdvanced(settings.id, 55, detail="trying it out"))
    )
    plain = None
    if model is None:
        gc.collect()
        model = _open(directory, dtype)
        plain = examine(model, reason)
        log.warning("%s is %s", settings.id, plain.words)
    config = model.config.get_text_config()
    facts = Facts(
        layers=layers,
        context=_context(settings, config),
        vocabulary=model.get_input_embeddings().weight.shape[0],
        eos=_eos(model.generation_config),
        defaults=_defaults(model.generation_config),
        dtype=dtype,
        plain=plain,
    )
    return model, facts


def _attending(
    directory: Path, dtype: torch.dtype, told: Callable[[], None]
) -> tuple[Any, tuple[LayerShape, ...], str]:
    """A model that attends through our function and what each layer stores, or why there is none.

    Models refuse foreign attention in many ways. What fails for another reason fails again without it.
    """
    try:
        model = _open(directory, dtype, attn_implementation=attention.NAME)
        told()
        return model, _probe(model, model.config.get_text_config()), ""
    except attention.AttentionUnsupportedError as error:
        return None, (), f"{error}"
    except FaultError:  # what its files lack they lack again
        raise
    except Exception as error:  # see above
        log.info("%s does not take our attention: %s", directory, sentence(error))
        log.debug("it failed here", exc_info=True)
        return None, (), f"it does not run with this engine's attention ({type(error).__name__})"


def _require_config(directory: Path) -> None:
    """Whether transformers takes the configuration: what it says of that is about a key."""
    try:
        AutoConfig.from_pretrained(directory, trust_remote_code=False, local_files_only=True)
    except Exception as error:
        raise broken(f"config.json: {sentence(error)}") from error


def _open(directory: Path, dtype: torch.dtype, **more: str) -> Any:
    """Raises `FaultError` for a checkpoint that lacks weights: transformers would draw random ones, and say so nowhere."""
    try:
        model, info = AutoModelForCausalLM.from_pretrained(
            directory,
            dtype=dtype,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            ignore_mismatched_sizes=True,  # we refuse them ourselves, by name
            output_loading_info=True,
            **more,
        )
    except RuntimeError as error:
        if CONVERSION in str(error):
            raise broken(UNCONVERTED) from error
        raise
    require_whole(info)
    if unexpected := info.get("unexpected_keys"):
        log.info("%s has weights that its model does not: %s", directory, names_of(unexpected))
    return model.eval()


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
            speech=speech_of(settings, tokenizer),
            dtype=facts.dtype,
            device=device,
            bytes=size,
            plain=facts.plain,
            mute=why_mute(tokenizer),
        )
    except Exception as error:
        raise broken(f"{settings.id}: Its tokenizer cannot be read: {sentence(error)}") from error


def try_out(loaded: Loaded) -> None:
    """Read two tokens where it is going to be computed."""
    if loaded.plain is not None:
        try_out_plain(loaded.model, loaded.plain)
    else:
        _read_two(loaded.model, attention.Probe())


def _read_two(model: Any, probe: attention.Probe) -> None:
    device = model.get_input_embeddings().weight.device
    model(
        input_ids=torch.zeros(1, 2, dtype=torch.long, device=device),
        position_ids=torch.arange(2, device=device)[None],
        use_cache=False,
        cortex_batch=probe,
    )


def _context(settings: ModelSettings, config: Any) -> int:
    longest = next((int(found) for name in LENGTHS if (found := getattr(config, name, None))), 0)
    context = min(settings.context or longest, longest) if longest else settings.context or files.CONVERSATION
    if settings.context and settings.context > context:
        log.warning(
            "%s: context %d is cut to %d, for which it was made", settings.id, settings.context, context
        )
    rope = getattr(config, "rope_parameters", None) or {}
    # One for each kind of layer, or one for all.
    for one in [rope, *(inner for inner in rope.values() if isinstance(inner, dict))]:
        original = int(one.get("original_max_position_embeddings") or longest)
        if one.get("rope_type") in GROWING_ROPE and context > original:
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
    """The author's sampling. Who says that a model does not sample gets the likeliest token; who says nothing, what
    clients expect of an API that has a temperature of 1 by itself.
    """
    repetition = float(generation.repetition_penalty or 1.0)
    if generation.do_sample is False:
        return Defaults(repetition_penalty=repetition)
    return Defaults(
        repetition_penalty=repetition,
        temperature=1.0 if generation.temperature is None else float(generation.temperature),
        top_p=1.0 if generation.top_p is None else float(generation.top_p),
        top_k=generation.top_k or 0,
        min_p=generation.min_p or 0.0,
    )


def _probe(model: Any, config: Any) -> tuple[LayerShape, ...]:
    """Run two tokens to see that every layer attends through our function, and what each stores.

    Raises `AttentionUnsupportedError`.
    """
    probe = attention.Probe()
    with torch.inference_mode():
        _read_two(model, probe)
    layers = int(config.num_hidden_layers)
    if sorted(probe.layers) != list(range(layers)):
        raise attention.AttentionUnsupportedError(
            f"its layers bypass transformers' attention interface ({layers - len(probe.layers)} of {layers})"
        )
    for layer, kind in enumerate(getattr(config, "layer_types", None) or ()):
        if kind not in KNOWN_LAYERS or (kind == "sliding_attention") != (layer in probe.windowed):
            raise attention.AttentionUnsupportedError(f"it has attention of kind {kind!r}")
    return tuple(probe.layers[layer] for layer in range(layers))
