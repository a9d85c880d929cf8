"""Gemma 4 and FunctionGemma: `call:name{key:<|"|>text<|"|>}` between markers."""

from __future__ import annotations

from functools import partial

from toolcall_vectors import Vector

V = partial(Vector, family="gemma")
ADD = ("add", {"a": 1, "b": 2})
PING = ("ping", {})
PARIS = ("get_weather", {"city": "Paris"})
Q = '<|"|>'


def call(body: str) -> str:
    return f"<|tool_call>{body}<tool_call|>"


def searched(**arguments: object) -> tuple[tuple[str, dict[str, object]], ...]:
    return (("search", arguments),)


VECTORS = [
    V("one call", text=call("call:add{a:1,b:2}"), calls=(ADD,)),
    V("a string", text=call(f"call:get_weather{{city:{Q}Paris{Q}}}"), calls=(PARIS,)),
    V(
        "FunctionGemma",
        text="<start_function_call>call:get_weather{city:<escape>Paris<escape>}<end_function_call>",
        calls=(PARIS,),
    ),
    V(
        "FunctionGemma, several",
        text="<start_function_call>call:ping{}<end_function_call><start_function_call>call:add{a:1,b:2}<end_function_call>",
        calls=(PING, ADD),
    ),
    V("parallel calls", text=call("call:ping{}") + call("call:add{a:1,b:2}"), calls=(PING, ADD)),
    V("text before", text="Adding.\n" + call("call:add{a:1,b:2}"), content="Adding.\n", calls=(ADD,)),
    V("a response as its end", text=call("call:ping{}") + "<|tool_response>", calls=(PING,)),
    V(
        "all kinds of values",
        text=call(
            f"call:search{{query:{Q}x{Q},filters:{{a:[1,-2.5e3,null],b:{{}},c:[]}},tags:[{Q}t{Q},{Q}{Q}],exact:true,boost:0.5}}"
        ),
        calls=searched(
            query="x",
            filters={"a": [1, -2500.0, None], "b": {}, "c": []},
            tags=["t", ""],
            exact=True,
            boost=0.5,
        ),
    ),
    V(
        "strings know no escapes",
        text=call(f'call:write_file{{path:{Q}a.py{Q},content:{Q}s = "a\\n",\n\t}} # <|"|  <b> é😀{Q}}}'),
        calls=(("write_file", {"path": "a.py", "content": 's = "a\\n",\n\t} # <|"|  <b> é😀'}),),
    ),
    V(
        "its own markers in a string",
        text=call(f"call:search{{query:{Q}}}<tool_call|><|channel>{Q}}}"),
        calls=searched(query="}<tool_call|><|channel>"),
    ),
    V(
        "spaces and lines",
        text=call(f" call:search {{ query : {Q} x {Q} ,\n exact : true }} "),
        calls=searched(query=" x ", exact=True),
    ),
    V(
        "keys in delimiters",
        text=call(f"call:search{{{Q}query{Q}:{Q}x{Q},filters:{{{Q}a b{Q}:1}}}}"),
        calls=searched(query="x", filters={"a b": 1}),
    ),
    V(
        "thought first",
        text="<|channel>thought\nAdd.\n<channel|>" + call("call:ping{}"),
        reasoning="Add.\n",
        calls=(PING,),
    ),
    V("an empty thought", text="<|channel>thought\n<channel|>Hello.", content="Hello."),
    V(
        "thought and an answer",
        text="<|channel>thought\nHm.\n<channel|>Hello.",
        reasoning="Hm.\n",
        content="Hello.",
    ),
    V(
        "a thought in the prompt",
        text="Hm.<channel|>Hello.",
        reasoning="Hm.",
        content="Hello.",
        reasoning_open=True,
    ),
    V(
        "a call in a thought",
        text="<|channel>thought\nAdd." + call("call:ping{}"),
        reasoning="Add.",
        calls=(PING,),
    ),
    V(
        "a draft comes again",
        text=f"<|channel>thought\n{call('call:ping{}')}<channel|>{call('call:ping{}')}",
        calls=(PING,),
    ),
    V("no end", text="<|tool_call>call:add{a:1,b:2}", calls=(ADD,)),
    V("no end, and another call", text="<|tool_call>call:ping{}<|tool_call>call:ping{}", calls=(PING, PING)),
    V("no brace", text="<|tool_call>call:ping<tool_call|>", calls=(PING,)),
    V("no closing brace", text=call("call:add{a:1,b:2"), calls=(ADD,), notes=("brackets",)),
    V(
        "no closing brackets",
        text=f"<|tool_call>call:search{{query:{Q}x{Q},tags:[{Q}t{Q}",
        calls=searched(query="x", tags=["t"]),
        notes=("brackets",),
    ),
    V("no call", text="<|tool_call>add{a:1,b:2}<tool_call|>", calls=(ADD,)),
    V("a colon for the call", text="<|tool_call>:add{a:1,b:2}<tool_call|>", calls=(ADD,)),
    V("no marker", text="call:add{a:1,b:2}<tool_call|>", calls=(ADD,)),
    V(
        "no marker, behind a thought",
        text="<|channel>thought\nHm.<channel|>call:add{a:1,b:2}",
        reasoning="Hm.",
        calls=(ADD,),
    ),
    V("parentheses", text=call("call:add(a=1, b=2)"), calls=(ADD,)),
    V(
        "parentheses with colons",
        text=call(f"call:bash(command:{Q}ls -a (x){Q})"),
        calls=(("bash", {"command": "ls -a (x)"}),),
    ),
    V(
        "a doubled name and plain quotes",
        text=call('call:get_weather:get_weather{city: "Paris"}'),
        calls=(PARIS,),
        notes=("name",),
    ),
    V("a namespace", text=call("call:google:mcp:math:add{a:1,b:2}"), calls=(ADD,), notes=("name",)),
    V(
        "single quotes",
        text=call("call:get_weather{city: 'Pa\"ris, {'}"),
        calls=(("get_weather", {"city": 'Pa"ris, {'}),),
        notes=("quotes",),
    ),
    V(
        "a string without its opening delimiter",
        text=call(f"call:search{{query:weather in Tokyo{Q}}}"),
        calls=searched(query="weather in Tokyo"),
        notes=("quotes",),
    ),
    V(
        "a string with commas, without its opening delimiter",
        text=call(f"call:search{{query:Paris, <b>{{France}}{Q},exact:true}}"),
        calls=searched(query="Paris, <b>{France}", exact=True),
        notes=("quotes",),
    ),
    V(
        "digits without their opening delimiter",
        text=call(f"call:search{{query:12{Q},tags:[{Q}1{Q}, 2{Q}]}}"),
        calls=searched(query="12", tags=["1", "2"]),
        notes=("quotes",),
    ),
    V(
        "words of Python",
        text=call(f"call:search{{query:{Q}x{Q},exact:True,after:None}}"),
        calls=searched(query="x", exact=True, after=None),
        notes=("words",),
    ),
    V("a comma too many", text=call("call:add{a:1,b:2,}"), calls=(ADD,), notes=("commas",)),
    # No calls.
    V("prose", text="call:me maybe", content="call:me maybe"),
    V("prose with another name", text="call:subtract{a:1}", content="call:subtract{a:1}"),
    V("prose that begins so", text="calling add{a:1}", content="calling add{a:1}"),
    V(
        "no tool of this name",
        text=call("call:subtract{a:1}"),
        content=call("call:subtract{a:1}"),
        notes=("malformed",),
    ),
    V(
        "a bare call that does not fit",
        text=f"call:add{{a:{Q}x{Q}}}",
        content=f"call:add{{a:{Q}x{Q}}}",
        notes=("malformed",),
    ),
    V(
        "in a fence it is an example",
        text=f"```\n{call('call:ping{}')}\n```",
        content=f"```\n{call('call:ping{}')}\n```",
    ),
    V("a word that is no value", text=call("call:search{query:Paris}"), broken=True),
    V("cut in a string", text=f"<|tool_call>call:search{{query:{Q}x", broken=True, cut=True),
    V("cut in a name", text="<|tool_call>call:sea", content="<|tool_call>call:sea", cut=True),
    V("a closing delimiter is missing", text=call(f"call:search{{query:{Q}x}}"), broken=True),
]
