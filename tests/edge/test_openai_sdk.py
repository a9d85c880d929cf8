"""What the official client hears in a stream is what it reads in a whole answer, for each dialect of OpenAI's."""

import base64
import json
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from said import USAGE, client_for, deltas, replies, stream_of

from cortex.edge.dialects.dialect import Answered, Asked
from cortex.edge.dialects.openai_chat_reply import OpenAIChat
from cortex.edge.dialects.openai_completions_reply import OpenAICompletions
from cortex.edge.dialects.openai_embeddings import parse as parse_embeddings
from cortex.edge.dialects.openai_embeddings import reply as embeddings_reply
from cortex.edge.dialects.openai_responses_reply import OpenAIResponses
from cortex.protocol.deltas import Delta, Score, Scores, TextPiece
from cortex.protocol.faults import Code, Fault
from cortex.protocol.values import Usage

ANSWERED = Answered("1a", "demo", 123)
SIZES = st.sampled_from([1, 7, 64, 4096])
TOOLS = b'[{"type":"function","name":"look","parameters":{"type":"object"}}]'
USER = [{"role": "user", "content": "hi"}]


def both(dialect, body, said):
    """The stream and the whole answer of one reply."""
    parsed = dialect.parse(body, Asked())
    collector = dialect.collector(parsed, ANSWERED)
    for delta in said:
        collector.push(delta)
    return stream_of(dialect.encoder(parsed, ANSWERED), said), collector.body(USAGE)


def heard(events):
    """What a client gathers from the events alone: items by their index, and the last response."""
    items, numbers, final = {}, [], None
    for event in events:
        numbers.append(event.sequence_number)
        match event.type:
            case "response.output_item.added":
                items[event.output_index] = [event.item.type, event.item.id, ""]
            case (
                "response.output_text.delta"
                | "response.reasoning_summary_text.delta"
                | "response.function_call_arguments.delta"
            ):
                assert items[event.output_index][1] == event.item_id
                items[event.output_index][2] += event.delta
            case "response.output_text.done" | "response.reasoning_summary_text.done":
                assert event.text == items[event.output_index][2]
            case "response.function_call_arguments.done":
                assert event.arguments == items[event.output_index][2]
            case "response.output_item.done":
                assert tuple(items[event.output_index]) == content_of(event.item)
            case "response.completed" | "response.incomplete":
                final = event.response
    assert numbers == list(range(len(numbers)))
    return [tuple(items[index]) for index in sorted(items)], final


def content_of(item):
    text = {
        "message": lambda: "".join(part.text for part in item.content),
        "reasoning": lambda: "".join(part.text for part in item.summary),
        "function_call": lambda: item.arguments,
    }
    return item.type, item.id, text[item.type]()


@settings(deadline=None, max_examples=30)
@given(st.data(), SIZES)
def test_a_response_is_the_same_streamed_and_whole(data, size):
    """Item for item, with status and usage; numbers rise by one."""
    said = data.draw(deltas(data.draw(replies())))
    body = b'{"model":"demo","input":"hi","store":false,"tools":%s}' % TOOLS
    stream, whole = both(OpenAIResponses(), body, said)
    answer = client_for(whole).responses.create(model="demo", input="hi")
    events = client_for(stream, size=size).responses.create(model="demo", input="hi", stream=True)
    items, final = heard(events)
    assert items == [content_of(item) for item in answer.output]
    assert final.model_dump() == answer.model_dump()
    cut = answer.status == "incomplete"
    assert (answer.incomplete_details is not None) is cut
    if not cut:
        with client_for(stream, size=size).responses.stream(model="demo", input="hi") as helper:
            parsed = helper.get_final_response()
        assert parsed.output_text == answer.output_text
        assert [content_of(item) for item in parsed.output] == items


@settings(deadline=None, max_examples=60)
@given(st.data(), SIZES)
def test_a_chat_is_the_same_streamed_and_whole(data, size):
    """Text, reasoning, calls, log probabilities and reason of two choices whose deltas come in any order."""
    said = [data.draw(deltas(data.draw(replies()), choice=index)) for index in range(2)]
    turns = data.draw(st.permutations([index for index, one in enumerate(said) for _ in one]))
    mixed = [said[index].pop(0) for index in turns]
    body = (
        b'{"model":"demo","messages":[{"role":"user","content":"hi"}],"logprobs":true,"top_logprobs":2,"n":2}'
    )
    stream, whole = both(OpenAIChat(), body, mixed)
    answer = client_for(whole).chat.completions.create(model="demo", messages=USER)
    heard = [Choice(), Choice()]
    for chunk in client_for(stream, size=size).chat.completions.create(
        model="demo", messages=USER, stream=True
    ):
        for one in chunk.choices:
            heard[one.index].hear(one)
    assert [choice.index for choice in answer.choices] == [0, 1]
    for one, choice in zip(heard, answer.choices, strict=True):
        message = choice.message
        assert one.text == (message.content or "")
        assert one.reasoning == (getattr(message, "reasoning_content", None) or "")
        assert one.reason == choice.finish_reason
        assert one.scores == (choice.logprobs.content if choice.logprobs else [])
        calls = [[call.id, call.function.name, call.function.arguments] for call in message.tool_calls or ()]
        assert list(one.calls.values())[: len(calls)] == calls
        assert len(one.calls) - len(calls) in (0, choice.finish_reason == "length")


