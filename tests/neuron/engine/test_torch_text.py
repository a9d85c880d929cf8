"""From tokens to text and pieces: whole characters, stop strings, ends."""

import checkpoints
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cortex.neuron.engine.torch.answer import Answer
from cortex.neuron.engine.torch.detokenize import Detokenizer
from cortex.neuron.engine.torch.speech import decoder
from cortex.neuron.engine.torch.stops import StopFilter
from cortex.protocol.deltas import Finish, Piece, ReasoningPiece, TextPiece, ToolEnd, ToolStart
from cortex.protocol.faults import Code, FaultError
from cortex.protocol.toolcalls import call_ids
from cortex.protocol.toolcalls.base import merged

TOKENIZER = checkpoints.tokenizer()
DECODE = decoder(TOKENIZER, "plain")
ALPHABET = st.sampled_from("aé東🙂🚀👩‍👩‍👧 \n")


# ── characters ───────────────────────────────────────────────────────────────────────────────────────────────────


def streamed(ids: list[int]) -> list[str]:
    detokenizer = Detokenizer(DECODE)
    return [*(detokenizer.push(token) for token in ids), detokenizer.finish()]


@given(st.text(ALPHABET, max_size=60))
def test_stream_equals_whole(text) -> None:
    """The stretches joined are the text, and none of them has half a character."""
    ids = TOKENIZER(text, add_special_tokens=False)["input_ids"]
    stretches = streamed(ids)
    assert "".join(stretches) == text
    assert not any("\ufffd" in stretch for stretch in stretches)


@given(st.lists(st.integers(0, len(TOKENIZER) - 1), max_size=120))
def test_stream_of_anything(ids) -> None:
    """Whatever the tokens, also those that are no characters, the stretches joined are what decodes at once."""
    assert "".join(streamed(ids)) == TOKENIZER.decode(ids, skip_special_tokens=True)


@given(st.text(ALPHABET, max_size=20), st.integers(0, 60), st.text(ALPHABET, max_size=10))
def test_garbage_is_not_held(head, count, tail) -> None:
    """A long run of bytes that are no characters is shown as it comes, and what follows it is intact."""
    (byte,) = [token for token in range(256) if DECODE([token]) == "\ufffd"][-1:]
    before = TOKENIZER(head, add_special_tokens=False)["input_ids"]
    ids = [*before, *[byte] * count, *TOKENIZER(tail, add_special_tokens=False)["input_ids"]]
    stretches = streamed(ids)
    assert "".join(stretches) == TOKENIZER.decode(ids)
    shown = "".join(stretches[: len(before) + count])
    assert len(shown) >= len(head) + count - 12


@example(["▁a"] * 60)
@given(st.lists(st.sampled_from(["▁a", "▁bc", "d", "▁"]), max_size=80))
def test_text_that_depends_on_its_neighbours(pieces) -> None:
    """A decoder that drops the very first space does not make a window drop one within the text."""

    def decode(ids: list[int]) -> str:
        return "".join(pieces[index] for index in ids).replace("▁", " ").removeprefix(" ")

    detokenizer = Detokenizer(decode)
    stretches = [*(detokenizer.push(index) for index in range(len(pieces))), detokenizer.finish()]
    assert "".join(stretches) == decode(list(range(len(pieces))))


def test_work_per_token_is_bounded() -> None:
    """The window does not grow with the answer."""
    longest = 0

    def watched(ids: list[int]) -> str:
        nonlocal longest
        longest = max(longest, len(ids))
        return DECODE(ids)

    detokenizer = Detokenizer(watched)
    for token in range(2000):
        detokenizer.push(token % 300)
    assert longest < 40


def test_special_tokens() -> None:
    """Special tokens are not shown; added ones that mean something to a parser are."""
    ids = TOKENIZER("<|im_start|><think>a</think><tool_call>b</tool_call><|im_end|>")["input_ids"]
    assert "".join(streamed(ids)) == "<think>a</think><tool_call>b</tool_call>"


def test_unfinished_character() -> None:
    """An answer that ends within a character shows the replacement for it, once, at its end."""
    ids = TOKENIZER("x🚀")["input_ids"][:-1]
    *stretches, rest = streamed(ids)
    assert "".join(stretches) == "x"
    assert set(rest) <= {"\ufffd"}


# ── stop strings ─────────────────────────────────────────────────────────────────────────────────────────────────

SHORT = st.text(st.sampled_from("abc"), min_size=1, max_size=4)


def model_answer(text: str, stops: tuple[str, ...]) -> tuple[str, str]:
    """By definition: read one character at a time until the text ends in a stop string, the longest that fits."""
    for end in range(1, len(text) + 1):
        ended = [stop for stop in stops if text[:end].endswith(stop)]
        if ended:
            stop = max(ended, key=len)
            return text[: end - len(stop)], stop
    return text, ""


@given(st.text(st.sampled_from("abcd"), max_size=40), st.lists(SHORT, max_size=3), st.data())
def test_stops(text, stops, data) -> None:
    """However the text is cut, what is shown and which string matched follow from the text alone."""
    stops = tuple(stops)
    filter_ = StopFilter(stops)
    shown, rest = "", text
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        shown += filter_.push(rest[:size])
        rest = rest[size:]
    shown += "" if filter_.matched else filter_.finish()
    assert (shown, filter_.matched) == model_answer(text, stops)


