"""What a simulated model says and how it rates it: every token is as likely as any other, and the likeliest.

A prompt's token is four characters of a text, or one token id, which stands for the nine characters of its number.
"""

from __future__ import annotations

import zlib

from cortex.neuron.engine.sim_script import TOKEN
from cortex.protocol.deltas import Delta, Finish, Piece, Score, Scores, TextPiece
from cortex.protocol.request import Chat, Complete, Request, Sampling

LOGPROB = -0.5
TOLD = 512
"""Tokens of a prompt that are told of in one delta."""


def token(request: str, choice: int, index: int) -> int:
    """H: the id of token `index`."""
    return zlib.crc32(b"%s/%d/%d" % (request.encode(), choice, index))


def text(token_id: int) -> str:
    """What a token says: nine characters."""
    return f"{token_id:08x} "


def prompt_tokens(request: Chat | Complete) -> int:
    """One token per four characters."""
    return tokens_of(
        "".join(turn.text for turn in request.turns) if isinstance(request, Chat) else request.prompt
    )


def tokens_of(prompt: str | tuple[int, ...]) -> int:
    """How many tokens it is counted as."""
    return 1 + len(prompt) // (TOKEN if isinstance(prompt, str) else 1)


def rated(request: Request, pieces: list[Piece]) -> list[Piece]:
    """With log probabilities if they were asked for: every text is one token."""
    if not isinstance(request, Chat | Complete) or request.sampling.logprobs is None:
        return pieces
    found: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, TextPiece):
            found.append(Scores([_score(piece.text, request.sampling)]))
        found.append(piece)
    if is_repeated(request) and not any(isinstance(piece, Scores) for piece in found):
        found.insert(0, Scores([_score("", request.sampling)]))  # each token is told of behind a rated prompt
    return found


def is_repeated(request: Request) -> bool:
    """Whether the prompt is said before the answer."""
    return isinstance(request, Complete) and request.echo


def repeated(request: Request, attempt: tuple[str, int], choice: int) -> list[Delta]:
    """The deltas that say the prompt, none if nobody wants it, and the end if no token shall follow."""
    if not isinstance(request, Complete) or not request.echo:
        return []
    prompt = request.prompt
    words = (
        [prompt[start : start + TOKEN] for start in range(0, len(prompt), TOKEN)]
        if isinstance(prompt, str)
        else [text(one) for one in prompt]
    )
    parts: list[list[Piece]] = []
    for start in range(0, len(words), TOLD):
        some = words[start : start + TOLD]
        scores = [_score(word, request.sampling, first=start + at == 0) for at, word in enumerate(some)]
        said: list[Piece] = [TextPiece("".join(some))]
        parts.append(said if request.sampling.logprobs is None else [Scores(scores), *said])
    if request.sampling.max_tokens == 0:
        parts.append([Finish("length")])
    return [Delta(*attempt, choice, 0, [], pieces) for pieces in parts]


def _score(word: str, sampling: Sampling, *, first: bool = False) -> Score:
    name = word.encode()
    return Score(name, None) if first else Score(name, LOGPROB, [(name, LOGPROB)][: sampling.logprobs])
