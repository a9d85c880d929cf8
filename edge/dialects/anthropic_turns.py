"""An Anthropic conversation → normalized turns. Pure; whatever is wrong is one fault that names the field.

A user message may hold results of tools and text: the results become turns of their own, first and in their order, and
the text the user turn behind them. What no model here can read (images, files) is refused where a person has just sent
it, and stands as a few words everywhere else: a conversation that holds one goes on, and so does an agent whose tool
has returned one. The billing line that an agent puts in front is left out later, for every dialect.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import structs

from cortex.edge import images
from cortex.edge.dialects.anthropic_body import Block, Message, Source
from cortex.edge.dialects.decoding import invalid, unsupported
from cortex.edge.dialects.fields import MAX_MESSAGES, check_name, json_object
from cortex.protocol.request import Part, Text, ToolCall, Turn

ERROR = "[error]"
"""What a model reads before the result of a tool that failed."""

_FETCHED = "must hold the data itself: no address is fetched and no file is kept on a client's word"


def turns_of(system: str | list[Block] | None, messages: list[Message]) -> tuple[Turn, ...]:
    """The whole conversation."""
    if not messages:
        raise invalid("messages", "must hold at least one message")
    if len(messages) > MAX_MESSAGES:
        raise invalid("messages", f"holds {len(messages)} messages; send at most {MAX_MESSAGES}")
    turns: list[Turn] = []
    if system is not None and (parts := _system_parts(system, "system")):
        turns.append(Turn(role="system", parts=parts))
    names: dict[str, str] = {}
    fresh = _from_a_person(messages)
    for index, message in enumerate(messages):
        at = f"messages[{index}]"
        if message.role == "user":
            found = _of_user(message, f"{at}.content", names, fresh=index == fresh)
        elif message.role == "assistant":
            found = [_of_assistant(message, f"{at}.content", names)]
        elif message.role == "system":
            parts = _system_parts(message.content, f"{at}.content")
            found = [Turn(role="system", parts=parts)] if parts else []
        else:
            raise invalid(f"{at}.role", "must be user, assistant or system")
        for turn in found:
            _append(turns, turn)
    if not turns:
        raise invalid("messages", "must hold a message that says something")
    return tuple(turns)


def _from_a_person(messages: list[Message]) -> int:
    """The place of the last user message, unless an agent wrote it: one that answers tools."""
    for index in range(len(messages) - 1, -1, -1):
        if messages[index].role == "user":
            content = messages[index].content
            by_agent = not isinstance(content, str) and any(one.type == "tool_result" for one in content)
            return -1 if by_agent else index
    return -1


def _append(turns: list[Turn], turn: Turn) -> None:
    """Turns of one role in a row are one, as Anthropic has it; many templates insist on it. Results stay apart."""
    last = turns[-1] if turns else None
    if last is None or last.role != turn.role or turn.role == "tool":
        turns.append(turn)
        return
    turns[-1] = structs.replace(
        last,
        parts=last.parts + turn.parts,
        reasoning=_joined((last.reasoning, turn.reasoning)),
        tool_calls=last.tool_calls + turn.tool_calls,
    )


def _system_parts(content: str | list[Block], at: str) -> tuple[Part, ...]:
    """The text of a system prompt, block by block."""
    if isinstance(content, str):
        texts = [content]
    else:
        texts = [_required_text(block, f"{at}[{index}]") for index, block in enumerate(content)]
    return tuple(Text(text=text) for text in texts if text)


def _required_text(block: Block, at: str) -> str:
    if block.type != "text":
        raise unsupported(f"{at}.type", f"must be text, not {block.type[:40]}")
    if block.text is None:
        raise invalid(f"{at}.text", "is required in a block of type text")
    return block.text


# ── user ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _of_user(message: Message, at: str, names: dict[str, str], *, fresh: bool) -> list[Turn]:
    """The results of tools, and what else the message says. `fresh`: a person has just written it."""
    if isinstance(message.content, str):
        return [Turn(role="user", parts=_text(message.content))]
    turns: list[Turn] = []
    parts: list[Part] = []
    for index, block in enumerate(message.content):
        here = f"{at}[{index}]"
        if block.type != "tool_result":
            parts += _read(block, here, fresh=fresh)
            continue
        if not block.tool_use_id:
            raise invalid(f"{here}.tool_use_id", "is required in a block of type tool_result")
        turns.append(
            Turn(
                role="tool",
                parts=_result(block, here),
                tool_call_id=block.tool_use_id,
                name=names.get(block.tool_use_id, ""),
            )
        )
    if parts or not turns:
        turns.append(Turn(role="user", parts=tuple(parts)))
    return turns


def _result(block: Block, at: str) -> tuple[Part, ...]:
    """What a tool returned. That it failed is said in words, for a template knows no field for it."""
    parts: list[Part] = [Text(text=ERROR)] if block.is_error else []
    if isinstance(block.content, list):
        for index, one in enumerate(block.content):
            parts += _read(one, f"{at}.content[{index}]", fresh=False)
    elif isinstance(block.content, str):
        parts += _text(block.content)
    return tuple(parts)


def _read(block: Block, at: str, *, fresh: bool) -> Iterable[Part]:
    """The parts of one block that is no result and no call."""
    match block.type:
        case "text":
            return _text(_required_text(block, at))
        case "image":
            return _image(block.source, at, fresh=fresh)
        case "document":
            return _document(block, at, fresh=fresh)
        case "search_result":
            address = block.source if isinstance(block.source, str) else ""
            return _text(_joined((block.title or "", address, _content_text(block.content))))
        case "tool_reference":
            return _text(f"[tool {block.tool_name or block.name or ''}]")
        case "tool_use" | "thinking" | "redacted_thinking":
            raise invalid(f"{at}.type", f"must not be {block.type} in a message of role user")
    return _text(_unknown(block))


def _unknown(block: Block) -> str:
    """What can be read of a block whose type is not known, such as the summary of an earlier conversation.

    What ran on somebody else's server (searches, code) is left out: its results are sealed for that server's eyes.
    """
    return block.text or (block.content if isinstance(block.content, str) else "") or ""


def _image(source: Source | str | None, at: str, *, fresh: bool) -> Iterable[Part]:
    if not isinstance(source, Source):
        if fresh:
            raise invalid(f"{at}.source", "is required in a block of type image")
        return (images.OMITTED,)
    if source.type == "base64":
        return (images.from_base64(source.data or "", source.media_type or "", f"{at}.source", fresh=fresh),)
    if fresh:
        raise unsupported(f"{at}.source", images.FETCHED)
    return (images.OMITTED,)


def _document(block: Block, at: str, *, fresh: bool) -> Iterable[Part]:
    source = block.source
    if not isinstance(source, Source):
        raise invalid(f"{at}.source", "is required in a block of type document")
    head = _joined((block.title or "", block.context or ""))
    if source.type == "text":
        return _text(_joined((head, source.data or "")))
    if source.type == "content":
        return _text(_joined((head, _content_text(source.content))))
    if not fresh:
        return (Text(text=_joined((head, "[document omitted]"))),)
    if source.type in ("url", "file"):
        raise unsupported(f"{at}.source", _FETCHED)
    raise unsupported(at, "cannot be served: only documents of plain text are supported; send its text")


def _content_text(content: object) -> str:
    """All text of a content that may be a string or blocks."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return _joined("[image omitted]" if one.type == "image" else one.text or "" for one in content)


