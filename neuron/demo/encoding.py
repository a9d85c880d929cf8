"""The demo model's tokenizer, and conversations as token ids with the weight of each in what is learnt.

The tokenizer cuts words, single digits, single marks and runs of spaces apart before byte pairs are merged, so that a
word has the same tokens wherever it stands, and copying it is copying ids. Knows nothing about training.
"""

from collections.abc import Iterable
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from cortex.neuron.demo.corpus import Conversation

__all__ = ["END", "START", "STOP", "build_tokenizer", "encode"]

START, END, STOP = "<|im_start|>", "<|im_end|>", "<|endoftext|>"
_MARKS = ("<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>")
_PIECES = r"[\p{L}\p{M}]+|\p{N}|\n+| +|[^\s\p{L}\p{M}\p{N}]|\s"
_OPENING = f"{START}assistant\n"
_LONGEST = 131072
_DECIDING, _NAMING = 4, 14  # tokens until it is settled which answer it is; in a call, which tool
_FIRST_WEIGHT, _COPIED_WEIGHT, _END_WEIGHT = 5.0, 2.0, 3.0


def build_tokenizer(texts: Iterable[str], size: int, template: str) -> Any:
    """Byte-level BPE over the texts: any UTF-8 text goes in and comes out again."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    core.decoder = decoders.ByteLevel()
    special = [AddedToken(text, special=True, normalized=False) for text in (STOP, START, END)]
    marks = [AddedToken(text, special=False, normalized=False) for text in _MARKS]
    trainer = trainers.BpeTrainer(
        vocab_size=size - len(_MARKS),
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(texts, trainer)
    core.add_tokens(marks)
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        eos_token=END,
        pad_token=STOP,
        model_max_length=_LONGEST,
        clean_up_tokenization_spaces=False,
        chat_template=template,
    )


def encode(tokenizer: Any, talk: Conversation) -> tuple[list[int], list[float]]:
    """The ids of a conversation, and how much each counts in the loss: 0 for what is not the assistant's.

    The first tokens of the last answer count more, because they decide which answer it is and the rest follows from
    them. Of earlier answers the first token is not learnt: there the template leaves out the thinking block.
    """
    thinking = talk.thought is not None
    history = tokenizer.apply_chat_template(talk.messages[:-1], tools=talk.tools, tokenize=False)
    whole = tokenizer.apply_chat_template(talk.messages, tools=talk.tools, tokenize=False)
    prompt = tokenizer.apply_chat_template(
        talk.messages[:-1],
        tools=talk.tools,
        tokenize=False,
        add_generation_prompt=True,
        enable_thinking=thinking,
    )
    answer = whole[len(history) + len(_OPENING) :].removesuffix("\n")
    if thinking:
        answer = f"<think>\n{talk.thought}\n</think>\n\n{answer}"
    before = tokenizer.encode(prompt, add_special_tokens=False)
    after = tokenizer.encode(answer, add_special_tokens=False)
    calls = after[:1] == tokenizer.encode(_MARKS[2], add_special_tokens=False)
    deciding = min(_NAMING if calls else _DECIDING, len(after))
    rest = _COPIED_WEIGHT if calls else 1.0
    weights = [_FIRST_WEIGHT] * deciding + [rest] * (len(after) - deciding)
    weights[-1] = max(weights[-1], _END_WEIGHT)  # where a count stops is one token among hundreds
    return before + after, [float(mark) for mark in _earlier(tokenizer, before)] + weights


def _earlier(tokenizer: Any, ids: list[int]) -> list[bool]:
    """Marks what the assistant wrote before, each answer less its first token."""
    opening = tokenizer.encode(_OPENING, add_special_tokens=False)
    end = tokenizer.convert_tokens_to_ids(END)
    marks = [False] * len(ids)
    inside, start = False, 0
    for i, token in enumerate(ids):
        if inside and i > start:
            marks[i] = True
        if token == end:
            inside = False
        if ids[max(0, i - len(opening) + 1) : i + 1] == opening:
            inside, start = True, i + 1
    last = max((i for i, token in enumerate(ids) if token == end), default=-1)
    return [mark and i <= last for i, mark in enumerate(marks)]
