"""Families that write a call as a JSON object, alone or in a list, or a name and then its arguments as one."""

from __future__ import annotations

import re

from cortex.protocol.toolcalls.bodies import Body, BodyMaker, Headed, Sniffing
from cortex.protocol.toolcalls.envelope import Envelope
from cortex.protocol.toolcalls.family import FENCE, Family, Form
from cortex.protocol.toolcalls.kimi import ARGUMENTS, KimiCall
from cortex.protocol.toolcalls.offer import Offer
from cortex.protocol.toolcalls.pythonic import python_call

_NAME = r"\w[\w.:/-]*"
STRAY = ("</think>",)
_FENCES = (f"{FENCE}json", FENCE)


def _listed(offer: Offer) -> Body:
    """A call, the first of which may begin a list."""
    return Sniffing(offer, {"{": Envelope}, skip="[")


def _bare(offer: Offer) -> Body:
    return Envelope(offer, marked=False)


def _bare_in(*skip: str) -> BodyMaker:
    return lambda offer: Sniffing(offer, {"{": _bare}, skip=skip)


TOOLS_BLOCK = Form(Envelope, ("<tools>",), ("</tools>",), wary=True)
"""Qwen2.5-Coder puts calls where its prompt has the tools."""
BARE = (
    ("{", Form(_bare, (), ("</tool_call>",), wary=True)),
    ("`", Form(_bare_in(*_FENCES), (), (FENCE,), wary=True, fenced=True)),
)
"""Calls without a marker, at the beginning of a reply alone."""

ERNIE = Family(
    "ernie",
    (Form(Envelope, ("<tool_call>",), ("</tool_call>",)),),
    BARE,
    stray=STRAY,
    answer=("<response>", "</response>"),
)

# ── Mistral ──────────────────────────────────────────────────────────────────────────────────────────────────────

_MISTRAL_ID = re.compile(r"[A-Za-z0-9]{9}")
_MISTRAL_HEAD = re.compile(rf"\s*(?P<name>{_NAME})\s*(?:\[CALL_ID\]\s*(?P<id>[\w-]*)\s*)?(?:\[ARGS\]\s*)?")
_MISTRAL_COULD = re.compile(r"\s*[\w.:/-]*\s*(?:\[CALL_ID\]\s*[\w-]*\s*)?(?:\[ARGS\]\s*)?")
_MISTRAL_MARKS = ("[CALL_ID]", "[ARGS]")


def nine(id_: str) -> str:
    """An id as Mistral's templates demand it, nine letters and digits: the last ones of any other."""
    if _MISTRAL_ID.fullmatch(id_):
        return id_
    return "".join(re.findall(r"[A-Za-z0-9]", id_)).rjust(9, "0")[-9:]


def _with_id(offer: Offer) -> Body:
    return Envelope(offer, id_key="id")


def _mistral_call(offer: Offer) -> Body:
    """`NAME[CALL_ID]ID[ARGS]{…}` since version 11, and before that a list of objects."""
    return Sniffing(
        offer,
        {
            "{": _with_id,
            "": lambda offer: Headed(offer, _MISTRAL_HEAD, could=_MISTRAL_COULD, marks=_MISTRAL_MARKS),
        },
        skip="[",
    )


MISTRAL = Family(
    "mistral",
    (Form(_mistral_call, ("[TOOL_CALLS]",), ("]",), (",",)),),
    thinking=(("[THINK]", "[/THINK]"), ("<think>", "</think>")),
    inner=_MISTRAL_MARKS,
    shape_id=nine,
)

# ── DeepSeek V3 to V3.1, R1 ──────────────────────────────────────────────────────────────────────────────────────


def _deepseek(word: str) -> str:
    """A marker between full-width bars, whose spaces are blocks of their own."""
    return "<\uff5c" + word.replace(" ", "\u2581") + "\uff5c>"


_SEP = _deepseek("tool sep")
_DEEPSEEK_HEAD = re.compile(
    rf"\s*(?:function\s*{_SEP}\s*)?(?P<name>{_NAME})\s*(?:{_SEP}\s*)?(?:{FENCE}(?:json)?\s*)?"
)
_DEEPSEEK_COULD = re.compile(rf"\s*[\w.:/-]*\s*(?:{_SEP}\s*[\w.:/-]*\s*(?:{_SEP}\s*)?(?:{FENCE}\w*\s*)?)?")


