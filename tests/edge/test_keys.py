"""The table of keys: who is let in, what the others are told, and what that costs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_keys import entry, presented

from cortex.edge import keys as table
from cortex.edge.keys import LONGEST, NO_KEY, REVOKED, WRONG, Keys
from cortex.protocol.keys import KeyFile, key_of, moment_of

NOW = 1_000_000.0
EXPIRED = moment_of(NOW - 1)


def keys(*entries):
    return Keys(KeyFile(keys=entries))


def test_the_holder_of_the_secret_is_let_in():
    """Until the very second in which it expires; a key without an end does not."""
    found = keys(entry(), entry("efgh", priority=7, expires=moment_of(NOW + 1)))
    assert found.holder([presented()], NOW).id == "abcd"
    second = found.holder([presented("efgh")], NOW)
    assert (second.id, second.priority) == ("efgh", 7)
    assert "expired at 1970-01-12T13:46:41Z" in found.holder([presented("efgh")], NOW + 1).message


@pytest.mark.parametrize(
    "credential",
    [
        "",
        "none",
        "sk-123",
        "ctx_",
        "ctx_abcd",
        "ctx_abcd_",
        "ctx_abcd_wrong",
        "ctx__secretabcd",
        "ctx_nobody_x",
        "ctx_ABCD_secretabcd",
    ],
)
def test_anything_else_is_told_the_same(credential):
    """Nobody learns which ids there are, nor that a key was revoked or has expired without its secret."""
    for known in (keys(entry()), keys(entry(revoked=True)), keys(entry(expires=EXPIRED)), keys()):
        assert known.holder([credential], NOW) is WRONG


def test_no_key_is_told_how_to_send_one():
    """Which is another sentence than the one about a wrong key."""
    assert keys(entry()).holder([], NOW) is NO_KEY


def test_the_holder_is_told_why():
    """Revoked comes before expired."""
    assert keys(entry(revoked=True, expires=EXPIRED)).holder([presented()], NOW) is REVOKED
    assert EXPIRED in keys(entry(expires=EXPIRED)).holder([presented()], NOW).message


def test_litellm_tells_a_wrong_key_from_a_wrong_request():
    """By OpenAI's words for one; without them it calls every 401 of type invalid_request_error a bad request."""
    late = keys(entry(expires=EXPIRED)).holder([presented()], NOW)
    assert all("Incorrect API key provided" in told.message for told in (WRONG, REVOKED, late))


@given(st.permutations(["none", presented("gone"), presented()]))
def test_one_good_credential_is_enough(given_):
    """Agents send a made-up one beside the real one; the most telling refusal is given if none is good."""
    known = keys(entry(), entry("gone", revoked=True))
    assert known.holder(given_, NOW).id == "abcd"
    assert known.holder([one for one in given_ if one != presented()], NOW) is REVOKED


@given(st.text(max_size=2 * LONGEST))
def test_nothing_breaks_it(text):
    """Whatever is sent is a key or none."""
    known = keys(entry())
    for credential in (text, "ctx_" + text, "ctx_abcd_" + text):
        assert known.holder([credential], NOW) is WRONG


@pytest.mark.parametrize(
    ("models", "names", "may"),
    [
        ((), ("demo",), True),
        (("demo",), ("demo",), True),
        (("demo",), ("demo-2",), False),
        (("demo*",), ("demo-2",), True),
        (("*",), ("anything",), True),
        (("gpt-5*", "org/*"), ("big",), False),
        (("gpt-5*", "org/*"), ("org/demo-1b",), True),
        (("gpt-5*",), ("gpt-5-mini", "big"), True),
        (("big",), ("gpt-5-mini", "big"), True),
        (("a*b*c",), ("abc",), True),
        (("a*b*c",), ("acb",), False),
    ],
)
def test_which_models_a_key_may_use(models, names, may):
    """By a name of the model, which an id is too; without a list all."""
    key = keys(entry(models=models)).holder([presented()], NOW)
    assert key.may_use(*names) is may


@pytest.mark.parametrize(
    "credential", [presented("k00999"), key_of("k00999", "x"), key_of("nobody", "x"), "none", ""]
)
def test_a_look_is_the_same_work_whatever_is_sent(credential, monkeypatch):
    """One digest and one comparison in constant time, of a thousand keys or of none: nothing is told by how long it takes."""
    compared = []

    def compare(one, other):
        compared.append((len(one), len(other)))
        return one == other

    monkeypatch.setattr(table.hmac, "compare_digest", compare)
    for known in (keys(), keys(*(entry(f"k{number:05}") for number in range(1000)))):
        compared.clear()
        known.holder([credential], NOW)
        assert compared == [(64, 64)]
