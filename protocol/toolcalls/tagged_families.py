"""What the families write that put their arguments between tags."""

from __future__ import annotations

from cortex.protocol.toolcalls.bodies import Body, BodyMaker, Sniffing
from cortex.protocol.toolcalls.envelope import Envelope
from cortex.protocol.toolcalls.family import Family, Form
from cortex.protocol.toolcalls.offer import Offer
from cortex.protocol.toolcalls.tagged import Tagged
from cortex.protocol.toolcalls.tags import Tags

DSML = "\uff5cDSML\uff5c"  # between full-width bars
_MISSPELT = ("function_call", "tool_call", "functioncalls", "toolcalls")
DSML_BLOCKS = tuple(f"{DSML}{name}>" for name in ("function_calls", "tool_calls", *_MISSPELT))

QWEN = Tags(
    calls=("<function=",),
    parameters=(("<parameter=", "</parameter>"),),
    closes=("</function>",),
    ends=("</tool_call>",),
    newlines=True,
)
SEED = Tags(
    calls=("<function=",),
    parameters=(("<parameter=", "</parameter>"),),
    closes=("</function>",),
    ends=("</seed:tool_call>",),
)
MINIMAX = Tags(
    calls=("<invoke name=",),
    parameters=(("<parameter name=", "</parameter>"),),
    closes=("</invoke>",),
    ends=("</minimax:tool_call>",),
)
GLM = Tags(
    calls=(),
    parameters=(("<arg_key>", "</arg_value>"),),
    closes=("</tool_call>",),
    key_ends="</arg_key>",
    value="<arg_value>",
)
DEEPSEEK = Tags(
    calls=(f"<{DSML}invoke name=",),
    parameters=((f"<{DSML}parameter name=", f"</{DSML}parameter>"), ("<parameter name=", "</parameter>")),
    closes=(f"</{DSML}invoke>",),
    ends=tuple(f"</{block}" for block in DSML_BLOCKS),
)


def _tagged(tags: Tags) -> BodyMaker:
    def body(offer: Offer) -> Body:
        return Tagged(offer, tags)

    return body


def json_or_qwen(offer: Offer) -> Body:
    """What models write between `<tool_call>` and `</tool_call>`, either way."""
    return Sniffing(offer, {"{": Envelope, "<": _tagged(QWEN)})


def _json_or_glm(offer: Offer) -> Body:
    return Sniffing(offer, {"{": Envelope, "": _tagged(GLM)})


def _family(
    name: str,
    tags: Tags,
    *openers: str,
    body: BodyMaker | None = None,
    thinking: tuple[tuple[str, str], ...] = (("<think>", "</think>"),),
) -> Family:
    """Calls in a block, and those that have lost its opener or stand in the same block as another."""
    closes = (*tags.closes, *tags.ends)
    alone = Form(_tagged(tags), tags.calls, closes, inclusive=True)
    forms = (alone,) if tags.calls else ()
    if openers:
        forms = (Form(body or _tagged(tags), openers, closes), *forms)
    stray = tuple(closer for _, closer in thinking)
    return Family(name, forms, thinking=thinking, stray=stray, inner=tags.inner)


TAGGED = (
    _family("qwen-xml", QWEN, "<tool_call>", body=json_or_qwen),
    _family("seed-oss", SEED, "<seed:tool_call>", thinking=(("<seed:think>", "</seed:think>"),)),
    _family("minimax-m2", MINIMAX, "<minimax:tool_call>"),
    _family("glm", GLM, "<tool_call>", body=_json_or_glm),
    _family("deepseek-dsml", DEEPSEEK, *(f"<{block}" for block in DSML_BLOCKS)),
    _family("functionary", QWEN, thinking=()),
)
