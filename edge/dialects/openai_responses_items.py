"""Items of a conversation → turns. Pure.

What a model said in one go lies in several items: reasoning, a message, calls. A chat template wants one turn of it, so
they are put together again. It knows nothing of the rest of the body.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Raw

from cortex.edge import images
from cortex.edge.dialects.decoding import decode_at, invalid, unsupported
from cortex.edge.dialects.fields import check_name
from cortex.edge.dialects.openai_responses_body import Call, CallOutput, Kind, Message, Part, Thought
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

_kinds = msgspec.json.Decoder(Kind)
_messages = msgspec.json.Decoder(Message)
_calls = msgspec.json.Decoder(Call)
_outputs = msgspec.json.Decoder(CallOutput)
_thoughts = msgspec.json.Decoder(Thought)


def turns_of(earlier: Sequence[Raw], items: Sequence[Raw]) -> list[Turn]:
    """The turns of a conversation that was kept, and of what a client sends now."""
    kinds = [decode_at(item, _kinds, f"input[{index}]") for index, item in enumerate(items)]
    users = [index for index, kind in enumerate(kinds) if kind.role == "user"]
    reader = _Reader()
    for item in earlier:
        reader.take(decode_at(item, _kinds, "previous_response_id"), item, "previous_response_id", last=False)
    for index, (kind, item) in enumerate(zip(kinds, items, strict=True)):
        reader.take(kind, item, f"input[{index}]", last=bool(users) and index == users[-1])
    reader.close()
    return reader.turns


class _Reader:
    """Takes item after item. What the model says is open until somebody else speaks."""

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self._thoughts: list[str] = []
        self._parts: list[TurnPart] = []
        self._calls: list[ToolCall] = []

    def take(self, kind: Kind, item: Raw, at: str, *, last: bool) -> None:
        """One item; of a kind that is not known nothing is taken."""
        if kind.type in (None, "message") and kind.role is not None:
            self._message(decode_at(item, _messages, at), at, last=last)
        elif kind.type in CALLS:
            self._call(decode_at(item, _calls, at), at)
        elif kind.type in OUTPUTS:
            self.close()
            said = decode_at(item, _outputs, at)
            parts = tuple(_parts(said.output, f"{at}.output", last=False))
            self.turns.append(Turn(role="tool", parts=parts, tool_call_id=said.call_id))
        elif kind.type == "reasoning":
            self._begin()
            thought = decode_at(item, _thoughts, at)
            self._thoughts += [part.text for part in thought.content or thought.summary or () if part.text]
        elif kind.type == "item_reference":
            raise unsupported(
                at, "refers to an item by its id; send the item itself, or previous_response_id with store"
            )
        elif kind.type in (None, "message"):
            raise invalid(f"{at}.role", "is required in a message")

    def _message(self, message: Message, at: str, *, last: bool) -> None:
        role = ROLES.get(message.role)
        if role is None:
            raise invalid(f"{at}.role", f"must be one of {', '.join(ROLES)}")
        if message.content is None and role != "assistant":
            raise invalid(f"{at}.content", f"is required in a message of role {message.role}")
        parts = _parts(message.content, f"{at}.content", last=last)
        if role == "assistant":
            self._begin()
            self._parts += parts
            return
        self.close()
        self.turns.append(Turn(role=role, parts=tuple(parts)))

    def _call(self, call: Call, at: str) -> None:
        check_name(call.name, f"{at}.name")
        arguments = call.arguments
        if arguments is None and call.input is not None:
            arguments = msgspec.json.encode({"input": call.input}).decode()
        self._calls.append(ToolCall(id=call.call_id, name=call.name, arguments=(arguments or "").encode()))

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


def _parts(content: str | Iterable[Part] | None, at: str, *, last: bool) -> list[TurnPart]:
    """What can be read of it. In what a user says last, what cannot is refused; elsewhere a word stands for it."""
    if content is None or isinstance(content, str):
        return [Text(text=content)] if content else []
    parts: list[TurnPart] = []
    for index, part in enumerate(content):
        if part.type in TEXTS:
            if part.text is None:
                raise invalid(f"{at}[{index}].text", f"is required in a part of type {part.type}")
            parts.append(Text(text=part.text))
        elif part.type == "refusal":
            parts.append(Text(text=part.refusal or ""))
        elif part.type == "input_image" and part.image_url is not None:
            parts.append(images.from_url(part.image_url, f"{at}[{index}].image_url", fresh=last))
        elif part.type in MEDIA:
            if last:
                raise unsupported(
                    f"{at}[{index}]", f"cannot be served: no {MEDIA[part.type]} is read here; send text"
                )
            parts.append(Text(text=f"[{MEDIA[part.type]} omitted]"))
    return parts
