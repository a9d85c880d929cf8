"""How a chat template is told whether its model shall think, and how hard: in the names and words that it reads.

Templates agree on nothing. Most have a switch (`enable_thinking` of Qwen 3 and GLM, `thinking` of DeepSeek, Granite and
Kimi), some a word for the effort (`reasoning_effort` of gpt-oss, Mistral and Hunyuan), few a mode or a budget. What a
template reads is found in its syntax tree, so a model that nobody here has heard of is served as well. What a client
says to the template itself is never touched. It knows no tokenizer and renders nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, get_args

from jinja2 import Environment, TemplateError, meta, nodes

from cortex.protocol.request import NO_THINKING, Chat, Effort

SWITCHES = ("enable_thinking", "thinking")
WORDS = ("reasoning_effort", "thinking_effort")
MODE = "thinking_mode"
BUDGET = "thinking_budget"

LADDER: tuple[str, ...] = get_args(Effort)
REFUSALS = ("none", "no_think", "minimal")
"""What templates call no thinking, where that is a word of the effort's."""
USUAL = frozenset({"low", "medium", "high"})
"""What a model was trained with whose template passes the word on to it."""
BUDGETS = {"none": 0, "minimal": 0, "low": 1024, "medium": 4096, "high": 16_384}
UNLIMITED = -1

_GENERATION = re.compile(r"{%[-+]?\s*(?:end)?generation\s*[-+]?%}")
"""A tag that marks what a model is trained on; it means nothing here, and only transformers knows it."""


@dataclass(frozen=True, slots=True)
class Dial:
    """A name that is given a word. `closed`: the template takes no other, or hands on whatever it is given."""

    name: str
    words: frozenset[str]
    closed: bool

    @property
    def refusals(self) -> tuple[str, ...]:
        """Its words for no thinking, the best first."""
        return tuple(word for word in REFUSALS if word in self.words)

    def word(self, effort: str, *, switched: bool) -> str | None:
        """The template's word for this effort; None where the name is better left out: there is a switch for that."""
        if effort in NO_THINKING:
            if effort in self.words or self.refusals:
                return effort if effort in self.words else self.refusals[0]
            if switched:
                return None
        known = [step for step, word in enumerate(LADDER) if word in self.words and word not in NO_THINKING]
        at = LADDER.index(effort)
        if not known or not (self.closed or known[0] <= at <= known[-1]):
            return effort  # templates that ask for some words alone take all others for what is usual
        return LADDER[min(known, key=lambda step: (abs(step - at), -step))]


@dataclass(frozen=True, slots=True)
class Dials:
    """What one template reads."""

    switches: tuple[str, ...] = ()
    words: tuple[Dial, ...] = ()
    mode: bool = False
    budget: bool = False


def options_of(request: Chat, template: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """All options of a rendering: what the client gave, and what it asked for in the template's own names.

    The same request has the same options, so one prompt goes on where the one before it ended.
    """
    dials = dials_of(template)
    effort, thinks = request.effort, request.thinking
    switch = switched(given, otherwise=bool(thinks))
    options: dict[str, Any] = dict.fromkeys((SWITCHES[0], *dials.switches), switch)
    if effort is None and thinks is False:
        effort = "none"
    for dial in dials.words:
        wanted: str | None = effort
        if effort is None and thinks and not dials.switches and dial.refusals:
            wanted = "medium"  # it thinks only where it is told how hard
        word = None if wanted is None else dial.word(wanted, switched=bool(dials.switches))
        if word is not None:
            options[dial.name] = word
    if dials.mode and thinks is not None:
        options[MODE] = "enabled" if thinks else "disabled"
    if dials.budget and effort is not None:
        options[BUDGET] = BUDGETS.get(effort, UNLIMITED)
    return {**options, **given}


def switched(given: Mapping[str, Any], *, otherwise: bool) -> Any:
    """Whether thinking is on, as a client tells the template itself, by whichever name."""
    return next((given[name] for name in SWITCHES if name in given), otherwise)


@lru_cache(maxsize=64)
def dials_of(template: str) -> Dials:
    """What this template reads; nothing, if it cannot be compiled."""
    try:
        tree = Environment(extensions=["jinja2.ext.loopcontrols"], autoescape=True).parse(
            _GENERATION.sub("", template)
        )
        words = [_dial(name, tree) for name in WORDS]
        names = meta.find_undeclared_variables(tree)  # last, for it rewrites the tree
    except (TemplateError, RecursionError):
        return Dials()
    return Dials(
        tuple(name for name in SWITCHES if name in names),
        tuple(dial for dial in words if dial.name in names),
        MODE in names,
        BUDGET in names,
    )


def _dial(name: str, tree: nodes.Template) -> Dial:
    """The words that a template compares with, and whether it says the word to the model."""
    aliases = {name}
    for one in tree.find_all(nodes.Assign):
        if isinstance(one.target, nodes.Name) and any(found.name == name for found in _values(one.node)):
            aliases.add(one.target.name)
    words: set[str] = set()
    closed = False
    for compared in tree.find_all(nodes.Compare):
        if any(found.name in aliases for found in compared.expr.find_all(nodes.Name)) or (
            isinstance(compared.expr, nodes.Name) and compared.expr.name in aliases
        ):
            for operand in compared.ops:
                words |= set(_texts(operand.expr))
                closed = closed or operand.op == "notin"
    said = any(found.name in aliases for one in tree.find_all(nodes.Output) for found in _values(one))
    if said and len(words.intersection(LADDER).difference(NO_THINKING)) < 2:
        words |= USUAL
    return Dial(name, frozenset(words), closed or said)


def _values(node: nodes.Node) -> Iterator[nodes.Name]:
    """The names whose values come out of an expression, not those that it only looks at."""
    if isinstance(node, nodes.Name):
        yield node
    elif isinstance(node, nodes.CondExpr):
        yield from _values(node.expr1)
        if node.expr2 is not None:
            yield from _values(node.expr2)
    elif not isinstance(node, nodes.Compare | nodes.Test):
        for child in node.iter_child_nodes():
            yield from _values(child)


def _texts(node: nodes.Node) -> Iterator[str]:
    constants = [node] if isinstance(node, nodes.Const) else node.find_all(nodes.Const)
    return (one.value for one in constants if isinstance(one, nodes.Const) and isinstance(one.value, str))
