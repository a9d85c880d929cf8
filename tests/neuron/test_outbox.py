"""What waits for a broker: order, merging, bounds."""

from hypothesis import given
from hypothesis import strategies as st

from cortex.neuron.outbox import Batch, Outbox, Post, merged
from cortex.protocol import messages as m
from cortex.protocol.codec import encode
from cortex.protocol.deltas import Delta, Deltas, Finish, Score, Scores, TextPiece, ToolStart


def delta(request: str, seq: int, text: str = "x") -> Delta:
    return Delta(request, 1, 0, seq, [seq], [TextPiece(text)])


def drained(outbox: Outbox) -> list[Post | Batch]:
    out = []
    while (entry := outbox.first()) is not None:
        out.append(entry)
        outbox.sent()
    return out


def test_deltas_of_one_step_leave_as_one_batch_per_edge() -> None:
    """One frame per step and edge, however many requests."""
    outbox = Outbox()
    for edge, request in ((b"1", "a"), (b"2", "b"), (b"1", "c")):
        outbox.say(edge, delta(request, 0))
    batches = drained(outbox)
    assert [(b.edge, len(b.items)) for b in batches if isinstance(b, Batch)] == [(b"1", 2), (b"2", 1)]


def test_nothing_overtakes_a_message() -> None:
    """Deltas said after a message stay behind it, so a terminal never passes or is passed."""
    outbox = Outbox()
    outbox.post(m.Accepted(request="a", attempt=1))
    outbox.say(b"1", delta("a", 0))
    outbox.post(m.Finished(request="a", attempt=1, totals=(1,)))
    outbox.say(b"1", delta("b", 0))
    kinds = [type(e.message) if isinstance(e, Post) else "deltas" for e in drained(outbox)]
    assert kinds == [m.Accepted, "deltas", m.Finished, "deltas"]


def test_waiting_deltas_of_a_choice_are_joined() -> None:
    """A second of standstill costs one delta per request, not fifty."""
    outbox = Outbox()
    for seq in range(50):
        outbox.say(b"1", delta("a", seq, str(seq % 10)))
    [batch] = drained(outbox)
    assert isinstance(batch, Batch)
    [joined] = batch.items
    assert joined.tokens == list(range(50))
    assert joined.pieces == [TextPiece("0123456789" * 5)]
    assert outbox.tokens == 0


def test_a_prompt_with_its_ratings_is_spread_over_frames() -> None:
    """All of it in order, and each frame of a size that can be received."""
    outbox = Outbox()
    likeliest = [(b"a word of a vocabulary", -1.0)] * 20
    part = [Score(b"a word of a vocabulary", -1.0, likeliest)] * 512
    prompt = [Delta("a", 1, 0, 0, [], [Scores(part), TextPiece(str(at))]) for at in range(40)]
    for one in [*prompt, delta("a", 0, "!"), delta("b", 0)]:
        outbox.say(b"1", one)
    batches = [batch for batch in drained(outbox) if isinstance(batch, Batch)]
    assert len(batches) == 20
    assert all(len(encode(Deltas(batch.items))) < 2 * 1024 * 1024 for batch in batches)
    said = [piece for batch in batches for one in batch.items if one.request == "a" for piece in one.pieces]
    text = "".join(piece.text for piece in said if isinstance(piece, TextPiece))
    assert text == "".join(map(str, range(40))) + "!"
    assert outbox.tokens == 0


def test_only_text_is_joined_and_order_is_kept() -> None:
    """A tool call between two texts stays between them."""
    items = [
        Delta("a", 1, 0, 0, [1], [TextPiece("x")]),
        Delta("a", 1, 0, 1, [2], [ToolStart(0, "id", "f")]),
        Delta("a", 1, 0, 2, [3], [TextPiece("y"), Finish("stop")]),
    ]
    [joined] = merged(items)
    assert joined.pieces == [TextPiece("x"), ToolStart(0, "id", "f"), TextPiece("y"), Finish("stop")]


def test_a_batch_that_was_looked_at_can_still_grow_until_it_leaves() -> None:
    """A refused send leaves the batch where it is; later deltas join it."""
    outbox = Outbox()
    outbox.say(b"1", delta("a", 0))
    outbox.first()
    outbox.say(b"1", delta("a", 1))
    [batch] = drained(outbox)
    assert isinstance(batch, Batch)
    assert batch.items[0].tokens == [0, 1]


def test_clear_forgets_everything() -> None:
    """After clear nothing is left, and new deltas start a new batch."""
    outbox = Outbox()
    outbox.say(b"1", delta("a", 0))
    outbox.clear()
    outbox.say(b"1", delta("a", 1))
    assert len(drained(outbox)) == 1
    assert outbox.tokens == 0
    assert repr(outbox) == "<Outbox 0 entries, 0 tokens>"


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=40))
def test_whatever_the_order_each_request_reads_its_own_tokens_once(script: list[tuple[str, bool]]) -> None:
    """Property: per request the tokens come out exactly as they went in, whatever was between them."""
    outbox, counts = Outbox(), dict.fromkeys("abc", 0)
    for request, breaks in script:
        outbox.say(b"1", delta(request, counts[request]))
        counts[request] += 1
        if breaks:
            outbox.post(m.Goodbye())
    seen: dict[str, list[int]] = {name: [] for name in "abc"}
    for entry in drained(outbox):
        if isinstance(entry, Batch):
            for item in entry.items:
                assert item.seq == len(seen[item.request])
                seen[item.request] += item.tokens
    assert {name: len(tokens) for name, tokens in seen.items()} == counts
