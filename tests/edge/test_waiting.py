"""What a client reads while it waits."""

from cortex.edge.waiting import PING, Waiting
from cortex.protocol.messages import Loading, Queued


def queued(position):
    return Queued(request="r", attempt=1, position=position)


def loading(percent, node="beast"):
    return Loading(request="r", attempt=1, percent=percent, node=node)


def test_it_says_what_is_going_on() -> None:
    """A comment each, in words."""
    waiting = Waiting("org/big")
    assert waiting.hear(queued(3), 1.0) == b": queued, 3 ahead\n\n"
    why = Queued(request="r", attempt=1, reason="every replica is busy")
    assert Waiting("m").hear(why, 1.0) == b": queued, 0 ahead: every replica is busy\n\n"
    assert waiting.hear(loading(43), 2.0) == b": loading org/big on beast 43 %\n\n"
    assert waiting.hear(loading(43, node=""), 3.0) == b": loading org/big 43 %\n\n"


def test_a_client_that_may_not_know_of_others_hears_of_none() -> None:
    """The reason without names where the broker has one, else the reason."""
    both = Queued(request="r", attempt=1, reason="old is busy", discreet="another model is busy")
    assert Waiting("m", discreet=True).hear(both, 1.0) == b": queued, 0 ahead: another model is busy\n\n"
    assert Waiting("m").hear(both, 1.0) == b": queued, 0 ahead: old is busy\n\n"
    plain = Queued(request="r", attempt=1, reason="every replica is busy")
    assert Waiting("m", discreet=True).hear(plain, 1.0) == b": queued, 0 ahead: every replica is busy\n\n"


def test_it_never_speaks_faster_than_once_a_second() -> None:
    """What came too early is told when all is quiet, if it still holds."""
    waiting = Waiting("m")
    assert waiting.hear(queued(3), 1.0)
    assert waiting.hear(queued(2), 1.5) == b""
    assert waiting.quiet(1.9) == PING
    assert waiting.quiet(2.0) == b": queued, 2 ahead\n\n"
    assert waiting.hear(queued(1), 2.1) == b""
    waiting.serve()
    assert waiting.quiet(9.0) == PING == b": ping\n\n"


def test_a_name_cannot_break_out_of_its_comment() -> None:
    """No line ends in it."""
    comment = Waiting("a\ndata: x").hear(loading(1, node="b\r\nevent: y"), 0.0)
    assert comment.count(b"\n") == 2
    assert b"\r" not in comment
