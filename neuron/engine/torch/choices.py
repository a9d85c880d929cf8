"""A request's choices: how they begin, where earlier attempts left them, and what a new token makes them say."""

from __future__ import annotations

from cortex.neuron.engine.base import Key
from cortex.neuron.engine.torch.admission import Admitted
from cortex.neuron.engine.torch.history import History
from cortex.neuron.engine.torch.loader import Loaded
from cortex.neuron.engine.torch.rating import Echo
from cortex.neuron.engine.torch.sampler import Picked, Row, resolve
from cortex.neuron.engine.torch.sequence import Sequence
from cortex.neuron.engine.torch.voice import new_answer, score
from cortex.neuron.engine.torch.work import NOT_FINITE, Choice, Work
from cortex.protocol.deltas import Delta, Finish, Piece, Scores
from cortex.protocol.faults import FaultError
from cortex.protocol.request import Chat, Complete


def new_choice(loaded: Loaded, admitted: Admitted, key: Key, index: int, now: float) -> Choice:
    """A choice as earlier attempts left it: their tokens go through everything but to the client."""
    prefix = admitted.prefixes[index]
    answer = new_answer(loaded, admitted, key[0], index)
    constraint = None
    if isinstance(admitted.request, Chat):
        thought = loaded.speech.may_think(admitted.request, admitted.prompt.tail)
        constraint = loaded.grammars.constraint(admitted.request, loaded.speech.family, thought, now)
    unsaid: list[Piece] = []
    ids = admitted.prompt.ids
    room = admitted.limit - len(ids)
    for position, token in enumerate(prefix, start=1):
        if constraint is not None and not answer.in_reasoning and token not in loaded.eos:
            constraint.take(token)
        pieces = answer.push(token, last=position >= room)
        if answer.ended:
            unsaid = [piece for piece in pieces if isinstance(piece, Finish)]
            break
    sequence = Sequence(tokens=[*ids, *prefix], prompt=len(ids), limit=admitted.limit, speaks=room > 0)
    echo = None if prefix else _echo(loaded, admitted)
    if echo is not None:
        sequence.rated, sequence.rates = echo.rates.start, echo.rates.stop
    rule = resolve(admitted.request.sampling, loaded.defaults, index, loaded.eos)
    history = History(ids, prefix)
    whole = isinstance(admitted.request, Complete) and admitted.request.echo
    return Choice(index, sequence, rule, answer, history, unsaid, constraint, echo, tells_end=whole)


def _echo(loaded: Loaded, admitted: Admitted) -> Echo | None:
    """The prompt, if it is to be said again."""
    request, prompt = admitted.request, admitted.prompt
    if not isinstance(request, Complete) or not request.echo:
        return None
    bytes_of = loaded.vocabulary.bytes_of
    return Echo(request.prompt, prompt.ids, prompt.lead, request.sampling.logprobs, bytes_of)


def row_of(choice: Choice) -> Row:
    """How its next token is to be picked."""
    allowed = None if choice.holds is None else choice.holds.allowed()
    return Row(choice.rule, choice.sequence.generated, choice.history, allowed)


def speak(loaded: Loaded, work: Work, choice: Choice, picked: Picked | None) -> list[Delta]:
    """Take a choice's new token and tell it. Raises what its data does wrong."""
    if picked is None:
        raise FaultError(NOT_FINITE)
    token = picked.token
    holds = choice.holds
    if holds is not None and token not in loaded.eos:
        holds.take(token)
    deltas = [] if choice.echo is None else _repeat(work, choice, choice.echo)
    choice.sequence.append(token)
    choice.history.add(token)
    is_told = choice.rule.logprobs is not None and (choice.tells_end or choice.answer.is_content(token))
    complete = holds is not None and holds.is_complete
    pieces = choice.answer.push(token, last=choice.sequence.full, complete=complete)
    if is_told:
        pieces.insert(0, Scores([score(loaded.vocabulary, picked)]))
    deltas.append(work.delta(choice, [token], pieces))
    return deltas


def end_unanswered(work: Work, choice: Choice) -> list[Delta]:
    """The prompt is read, and no token shall follow it."""
    deltas = [] if choice.echo is None else _repeat(work, choice, choice.echo)
    deltas.append(work.delta(choice, [], choice.answer.complete("length")))
    return deltas


def _repeat(work: Work, choice: Choice, echo: Echo) -> list[Delta]:
    """The prompt, before the first token and only once."""
    choice.echo = None
    return [work.delta(choice, [], pieces) for pieces in echo.tell()]
