"""Hermes, mended: each repair alone, several together, each switched off, and what is cut, which is never mended."""

from __future__ import annotations

from toolcall_vectors import Vector

from cortex.protocol.toolcalls.steps import ALL, Step
from toolcall_replies.hermes import ADD, ADD_J, BAD, LS, LS_J, V, block, search, write, written

REPAIRED = [
    V(
        "the body from the field, without its name",
        text=block('{"arguments":{"command":"mkdir -p doc/plan/{01-discovery,02-design}"}}'),
        calls=(("bash", {"command": "mkdir -p doc/plan/{01-discovery,02-design}"}),),
        notes=("inferred",),
    ),
    V("braces too many", text=block(ADD_J + "}}"), calls=(ADD,), notes=("braces",)),
    V(
        "a brace too many at the end of the reply",
        text="<tool_call>" + ADD_J + "}",
        calls=(ADD,),
        notes=("braces",),
    ),
    V("a brace too few", text=block(ADD_J[:-1]), calls=(ADD,), notes=("brackets",)),
    V("two braces too few", text=block(ADD_J[:-2]), calls=(ADD,), notes=("brackets",)),
    V(
        "a bracket and braces too few",
        text=block('{"name": "search", "arguments": {"query": "x", "tags": ["a"'),
        calls=search(query="x", tags=["a"]),
        notes=("brackets",),
    ),
    V(
        "a brace too few at the end of the reply",
        text="<tool_call>" + LS_J[:-1],
        calls=(LS,),
        notes=("brackets",),
    ),
    V(
        "a comma too many",
        text=block('{"name": "add", "arguments": {"a": 1, "b": 2,},}'),
        calls=(ADD,),
        notes=("commas",),
    ),
    V(
        "single quotes",
        text=block("{'name': 'bash', 'arguments': {'command': 'ls'}}"),
        calls=(LS,),
        notes=("quotes",),
    ),
    V(
        "single quotes round double ones",
        text=block("""{'name': 'bash', 'arguments': {'command': 'echo "it\\'s"'}}"""),
        calls=(("bash", {"command": 'echo "it\'s"'}),),
        notes=("quotes",),
    ),
    V(
        "line breaks in a string",
        text=written("def f():\n\treturn 1\r\n"),
        calls=write("def f():\n\treturn 1\r\n"),
        notes=("controls",),
    ),
    V(
        "a backslash that begins no escape",
        text=written(r"\d+\s \'"),
        calls=write("\\d+\\s '"),
        notes=("escapes",),
    ),
    V(
        "words of Python",
        text=block('{"name": "search", "arguments": {"query": "x", "exact": True, "after": None}}'),
        calls=search(query="x", exact=True, after=None),
        notes=("words",),
    ),
    V(
        "arguments as a string",
        text=block('{"name": "add", "arguments": "{\\"a\\": 1, \\"b\\": 2}"}'),
        calls=(ADD,),
        notes=("string",),
    ),
    V("another case", text=block(LS_J.replace("bash", "Bash")), calls=(LS,), notes=("name",)),
    V("a namespace", text=block(LS_J.replace("bash", "functions.bash")), calls=(LS,), notes=("name",)),
    V(
        "a dash",
        text=block('{"name": "list-dir", "arguments": {"path": "."}}'),
        calls=(("list_dir", {"path": "."}),),
        notes=("name",),
    ),
    V(
        "a name among the arguments",
        text=block('{"arguments": {"name": "bash", "command": "ls"}}'),
        calls=(LS,),
        notes=("hoisted",),
    ),
    V(
        "a name that nothing tells",
        text=block('{"arguments": {"path": "a"}}'),
        content=block('{"arguments": {"path": "a"}}'),
        notes=(BAD,),
    ),
    V(
        "two objects, not separated",
        text=f"<tool_call>\n{ADD_J}\n{LS_J}\n</tool_call>",
        calls=(ADD, LS),
    ),
    V(
        "single quotes, a comma and a brace too few",
        text=block("{'name': 'search', 'arguments': {'query': 'x', 'exact': True,}"),
        calls=search(query="x", exact=True),
        notes=("quotes", "words", "commas", "brackets"),
    ),
    V(
        "a name in another case, arguments as a string, braces too many",
        text=block('{"name": "ADD", "arguments": "{\\"a\\": 1, \\"b\\": 2}"}}'),
        calls=(ADD,),
        notes=("name", "string", "braces"),
    ),
    V(
        "no name, line breaks, an escape and a brace too few",
        text=block('{"arguments": {"path": "a.py", "content": "a\n\\d"}'),
        calls=write("a\n\\d"),
        notes=("controls", "escapes", "brackets", "inferred"),
    ),
    V(
        "quotes that are not escaped break a call",
        text=written('print("x")'),
        broken=True,
    ),
]

