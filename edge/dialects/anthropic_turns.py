"""An Anthropic conversation → normalized turns. Pure; whatever is wrong is one fault that names the field.

A user message may hold results of tools and text: the results become turns of their own, first and in their order, and
the text the user turn behind them. A conversation that holds what no model here can read goes on, and so does an agent
whose tool has returned it; `anthropic_blocks` knows how. The billing line that an agent puts in front is left out
later, for every dialect.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import structs

from cortex.edge.dialects.anthropic_blocks import as_part, images_of, joined, read, required_text, result
from cortex.edge.dialects.anthropic_body import Block, Message
from cortex.edge.dialects.anthropic_thoughts import are_ours
from cortex.edge.dialects.conversation import just_sent
from cortex.edge.dialects.decoding import ABSENT, invalid
from cortex.edge.dialects.fields import MAX_MESSAGES, check_name
from cortex.edge.images import Images
from cortex.protocol.request import Part, Text, ToolCall, Turn

_texts = msgspec.json.Decoder(str)


def turns_of(system: str | list[Block] | None, messages: list[Message], model: str) -> tuple[Turn, ...]:
    """The whole conversation. Of thoughts that are signed, those of this model."""
    if not messages:
        raise invalid("messages", "must hold at least one message")
    if len(messages) > MAX_MESSAGES:
        raise invalid("messages", f"holds {len(messages)} messages; send at most {MAX_MESSAGES}")
    reader = _Reader(images_of(system, messages), model)
    if system is not None and (parts := _system_parts(system, "system")):
        reader.add(Turn(role="system", parts=parts))
    fresh = just_sent([_speaker(message) for message in messages])
    for index, message in enumerate(messages):
        reader.take(message, f"messages[{index}]", fresh=index == fresh)
    reader.close()
    if not reader.turns:
        raise invalid("messages", "must hold a message that says something")
    return tuple(reader.turns)


def _speaker(message: Message) -> str:
    """Who wrote a message of role user: a tool if it holds a result, whatever else it holds."""
    if isinstance(message.content, str) or message.role != "user":
        return message.role
    return "tool" if any(block.type == "tool_result" for block in message.content) else "user"


class _Reader:
    """Takes message after message. Turns of one role in a row are one, as Anthropic has it, and many templates insist
    on it; so a turn is made when the next one is another's. Results stay apart.
    """

    def __init__(self, images: Images, model: str) -> None:
        self.turns: list[Turn] = []
        self._images = images
        self._model = model
        self._row: list[Turn] = []
        self._names: dict[str, str] = {}

    def take(self, message: Message, at: str, *, fresh: bool) -> None:
        """One message. `fresh`: a person has just written it."""
        here = f"{at}.content"
        if message.role == "user":
            self._user(message.content, here, fresh=fresh)
        elif message.role == "assistant":
            self.add(self._assistant(message.content, here))
        elif message.role != "system":
            raise invalid(f"{at}.role", "must be user, assistant or system")
        elif parts := _system_parts(message.content, here):
            self.add(Turn(role="system", parts=parts))

    def add(self, turn: Turn) -> None:
        """What is said next."""
        if self._row and (turn.role == "tool" or turn.role != self._row[0].role):
            self.close()
        self._row.append(turn)

    def close(self) -> None:
        """Somebody else speaks."""
        row, self._row = self._row, []
        if len(row) == 1:
            self.turns += row
        elif row:
            turn = structs.replace(
                row[0],
                parts=tuple(part for one in row for part in one.parts),
                reasoning=joined(one.reasoning for one in row),
                tool_calls=tuple(call for one in row for call in one.tool_calls),
            )
            self.turns.append(turn)

    def _user(self, content: str | list[Block], at: str, *, fresh: bool) -> None:
        """The results of tools, and what else the message says."""
        if isinstance(content, str):
            self.add(Turn(role="user", parts=as_part(content)))
            return
        parts: list[Part] = []
        answers = False
        for index, block in enumerate(content):
            here = f"{at}[{index}]"
            if block.type != "tool_result":
                parts += read(block, here, self._images, fresh=fresh)
                continue
            if not block.tool_use_id:
                raise invalid(f"{here}.tool_use_id", "is required in a block of type tool_result")
            answers = True
            found = result(block, here, self._images)
            name = self._names.get(block.tool_use_id, "")
            self.add(Turn(role="tool", parts=found, tool_call_id=block.tool_use_id, name=name))
        if parts or not answers:
            self.add(Turn(role="user", parts=tuple(parts)))

    def _assistant(self, content: str | list[Block], at: str) -> Turn:
        """What the model said, with those of its thoughts that nobody else signed."""
        if isinstance(content, str):
            return Turn(role="assistant", parts=as_part(content))
        parts: list[Part] = []
        thoughts: list[str] = []
        calls: list[ToolCall] = []
        for index, block in enumerate(content):
            here = f"{at}[{index}]"
            if block.type == "thinking":
                if are_ours(block.thinking or "", block.signature, self._model):
                    thoughts.append(block.thinking or "")
            elif block.type == "tool_use":
                calls.append(_call(block, here))
                self._names[calls[-1].id] = calls[-1].name
            elif block.type == "tool_result":
                raise invalid(f"{here}.type", "must not be tool_result in a message of role assistant")
            elif block.type != "redacted_thinking":  # encrypted for another server
                parts += read(block, here, self._images, fresh=False)
        return Turn(role="assistant", parts=tuple(parts), reasoning=joined(thoughts), tool_calls=tuple(calls))


def _system_parts(content: str | list[Block], at: str) -> tuple[Part, ...]:
    """The text of a system prompt, block by block."""
    if isinstance(content, str):
        return as_part(content)
    texts = [required_text(block, f"{at}[{index}]") for index, block in enumerate(content)]
    return tuple(Text(text=text) for text in texts if text)


def _call(block: Block, at: str) -> ToolCall:
    """A call of the model's, as it made it: what it wrote is not its client's fault, be it deep, wide or no object."""
    if not block.id:
        raise invalid(f"{at}.id", "is required in a block of type tool_use")
    check_name(block.name or "", f"{at}.name")
    arguments = bytes(block.input)
    if arguments in ABSENT:
        arguments = b"{}"
    elif arguments[:1] == b'"':  # text that stands for JSON, as other dialects have it
        arguments = _texts.decode(arguments).encode()
    return ToolCall(id=block.id, name=block.name or "", arguments=arguments)


def has_prefill(turns: tuple[Turn, ...]) -> bool:
    """Whether the last word is the assistant's, so that the answer should go on from there."""
    return next(_spoken(turns), "") == "assistant"


def _spoken(turns: tuple[Turn, ...]) -> Iterator[str]:
    return (turn.role for turn in reversed(turns) if turn.role != "system")
