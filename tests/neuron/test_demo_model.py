"""The bundled demo model: it loads, it answers, it calls tools, and its template says what an agent needs."""

import json
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cortex.neuron.demo import MODEL_ID, model_path
from cortex.neuron.demo.evaluate import QUESTIONS, TOOLS, Demo, called
from cortex.neuron.demo.smalltalk import counting
from cortex.neuron.demo.tools import action

USER = {"role": "user", "content": "weather in Bern"}
CALL = {"name": "get_weather", "arguments": {"city": "Bern"}}


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # a small model; two threads that wait for each other are slower on busy cores
    yield Demo.load(model_path())
    torch.set_num_threads(threads)


def render(demo: Demo, messages: list[dict[str, Any]], **options: Any) -> str:
    return demo.tokenizer.apply_chat_template(messages, tokenize=False, **options)


def test_the_weights_are_small() -> None:
    """The weights stay below four megabytes."""
    assert MODEL_ID == "cortex-demo"
    assert (model_path() / "model.safetensors").stat().st_size <= 4_000_000


def test_generation_ends_at_either_end_token(demo: Demo) -> None:
    """The generation config names the end of a turn and the end of text."""
    ends = demo.tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"])
    assert demo.model.generation_config.eos_token_id == ends
    assert demo.model.config.max_position_embeddings >= 65536


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_survives_the_tokenizer(demo: Demo, text: str) -> None:
    """Whatever Unicode text goes into the tokenizer comes out again unchanged."""
    assert demo.tokenizer.decode(demo.tokenizer.encode(text, add_special_tokens=False)) == text


def test_marks_are_tokens_but_not_special(demo: Demo) -> None:
    """Thinking and tool-call marks are one token each and are not dropped with the special tokens."""
    for mark in ("<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"):
        ids = demo.tokenizer.encode(mark, add_special_tokens=False)
        assert len(ids) == 1
        assert demo.tokenizer.decode(ids, skip_special_tokens=True) == mark


def test_it_answers_questions_in_new_words(demo: Demo) -> None:
    """Of thirty questions that were kept out of training, at least eight of ten get the right key word."""
    answers = demo.ask_all(question for question, _ in QUESTIONS)
    wrong = [
        question for (question, word), answer in zip(QUESTIONS, answers, strict=True) if word not in answer
    ]
    assert len(wrong) <= 0.2 * len(QUESTIONS), wrong


def test_it_greets_and_counts(demo: Demo) -> None:
    """It says hello back, counts from one to ten and to a hundred, and between other numbers every second or third time."""
    rng = Random(7)
    counts = [counting(rng) for _ in range(12)]
    fixed = ["hello", "count from 2 to 6", "Count from 1 to 10", "Count from 1 to 100"]
    hello, five, ten, hundred, *counted = demo.ask_all([*fixed, *(question for question, _ in counts)])
    assert hello.startswith("Hello!")
    assert five == "2, 3, 4, 5, 6"
    assert ten == "1, 2, 3, 4, 5, 6, 7, 8, 9, 10"
    assert hundred == ", ".join(str(number) for number in range(1, 101))
    assert sum(answer == right for answer, (_, right) in zip(counted, counts, strict=True)) >= 5


def test_it_calls_the_right_tool(demo: Demo) -> None:
    """With five tools offered it calls the one asked for, arguments copied from the user's words, two times of three."""
    asked = [(kind, action(kind, Random(1000 + seed))) for seed in range(4) for kind in TOOLS]
    answers = demo.ask_all([one.request for _, one in asked], list(TOOLS.values()))
    wrong = []
    for (kind, one), answer in zip(asked, answers, strict=True):
        function = TOOLS[kind]["function"]
        arguments = dict(zip(function["parameters"]["properties"], one.values, strict=True))
        if called(answer) != (function["name"], arguments):
            wrong.append(one.request)
    assert len(wrong) <= 6, wrong


