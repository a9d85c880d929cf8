"""From a normalized request to prompt tokens, through the tokenizer and its chat template.

Whatever the template objects to is the client's fault and says so; nothing a client sends can replace the template.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from jinja2 import TemplateSyntaxError
from jinja2.defaults import DEFAULT_NAMESPACE
from transformers import PreTrainedTokenizerBase

from cortex.neuron.engine.torch.folding import system_first
from cortex.neuron.engine.torch.lengths import beyond
from cortex.neuron.engine.torch.patience import PATIENCE, OverdueError
from cortex.neuron.engine.torch.thinking import options_of
from cortex.protocol.faults import Code, fault
from cortex.protocol.request import Chat, Complete, Image, ToolCall, ToolSpec, Turn

RESERVED = frozenset(
    {
        *inspect.signature(PreTrainedTokenizerBase.apply_chat_template).parameters,
        *DEFAULT_NAMESPACE,
        *PreTrainedTokenizerBase.SPECIAL_TOKENS_ATTRIBUTES,
        "messages",
        "raise_exception",
        "strftime_now",
    }
)
"""What templates find by name already: options of these names would break them, or say what only the model may."""
TAIL = 128
"""Characters of the prompt's end that tell whether the answer begins inside reasoning."""
Reader = Callable[[bytes], Any]
"""Of a call's arguments as they came: what the template is given."""
RENDERING_S = 2.0
"""Seconds for a chat template: the device waits for it, and longer than 3.5 s would be a stall."""
TOKENIZING_S = 10.0
"""Seconds for the tokens of a text, where the tokenizer is written in Python."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """`tools` are those that the model was told of, `tail` is the end of the prompt's text.

    The tokenizer put the first `lead` tokens in front of a text by itself; it is only looked at where that is told.
    """

    ids: list[int]
    tools: tuple[ToolSpec, ...] = ()
    tail: str = ""
    lead: int = 0


def render(request: Chat | Complete, tokenizer: Any, context: int) -> Prompt:
    """The prompt's tokens. Raises `FaultError`, also for a text that is clearly longer than `context` tokens."""
    if isinstance(request, Complete):
        if not isinstance(request.prompt, str):
            return Prompt(list(request.prompt))
        ids = _tokens(request.prompt, tokenizer, context, "prompt")
        return Prompt(ids, lead=_lead(ids, tokenizer) if request.echo else 0)
    tools = _offered(request)
    text = text_of(request, tokenizer)
    ids = _tokens(text, tokenizer, context, "messages", add_special_tokens=False)
    return Prompt(ids, tools, text[-TAIL:])


def text_of(request: Chat, tokenizer: Any) -> str:
    """A chat as its model's template writes it. Raises `FaultError`."""
    if not tokenizer.chat_template:
        message = (
            f"{request.model} has no chat template: it completes text and embeds. To chat with it, add "
            "chat_template.jinja beside its tokenizer and load it again."
        )
        raise fault(Code.UNSUPPORTED, message, param="messages")
    tools = _offered(request)
    try:
        return PATIENCE.within(RENDERING_S, lambda: _rendered(request, tools, tokenizer))
    except OverdueError as error:
        message = (
            f"messages cannot be rendered: the model's chat template did not end within {RENDERING_S:.0f} s."
        )
        raise fault(Code.INVALID_REQUEST, message, param="messages") from error


def _lead(ids: list[int], tokenizer: Any) -> int:
    """How many of these tokens stand before every text."""
    always = takewhile(lambda pair: pair[0] == pair[1], zip(ids, tokenizer("")["input_ids"], strict=False))
    return sum(1 for _ in always)


def why_mute(tokenizer: Any) -> str:
    """Why a model cannot chat, for people; empty if it can. Its template is compiled here, which its first chat is spared."""
    if not tokenizer.chat_template:
        return "no chat template: completes and embeds only"
    probe = [{"role": "user", "content": "hello"}]
    try:
        PATIENCE.within(RENDERING_S, lambda: tokenizer.apply_chat_template(probe, tokenize=False))
    except TemplateSyntaxError as error:
        return f"{_uncompiled(error)}: completes and embeds only"
    except OverdueError:
        return f"its chat template does not end within {RENDERING_S:.0f} s: completes and embeds only"
    except Exception:  # it may want other messages than this one
        return ""
    return ""


def _uncompiled(error: TemplateSyntaxError) -> str:
    return f"its chat template cannot be compiled (line {error.lineno}: {str(error.message).rstrip('.')})"


def _tokens(text: str, tokenizer: Any, context: int, param: str, **how: bool) -> list[int]:
    def work() -> list[int]:
        _check_length(text, tokenizer, context, param)
        return list(tokenizer(text, **how)["input_ids"])

    try:
        return PATIENCE.within(TOKENIZING_S, work)
    except OverdueError as error:
        message = f"{param} cannot be read: the model's tokenizer did not end within {TOKENIZING_S:.0f} s."
        raise fault(Code.INVALID_REQUEST, message, param=param) from error


