"""Templates tell families apart by what they hold, in an order that matters."""

from __future__ import annotations

import pytest

from cortex.protocol.toolcalls import KNOWN
from cortex.protocol.toolcalls.detect import FINGERPRINTS, family_of, reasoning_is_open
from cortex.protocol.toolcalls.families import FAMILIES

BAR = "\uff5c"
DEEPSEEK = f"<{BAR}tool\u2581calls\u2581begin{BAR}>"
JSON_CALL = '<tool_call>\n{\\"name\\": <function-name>, \\"arguments\\": <args>}\n</tool_call>'

TEMPLATES = {
    "harmony": ["{{ '<|start|>assistant<|channel|>final<|message|>' + text }}"],
    "kimi": [
        "<|tool_calls_section_begin|>{% for c in calls %}<|tool_call_begin|>{{ c.id }}{% endfor %}",
        "<|tool_call_section_begin|>",
    ],
    "gemma": ["{{ '<|tool_call>call:' + name + '{' }}", "<start_function_call>call:{{ name }}"],
    "deepseek-dsml": [f"<{BAR}DSML{BAR}function_calls>", f"<{BAR}DSML{BAR}tool_calls>"],
    "deepseek": [f"{DEEPSEEK}{{{{ name }}}}\n```json", f"<think>{DEEPSEEK}{{{{ name }}}}"],
    "minimax-m2": [
        '<minimax:tool_call><invoke name="{{ name }}"><parameter name="k">',
        "</minimax:tool_call>",
    ],
    "seed-oss": ["<seed:tool_call>\n<function={{ name }}>\n<parameter=k>"],
    "glm": ["<tool_call>{{ name }}<arg_key>{{ k }}</arg_key><arg_value>", "{arguments} <tool_call><arg_key>"],
    "mistral": [
        "[TOOL_CALLS] [{{ calls }}]",
        "[TOOL_CALLS]{{ name }}[CALL_ID]{{ id }}[ARGS]{{ arguments }}",
        "[TOOL_CALLS]{{ name }}[ARGS]{{ arguments }} [THINK]",
    ],
    "nemotron": ["<TOOLCALL>[{{ calls }}]</TOOLCALL>"],
    "command": ["<|START_ACTION|>[{{ calls }}]<|END_ACTION|>", "or choose the tool `directly-answer`"],
    "lfm2": ["<|tool_call_start|>", "{{ '<|tool_list_start|>' }}", "List of tools: [{{ tools }}]"],
    "olmo": ["<function_calls>{{ calls }}</function_calls>"],
    "qwen-xml": [
        "<tool_call>\n<function=name>\n<parameter=key>\nvalue\n</parameter>\n</function> {{ arguments }}"
    ],
    "functionary": ["<function={{ name }}>{{ arguments }}</function> or <|python_tag|>"],
    "granite": [
        "<|start_of_role|>system: write <|tool_call|> and a list",
        "<|start_of_role|>available_tools<|end_of_role|>",
    ],
    "phi": ["<|system|><|tool|>{{ tools }}<|/tool|> <|tool_call|>", "functools[{{ calls }}]"],
    "apriel": ["<tool_calls>{{ calls }}</tool_calls>"],
    "ernie": [f"{JSON_CALL} <think> then <response>"],
    "hermes": [
        JSON_CALL,
        f"<think> {JSON_CALL}",
        f"<|start_of_role|>available_tools {JSON_CALL}",
        f"<tools>{{{{ tools }}}}</tools> {JSON_CALL} <tool_response>",
    ],
    "llama": ["{{ '<|python_tag|>' }}", '{"name": a name, "parameters": dictionary of its arguments}'],
    "pythonic": ["calls are [func_name1(name=value), func_name2(name=value)]"],
    "xlam": ['answer with [{"name": "a tool", "arguments": {"key": "value"}}]'],
    "think": [
        "{{ content.split('</think>')[-1] }}",
        "assistant\n<think>\n",
        "]<]minimax[>[<think>",
        ">>>all <think>",
    ],
    "plain": [
        "",
        "{{ role }}: {{ content }}",
        "[INST] {{ content }} [/INST]",
        "{{ '>>>all\n' + content }} <function=",
        "]<]minimax[>[ minimax:tool_call",
        "{% if tools %}{{ tools }}{% endif %} tool_call",
    ],
}


@pytest.mark.parametrize(
    ("family", "template"), [(family, one) for family, ones in TEMPLATES.items() for one in ones]
)
def test_a_template_tells_its_family(family: str, template: str) -> None:
    """Also where it holds the marker of another family that comes later in the table."""
    assert family_of(template) == family


def test_every_family_is_told_by_some_template() -> None:
    """No family is without a template, and none is told that no parser knows."""
    assert set(TEMPLATES) == set(KNOWN)
    assert {family for family, _ in FINGERPRINTS} <= set(KNOWN)


def test_the_first_match_wins() -> None:
    """A template that holds the marks of several families belongs to the first one in the table."""
    joined = ""
    for template in reversed(list(TEMPLATES)[:-2]):
        joined += TEMPLATES[template][0]
        assert family_of(joined) == template


@pytest.mark.parametrize(
    ("family", "tail", "is_open"),
    [
        ("hermes", "assistant\n<think>\n", True),
        ("hermes", "assistant\n<think>", True),
        ("hermes", "assistant\n<think>\n\n</think>\n\n", False),
        ("hermes", "assistant\n", False),
        ("hermes", "write <think> first.\nassistant\n", False),
        ("hermes", "", False),
        ("mistral", "[SYSTEM_PROMPT]Use [THINK]…[/THINK].[/SYSTEM_PROMPT][INST]Hi[/INST]", False),
        ("mistral", "[INST]Hi[/INST][THINK]", True),
        ("command", "<|CHATBOT_TOKEN|><|START_THINKING|>", True),
        ("command", "<|START_THINKING|><|END_THINKING|>", False),
        ("command", "<think>", False),
        ("deepseek", "<think>\n", True),
        ("deepseek", "</think>", False),
        ("seed-oss", "<seed:think>", True),
        ("seed-oss", "<think>", False),
        ("think", "<think>\n", True),
        ("plain", "<think>\n", False),
        ("harmony", "<|start|>assistant", False),
        ("no family", "<think>\n", False),
    ],
)
def test_the_end_of_a_prompt_opens_reasoning(family: str, tail: str, is_open: bool) -> None:
    """Only its very end counts, and only the marker of its own family."""
    assert reasoning_is_open(family, tail) is is_open


def test_reasoning_is_open_for_the_marker_that_the_parser_expects() -> None:
    """A family's first opener is the one that `reasoning_open` stands for."""
    for family, row in FAMILIES.items():
        assert reasoning_is_open(family, "".join(row.thinking[0][:1] if row.thinking else "x")) is bool(
            row.thinking
        )