def test_it_reports_what_a_tool_returned(demo: Demo) -> None:
    """After a tool's result it answers in text that holds the result."""
    messages = [
        USER,
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"type": "function", "id": "1", "function": CALL}],
        },
        {"role": "tool", "tool_call_id": "1", "content": "12 C, windy"},
    ]
    answer = demo.answer(messages, [TOOLS["weather"]])
    assert "12 C, windy" in answer
    assert "<tool_call>" not in answer


def test_it_thinks_only_when_told_to(demo: Demo) -> None:
    """Thinking on, it opens with a thought and closes it; thinking off, it writes none."""
    messages = [{"role": "user", "content": "what is a neuron?"}]
    thought, closed, answer = demo.answer(messages, thinking=True).partition("</think>")
    assert thought.startswith("<think>")
    assert closed
    assert "loads models" in answer
    assert "<think>" not in demo.answer(messages)


def test_a_long_prompt_gives_finite_logits(demo: Demo) -> None:
    """A prompt far beyond the trained lengths still gives finite numbers."""
    ids = torch.arange(6000).remainder(1000).unsqueeze(0)
    with torch.inference_mode():
        logits = demo.model(input_ids=ids, logits_to_keep=1).logits
    assert bool(torch.isfinite(logits).all())


def test_the_template_lists_tools(demo: Demo) -> None:
    """Tools stand as JSON lines in the system turn, after the client's own system prompt."""
    text = render(demo, [{"role": "system", "content": "Be kind."}, USER], tools=[TOOLS["weather"]])
    system = text.partition("<|im_end|>")[0]
    assert system.startswith("<|im_start|>system\nBe kind.\n\n")
    listed = system.partition("<tools>\n")[2].partition("\n</tools>")[0]
    assert json.loads(listed) == TOOLS["weather"]["function"]


@pytest.mark.parametrize("arguments", [{"city": "Bern"}, '{"city": "Bern"}'])
def test_the_template_takes_arguments_in_either_form(demo: Demo, arguments: Any) -> None:
    """Arguments of a past call read the same whether they came as an object or as JSON text."""
    call = {"type": "function", "function": {"name": "get_weather", "arguments": arguments}}
    text = render(demo, [USER, {"role": "assistant", "content": None, "tool_calls": [call]}])
    assert text.endswith(
        '<|im_start|>assistant\n<tool_call>\n{"name": "get_weather", "arguments": {"city": "Bern"}}\n</tool_call><|im_end|>\n'
    )


def test_the_template_gathers_tool_results(demo: Demo) -> None:
    """Neighbouring tool results share one user turn."""
    results = [{"role": "tool", "content": "one"}, {"role": "tool", "content": "two"}]
    text = render(demo, [USER, *results, {"role": "user", "content": "and?"}])
    marked = "\n<tool_response>\none\n</tool_response>\n<tool_response>\ntwo\n</tool_response>"
    assert f"<|im_start|>user{marked}<|im_end|>\n<|im_start|>user\nand?<|im_end|>\n" in text


def test_the_template_drops_past_reasoning(demo: Demo) -> None:
    """What the assistant thought before is not shown to it again."""
    past = {"role": "assistant", "content": "Yes.", "reasoning_content": "secret"}
    assert "secret" not in render(demo, [USER, past, USER])


def test_the_template_takes_parts_and_late_system_turns(demo: Demo) -> None:
    """Content may come in parts, and a system turn may stand anywhere."""
    parts = {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}
    text = render(demo, [parts, {"role": "system", "content": "c"}])
    assert text == "<|im_start|>user\nab<|im_end|>\n<|im_start|>system\nc<|im_end|>\n"


@pytest.mark.parametrize(
    ("options", "ending"),
    [
        ({}, "<|im_start|>assistant\n<think>\n\n</think>\n\n"),
        ({"enable_thinking": False}, "<|im_start|>assistant\n<think>\n\n</think>\n\n"),
        ({"enable_thinking": True}, "<|im_start|>assistant\n"),
    ],
)
def test_the_prompt_closes_thinking_unless_asked_for(
    demo: Demo, options: dict[str, bool], ending: str
) -> None:
    """The generation prompt holds an empty thought unless thinking is switched on."""
    assert render(demo, [USER], add_generation_prompt=True, **options).endswith(f"<|im_end|>\n{ending}")