def _deepseek_call(offer: Offer) -> Body:
    """`function`, the name and a fence up to V3, R1 and its distillations; the name alone in V3.1."""
    return Headed(offer, _DEEPSEEK_HEAD, could=_DEEPSEEK_COULD, marks=(_SEP, FENCE))


DEEPSEEK = Family(
    "deepseek",
    (
        Form(
            _deepseek_call,
            (_deepseek("tool call begin"),),
            (FENCE, _deepseek("tool call end"), _deepseek("tool calls end")),
        ),
    ),
    wrappers=(_deepseek("tool calls begin"),),
    stray=STRAY,
    inner=(_SEP,),
)

# ── Others ───────────────────────────────────────────────────────────────────────────────────────────────────────

KIMI = Family(
    "kimi",
    (
        Form(
            KimiCall,
            ("<|tool_call_begin|>",),
            ("<|tool_call_end|>", "<|tool_calls_section_end|>", "<|tool_call_section_end|>"),
        ),
    ),
    wrappers=("<|tool_calls_section_begin|>", "<|tool_call_section_begin|>"),
    stray=STRAY,
    inner=(ARGUMENTS,),
)


def _tagged(offer: Offer) -> Body:
    """A call of any tool as JSON, or of one of the model's own as Python: `brave_search.call(query="…")`."""
    return Sniffing(offer, {"{": Envelope, "": python_call(method=".call")}, skip="[")


LLAMA = Family(
    "llama",
    (Form(_tagged, ("<|python_tag|>", "<|python_start|>"), ("]", "<|python_end|>"), (";", ",")),),
    (("{", Form(_bare, (), (), (";",), wary=True)),),
)

_THOUGHTS = tuple(f"{here} my thought process:" for here in ("Here is", "Here's"))
_ANSWERS = tuple(f"{here} my response:" for here in ("Here is", "Here's"))
GRANITE = Family(
    "granite",
    (
        Form(
            _listed,
            ("<|tool_call|>", "<tool_call>", "<function_call>"),
            ("]", "<|/tool_call|>", "</tool_call>", "</function_call>"),
            (",",),
        ),
    ),
    sentences=tuple((thought, answer) for thought in _THOUGHTS for answer in _ANSWERS),
    answer=("<response>", "</response>"),
)

NEMOTRON = Family(
    "nemotron",
    (Form(_listed, ("<TOOLCALL>",), ("]", "</TOOLCALL>"), (",",)),),
    noise=("<SPECIAL_12>",),
    stray=STRAY,
)

COMMAND = Family(
    "command",
    (
        Form(_listed, ("<|START_ACTION|>",), ("]", "<|END_ACTION|>"), (",",)),
        Form(
            _listed,
            tuple(f"Action:{space}{FENCE}json" for space in (" ", "", "\n")),
            ("]", FENCE),
            (",",),
            fenced=True,
        ),
    ),
    noise=tuple(f"<|{end}_{what}|>" for what in ("RESPONSE", "TEXT") for end in ("START", "END")),
    thinking=(("<|START_THINKING|>", "<|END_THINKING|>"),),
)

PHI = Family("phi", (Form(_listed, ("functools[", "<|tool_call|>"), ("]", "<|/tool_call|>"), (",",)),))

_LIST = ("]", "</tool_call>")
XLAM = Family(
    "xlam",
    (Form(_listed, ("[TOOL_CALLS]", "<tool_call>"), _LIST, (",",)),),
    (
        ("[", Form(_bare_in("["), (), _LIST, (",",), wary=True)),
        ("{", Form(_bare, (), (), (",",), wary=True)),
        ("`", Form(_bare_in(*_FENCES, "["), (), ("]", FENCE), (",",), wary=True, fenced=True)),
    ),
)

APRIEL = Family(
    "apriel",
    (Form(_listed, ("<tool_calls>",), ("]", "</tool_calls>"), (",",)),),
    (("{", Form(_bare, (), ("</tool_calls>",), wary=True)),),
)
"""Calls in `<tool_calls>`, in a list or, as MiniMax M1 writes them, one in each line."""

THINK = Family("think", stray=STRAY)
"""Reasoning between `<think>` and `</think>`, and no calls."""

JSON_FAMILIES = (
    MISTRAL, LLAMA, DEEPSEEK, KIMI, GRANITE, NEMOTRON, COMMAND, PHI, XLAM, ERNIE, APRIEL, THINK,
)  # fmt: skip
