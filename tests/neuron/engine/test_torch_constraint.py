"""Answers that are held to a form: whatever the weights want, what is said has it, and nobody else notices."""

import json
import re
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
from driving import Drive, Heard
from msgspec import structs

from cortex.neuron.engine.torch import constraint
from cortex.neuron.engine.torch.constraint import _reason
from cortex.neuron.engine.torch.forcing import Thought
from cortex.neuron.engine.torch.speech import Speech
from cortex.protocol.deltas import ToolArguments, ToolStart
from cortex.protocol.faults import Code, FaultError
from cortex.protocol.messages import Failed, Finished
from cortex.protocol.request import (
    Chat,
    Complete,
    ResponseFormat,
    Sampling,
    Text,
    ToolChoice,
    ToolSpec,
    Turn,
)

Driving = Callable[..., Drive]
SCHEMA = {
    "type": "object",
    "properties": {
        "kind": {"enum": ["one", "two", "zwölf"]},
        "count": {"type": "integer", "minimum": 0, "maximum": 99},
        "flags": {"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 3},
    },
    "required": ["kind", "count", "flags"],
    "additionalProperties": False,
}
PLACE = b'{"type":"object","properties":{"at":{"enum":["here","there"]}},"required":["at"],"additionalProperties":false}'
LOOK = ToolSpec(name="look", schema=PLACE)
WAIT = ToolSpec(name="wait", schema=b'{"type":"object","properties":{},"additionalProperties":false}')
WARM = {"temperature": 1.5, "max_tokens": 300}


def chat(
    seed: int = 1, *, thinking: bool = False, sampling: dict[str, object] | None = None, **more: object
) -> Chat:
    return Chat(
        model="m",
        turns=(Turn(role="user", parts=(Text(text="the quick brown fox"),)),),
        sampling=Sampling(seed=seed, **(WARM | (sampling or {}))),
        template_options=json.dumps({"enable_thinking": thinking}).encode(),
        **more,
    )


def shaped(
    kind: str, definition: bytes | str | dict[str, object] = b"", *, strict: bool = True
) -> ResponseFormat:
    if isinstance(definition, dict):
        definition = json.dumps(definition)
    if isinstance(definition, str):
        definition = definition.encode()
    return ResponseFormat(kind=kind, definition=definition, strict=strict)


def settle(driven: Drive) -> None:
    """Wait, without the clock moving on, until everything that is being compiled is."""
    serving = driven.engine._serving["m"]
    for future in list(serving._loaded.grammars._compiled.values()):
        future.exception(timeout=30)


def run(driven: Drive, request: Chat, name: str = "r", **more: object) -> Heard:
    heard = driven.submit(request, name, **more)
    settle(driven)
    driven.finish()
    return heard


def check_object(found: dict[str, object]) -> None:
    assert list(found) == ["kind", "count", "flags"]
    assert found["kind"] in SCHEMA["properties"]["kind"]["enum"]
    assert 0 <= found["count"] <= 99
    assert 1 <= len(found["flags"]) <= 3


@pytest.mark.parametrize("seed", range(4))
def test_a_schema_is_kept(drive: Driving, seed: int) -> None:
    """Random weights at a high temperature write an object of the schema, and end when it is complete."""
    heard = run(drive(), chat(seed, response_format=shaped("json_schema", SCHEMA)))
    check_object(json.loads(heard.text()))
    assert heard.finish().reason == "stop"


def test_any_object_may_be_asked_for(drive: Driving) -> None:
    """It begins as one at once; one that the limit cuts short says so."""
    heard = run(drive(), chat(response_format=shaped("json_object"), sampling={"max_tokens": 12}))
    assert heard.text().startswith("{")
    assert heard.finish().reason in ("length", "stop")


def test_a_regular_expression_is_kept(drive: Driving) -> None:
    """Whole, from its first character to its last, greedily too."""
    for number, temperature in enumerate((0.0, 1.5)):
        form = shaped("regex", r"[a-f]{3}-[0-9]{2}(x|yy)")
        heard = run(drive(), chat(response_format=form, sampling={"temperature": temperature}), f"r{number}")
        assert re.fullmatch(r"[a-f]{3}-[0-9]{2}(x|yy)", heard.text())


def test_a_grammar_is_kept(drive: Driving) -> None:
    """In Lark's words, characters of several bytes included."""
    form = shaped("grammar", 'start: greeting " " name\ngreeting: "grüß" | "hello"\nname: "köln" | "東京"\n')
    heard = run(drive(), chat(response_format=form))
    assert heard.text() in {f"{one} {two}" for one in ("grüß", "hello") for two in ("köln", "東京")}


def test_neighbours_say_what_they_say_alone(drive: Driving) -> None:
    """Whatever holds one answer holds no other in the batch."""
    driven = drive()
    free = Complete(
        model="m",
        prompt=tuple(range(20, 60)),
        sampling=Sampling(temperature=0.0, max_tokens=30, ignore_eos=True),
    )
    alone = driven.run(free, "alone").tokens
    beside = driven.submit(free, "beside")
    held = [
        driven.submit(chat(seed, response_format=shaped("json_schema", SCHEMA)), f"h{seed}")
        for seed in (1, 2)
    ]
    settle(driven)
    driven.finish()
    assert beside.tokens == alone
    for heard in held:
        check_object(json.loads(heard.text()))


def test_what_is_thought_is_free(drive: Driving, monkeypatch: pytest.MonkeyPatch) -> None:
    """The form begins where the thought ends."""
    driven = drive()
    tokenizer = driven.engine._serving["m"]._loaded.tokenizer
    thought = tokenizer.encode("no { json at all", add_special_tokens=False)
    ids = [*thought, tokenizer.convert_tokens_to_ids("</think>")]
    from cortex.neuron.engine.torch import serving

    pick, said = serving.pick, 0

    def thinks_first(logits, rows):
        nonlocal said
        said += 1
        found = pick(logits, rows)
        if said <= len(ids):
            assert rows[0].allowed is None
            return [structs_replace(found[0], ids[said - 1])]
        return found

    def structs_replace(picked, token):
        return type(picked)(token)

    monkeypatch.setattr(serving, "pick", thinks_first)
    heard = run(driven, chat(thinking=True, response_format=shaped("json_schema", SCHEMA)))
    assert heard.reasoning().strip() == "no { json at all"
    check_object(json.loads(heard.text()))


@pytest.mark.parametrize("demanded", ["schema", "call"])
def test_a_model_may_think_before_what_is_demanded(
    drive: Driving, monkeypatch: pytest.MonkeyPatch, demanded: str
) -> None:
    """By itself too, where no prompt has opened a thought: only its beginning is held to anything."""
    driven = drive()
    serving = driven.engine._serving["m"]
    opener = Thought("<think>")
    monkeypatch.setattr(Speech, "may_think", lambda *_: opener)
    thought = serving._loaded.tokenizer.encode("<think>hm</think>\n\n", add_special_tokens=False)
    from cortex.neuron.engine.torch import serving as module

    pick, waiting = module.pick, [*thought]

    def thinks_first(logits, rows):
        [found] = pick(logits, rows)
        if not waiting:
            return [found]
        token = waiting.pop(0)
        assert rows[0].allowed is None or rows[0].allowed[token]
        return [type(found)(token)]

    monkeypatch.setattr(module, "pick", thinks_first)
    more = (
        {"response_format": shaped("json_schema", SCHEMA)}
        if demanded == "schema"
        else {"tools": (LOOK,), "tool_choice": ToolChoice(mode="required", parallel=False)}
    )
    heard = run(driven, chat(**more))
    assert heard.reasoning() == "hm"
    if demanded == "schema":
        check_object(json.loads(heard.text()))
    else:
        assert [piece.name for piece in heard.pieces[0] if isinstance(piece, ToolStart)] == ["look"]


def test_who_may_think(drive: Driving) -> None:
    """Whose client wants it; not in a thought, and not behind one."""
    speech = drive().engine._serving["m"]._loaded.speech
    assert speech.thought == Thought("<think>")
    asked = chat(thinking=True)
    assert speech.may_think(asked, "assistant\n") == speech.thought
    assert speech.may_think(asked, "assistant\n<think>\n") is None
    assert speech.may_think(asked, "assistant\n<think>\n\n</think>\n\n") is None
    assert speech.may_think(chat(), "assistant\n") is None
    assert speech.may_think(structs.replace(chat(), template_options=b"{}"), "assistant\n") is None


def test_with_tools_and_a_form_the_model_has_the_choice(drive: Driving) -> None:
    """A call, or an answer of the form, and nothing else; agents ask for both at once."""
    driven = drive()
    made, answered = 0, 0
    for seed in range(12):
        request = chat(seed, tools=(LOOK,), response_format=shaped("json_schema", SCHEMA))
        heard = run(driven, request, f"r{seed}")
        if heard.finish().reason == "tool_calls":
            made += 1
            assert {piece.name for piece in heard.pieces[0] if isinstance(piece, ToolStart)} == {"look"}
            assert heard.text() == ""
        else:
            answered += 1
            check_object(json.loads(heard.text()))
    assert made
    assert answered
    forbidden = chat(
        1, tools=(LOOK,), tool_choice=ToolChoice(mode="none"), response_format=shaped("json_schema", SCHEMA)
    )
    check_object(json.loads(run(driven, forbidden, "none").text()))


@pytest.mark.parametrize("mode", ["named", "required"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_call_can_be_demanded(drive: Driving, mode: str, seed: int) -> None:
    """Of a tool by its name, or of any; its arguments are of the tool's schema."""
    choice = ToolChoice(mode=mode, name="look" if mode == "named" else "", parallel=False)
    heard = run(drive(), chat(seed, tools=(WAIT, LOOK), tool_choice=choice))
    [start] = [piece for piece in heard.pieces[0] if isinstance(piece, ToolStart)]
    arguments = json.loads("".join(one.text for one in heard.pieces[0] if isinstance(one, ToolArguments)))
    assert heard.finish().reason == "tool_calls"
    assert heard.text() == ""
    if start.name == "look":
        assert arguments["at"] in ("here", "there")
    else:
        assert (mode, start.name, arguments) == ("required", "wait", {})


@pytest.mark.parametrize("family", ["qwen-xml", "mistral", "pythonic", "harmony"])
def test_a_call_can_be_demanded_of_every_family(drive: Driving, family: str) -> None:
    """In the family's own writing, from the weights through its parser to a call."""
    driven = drive(tool_calls=family)
    choice = ToolChoice(mode="named", name="look", parallel=False)
    heard = run(driven, chat(1, tools=(WAIT, LOOK), tool_choice=choice))
    assert [piece.name for piece in heard.pieces[0] if isinstance(piece, ToolStart)] == ["look"]
    arguments = json.loads("".join(one.text for one in heard.pieces[0] if isinstance(one, ToolArguments)))
    assert arguments["at"] in ("here", "there")
    assert (heard.text(), heard.finish().reason) == ("", "tool_calls")
    assert heard.terminal.calls == {"made": 1}


def test_later_attempts_go_on_within_the_form(drive: Driving) -> None:
    """What an earlier attempt said counts; the whole is of the form, and the same as without a break."""
    driven = drive()
    request = chat(3, response_format=shaped("json_schema", SCHEMA))
    whole = run(driven, request, "whole")
    tokens = whole.tokens[0]
    for cut in (1, len(tokens) // 2, len(tokens)):  # the last one has nothing left to say but its end
        rest = run(driven, request, f"rest{cut}", prefix=(tuple(tokens[:cut]),))
        assert rest.tokens.get(0, []) == tokens[cut:]
        assert isinstance(rest.terminal, Finished)
        assert whole.text().endswith(rest.text())


@pytest.mark.parametrize(
    ("form", "why"),
    [
        (shaped("json_schema", {"type": "nonsense"}), "nonsense"),
        (shaped("json_schema", {"$ref": "#/nowhere"}), "response_format cannot be kept"),
        (shaped("regex", "[a-z"), "response_format cannot be kept"),
        (shaped("grammar", "start: nobody"), "response_format cannot be kept"),
        (shaped("grammar", "start: start"), "response_format cannot be kept"),
    ],
)
def test_what_cannot_be_kept_fails_alone(drive: Driving, form: ResponseFormat, why: str) -> None:
    """The client is told what is wrong with it, and its neighbours go on."""
    driven = drive()
    well = driven.submit(chat(response_format=shaped("json_schema", SCHEMA)), "well")
    sick = run(driven, chat(response_format=form), "sick")
    assert isinstance(sick.terminal, Failed)
    assert (sick.terminal.fault.code, sick.terminal.fault.param) == (Code.INVALID_REQUEST, "response_format")
    assert why in sick.terminal.fault.message
    check_object(json.loads(well.text()))


def test_what_is_no_schema_is_refused_at_once(drive: Driving) -> None:
    """Before anything is accepted."""
    driven = drive()
    for definition in (b"[1]", b"nonsense", b"\xff"):
        with pytest.raises(FaultError) as caught:
            driven.submit(chat(response_format=shaped("json_schema", definition)), "r")
        assert caught.value.fault.param == "response_format"


def test_a_grammar_that_takes_too_long_holds_nobody_up(
    drive: Driving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others are served meanwhile; the one that waits for it is told when its time is over."""
    driven, release = drive(), threading.Event()
    grammars = driven.engine._serving["m"]._loaded.grammars
    compile_, slow = grammars._compile, shaped("regex", "slow[0-9]")

    def stuck(grammar: str, param: str):
        if "slow" in grammar:
            release.wait(30)
        return compile_(grammar, param)

    monkeypatch.setattr(grammars, "_compile", stuck)
    monkeypatch.setattr(constraint, "SECONDS", 40.0)
    sick = driven.submit(chat(response_format=slow), "sick")
    assert 0 < driven.engine.due(driven.now) < 0.01
    assert driven.engine.due(driven.now + 40) == 0
    well = driven.submit(chat(sampling={"max_tokens": 8, "ignore_eos": True}), "well")
    driven.step(12)
    assert isinstance(well.terminal, Finished)
    assert sick.terminal is None
    driven.step(30)
    assert isinstance(sick.terminal, Failed)
    assert "takes too long" in sick.terminal.fault.message
    release.set()
    quick = driven.submit(chat(response_format=shaped("regex", "[0-9]quick")), "quick")
    settle(driven)
    assert driven.engine.due(driven.now) == 0, "whoever waits for `due` would never step"
    driven.finish()
    assert re.fullmatch("[0-9]quick", quick.text())


def test_a_tokenizer_that_cannot_be_read_is_told(drive: Driving, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything else works with such a model."""
    driven = drive()
    loaded = driven.engine._serving["m"]._loaded
    unread = constraint.Grammars(object(), loaded.vocabulary.size, loaded.eos)
    monkeypatch.setattr(driven.engine._serving["m"], "_loaded", replace(loaded, grammars=unread))
    failed = run(driven, chat(response_format=shaped("json_object"))).terminal
    assert isinstance(failed, Failed)
    assert (failed.fault.code, failed.fault.param) == (Code.UNSUPPORTED, "response_format")
    assert isinstance(driven.run(chat(sampling={"max_tokens": 3}), "free").terminal, Finished)


def test_a_complaint_that_only_announces_its_reason_is_told_with_it() -> None:
    """Of a parser's drawing the reason is taken; of one line that line."""
    drawn = "regex parse error:\n    (\n    ^\nerror: unclosed group"
    assert _reason(drawn) == "regex parse error: unclosed group"
    assert _reason('Unimplemented keys: ["not"].\nmore') == 'Unimplemented keys: ["not"]'
