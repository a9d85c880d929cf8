"""Tools as agents offer them, and actions that people ask for: the tool-calling half of the corpus.

Names and arguments are mostly random, so that a model can only get them right by copying them out of the offered
tools and the user's words. What a whole conversation looks like is not known here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from cortex.neuron.demo.wording import cut, expand, random_name, random_text, random_word

__all__ = ["KINDS", "Action", "Tool", "action", "closing", "result", "stranger", "tool"]

Tool = dict[str, Any]


@dataclass(frozen=True)
class Action:
    kind: str
    request: str
    values: tuple[str, ...]


# kind: names of the tool, descriptions, and per argument its names. The first of each is the plain one.
_NAMES: dict[str, tuple[str, ...]] = {
    "weather": ("get_weather", "weather", "current_weather", "get_current_weather", "getWeather"),
    "command": ("run_command", "bash", "shell", "Bash", "execute", "exec_command", "run_shell"),
    "read": ("read_file", "Read", "cat", "open_file", "view_file", "readFile"),
    "write": ("write_file", "Write", "create_file", "save_file", "writeFile"),
    "search": ("search", "web_search", "Grep", "find", "lookup", "search_web"),
}
_SAYS: dict[str, tuple[str, ...]] = {
    "weather": ("Get the weather of a city", "The current weather", "Current weather for a place."),
    "command": (
        "Run a shell command",
        "Execute a command and return its output",
        "Runs a command in the shell.",
    ),
    "read": ("Read a file", "Return the content of a file", "Reads a text file from disk."),
    "write": ("Write a file", "Create a file with the given content", "Writes text to a file on disk."),
    "search": ("Search for a text", "Search the web", "Find pages that match a query."),
}
_ARGUMENTS: dict[str, tuple[tuple[str, ...], ...]] = {
    "weather": (("city", "location", "place"),),
    "command": (("command", "cmd"),),
    "read": (("path", "file_path", "filename", "file"),),
    "write": (("path", "file_path", "filename", "file"), ("content", "text", "contents")),
    "search": (("query", "q", "pattern"),),
}
_DEED_SHARE = 0.5
_CITIES = cut(
    "Paris London Berlin Madrid Rome Vienna Oslo Tokyo Lima Cairo Delhi Boston Geneva Zurich Prague Amsterdam Athens Bangkok "
    "Barcelona Beijing Bergen Bern Bologna Bordeaux Bremen Brussels Budapest Chicago Copenhagen Cologne Dakar Dallas Denver "
    "Dresden Dublin Edinburgh Florence Frankfurt Glasgow Graz Hamburg Hanoi Houston Istanbul Jakarta Kyoto Lagos Leipzig Lisbon "
    "Liverpool Lyon Manchester Marseille Melbourne Miami Milan Montreal Moscow Munich Nairobi Naples Osaka Oxford Palermo Perth "
    "Porto Reykjavik Riga Salzburg Santiago Seattle Seoul Seville Shanghai Singapore Sofia Stockholm Stuttgart Sydney Tallinn "
    "Toronto Trieste Turin Utrecht Valencia Venice Vilnius Warsaw Wellington Zagreb"
)
_COMMANDS = cut(
    "ls|ls -l|ls -a /tmp|pwd|date|date -u|whoami|hostname|hostname -I|id|free -h|free -m|df -h|df -i|du -sh .|ps aux|ps -ef|"
    "top -b -n 1|env|uname -r|uname -a|lscpu|lsblk|mount|ip addr|ip route|ss -tln|nvidia-smi|nvidia-smi -L|git status|git log -3|"
    "git diff|git branch -a|git pull|git stash|make test|make check|make clean|cargo build|cargo test|go build|go test|npm test|"
    "npm install|pip list|pip freeze|python --version|python -m pytest|node --version|docker ps|docker images|kubectl get pods|"
    "systemctl status ssh|journalctl -n 20|crontab -l|cat README.md|cat main.py|cat /etc/hosts|wc -l main.py|head -5 notes.txt|"
    "sleep 5|clear|history|last -5|w|true|tree|htop",
    "|",
)
_REQUESTS: dict[str, tuple[str, ...]] = {
    "weather": (
        "(what is|what's|how is|tell me|check|look up|get|show me|give me) the (weather|forecast|temperature|current weather) (in|for|at|of) {0} (today|now|right now|tomorrow||||)",
        "(is it|will it be) (raining|sunny|cold|warm|windy|snowing|hot) in {0} (today|now|tomorrow||)",
        "(weather|forecast|weather in|weather for) {0}",
        "how (warm|cold|hot|windy|wet) is it in {0} (today|now|)",
        "(do i need|should i take) (an umbrella|a coat) in {0}",
        "(i am travelling to|i am going to|i live in) {0}, (what is the weather there|how is the weather|what will the weather be)",
    ),
    "command": (
        "(run|execute|please run|please execute|could you run|run the command|execute the command|start) {0}",
        "(run this|run this command|execute this|in the shell|shell|command|terminal): {0}",
        "(what does|show me what|tell me what) {0} (prints|say|output|gives|returns|print)",
        "(can you|please) (run|execute|try) {0} (for me|in the terminal|in the shell|and tell me the output|)",
        "(use the shell|use the terminal|open a shell) (to run|and run) {0}",
    ),
    "read": (
        "(read|open|show|show me|print|display|view|cat|load|look at|please read) (the file|file|) {0}",
        "(what is in|what does|what's in|what stands in) (the file|) {0} (contain|say|)",
        "(show me|give me|print|tell me) (the contents of|the content of|what is in) (the file|) {0}",
        "(can you|could you|please) (read|open|show me) {0} (for me|and summarise it|)",
        "(i need to see|i want to see|take a look at|let me see) {0}",
    ),
    "write": (
        "(write|put|save|store) {1} (to|into|in) (the file|a file called|a file named|) {0}",
        "(create|make|write) (a file|the file|a new file|) {0} (with the content|containing|with the text|with|that says|with content) {1}",
        "(please|can you) (create|write|save) {0} (with the content|containing|with the text) {1}",
        "(save the text|write the text|write the words|store the line) {1} (to|in|into) {0}",
    ),
    "search": (
        "(search|search for|look up|find|google|search the web for|please search for|look for|query) {0}",
        "(find|search|get|look up) (information|pages|something|everything|results) (about|on|for) {0}",
        "(can you|could you|please) (search for|look up|find) {0} (for me|online|on the web|)",
        "(do a search|start a search|run a search|make a search) (for|about) {0}",
    ),
}
# Deeds alone, for the frames below them.
_DEEDS: dict[str, str] = {
    "weather": "(check|look up|find out|tell me|get|see|fetch|report) (the weather|the forecast|the temperature|how warm it is|how cold it is|the current weather|if it rains|whether it snows) (in|for|at) {0}",
    "command": "(run|execute|start|try|enter|type|launch|call|do|issue) (the command|the shell command|the program|||) {0}",
    "read": "(read|open|show|print|view|look into|look at|check|inspect|load|fetch|go through|display) (the file|the text in|what is in|the contents of|file||) {0}",
    "write": (
        "((write|put|save|store|place|note) (the text|the words|the line||) {1} (to|into|in) (the file|a new file|file|) {0}"
        "|(create|make|write|add|start|produce|prepare) (the file|a file|a new file|a text file|) (called|named|) {0}"
        " (holding|containing|with|with the text|with the line|and put in it|saying|that holds|whose text is|which says) {1})"
    ),
    "search": "(search|search for|look up|look for|find|google|query|hunt for|find pages about|search the net for|seek|find out about|find me) {0}",
}
_POLITE = (
    "(i want you to|would you|could you|can you|will you|please|i need you to|you should|go ahead and|now|next,|your task is to"
    "|it is time to|let us|we have to|kindly|do me a favour and|i ask you to|be so kind and|try to|just|go and|you may|it would be nice to"
    "|i think you should|once more,|first,|quickly|use your tools and|use a tool to||||) $deed (please|for me|now|, please|, thanks|, will you||||||)"
)
KINDS = tuple(_NAMES)


def _path(rng: Random) -> str:
    depth = rng.choice((0, 0, 1, 1, 2, 3))
    stem = random_word(rng, 2) + (f"_{random_word(rng, 2)}" if rng.random() < 0.2 else "")
    if rng.random() < 0.15:
        stem += str(rng.randint(0, 99))
    ending = rng.choice((".txt", ".py", ".md", ".json", ".toml", ".log", ".csv", ".rs", ".yaml", ".html", ""))
    start = rng.choice(("/", "", "./", "~/", "/etc/", "/var/", "/home/", "src/", "docs/"))
    return start + "".join(random_word(rng, 2) + "/" for _ in range(depth)) + stem + ending


def _command(rng: Random) -> str:
    if rng.random() < 0.3:
        return rng.choice(_COMMANDS)
    word, other, path = random_word(rng, 2), random_word(rng, 2), _path(rng)
    shapes = (
        f"ls {path}", f"ls -la {path}", "ls -l", "git status", f"git checkout {word}", f"cat {path}", f"grep -n {word} {path}",
        f"echo {word} {other}", f'echo "{word} {other}"', f"python {path}", f"{word} --{other}", f"{word} -{other[0]} {path}",
        f"{word} {other} {path}", f"make {word}", f"pip install {word}", f"mkdir -p {path}", f"rm {path}", "pwd", "date", "df -h",
        f"{word} | {other}", f"cp {path} {word}", f"find . -name {word}", f"tail -n {rng.randint(1, 99)} {path}", f"cd {path} && {word}",
        f"{word} {rng.randint(0, 999)} --{other}={random_word(rng, 2)}", f"docker run {word}", "uname -a", f"git commit -m '{word} {other}'",
    )  # fmt: skip
    return rng.choice(shapes)


def _city(rng: Random) -> str:
    return rng.choice(_CITIES) if rng.random() < 0.4 else random_name(rng)


_VALUES: dict[str, tuple[Callable[[Random], str], ...]] = {
    "weather": (_city,),
    "command": (_command,),
    "read": (_path,),
    "write": (_path, lambda rng: random_text(rng, 1, 5)),
    "search": (lambda rng: random_text(rng, 1, 5),),
}


def action(kind: str, rng: Random) -> Action:
    """Somebody wants this kind of thing done: the words they use, and the values a call must carry."""
    values = tuple(make(rng) for make in _VALUES[kind])
    deed = rng.random() < _DEED_SHARE
    request = expand(_POLITE if deed else rng.choice(_REQUESTS[kind]), {"deed": _DEEDS[kind]}, rng)
    if rng.random() < 0.5:
        request = request[:1].upper() + request[1:]
    if rng.random() < 0.1:
        request = rng.choice(("Please ", "Hey, ", "ok, ", "Now ", "and then ")) + request
    quote = rng.choice(("", "", "`", '"', "'")) if kind != "weather" else ""
    if any('"' in value or "'" in value for value in values):
        quote = rng.choice(("", "`"))
    for i, value in enumerate(values):
        request = request.replace(f"{{{i}}}", f"{quote}{value}{quote}")
    mark = rng.choice(("?", "?", "", ".", " please")) if kind in {"weather", "search"} or quote else ""
    return Action(kind, request + mark, values)


def stranger(rng: Random) -> tuple[Tool, Action]:
    """A tool that nobody knows, and a request that names it and one argument."""
    name = random_word(rng, 2) + rng.choice(("_", "", "-")) + random_word(rng, 2)
    argument, value = random_word(rng, 2), random_text(rng, 1, 3)
    request = expand(
        "(use|call|please use|run) (the tool|the function|) {0} (with|on|where|for) {1} (=|set to|) {2}",
        {},
        rng,
    )
    for i, word in enumerate((name, argument, value)):
        request = request.replace(f"{{{i}}}", word)
    said = random_text(rng, 2, 4) if rng.random() < 0.5 else ""
    return _schema(name, said, (argument,), rng), Action("other", request, (value,))


def tool(kind: str, rng: Random) -> Tool:
    """The offer of this kind of tool, plain more often than not."""
    plain = rng.random() < 0.6
    arguments = tuple(names[0] if plain else rng.choice(names) for names in _ARGUMENTS[kind])
    name = _NAMES[kind][0] if plain else rng.choice(_NAMES[kind])
    return _schema(name, rng.choice((*_SAYS[kind], "")), arguments, rng)


def _schema(name: str, said: str, arguments: tuple[str, ...], rng: Random) -> Tool:
    described = rng.random() < 0.1
    properties: dict[str, Any] = {}
    for argument in arguments:
        properties[argument] = {"type": "string"} | (
            {"description": random_text(rng, 2, 4)} if described else {}
        )
    parameters: dict[str, Any] = {"type": "object", "properties": properties}
    if rng.random() < 0.7:
        parameters["required"] = list(arguments)
    return {"name": name, **({"description": said} if said else {}), "parameters": parameters}


def result(asked: Action, rng: Random) -> str:
    """What such a tool may answer, in one line."""
    if rng.random() < 0.1:
        return rng.choice(("error: ", "Error: ")) + random_text(rng, 2, 4)
    if asked.kind == "weather":
        sky = rng.choice(("sunny", "cloudy", "rain", "snow", "windy", "fog", "clear", "light rain"))
        return rng.choice(("{0} C, {1}", "{1}, {0} C", "{0} degrees and {1}", "{1}")).format(
            rng.randint(-9, 39), sky
        )
    if asked.kind == "write":
        return rng.choice(("ok", "done", "written", "true", f"{rng.randint(1, 999)} bytes written"))
    return random_text(rng, 1, 7)


def closing(asked: Action, answer: str) -> str:
    """The sentence that tells the user what came of it."""
    if answer.lower().startswith("error"):
        return f"The tool failed: {answer}"
    if asked.kind == "weather":
        return f"The weather in {asked.values[0]}: {answer}."
    if asked.kind == "write":
        return f"Done, I wrote {asked.values[0]}."
    says = {"command": "The command printed", "read": "The file says", "search": "I found"}
    return f"{says.get(asked.kind, 'The tool says')}: {answer}"
