"""A sequence's arithmetic and the composition of the next batch."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex.neuron.engine.torch.scheduler import plan
from cortex.neuron.engine.torch.sequence import Sequence


def sequence(prompt: int, computed: int = 0, limit: int = 1000) -> Sequence:
    return Sequence(tokens=list(range(prompt)), prompt=prompt, limit=limit, computed=computed)


def test_sequence_counts() -> None:
    """Reading the prompt, sampling and reading what was sampled move the counts as they should."""
    one = sequence(5, limit=7)
    assert (one.pending, one.decoding, one.generated, one.full) == (5, False, 0, False)
    one.advance(5)
    one.append(9)
    assert (one.pending, one.decoding, one.generated, one.full) == (1, True, 1, False)
    one.advance(1)
    one.append(9)
    assert (one.generated, one.full) == (2, True)


def test_sequence_refuses_nonsense() -> None:
    """A token is neither sampled before everything is read, nor after the limit, nor read twice."""
    one = sequence(5, limit=6)
    with pytest.raises(AssertionError):
        one.append(1)
    with pytest.raises(AssertionError):
        one.advance(6)
    one.advance(5)
    one.append(1)
    one.advance(1)
    with pytest.raises(AssertionError):
        one.append(1)


def test_plan_mixes() -> None:
    """Decoding sequences come first with a token each; the oldest prompt has half of the chunk, the shortest others the rest."""
    first, decoding, second, third = (
        sequence(10),
        sequence(6, computed=5),
        sequence(4, computed=1),
        sequence(50),
    )
    spans = plan([first, decoding, second, third], 20)
    assert [(span.sequence, span.length, span.samples) for span in spans] == [
        (decoding, 1, True),
        (first, 10, True),
        (second, 3, True),
        (third, 7, False),
    ]
    assert spans[2].tokens == [1, 2, 3]


def test_prompts_are_read_one_after_the_other() -> None:
    """Of several that are alike, the first is answered first; a long one that came before them goes on beside them."""
    alike = [sequence(300) for _ in range(4)]
    assert [span.length for span in plan(alike, 512)] == [300, 212]
    long = sequence(5_000, limit=9_000)
    spans = plan([long, *alike], 512)
    assert [(span.sequence, span.length) for span in spans] == [(long, 256), (alike[0], 256)]


def test_a_short_prompt_does_not_wait_for_a_long_one() -> None:
    """However long another prompt is, a short one that comes later is read in the next chunk."""
    long, short = sequence(10_000, limit=20_000), sequence(30)
    spans = plan([long, short], 512)
    assert [(span.sequence, span.length, span.samples) for span in spans] == [
        (long, 482, False),
        (short, 30, True),
    ]


def test_late_chunks_of_a_long_prompt_are_short() -> None:
    """Attending to all that was read makes a chunk dear: its length falls so that nobody waits longer for it."""
    lengths = []
    for computed in (0, 4_000, 16_384, 65_536, 10**6):
        [span] = plan([sequence(2 * 10**6, computed=computed, limit=3 * 10**6)], 512)
        lengths.append(span.length)
    assert lengths == [512, 512, 256, 64, 32]


def test_plan_skips_ended() -> None:
    """An ended sequence, and one that waits for its token, are left alone."""
    ended = sequence(5)
    ended.ended = True
    assert plan([ended, sequence(5, computed=5)], 8) == []


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 59)), max_size=8), st.integers(1, 40))
def test_plan_budget(shapes, chunk) -> None:
    """No plan exceeds the chunk in prompt tokens, starves decoding, or leaves room while a prompt waits."""
    sequences = [sequence(size, min(done, size - 1)) for size, done in shapes]
    spans = plan(sequences, chunk)
    assert len({span.sequence for span in spans}) == len(spans)
    decoding = [one for one in sequences if one.decoding]
    assert [span.sequence for span in spans][: len(decoding)] == decoding
    prompts = sum(span.length for span in spans[len(decoding) :])
    waiting = sum(one.pending for one in sequences if not one.decoding)
    assert prompts == min(chunk, waiting)
    assert all(0 < span.length <= span.sequence.pending for span in spans)


@given(
    st.lists(st.tuples(st.integers(1, 40), st.booleans()), min_size=1, max_size=5),
    st.integers(1, 30),
    st.integers(1, 20),
    st.lists(st.integers(0, 4), max_size=6),
)
def test_every_position_of_a_rated_prompt_is_looked_at_once(shapes, chunk, rows, losses) -> None:
    """No step makes more rows than it may, each makes progress, and who loses its memory is not looked at again."""
    sequences = [sequence(size) for size, _ in shapes]
    for one, (size, rated) in zip(sequences, shapes, strict=True):
        one.rates = size - 1 if rated else 0
    seen: list[list[int]] = [[] for _ in sequences]
    while any(one.pending for one in sequences):
        if losses:
            sequences[losses.pop() % len(sequences)].restart()
        spans = plan(sequences, chunk, rows=rows)
        assert spans
        assert sum(len(span.wanted) for span in spans) <= rows
        for span in spans:
            wanted = span.wanted
            seen[sequences.index(span.sequence)] += wanted
            span.sequence.rated = max(span.sequence.rated, wanted.stop if wanted else 0)
            span.sequence.advance(span.length)
    assert seen == [list(range(one.rates)) for one in sequences]


@pytest.mark.parametrize(
    "module", ["base", "torch.scheduler", "torch.sequence", "torch.stops", "torch.detokenize", "torch.answer"]
)
def test_pure(module) -> None:
    """The engine's interface and its pure parts do not bring torch in."""
    code = f"import sys; import cortex.neuron.engine.{module}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-P", "-c", code], check=True)
