"""Anthropic conversations → normalized turns."""

import json

import pytest
from anthropic_bodies import CALL, PDF, PIXEL, USER, body, chat, refused, result, said, text, turns, user

from cortex.edge.dialects.anthropic import parse, parse_count
from cortex.edge.dialects.anthropic_reply import MessageCollector
from cortex.edge.dialects.anthropic_stream import MessageStream
from cortex.edge.dialects.anthropic_thoughts import signature_of
from cortex.edge.dialects.dialect import Answered
from cortex.protocol.deltas import Delta, ReasoningPiece
from cortex.protocol.faults import Code
from cortex.protocol.request import Text, ToolCall
from cortex.protocol.values import Usage


def test_system_is_a_string_or_blocks():
    """Blocks stay apart, so that none of them changes the others."""
    assert chat(system="be brief").turns[0].text == "be brief"
    [system, _] = chat(system=[text("one"), text("two")]).turns
    assert system.parts == (Text(text="one"), Text(text="two"))
    assert [turn.role for turn in chat(system=[]).turns] == ["user"]


def test_system_messages_inside_keep_their_place():
    """As agents send them behind the first user turn; in front they belong to the system prompt."""
    found = turns(
        {"role": "system", "content": "first"},
        USER,
        {"role": "system", "content": [text("later")]},
        said(text("ok")),
        USER,
        system="top",
    )
    assert [turn.role for turn in found] == ["system", "user", "system", "assistant", "user"]
    assert (found[0].text, found[2].text) == ("top\nfirst", "later")


def test_results_come_first_and_in_order():
    """Results of parallel calls become turns of their own, then what else the message says; failure is said in words."""
    found = turns(
        USER,
        said(text("I look."), CALL, {**CALL, "id": "toolu_2", "name": "hear"}),
        user(
            text("and?"),
            result("seen"),
            result(
                [text("no"), PIXEL, {"type": "tool_reference", "tool_name": "x"}], "toolu_2", is_error=True
            ),
            result(None, "elsewhere"),
        ),
    )
    assert [turn.role for turn in found] == ["user", "assistant", "tool", "tool", "tool", "user"]
    assert [turn.tool_call_id for turn in found[2:5]] == ["toolu_1", "toolu_2", "elsewhere"]
    assert [turn.name for turn in found[2:5]] == ["look", "hear", ""]
    assert [turn.text for turn in found[2:]] == ["seen", "[error]\nno\n[image omitted]\n[tool x]", "", "and?"]


def test_a_call_keeps_the_bytes_of_its_input():
    """An object that is passed on as it was sent; foreign ids are passed on too."""
    data = (
        b'{"model":"demo","messages":[{"role":"user","content":"x"},{"role":"assistant","content":[{"type":"tool_use",'
        b'"id":"call_9","name":"f","input":{"b" : 1,  "a":[2.50]}}]},{"role":"user","content":"go on"}]}'
    )
    call = ToolCall(id="call_9", name="f", arguments=b'{"b" : 1,  "a":[2.50]}')
    assert parse(data).request.turns[1].tool_calls == (call,)
    without = said({"type": "tool_use", "id": "c", "name": "f"})
    assert turns(USER, without, USER)[1].tool_calls[0].arguments == b"{}"


def test_thoughts_of_others_are_dropped():
    """What is ours or has no signature is kept; what is encrypted for another server is dropped as well."""
    thought = {"type": "thinking", "thinking": "hm"}
    found = turns(
        USER,
        said(
            {**thought, "thinking": "foreign", "signature": "EqQBCgIYAhIM"},
            {"type": "redacted_thinking", "data": "xx"},
            {**thought, "thinking": "so", "signature": signature_of("so", "demo")},
            thought,
            {**thought, "signature": ""},
            {**thought, "signature": None},
            text("a"),
        ),
        USER,
    )
    assert (found[1].reasoning, found[1].text) == ("so\nhm\nhm\nhm", "a")


@pytest.mark.parametrize(
    ("thinking", "model"), [("so ", "demo"), ("", "demo"), ("so", "other"), ("oso", "dem")]
)
def test_thoughts_that_were_changed_are_nobodys(thinking, model):
    """Nor are those of another model this one's, however text and name are put together."""
    block = {"type": "thinking", "thinking": thinking, "signature": signature_of("so", "demo")}
    found = turns(USER, said(block, text("a")), USER, model=model)
    assert found[1].reasoning == ""


