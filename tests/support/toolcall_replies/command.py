"""Cohere's Command: `<|START_ACTION|>` and a list, or `Action:` and one in a fence."""

from __future__ import annotations

from functools import partial

from toolcall_vectors import Vector

V = partial(Vector, family="command")
ADD = ("add", {"a": 1, "b": 2})
PING = ("ping", {})
ADD_J = '{"tool_call_id": "0", "tool_name": "add", "parameters": {"a": 1, "b": 2}}'
PING_J = '{"tool_call_id": "1", "tool_name": "ping", "parameters": {}}'
OLD_J = '{\n        "tool_name": "add",\n        "parameters": {"a": 1, "b": 2}\n    }'
BAD = "malformed"


def action(*calls: str) -> str:
    return f"<|START_ACTION|>[\n    {', '.join(calls)}\n]<|END_ACTION|>"


def fence(*calls: str) -> str:
    return f"Action: ```json\n[\n    {', '.join(calls)}\n]\n```"


DIRECT = fence('{"tool_name": "directly-answer", "parameters": {}}')

VECTORS = [
    V("one call", text=action(ADD_J), calls=(ADD,)),
    V("two calls", text=action(ADD_J, PING_J), calls=(ADD, PING)),
    V(
        "a plan before",
        text=f"<|START_THINKING|>I add.<|END_THINKING|>{action(ADD_J)}",
        reasoning="I add.",
        calls=(ADD,),
    ),
    V("an empty plan", text=f"<|START_THINKING|><|END_THINKING|>{action(ADD_J)}", calls=(ADD,)),
    V(
        "a plan and an answer",
        text="<|START_THINKING|>Easy.<|END_THINKING|><|START_RESPONSE|>Three.<|END_RESPONSE|>",
        reasoning="Easy.",
        content="Three.",
    ),
    V("an answer as text", text="<|START_TEXT|>Three.<|END_TEXT|>", content="Three."),
    V(
        "opened by the prompt",
        text=f"I add.<|END_THINKING|>{action(ADD_J)}",
        reasoning="I add.",
        calls=(ADD,),
        reasoning_open=True,
    ),
    V(
        "citations stay",
        text="<|START_RESPONSE|><co>3</co: 0:[1]><|END_RESPONSE|>",
        content="<co>3</co: 0:[1]>",
    ),
    V("no end", text="<|START_ACTION|>[" + ADD_J, calls=(ADD,)),
    V("a brace too few", text=action(ADD_J[:-1]), calls=(ADD,), notes=("brackets",)),
    V(
        "a call inside a plan",
        text=f"<|START_THINKING|>I add.{action(ADD_J)}",
        reasoning="I add.",
        calls=(ADD,),
    ),
    V(
        "a draft is the call",
        text=f"<|START_THINKING|>{action(ADD_J)}<|END_THINKING|>{action(ADD_J)}",
        calls=(ADD,),
    ),
    V("the marker in prose", text="<|START_ACTION|> begins one.", content="<|START_ACTION|> begins one."),
    V(
        "an unknown tool",
        text=action(ADD_J.replace("add", "gone")),
        content=action(ADD_J.replace("add", "gone")),
        notes=(BAD,),
    ),
    V(
        "a file cut in the middle",
        text='<|START_ACTION|>[{"tool_name": "write_file", "parameters": {"path": "a", "content": "x',
        broken=True,
        cut=True,
    ),
    V("an action in a fence", text=fence(OLD_J), calls=(ADD,)),
    V("two actions in a fence", text=fence(OLD_J, PING_J), calls=(ADD, PING)),
    V(
        "a plan and an action in a fence",
        text=f"Plan: I add.\n{fence(OLD_J)}\nDone.",
        content="Plan: I add.\nDone.",
        calls=(ADD,),
    ),
    V("an answer without a tool", text=DIRECT, content=DIRECT, notes=(BAD,)),
    V(
        "an answer without a tool, and an action",
        text=f"{DIRECT}\n{fence(OLD_J)}",
        content=f"{DIRECT}\n",
        calls=(ADD,),
        notes=(BAD,),
    ),
    V(
        "an action in the fence of an example",
        text=f"```\n{action(ADD_J)}\n```",
        content=f"```\n{action(ADD_J)}\n```",
    ),
    V(
        "a fence that goes on",
        text=f"Action: ```json\n[{OLD_J}]\n{action(PING_J)}\n```\n{action(PING_J)}",
        calls=(ADD, PING),
        content=f"{action(PING_J)}\n```\n",
    ),
]
