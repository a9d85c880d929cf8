"""What an answer's tokens are held to: a JSON schema, a regular expression, a grammar, or calls of the tools on offer.

llguidance (MIT) turns any of them into the set of tokens that may come next. Compiling may take long and is done by a
thread of its own; whoever waits for it is told when it took too long. Knows no request under way and no logits.
"""

from __future__ import annotations

import json
import logging
import re
from collections import OrderedDict
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import torch
from llguidance import LLMatcher, LLTokenizer
from llguidance.hf import from_tokenizer

from cortex.neuron.engine.torch.forcing import WRITINGS, Thought, Writing, grammar_of
from cortex.protocol.faults import Code, Fault, FaultError, fault
from cortex.protocol.request import Chat, ToolSpec

log = logging.getLogger("cortex.engine")

SECONDS = 2.0
"""How long a grammar may take to compile."""
LEARNING = 20.0
"""How much longer it may take while the vocabulary is being learnt."""
REMEMBERED = 64
"""Compiled grammars that are kept: agents send the same tools again and again."""
WHITESPACE = r"( |\n[ \t]{0,40})?"
"""What may stand between two signs of JSON: a space, or a new line and its indentation. A small model fills whatever
has no end for ever."""
ANY_OBJECT = b'{"type": "object"}'
FORCED = ("required", "named")
NO_CALLS = Writing(())


class Constraint:
    """One choice's. Until it is `settled` tokens are only noted."""

    def __init__(self, compiled: Future[LLMatcher], deadline: float, size: int, param: str) -> None:
        self._compiled = compiled
        self._deadline = deadline
        self._size = size
        self._param = param
        self._matcher: LLMatcher | None = None
        self._backlog: list[int] = []

    @property
    def is_settled(self) -> bool:
        return self._matcher is not None

    def has_news(self, now: float) -> bool:
        """Whether `settle` has something to do."""
        return self._matcher is None and (self._compiled.done() or now >= self._deadline)

    def settle(self, now: float) -> bool:
        """Whether it can be used. Raises `FaultError` if it never can: it is no grammar, or takes too long."""
        if self._matcher is not None:
            return True
        if not self._compiled.done():
            if now >= self._deadline:
                raise fault(
                    Code.INVALID_REQUEST,
                    f"{self._param} takes too long to compile; make it simpler.",
                    param=self._param,
                )
            return False
        self._matcher = self._compiled.result().deep_copy()
        for token in self._backlog:
            self.take(token)
        return True

    def take(self, token: int) -> None:
        """This token was said."""
        if self._matcher is None:
            self._backlog.append(token)
        elif not self._matcher.consume_token(token):
            raise FaultError(
                Fault(code=Code.ENGINE_FAILED, message="The answer left its grammar; try again.")
            )

    @property
    def is_complete(self) -> bool:
        """Whether nothing can follow."""
        return self._matcher is not None and self._matcher.is_stopped()

    def allowed(self) -> torch.Tensor:
        """[vocabulary], True for each token that may come next; for none if the grammar has grown too complex."""
        assert self._matcher is not None, "a constraint is settled before it is used"
        mask = bytearray(self._matcher.compute_bitmask())
        if self._matcher.is_error():
            return torch.zeros(self._size, dtype=torch.bool)
        bits = torch.frombuffer(mask, dtype=torch.uint8)[:, None] >> torch.arange(8, dtype=torch.uint8)
        found = (bits & 1).bool().flatten()[: self._size]
        short = self._size - len(found)
        return torch.nn.functional.pad(found, (0, short)) if short else found