def _text(text: str) -> tuple[Part, ...]:
    return (Text(text=text),) if text else ()


def _joined(texts: Iterable[str]) -> str:
    return "\n".join(filter(None, texts))


# ── assistant ────────────────────────────────────────────────────────────────────────────────────────────────────


def _of_assistant(message: Message, at: str, names: dict[str, str]) -> Turn:
    """What the model said. Its thoughts are kept whoever signed them: a template shows them to it, or does not."""
    if isinstance(message.content, str):
        return Turn(role="assistant", parts=_text(message.content))
    parts: list[Part] = []
    thoughts: list[str] = []
    calls: list[ToolCall] = []
    for index, block in enumerate(message.content):
        here = f"{at}[{index}]"
        if block.type == "thinking":
            thoughts.append(block.thinking or "")
        elif block.type == "tool_use":
            calls.append(_call(block, here))
            names[calls[-1].id] = calls[-1].name
        elif block.type == "tool_result":
            raise invalid(f"{here}.type", "must not be tool_result in a message of role assistant")
        elif block.type != "redacted_thinking":  # encrypted for another server
            parts += _read(block, here, fresh=False)
    return Turn(role="assistant", parts=tuple(parts), reasoning=_joined(thoughts), tool_calls=tuple(calls))


def _call(block: Block, at: str) -> ToolCall:
    if not block.id:
        raise invalid(f"{at}.id", "is required in a block of type tool_use")
    check_name(block.name or "", f"{at}.name")
    return ToolCall(id=block.id, name=block.name or "", arguments=json_object(block.input, f"{at}.input"))


def has_prefill(turns: tuple[Turn, ...]) -> bool:
    """Whether the last word is the assistant's, so that the answer should go on from there."""
    return next(_spoken(turns), "") == "assistant"


def _spoken(turns: tuple[Turn, ...]) -> Iterator[str]:
    return (turn.role for turn in reversed(turns) if turn.role != "system")
