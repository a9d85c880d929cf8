"""Whether and how hard to think, in the names that chat templates read. The lines are of the shapes that real ones have."""

from __future__ import annotations

import pytest

from cortex.neuron.engine.torch.thinking import dials_of, options_of
from cortex.protocol.request import Chat, Turn

QWEN = r"{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\n\n</think>\n\n' }}{%- endif %}"
GPT_OSS = (
    '{%- if reasoning_effort is not defined %}{%- set reasoning_effort = "medium" %}{%- endif %}'
    r'{{- "Reasoning: " + reasoning_effort + "\n\n" }}'
)
DEEPSEEK = (
    "{% if not thinking is defined %}{% set thinking = false %}{% endif %}"
    "{%- if thinking %}{{'<think>'}}{%- else %}{{'</think>'}}{%- endif %}"
)
GRANITE = "{%- if thinking %}Think first.{%- endif %}{%- generation -%}{{ 'x' }}{% endgeneration %}"
MISTRAL = (
    "{%- if reasoning_effort is not defined %}{%- set reasoning_effort = 'none' %}{%- endif %}"
    "{%- if reasoning_effort not in ['none', 'high'] %}{{ raise_exception('no such effort') }}{%- endif %}"
)
HUNYUAN = (
    "{%- if not reasoning_effort is defined or reasoning_effort not in ['high', 'low', 'no_think'] %}"
    "{%- set reasoning_effort = 'no_think' %}{%- endif %}{{ reasoning_effort }}"
)
SOLAR = '{%- if reasoning_effort in ["low", "minimal"] -%}{{ "<|think|><|end|>" }}{%- endif %}'
COHERE = '{%- set thinking = false if reasoning_effort is defined and reasoning_effort | lower == "none" else true %}'
DEEPSEEK_4 = (
    "{%- set thinking = enable_thinking -%}{%- if thinking and reasoning_effort == 'max' -%}all{%- endif %}"
)
KIMI = (
    "{%- if thinking is not defined %}{%- set thinking = true %}{%- endif %}"
    "{%- if thinking_effort in ['low', 'high', 'max'] %}{{ thinking_effort }}{%- endif %}"
)
MINIMAX = '{%- if thinking_mode == "enabled" -%}<think>{%- endif %}'
SEED = "{%- if not thinking_budget is defined %}{%- set thinking_budget = -1 -%}{%- endif %}{{ thinking_budget }}"
SILENT = "{{ 'thinking and reasoning_effort' }}{# enable_thinking #}{% for m in messages %}{{ m.thinking }}{% endfor %}"

OFF = {"enable_thinking": False}
ON = {"enable_thinking": True}


def options(
    template: str, effort: str | None = None, thinking: bool | None = None, **given: object
) -> object:
    if effort is not None and thinking is None:
        thinking = effort not in ("none", "minimal")
    request = Chat(model="m", turns=(Turn(role="user"),), thinking=thinking, effort=effort)
    return options_of(request, template, given)


@pytest.mark.parametrize(
    ("template", "effort", "found"),
    [
        (QWEN, "high", ON),
        (QWEN, "none", OFF),
        (QWEN, "minimal", OFF),
        (GPT_OSS, "low", {**ON, "reasoning_effort": "low"}),
        (GPT_OSS, "high", {**ON, "reasoning_effort": "high"}),
        (GPT_OSS, "max", {**ON, "reasoning_effort": "high"}),
        (GPT_OSS, "none", {**OFF, "reasoning_effort": "low"}),
        (DEEPSEEK, "low", {**ON, "thinking": True}),
        (DEEPSEEK, "none", {**OFF, "thinking": False}),
        (GRANITE, "medium", {**ON, "thinking": True}),
        (MISTRAL, "none", {**OFF, "reasoning_effort": "none"}),
        (MISTRAL, "low", {**ON, "reasoning_effort": "high"}),
        (HUNYUAN, "minimal", {**OFF, "reasoning_effort": "no_think"}),
        (HUNYUAN, "medium", {**ON, "reasoning_effort": "high"}),
        (HUNYUAN, "max", {**ON, "reasoning_effort": "high"}),
        (SOLAR, "none", {**OFF, "reasoning_effort": "minimal"}),
        (SOLAR, "high", {**ON, "reasoning_effort": "high"}),
        (COHERE, "none", {**OFF, "reasoning_effort": "none"}),
        (COHERE, "high", {**ON, "reasoning_effort": "high"}),
        (DEEPSEEK_4, "max", {**ON, "reasoning_effort": "max"}),
        (DEEPSEEK_4, "low", {**ON, "reasoning_effort": "low"}),
        (DEEPSEEK_4, "none", OFF),
        (KIMI, "xhigh", {**ON, "thinking": True, "thinking_effort": "max"}),
        (KIMI, "none", {**OFF, "thinking": False}),
        (MINIMAX, "high", {**ON, "thinking_mode": "enabled"}),
        (MINIMAX, "none", {**OFF, "thinking_mode": "disabled"}),
        (SEED, "none", {**OFF, "thinking_budget": 0}),
        (SEED, "low", {**ON, "thinking_budget": 1024}),
        (SEED, "max", {**ON, "thinking_budget": -1}),
        (SILENT, "high", ON),
        ("{% if %}", "high", ON),
    ],
)
def test_an_effort_in_the_words_of_the_template(template, effort, found) -> None:
    """The nearest that the template knows; what turns thinking off does so wherever there is a way."""
    assert options(template, effort) == found


@pytest.mark.parametrize("template", [QWEN, GPT_OSS, MISTRAL, COHERE, SEED, SILENT])
def test_who_asks_for_nothing_is_given_the_models_own_way(template) -> None:
    """But thinking at a switch is for those who ask for it."""
    assert options(template) == OFF
    assert options(DEEPSEEK) == {**OFF, "thinking": False}


def test_thinking_without_an_effort() -> None:
    """A switch is enough; where there is only the word, one is found."""
    assert options(QWEN, thinking=True) == ON
    assert options(GPT_OSS, thinking=True) == ON
    assert options(MISTRAL, thinking=True) == {**ON, "reasoning_effort": "high"}
    assert options(GPT_OSS, thinking=False) == {**OFF, "reasoning_effort": "low"}


def test_the_word_stays_where_the_switch_changes() -> None:
    """What stands at a prompt's beginning is the same for each answer of a conversation that thinks between tools."""
    assert options(GPT_OSS, "high", thinking=False) == {**OFF, "reasoning_effort": "high"}
    assert options(KIMI, "high", thinking=False) == {**OFF, "thinking": False, "thinking_effort": "high"}


def test_what_a_client_says_to_the_template_wins() -> None:
    """Word by word as it said it; a switch by another name turns the one that the template has."""
    assert options(GPT_OSS, "low", reasoning_effort="xhigh") == {**ON, "reasoning_effort": "xhigh"}
    assert options(QWEN, "high", enable_thinking=False) == OFF
    assert options(DEEPSEEK, enable_thinking=True) == {**ON, "thinking": True}
    assert options(QWEN, "high", enable_thinking=False, z=1) == {**OFF, "z": 1}
    assert options(DEEPSEEK, "none", enable_thinking=True) == {**ON, "thinking": True}


def test_a_template_is_read_once() -> None:
    """Reading a long one takes milliseconds, which every request would pay."""
    assert dials_of(GPT_OSS) is dials_of(GPT_OSS)
