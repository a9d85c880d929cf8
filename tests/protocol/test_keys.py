"""How a key looks, and what is kept of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_keys import entry

from cortex.protocol.keys import (
    ALPHABET,
    KeyFile,
    Presented,
    digest_of,
    key_of,
    moment_of,
    seconds_of,
    taken_apart,
)


@given(st.text(ALPHABET, min_size=1), st.text(ALPHABET + "_-", min_size=1))
def test_a_key_is_taken_apart_as_it_was_put_together(id_: str, secret: str) -> None:
    """The id ends at the first underscore; a secret may hold some."""
    assert taken_apart(key_of(id_, secret)) == Presented(id_, secret)


@given(st.text())
def test_anything_else_is_no_key(text: str) -> None:
    """What does not begin like a key has neither id nor secret; nothing raises."""
    found = taken_apart(text)
    assert text.startswith("ctx_") or found == Presented("", "")
    assert len(digest_of(text)) == 64


@given(st.integers(0, 4_000_000_000))
def test_a_time_is_read_as_it_was_written(seconds: int) -> None:
    """RFC 3339, in UTC, to the second."""
    assert seconds_of(moment_of(seconds)) == seconds
    assert moment_of(seconds).endswith("Z")


@pytest.mark.parametrize("wrong", ["tomorrow", "2027-01-31", "2027-01-31T00:00:00", "0"])
def test_a_time_needs_its_zone(wrong: str) -> None:
    """Otherwise nobody knows when it is."""
    with pytest.raises(ValueError, match="write it like 2027-01-31T00:00:00Z"):
        seconds_of(wrong)
    with pytest.raises(ValueError, match="expires: "):
        entry(expires=wrong)


def test_an_id_is_there_once() -> None:
    """Or nobody could say whose it is."""
    with pytest.raises(ValueError, match="the id abcd is there twice"):
        KeyFile(keys=(entry(), entry("efgh"), entry()))


def test_what_has_become_of_a_key() -> None:
    """Active until it expires or is revoked; revoking one leaves the others as they are."""
    key = entry(expires=moment_of(1000))
    assert (key.state(999), key.state(1000), entry().state(1e12)) == ("active", "expired", "active")
    both = KeyFile(keys=(key, entry("efgh")))
    assert [one.state(0) for one in both.revoked("abcd").keys] == ["revoked", "active"]
