"""Asks the demo model what it was never asked in training: `python -m cortex.neuron.demo.evaluate [DIR]`.

The questions here are kept out of the corpus. Answers are greedy; a word that must occur decides. Knows nothing
about the training.
"""

import argparse
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from cortex.neuron.demo import model_path
from cortex.neuron.demo.corpus import Message
from cortex.neuron.demo.smalltalk import counting
from cortex.neuron.demo.tools import KINDS, Tool, action

__all__ = ["MORE_QUESTIONS", "QUESTIONS", "TOOLS", "Demo", "main"]

# An unseen question, and what the answer must hold.
QUESTIONS: tuple[tuple[str, str], ...] = (
    ("I just heard about cortex. What does it actually do?", "proxy"),
    ("In this project, what do people mean when they say neuron?", "loads models"),
    ("What role has the broker got?", "routes"),
    ("So what exactly does this edge component take care of?", "HTTP"),
    ("I have cloned it, how can I get cortex going now?", "make up"),
    ("What would I press to make the server stop?", "Ctrl-C"),
    ("Is there some command that tells me the current state of my fleet?", "cortex status"),
    ("Which port number should my HTTP client use?", "31313"),
    ("My Prometheus wants to scrape it, on what port?", "31314"),
    ("Which client APIs am I able to use with cortex?", "OpenAI"),
    ("Suppose one of the neurons suddenly crashes, what then?", "another neuron"),
    ("What steps are needed so that another host can join?", "cortex neuron"),
    ("What do you mean by evicting a model?", "unloads"),
    ("If I pin some model, what is the effect?", "never evicted"),
    ("Under which license do you distribute the code?", "GPL-3.0"),
    ("In what programming language did they write cortex?", "Python"),
    ("How do the edge and the neurons exchange their messages?", "ZeroMQ"),
    ("At what rate do neurons send heartbeats?", "every second"),
    ("Where do the configuration files live and what are their names?", "models.toml"),
    ("Tell me, which model am I speaking with?", "cortex-demo"),
    ("And how many parameters does a model like you have?", "two million"),
    ("Would you write me a small Python script?", "cannot write code"),
    ("Do I really need a GPU for this?", "CPU"),
    ("How could I use the openai package in my Python program?", "base_url"),
    ("Which advantages made you choose ZeroMQ?", "server of its own"),
    ("hello there, nice day!", "Hello"),
    ("Thank you, that was very helpful.", "welcome"),
    ("please count from 4 up to 13 for me", "4, 5, 6, 7, 8, 9, 10, 11, 12, 13"),
    ("Who was the first emperor of Rome?", "do not know"),
    ("What is the tallest mountain of Peru?", "do not know"),
)
# A second list, written from the answers alone once the patterns of the first corpus were there, and looked at only
# after the training: what the patterns were improved for is not measured with it.
MORE_QUESTIONS: tuple[tuple[str, str], ...] = (
    ("My boss asked what this cortex thing is good for, what do I tell him?", "proxy"),
    ("Which component sits on the GPU box and actually produces the tokens?", "A neuron"),
    ("Who picks the neuron that will serve my prompt?", "broker"),
    ("Name the building blocks of cortex for me", "three parts"),
    ("Would it hurt if one of my brokers went away?", "losing one broker"),
    ("I have just installed cortex, what do I type first?", "cortex up"),
    ("I want to switch the whole thing off", "Ctrl-C"),
    ("How would I check that all of my neurons are still there?", "cortex status"),
    ("Can you show me how to find out what models this server offers?", "/v1/models"),
    ("What URL do I have to enter in my chat app?", "31313"),
    ("Where can our monitoring fetch its numbers?", "31314"),
    ("Could I talk to it in the Anthropic format?", "Anthropic"),
    ("I'd like Claude Code to use my own GPUs through cortex", "ANTHROPIC_BASE_URL"),
    ("A server caught fire while it was answering me, is my answer lost?", "last token"),
    ("We bought a second GPU server, how does it get into the fleet?", "registers"),
    ("The card is full but somebody asks for another model, what does cortex do?", "idle, unpinned"),
    ("By which rules does it choose the model to throw out?", "lru"),
    ("Make sure that my favourite model never leaves the memory", "pinned"),
    ("Do I have to bring up a model before I ask it something?", "names the model"),
    ("I must reboot a host tonight, how do I get the work off it gently?", "drain"),
    ("Am I permitted to use cortex inside my company for free?", "GPL"),
    ("How soon does cortex notice that a host is dead?", "three missed"),
    ("Everything is occupied right now, will my request be thrown away?", "fair queue"),
    ("Can I change one setting without editing a file?", "CORTEX_"),
    ("How do I give my colleague a token so that she may use it?", "cortex-ctl keys"),
    ("Is anybody able to spy on the connection between my hosts?", "CURVE"),
    ("Do you save what I type?", "never logged"),
    ("Twenty people want to chat at once, is that possible?", "batched"),
    ("How can I serve a Llama that I downloaded?", "safetensors"),
    ("Good evening to you", "Hello"),
    ("Could you count down from 9 to 3?", "9, 8, 7, 6, 5, 4, 3"),
    ("How heavy is a blue whale?", "do not know"),
)


def _tool(name: str, said: str, *arguments: str) -> Tool:
    properties = {argument: {"type": "string"} for argument in arguments}
    parameters = {"type": "object", "properties": properties, "required": list(arguments)}
    return {"type": "function", "function": {"name": name, "description": said, "parameters": parameters}}


