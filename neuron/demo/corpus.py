"""The training conversations: facts, small talk, counting, repeating, tool calls, and not knowing.

`conversations(seed)` yields them for ever. Knows neither tokens nor tensors; the text comes from its neighbours.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

from cortex.neuron.demo.asking import framed
from cortex.neuron.demo.facts import FACTS, PHRASES, Fact
from cortex.neuron.demo.insides import INSIDES
from cortex.neuron.demo.smalltalk import counting, greeting, repeating, stumped
from cortex.neuron.demo.subjects import SUBJECTS
from cortex.neuron.demo.subjects_fleet import FLEET_SUBJECTS
from cortex.neuron.demo.subjects_inside import INSIDE_SUBJECTS
from cortex.neuron.demo.tools import KINDS, Action, Tool, action, closing, result, stranger, tool
from cortex.neuron.demo.wording import expand, filler, noise, reworded

__all__ = ["Conversation", "Message", "Stage", "conversations", "facts_text"]

Message = dict[str, Any]
Stage = Literal["simple", "all", "reworded"]
ALL_FACTS = FACTS + INSIDES
ALL_SUBJECTS = SUBJECTS | FLEET_SUBJECTS | INSIDE_SUBJECTS
_FRAMED = 0.65  # share of the questions that a frame makes, which has far more of them than the patterns
NO_TOOL = "I have no tool for that here."
_SYSTEMS = (
    "You are a helpful assistant.",
    "You are a helpful assistant. Answer briefly.",
    "You are an agent that works in a terminal.",
    "Answer in one sentence.",
    "Be polite and short.",
    "You are cortex-demo.",
    "You help people who run cortex.",
    "You are a coding agent. Use the tools when they help.",
    "Do what the user asks.",
)


@dataclass(frozen=True)
class Conversation:
    """The last message is the assistant's: what the model learns to write. A thought asks for thinking before it."""

    messages: list[Message]
    tools: list[Tool] | None = None
    thought: str | None = None


def facts_text() -> list[str]:
    return [fact.answer for fact in ALL_FACTS]


def conversations(
    seed: int, unseen: frozenset[str] = frozenset(), *, stage: Stage = "all"
) -> Iterator[Conversation]:
    """Endless conversations; a question that is in `unseen` once normalised is never asked.

    Stage `simple` is a question and its answer and nothing else; `all` is everything; in `reworded` half of them are
    questions whose small words were changed.
    """
    rng = Random(seed)
    draw = {"simple": _simple_talk, "all": _any_talk, "reworded": _late_talk}[stage]
    while True:
        drawn = draw(rng)
        if not any(
            message["role"] == "user" and normal(str(message["content"])) in unseen
            for message in drawn.messages
        ):
            yield drawn


def normal(question: str) -> str:
    """A question without case, marks and spaces at its ends."""
    return "".join(c for c in question.lower() if c.isalnum() or c == " ").strip()


def _exchange(rng: Random) -> tuple[str, str, str]:
    """A question that needs no tool, its answer, and a thought on the way."""
    kind = rng.random()
    if kind < 0.66:
        fact = rng.choice(ALL_FACTS)
        return noise(_asked(fact, rng), rng), fact.answer, f"The user asks about: {fact.topic}."
    if kind < 0.74:
        return *greeting(rng), "This is small talk."
    if kind < 0.83:
        return *counting(rng), "I should count."
    if kind < 0.91:
        return *repeating(rng), "I should repeat the words."
    return *stumped(rng), "I do not know this."


def _asked(fact: Fact, rng: Random) -> str:
    """A question about the fact, of its own patterns or in a frame that suits any."""
    if rng.random() < _FRAMED:
        return framed(ALL_SUBJECTS[fact.topic], PHRASES, rng)
    return expand(rng.choice(fact.patterns), PHRASES, rng)


def _any_talk(rng: Random) -> Conversation:
    return _tool_talk(rng) if rng.random() < 0.42 else _text_talk(rng)