def test_longest_of_a_tie() -> None:
    """Of two stop strings that are complete at once the longer one has come, and none of it is shown."""
    filter_ = StopFilter(("a", "ba"))
    assert (filter_.push("cba"), filter_.matched) == ("c", "ba")


def test_stop_shows_what_cannot_stop() -> None:
    """Only what could still become a stop string is held back."""
    filter_ = StopFilter(("END",))
    assert filter_.push("the E") == "the "
    assert filter_.push("N") == ""
    assert filter_.push("emy E") == "ENemy "
    assert filter_.finish() == "E"


# ── the whole way ────────────────────────────────────────────────────────────────────────────────────────────────


class Scripted:
    """A parser that sees reasoning between < and >, a call in every !, and one that cannot be read in ?."""

    in_reasoning = False
    malformed = None
    cut = None

    def __init__(self):
        self.notes = []

    def push(self, text):
        pieces = []
        for char in text:
            if char in "<>":
                self.in_reasoning = char == "<"
            elif char == "!":
                pieces += [ToolStart(0, "id", "f"), ToolEnd(0)]
            elif char == "?":
                self.malformed = "no JSON"
            else:
                pieces.append(ReasoningPiece(char) if self.in_reasoning else TextPiece(char))
        return pieces

    def finish(self, *, cut=False):
        self.cut = cut
        return [TextPiece("~")]


def said(text: str, *, stop: tuple[str, ...] = (), eos: bool = True, room: int = 100):
    """An answer whose tokens are characters; "." ends it."""
    answer = Answer(
        Detokenizer(lambda ids: "".join(map(chr, ids))),
        StopFilter(stop),
        Scripted(),
        eos=frozenset({ord(".")} if eos else ()),
    )
    pieces = []
    for count, char in enumerate(text, start=1):
        if answer.ended:
            break
        pieces += answer.push(ord(char), last=count >= room)
    return answer, pieces


@pytest.mark.parametrize(
    ("text", "options", "finish"),
    [
        ("ab.", {}, Finish("stop")),
        ("ab!.", {}, Finish("tool_calls")),
        ("ab!c", {"room": 4}, Finish("length")),
        ("abcd", {"stop": ("bc",)}, Finish("stop", "bc")),
        ("ab!cd", {"stop": ("cd",)}, Finish("stop", "cd")),
        ("abc", {"room": 3, "stop": ("bc",)}, Finish("stop", "bc")),
        ("a..b", {"eos": False, "room": 4}, Finish("length")),
    ],
)
def test_finish_reasons(text, options, finish) -> None:
    """An end token, a stop string, the limit and a call each give their reason; the finish is the last piece."""
    answer, pieces = said(text, **options)
    assert answer.ended
    assert [piece for piece in pieces if isinstance(piece, Finish)] == [finish]
    assert pieces[-1] == finish
    assert (TextPiece("~") in pieces) is not bool(finish.stop)


def test_held_back_text_comes_at_the_end() -> None:
    """What might have become a stop string is shown when the answer ends without it."""
    _, pieces = said("abE.", stop=("END",))
    assert "".join(piece.text for piece in pieces if isinstance(piece, TextPiece)) == "abE~"


def test_a_stop_string_counts_in_the_text_alone() -> None:
    """Not in what the model thinks, and not across a call: what comes between parts the text."""
    _, pieces = said("a<bc>bcd", stop=("bc",))
    assert shown(pieces) == [TextPiece("a"), "bc", Finish("stop", "bc")]
    _, pieces = said("ab!cd.", stop=("bc",))
    assert shown(pieces) == [
        TextPiece("ab"),
        ToolStart(0, "id", "f"),
        ToolEnd(0),
        TextPiece("cd~"),
        Finish("tool_calls"),
    ]


def shown(pieces: list[Piece]) -> list[Piece | str]:
    """Neighbours joined, and reasoning as its text."""
    return [piece.text if isinstance(piece, ReasoningPiece) else piece for piece in merged(pieces)]


def test_reasoning_tokens() -> None:
    """Tokens between the opening of reasoning and its end, the closing marker included, are counted."""
    answer, _ = said("a<bcd>ef.")
    assert answer.reasoning == 4


def test_malformed_call() -> None:
    """A call that cannot be read fails the answer, unless it was only cut short."""
    with pytest.raises(FaultError) as caught:
        said("a?bc")
    assert caught.value.fault.code is Code.TOOL_CALL_MALFORMED
    _, pieces = said("a?", room=2)
    assert pieces[-1] == Finish("length")


def test_only_the_markers_of_a_family_are_shown() -> None:
    """Special tokens that mean something to the parser reach it; all others never reach anybody."""
    tokenizer = checkpoints.tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["[TOOL_CALLS]", "[ARGS]", "<|im_end|>"]})
    ids = tokenizer.encode("[TOOL_CALLS]add[ARGS]{}<|im_end|>", add_special_tokens=False)
    assert decoder(tokenizer, "mistral")(ids) == "[TOOL_CALLS]add[ARGS]{}"
    assert decoder(tokenizer, "plain")(ids) == "add{}"


def test_call_ids() -> None:
    """A call's id follows from request, choice and index, and from nothing else."""
    assert call_ids("r", 0)(1) == call_ids("r", 0)(1)
    made = {call_ids(request, choice)(index) for request in "rs" for choice in (0, 1) for index in (0, 1)}
    assert len(made) == 8
    assert all(len(one) == 29 and one.startswith("call_") for one in made)