TOOLS: dict[str, Tool] = {
    "weather": _tool("get_weather", "Get the weather of a city", "city"),
    "command": _tool("run_command", "Run a command in a shell", "command"),
    "read": _tool("read_file", "Read a file from disk", "path"),
    "write": _tool("write_file", "Write content to a file", "path", "content"),
    "search": _tool("search", "Search for something", "query"),
}
_CALLS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("Could you find out how the weather is in Helsinki?", "get_weather", {"city": "Helsinki"}),
    ("I would like you to run uptime -p", "run_command", {"command": "uptime -p"}),
    ("Have a look at notes/plan_7.md", "read_file", {"path": "notes/plan_7.md"}),
    (
        "Make a file todo.txt that contains buy milk",
        "write_file",
        {"path": "todo.txt", "content": "buy milk"},
    ),
    ("Search the web for cheap garden chairs", "search", {"query": "cheap garden chairs"}),
)


@dataclass(frozen=True)
class Demo:
    model: Any
    tokenizer: Any

    @classmethod
    def load(cls, directory: Path) -> "Demo":
        model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
        return cls(model, AutoTokenizer.from_pretrained(directory))

    def answers(
        self,
        conversations: Sequence[list[Message]],
        tools: list[Tool] | None = None,
        *,
        thinking: bool = False,
    ) -> list[str]:
        """What the model writes next in each, greedily, marks of tool calls and thinking included."""
        prompts = [
            self.tokenizer.apply_chat_template(
                messages, tools=tools, tokenize=False, add_generation_prompt=True, enable_thinking=thinking
            )
            for messages in conversations
        ]
        given = self.tokenizer(
            prompts, return_tensors="pt", add_special_tokens=False, padding=True, padding_side="left"
        )
        with torch.inference_mode():
            made = self.model.generate(**given, max_new_tokens=480, do_sample=False)
        begin = given["input_ids"].shape[1]
        return [self.tokenizer.decode(ids[begin:], skip_special_tokens=True) for ids in made]

    def answer(
        self, messages: list[Message], tools: list[Tool] | None = None, *, thinking: bool = False
    ) -> str:
        """What the model writes next in one conversation."""
        return self.answers([messages], tools, thinking=thinking)[0]

    def ask(self, question: str, tools: list[Tool] | None = None) -> str:
        return self.ask_all([question], tools)[0]

    def ask_all(self, questions: Iterable[str], tools: list[Tool] | None = None) -> list[str]:
        """An answer to each question, asked for itself."""
        return self.answers([[{"role": "user", "content": question}] for question in questions], tools)


def called(text: str) -> tuple[str, dict[str, Any]] | None:
    """The name and the arguments of the one call in the text, or nothing."""
    body = text.partition("<tool_call>")[2].partition("</tool_call>")[0]
    try:
        call = json.loads(body)
        return str(call["name"]), dict(call["arguments"])
    except (ValueError, KeyError, TypeError):
        return None


def _questions(demo: Demo, asked: tuple[tuple[str, str], ...]) -> int:
    right = 0
    for question, word in asked:
        answer = demo.ask(question)
        right += word in answer
        print(f"{'ok  ' if word in answer else 'MISS'} {question}\n       {answer}")
    return right


def _fixed_calls(demo: Demo) -> int:
    right = 0
    for question, name, arguments in _CALLS:
        answer = demo.ask(question, list(TOOLS.values()))
        good = called(answer) == (name, arguments)
        right += good
        print(f"{'ok  ' if good else 'MISS'} {question}\n       {' '.join(answer.split())}")
    return right


def _random_calls(demo: Demo, count: int, rng: Random) -> int:
    right = 0
    for _ in range(count):
        kind = rng.choice(KINDS)
        asked = action(kind, rng)
        function = TOOLS[kind]["function"]
        wanted = dict(zip(function["parameters"]["properties"], asked.values, strict=True))
        offered = list(TOOLS.values())
        rng.shuffle(offered)
        answer = demo.ask(asked.request, offered)
        good = called(answer) == (function["name"], wanted)
        right += good
        if not good:
            print(f"MISS {asked.request}\n       {' '.join(answer.split())}")
    return right


def _counts(demo: Demo, count: int, rng: Random) -> int:
    right = 0
    for _ in range(count):
        question, wanted = counting(rng)
        answer = demo.ask(question)
        right += answer == wanted
        if answer != wanted:
            print(f"MISS {question}\n       {answer}")
    return right


def main() -> int:
    parser = argparse.ArgumentParser(description="Ask the demo model what it was never asked in training.")
    parser.add_argument("directory", nargs="?", type=Path, default=model_path())
    parser.add_argument("--calls", type=int, default=50, help="how many random tool calls")
    options = parser.parse_args()
    start = time.monotonic()
    demo = Demo.load(options.directory)
    loaded = time.monotonic() - start
    rng = Random(7)
    scores = {
        "unseen questions": (_questions(demo, QUESTIONS), len(QUESTIONS)),
        "unseen questions, second list": (_questions(demo, MORE_QUESTIONS), len(MORE_QUESTIONS)),
        "tool calls, unseen wording": (_fixed_calls(demo), len(_CALLS)),
        "tool calls, random arguments": (_random_calls(demo, options.calls, rng), options.calls),
        "counting": (_counts(demo, 30, rng), 30),
    }
    print(f"\nloaded in {loaded:.2f} s")
    for name, (right, of) in scores.items():
        print(f"{name:32} {right:3d} of {of}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
