"""Work grows with the bytes of a body, in every dialect, and ends early where there is too much: counted, not timed.

A worker reads bodies where everybody's streams pass through, so one client's body must not hold up the others.
"""

from __future__ import annotations

import base64
import contextlib
import gc
import json
from collections.abc import Callable
from itertools import chain

import msgspec
import pytest
from lines_run import lines_run
from msgspec import structs

from cortex.edge import billing, images, prefix
from cortex.edge.dialects import (
    anthropic,
    anthropic_turns,
    decoding,
    openai_chat,
    openai_chat_body,
    openai_completions,
    openai_embeddings,
    openai_responses,
)
from cortex.edge.dialects.conversation import MAX_PARTS
from cortex.protocol.codec import REQUEST_LIMIT
from cortex.protocol.faults import Code, FaultError
from cortex.protocol.request import Chat, Text, Turn

USER = {"role": "user", "content": "hi"}
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0\0\0\0\0").decode()
ADDRESS = f"data:image/png;base64,{PNG}"
SOURCE = {"type": "base64", "media_type": "image/png", "data": PNG}


class Lists(msgspec.Struct):
    prompt: list[list[int]]


def messages(*sent, **more):
    return {"model": "m", "messages": list(sent), **more}


def items(*sent, **more):
    return {"model": "m", "input": list(sent), **more}


def user(blocks):
    return {"role": "user", "content": blocks}


def said(blocks):
    return {"role": "assistant", "content": blocks}


def text(what="a"):
    return {"type": "text", "text": what}


def tools(n):
    return [{"type": "function", "name": f"f{i}", "function": {"name": f"f{i}"}} for i in range(n)]


def blocks_of_all_types(n):
    found = {"type": "search_result", "content": [text()] * n}
    held = {"type": "document", "source": {"type": "content", "content": [text()] * n}}
    return messages(
        user([{"type": "tool_result", "tool_use_id": "t", "content": [found, held]}, found, held])
    )


CHAT, MESSAGES, RESPONSES = openai_chat.parse, anthropic.parse, openai_responses.parse
CALLS = [{"id": "a", "function": {"name": "f"}}]
USES = [{"type": "tool_use", "id": "a", "name": "f"}]
RESULTS = [
    {"type": "tool_result", "tool_use_id": "a", "content": [text(), {"type": "image", "source": SOURCE}]}
]
THOUGHTS = [{"type": "thinking", "thinking": "a"}]
BODIES: dict[str, tuple[Callable[[bytes], object], Callable[[int], object]]] = {
    "messages: blocks": (MESSAGES, lambda n: messages(user([text()] * n))),
    "messages: in a row": (MESSAGES, lambda n: messages(user([text()] * n), *[USER] * n)),
    "messages: thoughts": (MESSAGES, lambda n: messages(USER, *[said(THOUGHTS)] * n, USER)),
    "messages: calls": (MESSAGES, lambda n: messages(USER, said(USES * n), user(RESULTS * n))),
    "messages: all types": (MESSAGES, blocks_of_all_types),
    "messages: images": (MESSAGES, lambda n: messages(user([{"type": "image", "source": SOURCE}] * n), said("a"), USER)),
    "messages: system": (MESSAGES, lambda n: messages(USER, system=[text("x-anthropic-billing-header:")] * n)),
    "chat: parts": (CHAT, lambda n: messages(user([text()] * n), *[USER] * n)),
    "chat: calls": (CHAT, lambda n: messages(USER, {"role": "assistant", "tool_calls": CALLS * n})),
    "chat: images": (CHAT, lambda n: messages(user([{"type": "image_url", "image_url": ADDRESS}] * n), said("a"))),
    "chat: tools": (
        CHAT,
        lambda n: messages(USER, tools=tools(500), tool_choice={"allowed_tools": {"tools": tools(n)}}),
    ),
    "responses: items": (RESPONSES, lambda n: items(*[USER] * n)),
    "responses: parts": (RESPONSES, lambda n: items(user([text()] * n), {"type": "reasoning", "content": [text()] * n})),
    "responses: images": (
        RESPONSES,
        lambda n: items(user([{"type": "input_image", "image_url": ADDRESS}] * n), said("a"), USER),
    ),
    "completions: ids": (openai_completions.parse, lambda n: {"model": "m", "prompt": [1] * n}),
    "embeddings: ids": (openai_embeddings.parse, lambda n: {"model": "m", "input": [[1] * n] * 2}),
}  # fmt: skip