class Grammars:
    """One model's: what its tokens are, and what was compiled for them.

    llguidance takes a second to learn a large vocabulary, in which nothing else runs in this process: that is done by
    `warm`, when nobody speaks, or when the first answer is to be held to something.
    """

    def __init__(self, tokenizer: Any, size: int, eos: frozenset[int]) -> None:
        self._size = size
        self._source = tokenizer
        self._eos = eos
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="grammar")
        self._tokens: Future[LLTokenizer | None] | None = None
        self._marks: dict[str, int] | None = None
        self._compiled: OrderedDict[str, Future[LLMatcher]] = OrderedDict()

    def warm(self) -> None:
        """Begin to learn the vocabulary, unless that was begun."""
        if self._tokens is None:
            self._tokens = self._threads.submit(self._learn)

    def constraint(
        self, request: Chat, family: str, thought: Thought | None, now: float
    ) -> Constraint | None:
        """What this chat's answer is held to; None if to nothing. `thought`: how it may think before it.

        Raises `FaultError`.
        """
        wanted = self._wanted(request, family, thought)
        if wanted is None:
            return None
        self.warm()
        assert self._tokens is not None
        patience = SECONDS if self._tokens.done() else SECONDS + LEARNING
        param, grammar = wanted
        compiled = self._compiled.get(grammar)
        if compiled is None:
            compiled = self._threads.submit(self._compile, grammar, param)
            self._compiled[grammar] = compiled
            if len(self._compiled) > REMEMBERED:
                self._compiled.popitem(last=False)
        self._compiled.move_to_end(grammar)
        return Constraint(compiled, now + patience, self._size, param)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _wanted(self, request: Chat, family: str, thought: Thought | None) -> tuple[str, str] | None:
        choice, form = request.tool_choice, request.response_format
        writing = WRITINGS.get(family)
        if choice.mode in FORCED:
            if writing is None:
                message = "tool_choice cannot be kept: this model is not known to call tools."
                raise fault(Code.UNSUPPORTED, message, param="tool_choice")
            named = [tool for tool in request.tools if choice.mode == "required" or tool.name == choice.name]
            parallel = choice.parallel and choice.mode == "required"
            return "tool_choice", grammar_of(
                writing, self._mark, tools=_offered(named), parallel=parallel, thought=thought
            )
        match form.kind:
            case "text":
                return None
            case "json_object" | "json_schema":
                definition = ANY_OBJECT if form.kind == "json_object" else form.definition
                options = {"whitespace_pattern": WHITESPACE, "lenient": not form.strict}
                schema = {**_object(definition, "response_format"), "x-guidance": options}
                tools = _offered(request.tools) if may_call(request, family) else ()
                return "response_format", grammar_of(
                    writing or NO_CALLS,
                    self._mark,
                    tools=tools,
                    parallel=choice.parallel,
                    answer=schema,
                    thought=thought,
                )
            case "regex":
                return "response_format", LLMatcher.grammar_from_regex(_text(form.definition))
            case "grammar":
                return "response_format", LLMatcher.grammar_from_lark(_text(form.definition))

    def _mark(self, text: str) -> str:
        """A literal as Lark names it, in which tokens of their own stand by number: their text may not stand for them."""
        if self._marks is None:
            added = getattr(self._source, "added_tokens_decoder", {})
            self._marks = {token.content: index for index, token in added.items()}
        own = "|".join(map(re.escape, sorted(self._marks, key=len, reverse=True)))
        pieces = re.split(f"({own})", text) if own else [text]
        return " ".join(
            f"<[{self._marks[piece]}]>" if piece in self._marks else json.dumps(piece, ensure_ascii=False)
            for piece in pieces
            if piece
        )

    def _learn(self) -> LLTokenizer | None:
        """On a thread: None for a tokenizer that is not fast, or written in a way that only its own library reads."""
        try:
            tokens = from_tokenizer(self._source, n_vocab=self._size, eos_token=sorted(self._eos) or None)
            # The first grammar and its first set of tokens take longest.
            matcher = LLMatcher(tokens, LLMatcher.grammar_from_json_schema(ANY_OBJECT.decode()), log_level=0)
            matcher.compute_bitmask()
        except Exception as error:
            log.warning("answers of this model cannot be held to a form: %s", error)
            return None
        return tokens

    def _compile(self, grammar: str, param: str) -> LLMatcher:
        """On a thread, which waits for the one that learns."""
        assert self._tokens is not None
        tokens = self._tokens.result()
        if tokens is None:
            message = f"{param} cannot be kept with this model's tokenizer; leave it out."
            raise fault(Code.UNSUPPORTED, message, param=param)
        matcher = LLMatcher(tokens, grammar, log_level=0)
        if matcher.is_error():
            why = _reason(matcher.get_error())
            raise fault(Code.INVALID_REQUEST, f"{param} cannot be kept: {why}.", param=param)
        matcher.compute_bitmask()
        if matcher.is_stopped() and not matcher.is_accepting():
            raise fault(Code.INVALID_REQUEST, f"{param} cannot be kept: nothing satisfies it.", param=param)
        return matcher


def _reason(error: str) -> str:
    """The first line of a compiler's complaint; where that only announces the reason, its last line too."""
    lines = [line.strip() for line in error.strip().splitlines() if line.strip()]
    first = lines[0].rstrip(".") if lines else "it is not understood"
    if first.endswith(":") and len(lines) > 1:
        last = next((line for line in reversed(lines) if line.startswith("error:")), lines[-1])
        return f"{first} {last.removeprefix('error:').strip()}".rstrip(".")
    return first


def may_call(request: Chat, family: str) -> bool:
    """Whether a call may be found in the answer: not in one that must be a text of another form."""
    kind = request.response_format.kind
    if request.tool_choice.mode in FORCED or kind == "text":
        return True
    return kind.startswith("json") and request.tool_choice.mode == "auto" and family in WRITINGS


def _offered(tools: Iterable[ToolSpec]) -> list[tuple[ToolSpec, dict[str, Any]]]:
    return [(tool, _object(tool.schema, "tools")) for tool in tools]


def _object(schema: bytes, param: str) -> dict[str, Any]:
    try:
        found = json.loads(schema)
    except (ValueError, RecursionError) as error:
        raise fault(
            Code.INVALID_REQUEST, f"{param} holds a schema that is not valid JSON.", param=param
        ) from error
    if not isinstance(found, dict):
        raise fault(Code.INVALID_REQUEST, f"{param} must hold a schema that is an object.", param=param)
    return found


def _text(definition: bytes) -> str:
    try:
        return definition.decode()
    except UnicodeDecodeError as error:
        message = "response_format must be text in UTF-8."
        raise fault(Code.INVALID_REQUEST, message, param="response_format") from error
