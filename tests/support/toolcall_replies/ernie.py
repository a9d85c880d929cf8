"""ERNIE 4.5 Thinking, which writes as Hermes does and puts answers in a tag; and models that only think."""

from __future__ import annotations

from functools import partial

from toolcall_vectors import Vector

E = partial(Vector, family="ernie")
T = partial(Vector, family="think")
ADD = ("add", {"a": 1, "b": 2})
PING = ("ping", {})
ADD_J = '{"name": "add", "arguments": {"a": 1, "b": 2}}'
CALL = f"<tool_call>\n{ADD_J}\n</tool_call>"
PINGED = CALL.replace(ADD_J, '{"name": "ping"}')

VECTORS = [
    E(
        "a call",
        text=f"I add.\n</think>\n\n{CALL}\n",
        reasoning="I add.\n",
        calls=(ADD,),
        reasoning_open=True,
    ),
    E(
        "two calls",
        text=f"\n</think>\n{CALL}\n{PINGED}",
        calls=(ADD, PING),
        reasoning_open=True,
    ),
    E(
        "an answer",
        text="Easy.\n</think>\n\n<response>\nThree.\n</response>\n",
        reasoning="Easy.\n",
        content="Three.",
        reasoning_open=True,
    ),
    E("an answer without its end", text="</think><response>Three.", content="Three.", reasoning_open=True),
    E("an answer about tags", text="Write <response>x</response>.", content="Write <response>x</response>."),
    E(
        "an answer, then a call",
        text=f"<response>\nI add.\n</response>\n{CALL}",
        content="I add.",
        calls=(ADD,),
    ),
    E("a closer without reasoning", text="</think>\nThree.", content="Three."),
    E("a brace too many", text=CALL.replace(ADD_J, ADD_J + "}"), calls=(ADD,), notes=("braces",)),
    E("a call inside a thought", text=f"I add.{CALL}", reasoning="I add.", calls=(ADD,), reasoning_open=True),
    E("bare", text=ADD_J, calls=(ADD,)),
    E("cut", text="<response>Thr", content="Thr", cut=True),
    T("a thought", text="<think>\nEasy.\n</think>\n\nThree.", reasoning="Easy.\n", content="Three."),
    T(
        "opened by the prompt",
        text="Easy.</think>Three.",
        reasoning="Easy.",
        content="Three.",
        reasoning_open=True,
    ),
    T("nothing is a call", text=f"<think>{CALL}</think>{CALL}", reasoning=CALL, content=CALL),
    T("a thought without end", text="<think>Ea", reasoning="Ea"),
    T("a closer alone", text="</think>Three</think>.", content="Three</think>."),
]
