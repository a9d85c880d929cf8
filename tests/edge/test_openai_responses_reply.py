"""Deltas → events and bodies of OpenAI Responses."""

import json

from cortex.edge.dialects.dialect import Answered, Asked
from cortex.edge.dialects.openai_responses import begin, complete
from cortex.edge.dialects.openai_responses_kept import MAX_KEPT, Kept
from cortex.edge.dialects.openai_responses_reply import OpenAIResponses
from cortex.protocol.deltas import (
    Delta,
    Finish,
    ReasoningPiece,
    Score,
    Scores,
    TextPiece,
    ToolArguments,
    ToolEnd,
    ToolStart,
)
from cortex.protocol.values import Usage

ANSWERED = Answered("1a", "demo", 123)
USAGE = Usage(prompt=10, completion=4, cached=6, reasoning=1)
DIALECT = OpenAIResponses()
BODY = {"model": "demo", "input": "hi", "metadata": {"a": "b"}, "temperature": 0.5}


def events(data):
    """Each event, whose name must stand in it twice, and whose number must rise."""
    told = []
    for block in data.decode().split("\n\n")[:-1]:
        name, _, line = block.partition("\n")
        event = json.loads(line.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        assert event.pop("sequence_number") == len(told)
        told.append(event)
    return told


def streamed(*pieces, **more):
    parsed = DIALECT.parse(json.dumps({**BODY, **more}).encode(), Asked())
    encoder = DIALECT.encoder(parsed, ANSWERED)
    begun = encoder.start(Usage())
    said = b"".join(encoder.push(Delta("r", 1, 0, 0, [1], [piece])) for piece in pieces)
    return events(begun + said + encoder.end(USAGE))


def whole(*pieces, **more):
    collector = DIALECT.collector(DIALECT.parse(json.dumps({**BODY, **more}).encode(), Asked()), ANSWERED)
    collector.push(Delta("r", 1, 0, 0, [1], list(pieces)))
    return json.loads(collector.body(USAGE)), collector


CALL = (ToolStart(0, "call_1", "look"), ToolArguments(0, '{"at":'), ToolArguments(0, "1}"), ToolEnd(0))
REPLY = (ReasoningPiece("hm"), TextPiece("Let me"), TextPiece(" look."), *CALL, Finish("stop"))


def test_events_come_in_their_order():
    """Each item is added, filled, told whole and done before the response is completed."""
    told = streamed(*REPLY)
    assert [event["type"].removeprefix("response.") for event in told] == [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    delta = told[10]
    assert delta == {
        "type": "response.output_text.delta",
        "item_id": "msg_1a1",
        "output_index": 1,
        "content_index": 0,
        "logprobs": [],
        "delta": "Let me",
    }
    done = [event["item"] for event in told if event["type"] == "response.output_item.done"]
    assert done == told[-1]["response"]["output"]
    assert done[2] == {
        "id": "fc_1a2",
        "type": "function_call",
        "status": "completed",
        "call_id": "call_1",
        "name": "look",
        "arguments": '{"at":1}',
    }


def test_a_response_repeats_its_settings():
    """Every field that clients require, what the request set, and what holds where it was silent."""
    body, _ = whole(*REPLY)
    assert body["id"] == "resp_1a"
    assert (body["object"], body["created_at"], body["model"]) == ("response", 123, "demo")
    assert (body["status"], body["error"], body["incomplete_details"]) == ("completed", None, None)
    assert (body["metadata"], body["temperature"]) == ({"a": "b"}, 0.5)
    assert (body["tools"], body["tool_choice"], body["parallel_tool_calls"]) == ([], "auto", True)
    assert body["usage"] == {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 6, "cache_write_tokens": 0},
        "output_tokens": 4,
        "output_tokens_details": {"reasoning_tokens": 1},
        "total_tokens": 14,
    }
    created = streamed(*REPLY)[0]["response"]
    assert (created["status"], created["output"], created["usage"]) == ("in_progress", [], None)
    assert created.keys() == body.keys()


def test_what_the_limit_cuts_is_incomplete():
    """The message, the response, and the reason."""
    *_, item, last = streamed(TextPiece("half"), Finish("length"))
    assert item["item"]["status"] == "incomplete"
    assert last["type"] == "response.incomplete"
    assert last["response"]["status"] == "incomplete"
    assert last["response"]["incomplete_details"] == {"reason": "max_output_tokens"}


def test_thoughts_are_sealed_for_those_who_send_them_back():
    """If they ask for it; nothing is there while they are thought."""
    told = streamed(*REPLY, include=["reasoning.encrypted_content"], store=False)
    [added] = [
        one
        for one in told
        if one["type"].endswith("added") and one.get("item", {}).get("type") == "reasoning"
    ]
    assert added["item"]["encrypted_content"] is None
    thought = told[-1]["response"]["output"][0]
    again = [
        {"role": "user", "content": "hi"},
        {**thought, "summary": []},
        {"role": "user", "content": "and?"},
    ]
    turns = DIALECT.parse(json.dumps({"model": "demo", "input": again}).encode(), Asked()).request.turns
    assert turns[1].reasoning == "hm"
    assert "encrypted_content" not in whole(*REPLY)[0]["output"][0]


PATCH = {"type": "custom", "name": "patch", "description": "Patches.", "format": {"type": "text"}}
INNER = {"type": "function", "name": "inner", "parameters": {"type": "object"}}
CUSTOM = (ToolStart(0, "call_1", "patch"), ToolArguments(0, '{"inp'), ToolArguments(0, 'ut":"a\\'))
CUSTOM += (ToolArguments(0, 'n\\"b'), ToolArguments(0, '"}'), ToolEnd(0), Finish("tool_calls"))


def test_a_custom_tool_is_told_its_text():
    """What is a function of one string to the model; its text streams without JSON around it."""
    told = streamed(*CUSTOM, tools=[PATCH])
    assert [
        (one["type"].removeprefix("response."), one.get("delta", one.get("input"))) for one in told[3:-2]
    ] == [
        ("custom_tool_call_input.delta", "a"),
        ("custom_tool_call_input.delta", '\n"b'),
        ("custom_tool_call_input.done", 'a\n"b'),
    ]
    call = {
        "id": "ctc_1a0",
        "type": "custom_tool_call",
        "status": "completed",
        "call_id": "call_1",
        "name": "patch",
        "input": 'a\n"b',
    }
    assert told[2]["item"] == {**call, "status": "in_progress", "input": ""}
    assert told[-2]["item"] == call
    body, writer = whole(*CUSTOM, tools=[PATCH])
    assert body["output"] == [call]
    again = complete(begin(b'{"model":"demo","input":"and?"}'), kept=Kept.decode(writer.kept))
    assert json.loads(again.request.turns[1].tool_calls[0].arguments) == {"input": 'a\n"b'}


def test_a_tool_in_a_namespace_is_told_in_it():
    """The model knows it by both names in one; so does the history."""
    tools = [{"type": "namespace", "name": "mcp__at", "description": "", "tools": [INNER, PATCH]}]
    call = (
        ToolStart(0, "call_1", "mcp__at__inner"),
        ToolArguments(0, "{}"),
        ToolEnd(0),
        Finish("tool_calls"),
    )
    body, writer = whole(*call, tools=tools)
    [made] = body["output"]
    assert (made["type"], made["namespace"], made["name"]) == ("function_call", "mcp__at", "inner")
    done = [
        one for one in streamed(*call, tools=tools) if one["type"] == "response.function_call_arguments.done"
    ]
    assert done[0]["name"] == "inner"
    again = complete(begin(b'{"model":"demo","input":"and?"}'), kept=Kept.decode(writer.kept))
    assert again.request.turns[1].tool_calls[0].name == "mcp__at__inner"
    custom = (ToolStart(0, "call_1", "mcp__at__patch"), *CUSTOM[1:])
    [made] = whole(*custom, tools=tools)[0]["output"]
    assert (made["type"], made["namespace"], made["input"]) == ("custom_tool_call", "mcp__at", 'a\n"b')


def test_what_is_too_large_is_not_kept_and_says_so():
    """The next turn would look for it in vain."""
    text = "x" * (MAX_KEPT // 2)
    body, writer = whole(TextPiece(text), Finish("stop"), input=text)
    assert (body["store"], writer.kept) == (False, b"")
    body, writer = whole(TextPiece(text), Finish("stop"))
    assert (body["store"], bool(writer.kept)) == (True, True)
    told = streamed(TextPiece(text), Finish("stop"), input=text)
    assert (told[0]["response"]["store"], told[-1]["response"]["store"]) == (True, False)
    assert whole(*REPLY, store=False)[0]["store"] is False


def test_a_long_silence_is_broken_by_an_event():
    """To agents comments are silence, and after five minutes of it they give up."""
    encoder = DIALECT.encoder(DIALECT.parse(json.dumps(BODY).encode(), Asked()), ANSWERED)
    begun = encoder.start(Usage())
    assert encoder.quiet(b": ping\n\n", 1000.0) == b": ping\n\n"
    assert encoder.quiet(b": ping\n\n", 1059.0) == b": ping\n\n"
    comment, _, event = encoder.quiet(b": ping\n\n", 1060.0).partition(b"\n\n")
    assert comment == b": ping"
    assert [one["type"] for one in events(begun + event)] == [
        "response.created",
        "response.in_progress",
        "response.in_progress",
    ]
    assert encoder.quiet(b": ping\n\n", 1100.0) == b": ping\n\n"


def test_half_a_call_is_never_done():
    """An agent that runs what is done must not run it; in the response it stands as incomplete."""
    told = streamed(*CALL[:2], Finish("length"))
    assert "response.output_item.done" not in [event["type"] for event in told]
    [call] = told[-1]["response"]["output"]
    assert (call["status"], call["arguments"]) == ("incomplete", '{"at":')
    body, _ = whole(*CALL[:2], Finish("length"))
    assert body["output"] == [call]


def test_an_answer_of_nothing_is_an_empty_message():
    """Clients look for one; also after reasoning alone, but not where the limit cut."""
    types = [event["type"] for event in streamed(Finish("stop"))]
    assert types[2:5] == [
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
    ]
    body, _ = whole(ReasoningPiece("hm"), Finish("stop"))
    assert [item["type"] for item in body["output"]] == ["reasoning", "message"]
    cut, _ = whole(ReasoningPiece("hm"), Finish("length"))
    assert [item["type"] for item in cut["output"]] == ["reasoning"]


def test_log_probabilities_go_with_their_text():
    """Those of tokens whose text is held back wait for it; at the end all are told once more."""
    pieces = (
        Scores([Score(b"h", -0.5, [(b"h", -0.5)])]),
        Scores([Score(b"i", float("-inf"))]),
        TextPiece("hi"),
        Finish("stop"),
    )
    told = streamed(*pieces, include=["message.output_text.logprobs"])
    [delta] = [event for event in told if event["type"] == "response.output_text.delta"]
    assert [(one["token"], one["logprob"]) for one in delta["logprobs"]] == [("h", -0.5), ("i", -9999.0)]
    body, _ = whole(*pieces)
    assert body["output"][0]["content"][0]["logprobs"] == delta["logprobs"]


def test_what_is_kept_leads_to_the_next_turn():
    """The conversation with its answer is what the next one begins with; the instructions are not."""
    _, writer = whole(*REPLY, instructions="Be brief.")
    kept = Kept.decode(writer.kept)
    assert json.loads(bytes(kept.response))["id"] == kept.id == "resp_1a"
    output = {"type": "function_call_output", "call_id": "call_1", "output": "seen"}
    follow = {"model": "demo", "input": [output], "previous_response_id": "resp_1a"}
    parsed = complete(begin(json.dumps(follow).encode()), kept=kept)
    assert [(turn.role, turn.text, turn.reasoning) for turn in parsed.request.turns] == [
        ("user", "hi", ""),
        ("assistant", "Let me look.", "hm"),
        ("tool", "seen", ""),
    ]
    assert parsed.request.turns[1].tool_calls[0].id == "call_1"
    assert len(parsed.items) == 5


def test_nothing_is_kept_against_the_clients_will():
    """With `store: false` there is nothing to keep."""
    _, writer = whole(*REPLY, store=False)
    assert writer.kept == b""
