"""gpt-oss: messages with headers, `<|channel|>analysis<|message|>…<|end|>`."""

from __future__ import annotations

from functools import partial

from toolcall_vectors import Vector

V = partial(Vector, family="harmony")
ADD = ("add", {"a": 1, "b": 2})
PING = ("ping", {})
ARGUMENTS = '{"a": 1, "b": 2}'
THOUGHT = "<|channel|>analysis<|message|>Hm.<|end|>"
START = "<|start|>assistant"
HEADER = "<|channel|>commentary to=functions.add <|constrain|>json<|message|>"
CALL = f"{HEADER}{ARGUMENTS}<|call|>"
FINAL = "<|channel|>final<|message|>Hi."

VECTORS = [
    V("an answer", text=f"{FINAL}<|return|>", content="Hi."),
    V("a thought and an answer", text=f"{THOUGHT}{START}{FINAL}<|return|>", reasoning="Hm.", content="Hi."),
    V("no end marker, as servers drop it", text=f"{THOUGHT}{START}{FINAL}", reasoning="Hm.", content="Hi."),
    V("a thought and a call", text=f"{THOUGHT}{START}{CALL}", reasoning="Hm.", calls=(ADD,)),
    V(
        "a recipient in the role",
        text=f" to=functions.add<|channel|>commentary json<|message|>{ARGUMENTS}<|call|>",
        calls=(ADD,),
    ),
    V(
        "a recipient in the role, behind a thought",
        text=f"{THOUGHT}{START} to=functions.add<|channel|>commentary <|constrain|>json<|message|>{ARGUMENTS}<|call|>",
        reasoning="Hm.",
        calls=(ADD,),
    ),
    V("no type", text=f"<|channel|>commentary to=functions.add<|message|>{ARGUMENTS}<|call|>", calls=(ADD,)),
    V(
        "a type without its marker",
        text=f"<|channel|>commentary to=functions.add code<|message|>{ARGUMENTS}<|call|>",
        calls=(ADD,),
    ),
    V(
        "a call in analysis",
        text=f"<|channel|>analysis to=functions.add <|constrain|>json<|message|>{ARGUMENTS}<|call|>",
        calls=(ADD,),
    ),
    V("no arguments", text="<|channel|>commentary to=functions.ping<|message|><|call|>", calls=(PING,)),
    V("empty arguments", text="<|channel|>commentary to=functions.ping<|message|>{}<|call|>", calls=(PING,)),
    V("calls one after the other", text=f"{CALL}{START}{CALL}", calls=(ADD, ADD)),
    V(
        "a preamble",
        text=f"<|channel|>commentary<|message|>I shall add.<|end|>{START}{CALL}",
        content="I shall add.",
        calls=(ADD,),
    ),
    V(
        "thoughts around a preamble",
        text=f"{THOUGHT}{START}<|channel|>commentary<|message|>So.<|end|>{START}{THOUGHT}{START}{CALL}",
        reasoning="Hm.Hm.",
        content="So.",
        calls=(ADD,),
    ),
    V("no end of a call", text=f"{HEADER}{ARGUMENTS}", calls=(ADD,)),
    V("an end for a call", text=f"{HEADER}{ARGUMENTS}<|end|>{START}{FINAL}", calls=(ADD,), content="Hi."),
    V(
        "a tool within the engine",
        text='<|channel|>analysis to=python code<|message|>print("x")<|call|>',
        reasoning='print("x")',
    ),
    V(
        "a search within the engine",
        text='<|channel|>commentary to=browser.search<|message|>{"query": "x"}<|call|>',
        content='{"query": "x"}',
    ),
    V(
        "unicode",
        text='<|channel|>commentary to=functions.search<|message|>{"query": "größe 你好 \\ud83d\\ude00 😀"}<|call|>',
        calls=(("search", {"query": "größe 你好 😀 😀"}),),
    ),
    V(
        "braces in strings",
        text='<|channel|>commentary to=functions.search<|message|>{"query": "}<|call|>\\"{"}<|call|>',
        calls=(("search", {"query": '}<|call|>"{'}),),
    ),
    V("less than", text="<|channel|>final<|message|>a < b, a <| b", content="a < b, a <| b"),
    # Headers with what does not belong there.
    V(
        "question marks in the channel",
        text=f"<|channel|>commentary?<|message|>Well.<|end|>{START}{FINAL}",
        content="Well.Hi.",
    ),
    V(
        "question marks for a channel",
        text=f"<|channel|>??<|end|>{START}{THOUGHT}{START}{FINAL}",
        reasoning="Hm.",
        content="Hi.",
    ),
    V("the channel twice", text=f"<|channel|>commentary?commentary?<|end|>{START}{FINAL}", content="Hi."),
    V(
        "dashes before the channel",
        text="<|channel|>\u2013\u2013analysis<|message|>Hm.<|end|>",
        reasoning="Hm.",
    ),
    V(
        "a doubled channel",
        text=f"<|channel|>commentary to=assistant<|channel|>commentary?<|message|>Well.<|end|>{START}{FINAL}",
        content="Well.Hi.",
    ),
    V("an empty channel", text="<|channel|><|message|>Hi.<|end|>", content="Hi."),
    V(
        "an empty channel for a call",
        text=f"<|channel|> to=functions.add<|message|>{ARGUMENTS}<|call|>",
        calls=(ADD,),
    ),
    V("no channel for a call", text=f" to=functions.add<|message|>{ARGUMENTS}<|call|>", calls=(ADD,)),
    V("no channel", text="<|message|>Hi.<|end|>", content="Hi."),
    V(
        "no message marker for a call",
        text=f"<|channel|>commentary to=functions.add <|constrain|>json{ARGUMENTS}<|call|>",
        calls=(ADD,),
    ),
    V(
        "no message marker for a call, nor arguments",
        text="<|channel|>commentary to=functions.ping<|call|>",
        calls=(PING,),
    ),
    V(
        "no message marker for a thought",
        text=f"<|channel|>analysisWe know that.<|end|>{START}{FINAL}",
        reasoning="We know that.",
        content="Hi.",
    ),
    V(
        "no message marker for a long thought",
        text=f"<|channel|>analysis {'We know. ' * 60}<|end|>{START}{FINAL}",
        reasoning="We know. " * 60,
        content="Hi.",
    ),
    V("no start", text=f"{THOUGHT}{CALL}", reasoning="Hm.", calls=(ADD,)),
    V("no start, but a role", text=f"{THOUGHT}assistant{FINAL}", reasoning="Hm.", content="Hi."),
    V(
        "no end and no start",
        text=f"<|channel|>analysis<|message|>Hm.{FINAL}",
        reasoning="Hm.",
        content="Hi.",
    ),
    V("no end", text=f"<|channel|>analysis<|message|>Hm.{START}{FINAL}", reasoning="Hm.", content="Hi."),
    V("a doubled start", text=f"{THOUGHT}{START}{START}{FINAL}", reasoning="Hm.", content="Hi."),
    V("a start at the beginning", text=f"{START}{FINAL}", content="Hi."),
    V(
        "text between messages",
        text=f"{THOUGHT}Let me see. {START}{FINAL}",
        reasoning="Hm.",
        content="Let me see. Hi.",
    ),
    V("lines between messages", text=f"{THOUGHT}\n\n{START}{CALL}\n", reasoning="Hm.", calls=(ADD,)),
    V(
        "a channel in the name",
        text=f"<|channel|>commentary to=functions.add<|channel|>commentary <|constrain|>json<|message|>{ARGUMENTS}<|call|>",
        calls=(ADD,),
    ),
    V(
        "a tool for a channel",
        text=f"{START}<|channel|>add<|channel|>commentary<|message|>{ARGUMENTS}<|call|>",
        calls=(ADD,),
    ),
    V(
        "no namespace",
        text=f"<|channel|>commentary to=add <|constrain|>json<|message|>{ARGUMENTS}<|call|>",
        calls=(ADD,),
    ),
    V(
        "another case",
        text=f"<|channel|>commentary to=functions.Add<|message|>{ARGUMENTS}<|call|>",
        calls=(ADD,),
        notes=("name",),
    ),
    V(
        "a type for a recipient",
        text=f"<|channel|>commentary to=<|constrain|>json<|message|>{ARGUMENTS}<|call|>",
        calls=(ADD,),
        notes=("inferred",),
    ),
    V(
        "no recipient, but a type",
        text='<|channel|>commentary <|constrain|>json<|message|>{"command": "ls"}<|call|>',
        calls=(("bash", {"command": "ls"}),),
        notes=("inferred",),
    ),
    V(
        "no recipient, and several that would do",
        text='<|channel|>commentary <|constrain|>json<|message|>{"path": "x"}<|call|>',
        content='{"path": "x"}',
        notes=("malformed",),
    ),
    V(
        "no recipient, and no JSON",
        text="<|channel|>commentary <|constrain|>json<|message|>So be it.<|end|>",
        content="So be it.",
    ),
    V(
        "JSON as an answer",
        text='<|channel|>final <|constrain|>json<|message|>{"command": "ls"}<|return|>',
        content='{"command": "ls"}',
    ),
    V(
        "a final that is a call",
        text=f"<|channel|>final to=functions.add<|message|>{ARGUMENTS}<|call|>",
        calls=(ADD,),
    ),
    # Bodies that have to be mended, or cannot be.
    V("a brace too many", text=f"{HEADER}{ARGUMENTS}}}<|call|>", calls=(ADD,), notes=("braces",)),
    V("a brace too few", text=f"{HEADER}{ARGUMENTS[:-1]}<|call|>", calls=(ADD,), notes=("brackets",)),
    V("text behind the arguments", text=f"{HEADER}{ARGUMENTS} so.<|end|>", calls=(ADD,), content="so."),
    V(
        "no tool of this name",
        text="<|channel|>commentary to=functions.sub<|message|>{}<|call|>",
        content="{}",
        notes=("malformed",),
    ),
    V(
        "arguments that are no object",
        text=f"{HEADER}[1]<|call|>",
        content=f"{HEADER}[1]",
        notes=("malformed",),
    ),
    V("cut in the arguments", text=f'{HEADER}{{"a": 1', broken=True, cut=True),
    V("cut in a header", text=f"{THOUGHT}{START}<|channel|>comm", reasoning="Hm.", cut=True),
    V("cut in a marker", text=f"{THOUGHT}{START}<|channel|>final<|mess", reasoning="Hm.", cut=True),
    V(
        "cut in a recipient",
        text=f"{THOUGHT}{START}<|channel|>commentary to=functions.a",
        reasoning="Hm.",
        content="<|start|>assistant<|channel|>commentary to=functions.a",
        notes=("malformed",),
        cut=True,
    ),
    V("cut in an answer", text="<|channel|>final<|message|>Hi<|e", content="Hi<|e", cut=True),
    V(
        "a thought in the prompt",
        text=f"Hm.<|end|>{START}{FINAL}",
        reasoning="Hm.",
        content="Hi.",
        reasoning_open=True,
    ),
    V(
        "without tools",
        text=f"{THOUGHT}{START}{CALL}",
        reasoning="Hm.",
        content=ARGUMENTS,
        tools=(),
        notes=("malformed",),
    ),
    V("no markers at all", text="Hello there.", content="Hello there."),
    V("prose that begins like a role", text="assistance to=x", content="assistance to=x"),
    V("only a role", text="assistant", content="assistant"),
    V("only lines", text=" \n", content=" \n"),
    V("nothing", text=""),
]