class Choice:
    """What a client gathers of one choice."""

    def __init__(self):
        self.text, self.reasoning, self.calls, self.scores, self.reason = "", "", {}, [], None

    def hear(self, one):
        self.text += one.delta.content or ""
        self.reasoning += getattr(one.delta, "reasoning_content", None) or ""
        self.scores += (one.logprobs and one.logprobs.content) or []
        self.reason = one.finish_reason or self.reason
        for call in one.delta.tool_calls or ():
            known = self.calls.setdefault(call.index, ["", "", ""])
            known[0] += call.id or ""
            known[1] += call.function.name or ""
            known[2] += call.function.arguments or ""


@settings(deadline=None, max_examples=60)
@given(st.data(), SIZES)
def test_a_completion_is_the_same_streamed_and_whole(data, size):
    """Text, log probabilities and reason of two choices, behind a prompt or not, rated or not."""
    echo = data.draw(st.booleans())
    prompt = [Scores([Score(b"h", None), Score(b"i", -0.5)]), TextPiece("hi")][data.draw(st.integers(0, 1)) :]
    said = [
        delta
        for index in range(2)
        for delta in [
            *([Delta("r", 1, index, 0, [], prompt)] if echo else []),
            *data.draw(deltas(data.draw(replies(calls=False, reasoning=False)), choice=index)),
        ]
    ]
    body = b'{"model":"demo","prompt":"hi","n":2,"echo":%s}' % (b"true" if echo else b"false")
    stream, whole = both(OpenAICompletions(), body, said)
    answer = client_for(whole).completions.create(model="demo", prompt="hi")
    texts, reasons, tokens = ["", ""], [None, None], [[], []]
    for chunk in client_for(stream, size=size).completions.create(model="demo", prompt="hi", stream=True):
        for choice in chunk.choices:
            texts[choice.index] += choice.text
            reasons[choice.index] = choice.finish_reason or reasons[choice.index]
            if choice.logprobs is not None:
                tokens[choice.index] += rated(choice.logprobs)
    assert texts == [choice.text for choice in answer.choices]
    assert all(text.startswith("hi") for text in texts) or not echo
    assert reasons == [choice.finish_reason for choice in answer.choices]
    assert tokens == [rated(choice.logprobs) if choice.logprobs else [] for choice in answer.choices]


def rated(told):
    """The four lists as one."""
    lists = (told.tokens, told.token_logprobs, told.top_logprobs, told.text_offset)
    return list(zip(*lists, strict=True))


@settings(deadline=None, max_examples=40)
@given(st.data(), st.integers(1, 4), st.integers(1, 3))
def test_vectors_are_the_same_in_both_writings(data, texts, length):
    """The client asks for base64 by itself, and reads bit for bit what a list of numbers says."""
    numbers = st.floats(width=32, allow_nan=False, allow_infinity=False)
    rows = [data.draw(st.lists(numbers, min_size=length, max_size=length)) for _ in range(texts)]
    vectors = b"".join(struct.pack(f"<{length}f", *row) for row in rows)
    asked = {"model": "demo", "input": ["hi"] * texts}
    for more in ({}, {"encoding_format": "float"}, {"encoding_format": "base64"}):
        parsed = parse_embeddings(json.dumps({**asked, "encoding_format": "base64", **more}).encode())
        whole = b"".join(embeddings_reply(parsed, vectors, Usage(prompt=9)))
        answer = client_for(whole).embeddings.create(**asked, **more)
        heard = [one.embedding for one in answer.data]
        if more.get("encoding_format") == "base64":
            heard = [list(struct.unpack(f"<{length}f", base64.b64decode(one))) for one in heard]
        assert [list(one) for one in heard] == rows
        assert (answer.usage.prompt_tokens, [one.index for one in answer.data]) == (9, list(range(texts)))


@pytest.mark.parametrize("size", [1, 4096])
def test_a_failed_response_says_why(size):
    """The last event is the failure, with its code; the helper has no final response."""
    dialect = OpenAIResponses()
    encoder = dialect.encoder(dialect.parse(b'{"model":"demo","input":"hi"}', Asked()), ANSWERED)
    stream = encoder.start(Usage()) + encoder.fail(
        Fault(code=Code.NEURON_LOST, message="The neuron was lost.")
    )
    *_, last = client_for(stream, size=size).responses.create(model="demo", input="hi", stream=True)
    assert (last.type, last.response.status) == ("response.failed", "failed")
    assert (last.response.error.code, last.response.error.message) == ("neuron_lost", "The neuron was lost.")
    assert encoder.kept == b""