def _check_length(text: str, tokenizer: Any, context: int, param: str) -> None:
    if count := beyond(text, tokenizer, context):
        raise fault(
            Code.CONTEXT_LENGTH_EXCEEDED,
            f"This model's maximum context length is {context} tokens, prompt and answer together, and the prompt "
            f"alone has about {count} tokens.",
            param=param,
            tokens=count,
            limit=context,
        )


def _offered(request: Chat) -> tuple[ToolSpec, ...]:
    """The tools to render. A required or named call is seen to by a grammar, and all tools are shown all the same."""
    return () if request.tool_choice.mode == "none" else request.tools


def _rendered(request: Chat, tools: tuple[ToolSpec, ...], tokenizer: Any) -> str:
    """The prompt's text. What a template may refuse of a conversation that agents hold is shown to it in another way
    before the client hears of it: arguments that were malformed once, and system turns behind the first.
    """
    options = options_of(request, _source(tokenizer), _given(request.template_options))
    specs = [_tool(tool) for tool in tools] or None
    refusal: Exception | None = None
    for turns, arguments in _readings(request):
        messages = [_message(turn, arguments) for turn in turns]
        try:
            text: str = tokenizer.apply_chat_template(
                messages, tools=specs, add_generation_prompt=True, tokenize=False, **options
            )
        except TemplateSyntaxError as error:
            message = f"{request.model} cannot chat: {_uncompiled(error)}; mend the template and load the model again."
            raise fault(Code.LOAD_FAILED, message) from error
        except Exception as error:  # a template may raise by itself, and break on what it did not expect
            refusal = refusal or error
        else:
            return text
    message = f"messages cannot be rendered, for the model's chat template refuses them: {refusal}."
    raise fault(Code.INVALID_REQUEST, message, param="messages") from refusal


def _readings(request: Chat) -> Iterator[tuple[tuple[Turn, ...], Reader]]:
    """The conversation as it is, then with what a template may refuse replaced: bit by bit, as little as will do.

    Arguments that were malformed once are shown as they were, or, to a template that wants an object, in one.
    """
    readers = [_arguments]
    if not all(isinstance(_arguments(call.arguments), dict) for call in _calls(request)):
        readers.append(_wrapped)
    folded = system_first(request.turns)
    for turns in (request.turns,) if folded == request.turns else (request.turns, folded):
        for arguments in readers:
            yield turns, arguments


def _calls(request: Chat) -> list[ToolCall]:
    return [call for turn in request.turns for call in turn.tool_calls]


def _source(tokenizer: Any) -> str:
    template = tokenizer.chat_template
    return "\n".join(map(str, template.values())) if isinstance(template, dict) else str(template)


def _given(given: bytes) -> dict[str, Any]:
    try:
        options = json.loads(given or b"{}")
    except (ValueError, RecursionError) as error:
        raise fault(
            Code.INVALID_REQUEST,
            f"chat_template_kwargs is not valid JSON: {error}.",
            param="chat_template_kwargs",
        ) from error
    if not isinstance(options, dict):
        raise fault(
            Code.INVALID_REQUEST, "chat_template_kwargs must be an object.", param="chat_template_kwargs"
        )
    taken = sorted(RESERVED.intersection(options))
    if taken:
        raise fault(
            Code.INVALID_REQUEST,
            f"chat_template_kwargs must not set {taken[0]!r}; leave it out.",
            param="chat_template_kwargs",
        )
    return options


def _message(turn: Turn, arguments: Reader) -> dict[str, Any]:
    if any(isinstance(part, Image) for part in turn.parts):
        raise fault(Code.UNSUPPORTED, "This model does not see images; send text.", param="messages")
    message: dict[str, Any] = {"role": turn.role, "content": turn.text}
    if turn.reasoning:
        message["reasoning_content"] = turn.reasoning
    if turn.tool_calls:
        message["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": arguments(call.arguments)},
            }
            for call in turn.tool_calls
        ]
    if turn.tool_call_id:
        message["tool_call_id"] = turn.tool_call_id
    if turn.name:
        message["name"] = turn.name
    return message


def _arguments(text: bytes) -> Any:
    """An object where the text is one; else the text, for the model to see what it once wrote."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    return value if isinstance(value, dict) else text.decode("utf-8", "replace")


def _wrapped(text: bytes) -> Any:
    value = _arguments(text)
    return value if isinstance(value, dict) else {"malformed_arguments": value}


def _tool(tool: ToolSpec) -> dict[str, Any]:
    try:
        parameters = json.loads(tool.schema)
    except (ValueError, RecursionError) as error:
        message = f"tools holds a schema that is not valid JSON, that of {tool.name!r}: {error}."
        raise fault(Code.INVALID_REQUEST, message, param="tools") from error
    function = {"name": tool.name, "description": tool.description, "parameters": parameters}
    return {"type": "function", "function": function}