def test_an_answer_goes_back_as_the_same_thoughts():
    """Streamed or whole, in pieces or at once; with its text left out there is nothing left to show."""
    pieces = [ReasoningPiece("Hm. "), ReasoningPiece("Grüße 🙂")]
    for shown in (True, False):
        collector = MessageCollector(Answered("1", "demo", 1), thoughts=shown)
        stream = MessageStream(Answered("1", "demo", 1), thoughts=shown)
        streamed = b""
        for piece in pieces:
            collector.push(Delta("r", 1, 0, 0, [1], [piece]))
            streamed += stream.push(Delta("r", 1, 0, 0, [1], [piece]))
        (block,) = json.loads(collector.body(Usage()))["content"]
        assert block["signature"].encode() in streamed + stream.end(Usage())
        found = turns(USER, said(block, text("a")), USER)
        assert found[1].reasoning == ("Hm. Grüße 🙂" if shown else "")


def test_messages_of_one_role_in_a_row_are_one_turn():
    """As Anthropic has it; results of tools stay apart."""
    found = turns(USER, USER, said(text("a")), said(text("b"), CALL), user(result("r")), USER)
    assert [turn.role for turn in found] == ["user", "assistant", "tool", "user"]
    assert (found[0].text, found[1].text, len(found[1].tool_calls)) == ("hi\nhi", "a\nb", 1)


DOCUMENT = {"type": "document", "title": "T", "context": "C"}


@pytest.mark.parametrize(
    ("block", "read"),
    [
        (DOCUMENT | {"source": {"type": "text", "media_type": "text/plain", "data": "d"}}, "T\nC\nd"),
        (DOCUMENT | {"source": {"type": "content", "content": "d"}}, "T\nC\nd"),
        (
            DOCUMENT | {"source": {"type": "content", "content": [text("d"), PIXEL]}},
            "T\nC\nd\n[image omitted]",
        ),
        (
            {"type": "search_result", "source": "https://a", "title": "T", "content": [text("s")]},
            "T\nhttps://a\ns",
        ),
        ({"type": "compaction", "content": "summary"}, "summary"),
        ({"type": "container_upload", "file_id": "f"}, ""),
        (
            {
                "type": "web_search_tool_result",
                "tool_use_id": "srvtoolu_1",
                "content": [
                    {"type": "web_search_result", "title": "T", "url": "u", "encrypted_content": "x"}
                ],
            },
            "",
        ),
        (
            {
                "type": "code_execution_tool_result",
                "tool_use_id": "s",
                "content": {"type": "x", "stdout": "1"},
            },
            "",
        ),
        ({"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}}, ""),
    ],
)
def test_blocks_that_can_be_read_are_text(block, read):
    """Documents of text, results of searches, and whatever has text; the rest is left out. Alike in either role."""
    assert turns(user(block, text("?")))[0].text == "\n".join(filter(None, (read, "?")))
    assert turns(USER, said(block), USER)[1].text == read


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        (PIXEL, "is no image of type image/png"),
        ({"type": "image", "source": {"type": "url", "url": "http://127.0.0.1/x"}}, "no address is fetched"),
        (PDF, "only documents of plain text"),
        ({"type": "document", "source": {"type": "url", "url": "http://x"}}, "no address is fetched"),
        ({"type": "document", "source": {"type": "file", "file_id": "file_1"}}, "no file is kept"),
    ],
)
def test_what_nobody_can_read_is_refused_where_it_was_just_sent(block, reason):
    """With a reason in the last message of a person; a few words everywhere else, or no conversation would go on."""
    fault = refused(messages=[USER, user(text("look"), block)])
    assert fault.code in (Code.UNSUPPORTED, Code.INVALID_REQUEST)
    assert fault.message.startswith("messages[1].content[1]")
    assert reason in fault.message
    word = f"[{block['type']} omitted]"
    assert turns(user(block), said(text("a")), USER)[0].text == word
    assert turns(USER, said(CALL), user(result("r"), block))[-1].text == word
    assert turns(USER, said(CALL), user(result([block])))[-1].text == word


@pytest.mark.parametrize("later", [(), ({"role": "system", "content": "note"},)])
def test_a_prefill_is_refused(later):
    """An answer is not continued; a count may end with anything."""
    messages = [USER, said(text("The answer is")), *later]
    assert refused(messages=messages).message.startswith(
        "messages must not end with a message of role assistant"
    )
    assert len(parse_count(body(messages=messages)).turns) == 2 + len(later)
