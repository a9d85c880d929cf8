"""What the fields of the bodies mean, and what their readers hold them to: the part of the schemas that no type tells.

A number here is the reader's own, taken from where it reads; a test sends each field beyond what is said of it, and each
at it. Fields of a type that another one inherits hold for both, unless that one says more.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from cortex.edge.dialects import (
    anthropic,
    anthropic_body,
    efforts,
    fields,
    openai_chat,
    openai_chat_body,
    openai_completions,
    openai_embeddings,
    openai_responses,
    openai_responses_body,
    openai_responses_settings,
    openai_sampling,
)
from cortex.protocol.request import NO_THINKING


class Meaning(NamedTuple):
    """In words, in the keywords of JSON Schema, and, where entries are read one by one, as what."""

    text: str = ""
    limits: Mapping[str, Any] = MappingProxyType({})
    entries: tuple[type, ...] = ()


def _says(text: str = "", *entries: type, **limits: Any) -> Meaning:
    return Meaning(text, limits, entries)


MODEL = _says("An id or another name, as `/v1/models` lists them.", minLength=1, maxLength=fields.MAX_NAME)
STREAM = _says("Answer piece by piece, as server-sent events.")
TEMPERATURE = _says("Unset: what the model's own files or the operator say.", minimum=0, maximum=2)
TOP_P = _says("The likeliest tokens that have this much probability together.", minimum=0, maximum=1)
TOP_K = _says("The k likeliest tokens; -1 and 0 are all.", minimum=-1)
LIKELIEST = _says(
    "How many of the likeliest tokens are told beside each.", minimum=0, maximum=fields.MAX_LIKELIEST
)
MOST = _says("Tokens of the answer; a number that there is no room for is cut.", minimum=1)
MESSAGES = _says("The conversation, its oldest message first.", minItems=1, maxItems=fields.MAX_MESSAGES)
TOOLS = _says("What the model may call.")
PARALLEL = _says("False: at most one call in an answer.")
OFF = ", ".join(f"`{word}`" for word in NO_THINKING)
EFFORT = _says(
    f"How hard to think, in the nearest word that the model's template knows. {OFF}: answer without thinking.",
    enum=tuple(efforts.EFFORTS),
)
CHOICES = ("none", "auto", "required")
FORMS = ("text", "json_object", "json_schema")

MEANINGS: dict[type, dict[str, Meaning]] = {
    openai_sampling.SamplingFields: {
        "max_tokens": MOST,
        "min_tokens": _says("Tokens before which the answer does not end by itself.", minimum=0),
        "temperature": TEMPERATURE,
        "top_p": TOP_P,
        "top_k": TOP_K,
        "min_p": _says("Tokens of this share of the likeliest one's probability.", minimum=0, maximum=1),
        "seed": _says(
            "The same request with the same seed has the same answer, as far as the device allows."
        ),
        "stop": _says("Texts that end the answer and are not in it.", maxItems=fields.MAX_STOPS),
        "frequency_penalty": _says("For each time that a token was written.", minimum=-2, maximum=2),
        "presence_penalty": _says("Once for a token that was written.", minimum=-2, maximum=2),
        "repetition_penalty": _says(
            "What was read or written is less likely by this factor.", exclusiveMinimum=0, maximum=10
        ),
        "logit_bias": _says("Token id → what is added, -100 to 100.", maxProperties=fields.MAX_BIASES),
        "ignore_eos": _says("Write on until another limit ends the answer."),
    },
    openai_chat_body.Body: {
        "model": MODEL,
        "messages": MESSAGES,
        "stream": STREAM,
        "stream_options": _says("What a stream tells besides."),
        "tools": TOOLS,
        "tool_choice": _says("Whether a tool must be called, or which one.", enum=(*CHOICES, "any")),
        "parallel_tool_calls": PARALLEL,
        "functions": _says("What `tools` were called before; not beside them."),
        "function_call": _says("What `tool_choice` was called before.", enum=("none", "auto")),
        "modalities": _says("Text alone."),
        "audio": _says("Refused: models here write."),
        "response_format": _says("A form that the answer is held to."),
        "max_completion_tokens": MOST,
        "n": _says("Answers, each written by itself.", minimum=1, maximum=openai_chat.MAX_CHOICES),
        "logprobs": _says("Tell the log probability of each token of the answer."),
        "top_logprobs": LIKELIEST,
        "reasoning_effort": EFFORT,
        "chat_template_kwargs": _says("An object for the model's chat template, such as `enable_thinking`."),
    },
    openai_chat_body.Message: {"role": _says(enum=tuple(openai_chat.ROLES))},
    openai_chat_body.ResponseFormat: {"type": _says(enum=FORMS)},
    openai_completions.Body: {
        "model": MODEL,
        "prompt": _says("A text, texts, token ids, or lists of them; required."),
        "stream": STREAM,
        "stream_options": _says("What a stream tells besides."),
        "suffix": _says("Refused: models here write on, and do not fill in."),
        "echo": _says("Repeat the prompt before the answer; with `logprobs` it is rated."),
        "best_of": _says("As many as `n`, or refused."),
        "max_tokens": _says("Tokens of the answer; 0 with `echo` alone.", minimum=0),
        "n": _says("Answers for each prompt.", minimum=1, maximum=openai_completions.MAX_CHOICES),
        "logprobs": LIKELIEST,
    },
    anthropic_body.Body: {
        "model": MODEL,
        "messages": MESSAGES,
        "system": _says("What stands before the conversation."),
        "stream": STREAM,
        "max_tokens": MOST,
        "temperature": TEMPERATURE,
        "top_p": TOP_P,
        "top_k": TOP_K,
        "stop_sequences": _says("Texts that end the answer and are not in it.", maxItems=anthropic.MAX_STOPS),
        "tools": _says("What the model may call; tools that Anthropic's servers run are not offered to it."),
        "tool_choice": _says("Whether a tool must be called, or which one."),
        "thinking": _says("Whether the model thinks first."),
        "output_config": _says("Effort, and a form that the answer is held to."),
        "output_format": _says("What `output_config.format` was called before."),
    },
    anthropic_body.Message: {"role": _says(enum=("user", "assistant", "system"))},
    anthropic_body.ToolChoice: {"type": _says(enum=("auto", "any", "tool", "none"))},
    anthropic_body.Thinking: {
        "type": _says(enum=anthropic.THINKING),
        "budget_tokens": _says("How hard to think, where no effort says so; it limits nothing.", minimum=1),
        "display": _says("`omitted` leaves the text of thoughts out.", enum=anthropic.DISPLAYS),
    },
    anthropic_body.OutputFormat: {"type": _says(enum=("text", "json_schema"))},
    anthropic_body.OutputConfig: {"effort": EFFORT},
    openai_responses_body.Body: {
        "model": MODEL,
        "input": _says(
            "A text, or items; required unless there is an earlier response. An item's `type` tells what it is: "
            "`message` (also without), `function_call`, `custom_tool_call`, their outputs, `reasoning`.",
            openai_responses_body.Message,
            openai_responses_body.Call,
            openai_responses_body.CallOutput,
            openai_responses_body.Thought,
            maxItems=openai_responses.MAX_ITEMS,
        ),
        "instructions": _says("What stands before the conversation, in this response alone."),
        "stream": STREAM,
        "stream_options": _says("What a stream tells besides."),
        "tools": _says(
            "What the model may call, by `type`: `function`, `custom`, `namespace`. Others are passed over.",
            openai_responses_body.Function,
            openai_responses_body.Custom,
            openai_responses_body.Namespace,
        ),
        "tool_choice": _says("Whether a tool must be called, or which one.", enum=CHOICES),
        "parallel_tool_calls": PARALLEL,
        "max_output_tokens": MOST,
        "max_tool_calls": _says("Of tools that run on a server, of which there are none here.", minimum=1),
        "temperature": TEMPERATURE,
        "top_p": TOP_P,
        "top_logprobs": LIKELIEST,
        "include": _says(
            "`message.output_text.logprobs`, `reasoning.encrypted_content`; others are ignored."
        ),
        "reasoning": _says("Whether the model thinks first, and what is told of it."),
        "text": _says("A form that the answer is held to."),
        "store": _says("False: nothing is kept of the response."),
        "background": _says("True is refused: nothing runs here without a client."),
        "previous_response_id": _says("The response to go on from, kept for an hour.", minLength=1),
        "truncation": _says("Nothing is left out of a conversation here.", enum=("disabled",)),
        "metadata": _says("Repeated in the response."),
        "prompt_cache_key": _says("Repeated in the response."),
        "safety_identifier": _says("Repeated in the response."),
        "user": _says("Repeated in the response."),
        "conversation": _says("Refused: go on from `previous_response_id`."),
        "prompt": _says("Refused: it names a template of another place."),
    },
    openai_responses_body.CountBody: {"model": _says("May be left out where one model alone is served.")},
    openai_responses_body.Reasoning: {
        "effort": EFFORT,
        "summary": _says(enum=openai_responses_settings.SUMMARIES),
    },
    openai_responses_body.Format: {"type": _says(enum=FORMS)},
    openai_embeddings.Body: {
        "model": MODEL,
        "input": _says("A text, texts, token ids, or lists of them.", minItems=1),
        "encoding_format": _says("Numbers, or their 32-bit floats in base64.", enum=("float", "base64")),
        "dimensions": _says("How many of its first numbers are kept of each vector.", minimum=1),
    },
}


def meaning_of(kind: type, field: str) -> Meaning:
    """What is said of a field, by the type itself or the nearest that it inherits from."""
    for one in kind.__mro__:
        if (found := MEANINGS.get(one, {}).get(field)) is not None:
            return found
    return Meaning()
