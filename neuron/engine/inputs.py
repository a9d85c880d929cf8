"""What a request may ask, whichever engine computes it: an embedding's inputs and how wide their vectors are, and an
answer's least length.

All vectors of a request travel in one attachment, which bounds them. Pure; knows no tokenizer and no model.
"""

from __future__ import annotations

from cortex.protocol.codec import ATTACHMENT_LIMIT
from cortex.protocol.faults import Code, FaultError, fault
from cortex.protocol.request import Chat, Complete, Embed

FLOAT_BYTES = 4


def width_of(request: Embed, width: int, limit: int = ATTACHMENT_LIMIT) -> int:
    """How many numbers each vector shall have, of the model's `width`. Raises `FaultError` for what can never be answered."""
    wanted = width if request.dimensions is None else request.dimensions
    if not 1 <= wanted <= width:
        raise fault(
            Code.INVALID_REQUEST,
            f"dimensions must be at least 1 and at most {width}, which is how many this model's vectors have.",
            param="dimensions",
        )
    if not request.inputs:
        raise fault(Code.INVALID_REQUEST, "input must hold at least one text.", param="input")
    fits = limit // (FLOAT_BYTES * wanted)
    if len(request.inputs) > fits:
        raise fault(
            Code.REQUEST_TOO_LARGE,
            f"input holds {len(request.inputs)} texts; send at most {fits} at a time with vectors of {wanted} numbers.",
            param="input",
        )
    for index, one in enumerate(request.inputs):
        if not one:
            raise empty(index)
    return wanted


def empty(index: int) -> FaultError:
    """An input without a token, of which there can be no vector."""
    param = f"input[{index}]"
    return fault(Code.INVALID_REQUEST, f"input[{index}] is empty; send some text.", param=param)


def require_length(index: int, tokens: int, context: int, *, about: bool = False) -> None:
    """Whether the model can read an input of so many tokens, or of `about` as many. Raises `FaultError`."""
    if tokens > context:
        raise fault(
            Code.CONTEXT_LENGTH_EXCEEDED,
            f"input[{index}] has {'about ' if about else ''}{tokens} tokens, and this model's maximum context "
            f"length is {context} tokens; split it.",
            param=f"input[{index}]",
            tokens=tokens,
            limit=context,
        )


def require_answer(request: Chat | Complete) -> None:
    """Whether there is something to say: of no tokens only where the prompt is repeated. Raises `FaultError`."""
    if request.sampling.max_tokens == 0 and not (isinstance(request, Complete) and request.echo):
        message = "max_tokens must be at least 1, or 0 where echo has the prompt repeated."
        raise fault(Code.INVALID_REQUEST, message, param="max_tokens")
