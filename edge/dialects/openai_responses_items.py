"""Items of a conversation → turns. Pure.

What a model said in one go lies in several items: reasoning, a message, calls. A chat template wants one turn of it, so
they are put together again. It knows nothing of the rest of the body.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec
from msgspec import Raw

from cortex.edge.dialects import openai_responses_foreign as foreign
from cortex.edge.dialects.conversation import check_parts, just_sent
from cortex.edge.dialects.custom_input import arguments_of
from cortex.edge.dialects.decoding import decode_at, invalid, unsupported
from cortex.edge.dialects.fields import check_name
from cortex.edge.dialects.openai_responses_body import (
    AgentMessage,
    Call,
    CallOutput,
    Kind,
    Message,
    Part,
    Thought,
)
from cortex.edge.dialects.openai_responses_tools import full_name
from cortex.edge.dialects.sealed import unsealed
from cortex.edge.images import Images
from cortex.protocol.request import Part as TurnPart
from cortex.protocol.request import Role, Text, ToolCall, Turn

ROLES: dict[str, Role] = {
    "developer": "system",
    "system": "system",
    "user": "user",
    "assistant": "assistant",
}
TEXTS = frozenset({"input_text", "output_text", "text", "summary_text", "reasoning_text"})
MEDIA = {"input_image": "image", "input_file": "file", "input_audio": "audio"}
CALLS = frozenset({"function_call", "custom_tool_call"})
OUTPUTS = frozenset({"function_call_output", "custom_tool_call_output"})

LONGEST_NAME = 40
"""Characters of a type that nobody knows that are repeated."""

Item = Message | AgentMessage | Call | CallOutput | Thought | foreign.Done

_messages = msgspec.json.Decoder(Message)
_agent_messages = msgspec.json.Decoder(AgentMessage)
_calls = msgspec.json.Decoder(Call)
_outputs = msgspec.json.Decoder(CallOutput)
_thoughts = msgspec.json.Decoder(Thought)


class Given(NamedTuple):
    """An item as it was sent or kept, with its place, and as much of it as tells what it is."""

    kind: Kind
    raw: Raw
    at: str


def turns_of(earlier: Sequence[Given], items: Sequence[Given]) -> list[Turn]:
    """The turns of a conversation that was kept, and of what a client sends now."""
    given = [*earlier, *items]
    said = [_item(one) for one in given]
    reader = _Reader(_images(said))
    fresh = just_sent([_speaker(item) for item in said])
    for index, (item, one) in enumerate(zip(said, given, strict=True)):
        reader.take(item, one.at, fresh=index == fresh)
    reader.close()
    return reader.turns


def _item(given: Given) -> Item | None:
    """One item; none if it says nothing. What nobody knows is refused: a conversation without it would be another."""
    kind, raw, at = given
    if kind.type in (None, "message") and kind.role is not None:
        return decode_at(raw, _messages, at)
    if kind.type in CALLS:
        return decode_at(raw, _calls, at)
    if kind.type in OUTPUTS:
        return decode_at(raw, _outputs, at)
    if kind.type == "reasoning":
        return decode_at(raw, _thoughts, at)
    if kind.type == "agent_message":
        return decode_at(raw, _agent_messages, at)
    if kind.type in (None, "message"):
        raise invalid(f"{at}.role", "is required in a message")
    return None if kind.type in foreign.SILENT else foreign.read(kind.type, raw, at)


def _images(items: Sequence[Item | None]) -> Images:
    """The reader of all images in these items, which must not hold too much of anything."""
    contents = [content for item in items if isinstance(content := _content(item), list)]
    check_parts(sum(map(len, contents)), "input")
    return Images(sum(_is_image(part) for content in contents for part in content))


def _content(item: Item | None) -> str | list[Part] | None:
    if isinstance(item, Message | AgentMessage):
        return item.content
    if isinstance(item, CallOutput):
        return item.output
    return item.content or item.summary if isinstance(item, Thought) else None


def _is_image(part: Part) -> bool:
    return part.type == "input_image" and part.image_url is not None


def _speaker(item: Item | None) -> str:
    """Whose word it is; agents go on by themselves when one of them has answered another."""
    match item:
        case None:
            return "system"
        case Message():
            return ROLES.get(item.role, "")
        case AgentMessage() | CallOutput():
            return "tool"
        case foreign.Done(answer=str()):
            return "tool"
    return "assistant"


class _Reader:
    """Takes item after item. What the model says is open until somebody else speaks."""

    def __init__(self, images: Images) -> None:
        self.turns: list[Turn] = []
        self._images = images
        self._thoughts: list[str] = []
        self._parts: list[TurnPart] = []
        self._calls: list[ToolCall] = []

    def take(self, item: Item | None, at: str, *, fresh: bool) -> None:
        """One item. `fresh`: a person has just sent it."""
        match item:
            case Message():
                self._message(item, at, fresh=fresh)
            case Call():
                self._call(item, at)
            case CallOutput():
                self._answer(item.call_id, _parts(item.output, f"{at}.output", self._images, fresh=False))
            case Thought():
                self._begin()
                self._thoughts += _thought(item)
            case AgentMessage():
                self._message(Message(role="user", content=item.content), at, fresh=False)
            case foreign.Done():
                self._calls += [item.call] if item.call is not None else []
                if item.answer is not None:
                    self._answer(item.call_id, [Text(text=item.answer)] if item.answer else [])

    def _message(self, message: Message, at: str, *, fresh: bool) -> None:
        role = ROLES.get(message.role)
        if role is None:
            raise invalid(f"{at}.role", f"must be one of {', '.join(ROLES)}")
        if message.content is None and role != "assistant":
            raise invalid(f"{at}.content", f"is required in a message of role {message.role}")
        parts = _parts(message.content, f"{at}.content", self._images, fresh=fresh)
        if role == "assistant":
            self._begin()
            self._parts += parts
            return
        self.close()
        self.turns.append(Turn(role=role, parts=tuple(parts)))

    def _call(self, call: Call, at: str) -> None:
        name = full_name(call.namespace, call.name)
        check_name(name, f"{at}.name")
        if call.arguments is None and call.input is not None:
            arguments = arguments_of(call.input)
        else:
            arguments = (call.arguments or "").encode()
        self._calls.append(ToolCall(id=call.call_id, name=name, arguments=arguments))

    def _answer(self, call_id: str, parts: list[TurnPart]) -> None:
        self.close()
        self.turns.append(Turn(role="tool", parts=tuple(parts), tool_call_id=call_id))

    def _begin(self) -> None:
        """More is said. After text alone that is another turn; what follows a call belongs to it until it is answered."""
        if self._parts and not self._calls:
            self.close()

    def close(self) -> None:
        """Somebody else speaks."""
        if self._thoughts or self._parts or self._calls:
            turn = Turn(
                role="assistant",
                parts=tuple(self._parts),
                reasoning="\n".join(self._thoughts),
                tool_calls=tuple(self._calls),
            )
            self.turns.append(turn)
            self._thoughts, self._parts, self._calls = [], [], []


def _thought(thought: Thought) -> list[str]:
    """What was thought: as it was sealed here, else as it is told. What others encrypted is left out."""
    own = unsealed(thought.encrypted_content or "")
    if own is not None:
        return [own] if own else []
    return [part.text for part in thought.content or thought.summary or () if part.text]


def _parts(content: str | Iterable[Part] | None, at: str, images: Images, *, fresh: bool) -> list[TurnPart]:
    """What can be read of it. In what a person has just sent, what cannot is refused; elsewhere a word stands for it."""
    if content is None or isinstance(content, str):
        return [Text(text=content)] if content else []
    parts: list[TurnPart] = []
    for index, part in enumerate(content):
        if part.type in TEXTS:
            if part.text is None and fresh:
                raise invalid(f"{at}[{index}].text", f"is required in a part of type {part.type}")
            parts.append(Text(text=part.text or ""))
        elif part.type == "refusal":
            parts.append(Text(text=part.refusal or ""))
        elif part.type == "input_image" and part.image_url is not None:
            parts.append(images.from_url(part.image_url, f"{at}[{index}].image_url", fresh=fresh))
        elif not fresh:
            parts.append(Text(text=f"[{MEDIA.get(part.type, part.type[:LONGEST_NAME])} omitted]"))
        elif part.type in MEDIA:
            raise unsupported(
                f"{at}[{index}]", f"cannot be served: no {MEDIA[part.type]} is read here; send text"
            )
        else:
            found = part.type[:LONGEST_NAME]
            raise invalid(f"{at}[{index}].type", f"must be input_text or input_image, not {found}")
    return parts