def shown(parse: Callable[[bytes], object], body: bytes) -> None:
    """From a body to a request that is ready to leave, for a model that sees none of its images."""
    parsed = parse(body)
    chat = getattr(parsed, "request", None)
    if isinstance(chat, Chat):
        travels, _ = images.detached(images.for_model(chat, sees=False))
        prefix.blocks(travels, "somebody")
        billing.without_billing(travels)


@pytest.mark.parametrize("name", BODIES)
def test_thrice_the_body_is_thrice_the_work(name: str) -> None:
    """With the square it would be nine times."""
    parse, make = BODIES[name]
    small, large = (json.dumps(make(n)).encode() for n in (100, 300))
    fewer, more = (lines_run(lambda: shown(parse, body)) for body in (small, large))  # noqa: B023  (it runs at once)
    assert more < 3.3 * fewer + 500


TOO_MANY: dict[str, tuple[Callable[[bytes], object], Callable[[int], object], str]] = {
    "messages": (MESSAGES, lambda n: messages(user([text()] * n)), "messages"),
    "messages: results": (
        MESSAGES,
        lambda n: messages(user([{"type": "tool_result", "tool_use_id": "t", "content": [text()] * n}])),
        "messages",
    ),
    "messages: a document": (
        MESSAGES,
        lambda n: messages(user([{"type": "document", "source": {"type": "content", "content": [text()] * n}}])),
        "messages",
    ),
    "messages: system": (MESSAGES, lambda n: messages(USER, system=[text()] * n), "messages"),
    "chat": (CHAT, lambda n: messages(user([text()] * n)), "messages"),
    "chat: calls": (CHAT, lambda n: messages(USER, {"role": "assistant", "tool_calls": CALLS * n}), "messages"),
    "responses": (RESPONSES, lambda n: items(user([text()] * n)), "input"),
    "responses: results": (
        RESPONSES,
        lambda n: items({"type": "function_call_output", "call_id": "t", "output": [text()] * n}),
        "input",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TOO_MANY)
def test_more_parts_than_a_request_can_carry_are_not_read(name: str) -> None:
    """They are refused before anything is made of them."""
    parse, make, at = TOO_MANY[name]
    body = json.dumps(make(MAX_PARTS + 1)).encode()

    def refused() -> None:
        with pytest.raises(FaultError, match=f"{at} holds more than {MAX_PARTS} parts"):
            parse(body)

    assert lines_run(refused) < 5000


@pytest.mark.parametrize(
    ("parse", "body"),
    [
        (CHAT, messages(USER, tools=tools(9), tool_choice={"allowed_tools": {"tools": tools(513)}})),
        (RESPONSES, items(USER, tools=tools(9), tool_choice={"type": "allowed_tools", "tools": tools(513)})),
        (openai_completions.parse, {"model": "m", "prompt": ["a"] * 100_000}),
        (openai_embeddings.parse, {"model": "m", "input": ["a"] * 100_000}),
        (openai_embeddings.parse, {"model": "m", "input": [[1] * 600_000] * 2}),
        (openai_completions.parse, {"model": "m", "prompt": [1] * 1_100_000}),
    ],
)  # fmt: skip
def test_lists_are_measured_before_they_are_read(parse, body) -> None:
    """However long they are."""
    data = json.dumps(body).encode()

    def refused() -> None:
        with pytest.raises(FaultError, match=r"send (at most|fewer)"):
            parse(data)

    assert lines_run(refused) < 5000


@pytest.mark.parametrize("field", ["input_schema", "parameters"])
def test_schemas_that_cannot_travel_are_not_measured(field: str) -> None:
    """Alone or together they are larger than a request."""
    schema = {"a": "x" * (REQUEST_LIMIT // 2)}
    sent = [{"name": name, field: schema, "function": {"name": name, field: schema}} for name in "fgh"]
    for parse, body in (
        (MESSAGES, messages(USER, tools=sent)),
        (CHAT, messages(USER, tools=sent)),
        (RESPONSES, items(USER, tools=sent)),
    ):
        if (field == "input_schema") != (parse is MESSAGES):
            continue
        with pytest.raises(FaultError, match="tools is larger than 4 MiB") as caught:
            parse(json.dumps(body).encode())
        assert caught.value.fault.code is Code.REQUEST_TOO_LARGE


@pytest.mark.parametrize(
    "parse", [MESSAGES, CHAT, RESPONSES, openai_completions.parse, openai_embeddings.parse]
)
def test_more_values_than_a_request_can_carry_are_not_decoded(parse, monkeypatch: pytest.MonkeyPatch) -> None:
    """Making millions of lists takes seconds, whoever refuses them afterwards."""
    monkeypatch.setattr(decoding, "MAX_VALUES", 1_000)
    with pytest.raises(FaultError, match="more than 1000 values or commas") as caught:
        parse(b'{"model":"m","prompt":[' + b"[1]," * 1_001 + b"oops")
    assert caught.value.fault.code is Code.REQUEST_TOO_LARGE


@pytest.mark.parametrize("body", [b'{"model":"m","messages":[{"role":"user","content":"a"}]}', b"{", b"[1]"])
def test_no_cycles_are_looked_for_while_a_body_is_decoded(body: bytes) -> None:
    """They are again afterwards, whether it could be decoded or not."""
    runs = []
    gc.callbacks.append(lambda phase, info: runs.append((phase, info)))
    try:
        with contextlib.suppress(FaultError):
            decoding.decode(body, msgspec.json.Decoder(openai_chat_body.Body))
        assert gc.isenabled()
        runs.clear()
        with contextlib.suppress(FaultError):
            decoding.decode(b'{"prompt":[' + b"[]," * 10_000 + b"[]]}", msgspec.json.Decoder(Lists))
        assert len(runs) <= 2, "start and stop of one, after it"
    finally:
        gc.callbacks.pop()


def test_messages_in_a_row_are_joined_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not once for each of them: what is copied is as much as there is."""
    copied = 0
    join, replace = anthropic_turns.joined, structs.replace

    def joined(texts):
        nonlocal copied
        made = join(texts)
        copied += len(made)
        return made

    def replaced(turn, **changes):
        nonlocal copied
        copied += len(changes.get("parts", ()))
        return replace(turn, **changes)

    monkeypatch.setattr(anthropic_turns, "joined", joined)
    monkeypatch.setattr(anthropic_turns.structs, "replace", replaced)
    thought = {"type": "thinking", "thinking": "a" * 1_000}
    sent = [
        said([thought, *[text()] * 1_000]),
        *[said([{"type": "thinking", "thinking": "b"}, text()])] * 200,
    ]
    chat = anthropic.parse(json.dumps(messages(USER, *sent, USER)).encode()).request
    assert [len(turn.parts) for turn in chat.turns] == [1, 1_200, 1]
    assert chat.turns[1].reasoning == "a" * 1_000 + "\nb" * 200
    assert copied < 4_000


def test_lines_that_change_are_looked_for_in_the_front_alone() -> None:
    """Of every system text, and of all of them together: here every line is one."""
    lines = Text(text="now 1:00\n" * 1_800)
    fewer, more = (Chat(model="m", turns=(Turn(role="system", parts=(lines,) * n),)) for n in (10, 100))
    few, many = (lines_run(lambda: prefix.blocks(chat, "a")) for chat in (fewer, more))  # noqa: B023
    assert many < 1.1 * few


def test_a_billing_line_after_another_is_not_copied_for_each() -> None:
    """Thousands of them in one text are stepped over."""

    class Counted(str):
        __slots__ = ()
        copied = 0

        def __getitem__(self, key):
            part = super().__getitem__(key)
            Counted.copied += len(part)
            return part

    said_first = Counted("x-anthropic-billing-header: 1\n" * 2_000 + "Be kind.")
    chat = Chat(model="m", turns=(Turn(role="system", parts=(Text(text=said_first),)),))
    assert billing.without_billing(chat).turns[0].text == "Be kind."  # type: ignore[union-attr]
    assert Counted.copied < 3 * len(said_first)
    assert list(chain.from_iterable(turn.parts for turn in chat.turns)) == [Text(text=said_first)]