def _late_talk(rng: Random) -> Conversation:
    if rng.random() < 0.32:
        return _any_talk(rng)
    kind = rng.random()
    if kind < 0.74:
        fact = rng.choice(ALL_FACTS)
        question = _asked(fact, rng)
        question = reworded(question, rng) if rng.random() < 0.45 else noise(question, rng)
        return Conversation([_user(question), _assistant(fact.answer)])
    if kind < 0.87:
        question, answer = stumped(rng)
        return Conversation([_user(reworded(question, rng)), _assistant(answer)])
    question, answer = counting(rng) if kind < 0.97 else greeting(rng)
    return Conversation([_user(question), _assistant(answer)])


def _simple_talk(rng: Random) -> Conversation:
    question, answer, _thought = _exchange(rng)
    return Conversation([_user(question), _assistant(answer)])


def _text_talk(rng: Random) -> Conversation:
    messages = _opening(rng)
    for _ in range(rng.choice((0, 0, 0, 0, 0, 1, 1, 2))):
        question, answer, _thought = _exchange(rng)
        messages += [_user(question), _assistant(answer)]
    if rng.random() < 0.05:
        asked = action(rng.choice(KINDS), rng)
        question, answer, thought = asked.request, NO_TOOL, "I have no tool for this."
    else:
        question, answer, thought = _exchange(rng)
    if rng.random() < 0.04:
        question = filler(rng.randint(5, 60), facts_text(), rng) + "\n\n" + question
    return Conversation([*messages, _user(question), _assistant(answer)], None, _sometimes(thought, rng))


def _tool_talk(rng: Random) -> Conversation:
    kinds = rng.sample(KINDS, rng.choice((1, 1, 1, 2, 2, 5)))
    tools = {kind: tool(kind, rng) for kind in kinds}
    messages = _opening(rng)
    if rng.random() < 0.15:
        question, answer, _thought = _exchange(rng)
        messages += [_user(question), _assistant(answer)]
    fate = rng.random()
    if fate < 0.2:
        question, answer, thought = _exchange(rng)
        return Conversation(
            [*messages, _user(question), _assistant(answer)], list(tools.values()), _sometimes(thought, rng)
        )
    missing = [kind for kind in KINDS if kind not in kinds]
    if fate < 0.24 and missing:
        asked = action(rng.choice(missing), rng)
        return Conversation(
            [*messages, _user(asked.request), _assistant(NO_TOOL)],
            list(tools.values()),
            _sometimes("I have no tool for this.", rng),
        )
    if fate < 0.36:
        offered, asked = stranger(rng)
        tools["other"] = offered
    else:
        asked = action(rng.choice(kinds), rng)
    return _called(messages, tools, asked, rng)


def _called(messages: list[Message], tools: dict[str, Tool], asked: Action, rng: Random) -> Conversation:
    """The call for what was asked, or the sentence after its result."""
    chosen = tools[asked.kind]
    offered = list(tools.values())
    rng.shuffle(offered)
    arguments = dict(zip(chosen["parameters"]["properties"], asked.values, strict=True))
    call = {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"name": chosen["name"], "arguments": arguments}],
    }
    messages = [*messages, _user(asked.request), call]
    if rng.random() < 0.75:
        return Conversation(messages, offered, _sometimes(f"I should call {chosen['name']}.", rng))
    answer = result(asked, rng)
    shown = json.dumps({"result": answer}) if rng.random() < 0.1 else answer
    messages += [{"role": "tool", "content": shown}, _assistant(closing(asked, answer))]
    return Conversation(messages, offered, _sometimes("I have the result.", rng))


def _opening(rng: Random) -> list[Message]:
    """No system prompt, a short one, or now and then a long one."""
    kind = rng.random()
    if kind < 0.6:
        return []
    if kind < 0.9:
        return [{"role": "system", "content": rng.choice(_SYSTEMS)}]
    words = rng.choice((20, 20, 40, 40, 80, 80, 160, 160, 160, 160, 160, 600))
    return [{"role": "system", "content": rng.choice(_SYSTEMS) + "\n\n" + filler(words, facts_text(), rng)}]


def _sometimes(thought: str, rng: Random) -> str | None:
    return thought if rng.random() < 0.12 else None


def _user(content: str) -> Message:
    return {"role": "user", "content": content}


def _assistant(content: str) -> Message:
    return {"role": "assistant", "content": content}
