"""Which family a model writes like, told by its chat template, and whether a prompt has opened the reasoning.

A template teaches the model its format, so it holds the markers of calls, in its instructions or where it writes the
calls of earlier turns. Several formats share a marker: the order of the table decides.
"""

from __future__ import annotations

import re

from cortex.protocol.toolcalls.families import FAMILIES

PLAIN = "plain"
THINK = "think"

_DEEPSEEK_CALLS = "<\uff5ctool\u2581calls\u2581begin\uff5c>"
_DSML = "\uff5cDSML\uff5c"
_JSON_LIST = re.compile(r'\[\s*\{\s*\\?"name\\?"\s*:')

FINGERPRINTS: tuple[tuple[str, tuple[str | re.Pattern[str], ...]], ...] = (
    ("harmony", ("<|channel|>", "<|message|>")),
    # Functionary 3.2 begins its replies in the middle of a marker, in a format that no family here reads.
    (PLAIN, (">>>all",)),
    ("kimi", (re.compile(r"<\|tool_calls?_section_begin\|>"),)),
    ("gemma", (re.compile(r"<\|tool_call>call:|<start_function_call>"),)),
    ("deepseek-dsml", (_DSML,)),
    ("deepseek", (_DEEPSEEK_CALLS,)),
    # MiniMax M3 names its arguments by their tags: another format that no family here reads.
    (PLAIN, ("]<]minimax[>[",)),
    ("minimax-m2", ("minimax:tool_call",)),
    ("seed-oss", ("<seed:tool_call>",)),
    ("glm", ("<arg_key>",)),
    ("mistral", ("[TOOL_CALLS]",)),
    ("nemotron", ("<TOOLCALL>",)),
    ("command", (re.compile(r"<\|START_ACTION\|>|directly-answer"),)),
    ("lfm2", (re.compile(r"<\|tool_call_start\|>|<\|tool_list_start\|>|List of tools: \["),)),
    ("olmo", ("<function_calls>",)),
    ("qwen-xml", ("<function=", "<parameter=")),
    ("functionary", ("<function=",)),
    ("granite", ("<|tool_call|>", "<|start_of_role|>")),
    ("phi", (re.compile(r"<\|tool_call\|>|functools\["),)),
    ("apriel", ("<tool_calls>",)),
    ("ernie", ("<tool_call>", "<response>")),
    ("hermes", ("<tool_call>", "arguments")),
    # Granite 3.0 says nothing of its marker; Granite 4 does, and is found above.
    ("granite", ("<|start_of_role|>", "available_tools")),
    ("llama", (re.compile(r'<\|python_tag\|>|\\?"parameters\\?": dictionary'),)),
    ("pythonic", ("[func_name1(",)),
    ("xlam", (_JSON_LIST, "arguments")),
    # A template may write whole calls without a word of what they hold.
    ("hermes", ("<tool_call>",)),
)
"""Families, and what a template of each holds, all of it; the first that matches is meant."""


def family_of(template: str) -> str:
    """The family that a model with this chat template belongs to.

    One that teaches no calls, or calls of a format that nothing here reads, is "think" if it knows reasoning and else
    "plain".
    """
    for family, marks in FINGERPRINTS:
        if all(_holds(template, mark) for mark in marks):
            if family != PLAIN:
                return family
            break
    return THINK if "<think>" in template or "</think>" in template else PLAIN


def _holds(template: str, mark: str | re.Pattern[str]) -> bool:
    return mark in template if isinstance(mark, str) else mark.search(template) is not None


def reasoning_is_open(family: str, prompt_tail: str) -> bool:
    """Whether a prompt that ends so has opened the reasoning, so that the reply begins inside it."""
    row = FAMILIES.get(family)
    return row is not None and bool(row.thinking) and prompt_tail.rstrip().endswith(row.thinking[0][0])
