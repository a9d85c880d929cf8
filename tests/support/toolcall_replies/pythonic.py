"""Pythonic: `[name(key=literal), …]`, bare or between `<|python_start|>` and `<|python_end|>`."""

from __future__ import annotations

from functools import partial

from toolcall_vectors import STRING, Vector, tool

V = partial(Vector, family="pythonic")
ADD = ("add", {"a": 1, "b": 2})
PING = ("ping", {})
PARIS = ("get_weather", {"city": "Paris"})
FROM = tool("travel", {"from": STRING, "to": STRING, "via-city": STRING}, "from", "to")
DOTTED = tool("math.sum", {"a": {"type": "integer"}}, "a")
QUOTES = {"path": "q.txt", "content": 'He said "it\'s" [x](y), {z}'}


def search(**arguments: object) -> tuple[tuple[str, dict[str, object]], ...]:
    return (("search", arguments),)


VECTORS = [
    V("one call", text="[add(a=1, b=2)]", calls=(ADD,)),
    V("between markers", text="<|python_start|>[add(a=1, b=2)]<|python_end|>", calls=(ADD,)),
    V("a marker, but no brackets", text="<|python_start|>add(a=1, b=2)<|python_end|>", calls=(ADD,)),
    V("parallel calls", text="[add(a=1, b=2), ping(), get_weather(city='Paris')]", calls=(ADD, PING, PARIS)),
    V("over several lines", text="\n[\n  add(\n    a=1,\n    b=2,\n  ),\n  ping()\n]\n", calls=(ADD, PING)),
    V(
        "two lists",
        text="[add(a=1, b=2)]\n[ping()]",
        calls=(ADD, PING),
    ),
    V(
        "all kinds of values",
        text="""[search(query="x", filters={"a": [1, -2.5, None, True, {'b': ()}]}, tags=['t'], exact=False, boost=-1e3)]""",
        calls=search(
            query="x",
            filters={"a": [1, -2.5, None, True, {"b": []}]},
            tags=["t"],
            exact=False,
            boost=-1000.0,
        ),
    ),
    V(
        "words of JSON",
        text='[search(query="x", exact=true, after=null, filters={"f": false})]',
        calls=search(query="x", exact=True, after=None, filters={"f": False}),
    ),
    V(
        "both quotes and brackets in strings",
        text="""[write_file(path='q.txt', content="He said \\"it's\\" [x](y), {z}")]""",
        calls=(("write_file", QUOTES),),
    ),
    V(
        "escapes",
        text=r"""[write_file(path="a\tb", content='\x41\u00e9\U0001F600\N{DASH}\101\'\\n \d')]""".replace(
            "DASH", "EM DASH"
        ),
        calls=(("write_file", {"path": "a\tb", "content": "Aé😀\u2014A'\\n \\d"}),),
    ),
    V(
        "surrogate pairs as JSON writes them",
        text=r'[search(query="\ud83d\ude00")]',
        calls=search(query="😀"),
    ),
    V(
        "triple quotes",
        text='[write_file(path="a.py", content="""def f():\n    return "x"\n""")]',
        calls=(("write_file", {"path": "a.py", "content": 'def f():\n    return "x"\n'}),),
        notes=(),
    ),
    V("empty strings", text="[search(query='', tags=[\"\", ''])]", calls=search(query="", tags=["", ""])),
    V("a raw string", text=r"[search(query=r'\d+\n')]", calls=search(query=r"\d+\n")),
    V("joined strings", text="[search(query='a' \"b\")]", calls=search(query="ab")),
    V("unicode", text="[search(query='größe 你好 😀')]", calls=search(query="größe 你好 😀")),
    V(
        "keywords that Python keeps for itself",
        text="[travel(from='Rome', to='Bern', via-city='Milan')]",
        calls=(("travel", {"from": "Rome", "to": "Bern", "via-city": "Milan"}),),
        tools=(FROM,),
    ),
    V("a dotted name", text="[math.sum(a=1)]", calls=(("math.sum", {"a": 1}),), tools=(DOTTED,)),
    V("one dict for all arguments", text='[add({"a": 1, "b": 2})]', calls=(ADD,)),
    V("no last bracket", text="[add(a=1, b=2), ping()", calls=(ADD, PING)),
    V("no last brackets", text="[search(query='x'", calls=search(query="x"), notes=("brackets",)),
    V(
        "no last brackets of several",
        text="[search(query='x', tags=['y', 'z'",
        calls=search(query="x", tags=["y", "z"]),
        notes=("brackets",),
    ),
    V("a bracket instead of a parenthesis", text="[add(a=1, b=2]", calls=(ADD,), notes=("brackets",)),
    V("a comma behind the last call", text="[add(a=1, b=2), ]", calls=(ADD,), notes=("commas",)),
    V("no brackets", text="add(a=1, b=2)", calls=(ADD,)),
    V(
        "no brackets, several",
        text="add(a=1, b=2), ping()\nget_weather(city='Paris')",
        calls=(ADD, PING, PARIS),
    ),
    V("no brackets, and text", text="add(a=1, b=2)\nThat is it.", calls=(ADD,), content="That is it."),
    V("text first", text="Let me add these.\n[add(a=1, b=2)]", content="Let me add these.", calls=(ADD,)),
    V("text behind", text="[add(a=1, b=2)]\nDone.", content="Done.", calls=(ADD,)),
    V(
        "text before a marker",
        text="Sure. <|python_start|>[ping()]<|python_end|>",
        content="Sure. ",
        calls=(PING,),
    ),
    V("thought first", text="<think>Add.</think>\n[ping()]", reasoning="Add.", calls=(PING,)),
    V(
        "a list in a thought is a draft",
        text="<think>Maybe\n[ping()]\nor not.</think>No.",
        reasoning="Maybe\n[ping()]\nor not.",
        content="No.",
    ),
    V(
        "a call marked in a thought",
        text="<think>So <|python_start|>[ping()]",
        reasoning="So ",
        calls=(PING,),
    ),
    V(
        "a name in a namespace",
        text="<|python_start|>[functions.add(a=1, b=2)]",
        calls=(ADD,),
        notes=("name",),
    ),
    V(
        "a line break in a string",
        text="[write_file(path='a', content='x\ny')]",
        calls=(("write_file", {"path": "a", "content": "x\ny"}),),
        notes=("controls",),
    ),
    V(
        "an escape that lacks digits",
        text=r"[bash(command='cd C:\Users')]",
        calls=(("bash", {"command": r"cd C:\Users"}),),
        notes=("escapes",),
    ),
    # No calls.
    V("a footnote", text="[1] See below.", content="[1] See below."),
    V("a check box", text="[x] done", content="[x] done"),
    V("an empty check box", text="[ ] open", content="[ ] open"),
    V("a note", text="[see note]", content="[see note]"),
    V("a list of numbers", text="[1, 2, 3]", content="[1, 2, 3]"),
    V("a link", text="[add](http://x.y/add(1))", content="[add](http://x.y/add(1))"),
    V("an empty list", text="[]", content="[]"),
    V("a bracket", text="[", content="["),
    V("JSON", text='[{"name": 1}]', content='[{"name": 1}]'),
    V("prose", text="Adding is easy: add(a=1, b=2).", content="Adding is easy: add(a=1, b=2)."),
    V("prose that begins with a name", text="add both numbers", content="add both numbers"),
    V(
        "prose that begins with a call",
        text="add(a=1, b=2) gives 3.",
        content="add(a=1, b=2) gives 3.",
        notes=("malformed",),
    ),
    V("no tool of this name", text="[subtract(a=1)]", content="[subtract(a=1)]"),
    V(
        "no tool of this name, marked",
        text="<|python_start|>[subtract(a=1)]<|python_end|>",
        content="<|python_start|>[subtract(a=1)]<|python_end|>",
        notes=("malformed",),
    ),
    V(
        "in a fence it is an example",
        text="Write:\n```\n[ping()]\n```",
        content="Write:\n```\n[ping()]\n```",
    ),
    V(
        "a call within a line is prose",
        text="Use [ping()] for that.",
        content="Use [ping()] for that.",
    ),
    V("a sum is no literal", text="[add(a=1+1, b=2)]", content="[add(a=1+1, b=2)]", notes=("malformed",)),
    V("a name is no literal", text="[add(a=x, b=2)]", content="[add(a=x, b=2)]", notes=("malformed",)),
    V(
        "a call is no literal",
        text="[add(a=ping(), b=2)]",
        content="[add(a=ping(), b=2)]",
        notes=("malformed",),
    ),
    V("no keywords", text="[add(1, 2)]", content="[add(1, 2)]", notes=("malformed",)),
    V("a keyword twice", text="[add(a=1, a=1)]", content="[add(a=1, a=1)]", notes=("malformed",)),
    V("a set", text="[search(query={'a'})]", content="[search(query={'a'})]", notes=("malformed",)),
    V(
        "keys that are numbers",
        text="[search(query='x', filters={1: 2})]",
        content="[search(query='x', filters={1: 2})]",
        notes=("malformed",),
    ),
    V(
        "half a surrogate pair",
        text=r"[search(query='\ud83d')]",
        content=r"[search(query='\ud83d')]",
        notes=("malformed",),
    ),
    V("an f-string", text="[search(query=f'{x}')]", content="[search(query=f'{x}')]", notes=("malformed",)),
    V(
        "too large for JSON",
        text="[search(query='x', boost=1e999)]",
        content="[search(query='x', boost=1e999)]",
        notes=("malformed",),
    ),
    V(
        "too deep",
        text="[search(query=" + "[" * 80,
        content="[search(query=" + "[" * 80,
        notes=("malformed",),
    ),
    V(
        "arguments that do not fit",
        text="[add(a='x', b=2)]",
        content="[add(a='x', b=2)]",
        notes=("malformed",),
    ),
    V("cut in a string", text="[search(query='x", content="[search(query='x", notes=("malformed",)),
    V(
        "cut in a word",
        text="[search(query='x', exact=Tru",
        content="[search(query='x', exact=Tru",
        notes=("malformed",),
    ),
    V("a number at the end may be cut", text="[add(a=1, b=2", content="[add(a=1, b=2", notes=("malformed",)),
    V(
        "cut behind a value",
        text="[search(query='x'",
        content="[search(query='x'",
        notes=("malformed",),
        cut=True,
    ),
    V(
        "cut behind the first call",
        text="[ping(), add(a=1",
        content=", add(a=1",
        calls=(PING,),
        notes=("malformed",),
        cut=True,
    ),
    V("without tools", text="[ping()]", content="[ping()]", tools=()),
]
