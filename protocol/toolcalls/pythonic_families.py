"""Families that write calls as Python, or in a notation of their own that looks like it."""

from __future__ import annotations

from cortex.protocol.toolcalls.bodies import Body, Sniffing
from cortex.protocol.toolcalls.envelope import Envelope
from cortex.protocol.toolcalls.family import Family, Form
from cortex.protocol.toolcalls.gemma import QUOTES, gemma_call
from cortex.protocol.toolcalls.offer import Offer
from cortex.protocol.toolcalls.pythonic import python_call


def _listed(offer: Offer) -> Body:
    """A call, the first of which may begin a list; in JSON too, as some prompts ask for."""
    return Sniffing(offer, {"{": Envelope, "": python_call()}, skip="[")


def _bare_listed(offer: Offer) -> Body:
    return Sniffing(offer, {"": python_call(marked=False)}, skip="[")


_PYTHON_CLOSES = ("]", "<|python_end|>")
PYTHONIC = Family(
    "pythonic",
    (
        Form(_listed, ("<|python_start|>",), _PYTHON_CLOSES, (",",)),
        # Behind text, a list counts where it begins a line; in reasoning that is a draft.
        Form(_bare_listed, ("\n[",), _PYTHON_CLOSES, (",",), wary=True, drafts=False),
    ),
    bare=(
        ("[", Form(_bare_listed, (), _PYTHON_CLOSES, (",",), wary=True)),
        ("", Form(python_call(marked=False, alone=True), (), ("<|python_end|>",), (",", ";"), wary=True)),
    ),
)

_LFM2_CLOSES = ("]", "<|tool_call_end|>")
LFM2 = Family(
    "lfm2",
    (Form(_listed, ("<|tool_call_start|>",), _LFM2_CLOSES, (",",), echoed=True),),
    bare=(("[", Form(_bare_listed, (), _LFM2_CLOSES, (",",), wary=True, echoed=True)),),
)

OLMO = Family(
    "olmo",
    # A call ends where its bracket does: the next one needs no separator.
    (Form(python_call(), ("<function_calls>",), ("</function_calls>",), (",", "")),),
)

_GEMMA_CLOSES = ("<tool_call|>", "<|tool_response>")
GEMMA = Family(
    "gemma",
    (
        Form(gemma_call(), ("<|tool_call>",), _GEMMA_CLOSES),
        Form(gemma_call(), ("<start_function_call>",), ("<end_function_call>", "<start_function_response>")),
    ),
    bare=(("c", Form(gemma_call(marked=False), (), _GEMMA_CLOSES, wary=True)),),
    thinking=(("<|channel>thought", "<channel|>"),),
    inner=QUOTES,
)

PYTHON_FAMILIES = (PYTHONIC, LFM2, OLMO, GEMMA)