CUT = [
    V(
        "a file cut in the middle",
        text='<tool_call>\n{"name": "write_file", "arguments": {"path": "a.py", "content": "def f(',
        broken=True,
        cut=True,
    ),
    V(
        "a file that ends in the middle",
        text='<tool_call>\n{"name": "write_file", "arguments": {"path": "a.py", "content": "def f(',
        broken=True,
    ),
    V(
        "a file cut behind its content",
        text='<tool_call>\n{"name": "write_file", "arguments": {"path": "a.py", "content": "x"',
        broken=True,
        cut=True,
    ),
    V(
        "a file without its name cut in the middle",
        text='<tool_call>{"arguments": {"path": "a.py", "content": "def',
        content='<tool_call>{"arguments": {"path": "a.py", "content": "def',
        notes=(BAD,),
        cut=True,
    ),
    V("a number at the end", text='<tool_call>{"name": "add", "arguments": {"a": 1, "b": 2', broken=True),
    V(
        "a number before the closer",
        text=block('{"name": "add", "arguments": {"a": 1, "b": 2'),
        calls=(ADD,),
        notes=("brackets",),
    ),
    V("half a word", text=block('{"name": "search", "arguments": {"query": "x", "exact": tru'), broken=True),
    V("a key alone", text=block('{"name": "add", "arguments": {"a": 1, "b"'), broken=True),
    V(
        "cut within the name",
        text='<tool_call>{"name": "ad',
        content='<tool_call>{"name": "ad',
        notes=(BAD,),
        cut=True,
    ),
    V("cut within the marker", text="Well <tool_ca", content="Well <tool_ca", cut=True),
    V(
        "cut behind a whole call",
        text=block(ADD_J) + "<tool_call>{",
        calls=(ADD,),
        content="<tool_call>{",
        notes=(BAD,),
        cut=True,
    ),
    V(
        "cut within the closer",
        text=f"<tool_call>{ADD_J}</tool_c",
        calls=(ADD,),
        content="</tool_c",
        cut=True,
    ),
]


def off(step: Step, body: str, **expected: object) -> Vector:
    """What comes of a body where this step is switched off: text as it came, unless a part of it has left."""
    return V(f"without the step {step}", text=block(body), steps=ALL - {step}, **expected)


OFF = [
    off(Step.BRACES, ADD_J + "}", content="}\n</tool_call>", calls=(ADD,)),
    off(Step.BRACKETS, ADD_J[:-1], broken=True),
    off(Step.COMMAS, ADD_J[:-2] + ",}}", broken=True),
    off(Step.QUOTES, "{'name': 'ping'}", content=block("{'name': 'ping'}"), notes=(BAD,)),
    off(
        Step.CONTROLS,
        '{"arguments": {"command": "a\n"}}',
        content=block('{"arguments": {"command": "a\n"}}'),
        notes=(BAD,),
    ),
    off(
        Step.ESCAPES,
        '{"arguments": {"command": "\\d"}}',
        content=block('{"arguments": {"command": "\\d"}}'),
        notes=(BAD,),
    ),
    off(
        Step.WORDS,
        '{"arguments": {"query": "x", "exact": True}}',
        content=block('{"arguments": {"query": "x", "exact": True}}'),
        notes=(BAD,),
    ),
    off(
        Step.STRING,
        '{"name": "bash", "arguments": "{}"}',
        content=block('{"name": "bash", "arguments": "{}"}'),
        notes=(BAD,),
    ),
    off(Step.NAME, '{"name": "Ping"}', content=block('{"name": "Ping"}'), notes=(BAD,)),
    off(
        Step.HOISTED,
        '{"arguments": {"name": "ping"}}',
        content=block('{"arguments": {"name": "ping"}}'),
        notes=(BAD,),
    ),
    off(
        Step.INFERRED,
        '{"arguments": {"command": "ls"}}',
        content=block('{"arguments": {"command": "ls"}}'),
        notes=(BAD,),
    ),
]

VECTORS = [*REPAIRED, *CUT, *OFF]
