"""Names, and what several brokers say put together."""

from __future__ import annotations

import pytest
from msgspec import structs

from cortex.edge.catalogue import Catalogue, with_defaults
from cortex.edge.names import means_small
from cortex.protocol.faults import Code, FaultError
from cortex.protocol.messages import CatalogueEntry, Names, Welcome
from cortex.protocol.request import Sampling

BIG = CatalogueEntry(id="org/big-27b", context=100)
TINY = CatalogueEntry(id="tiny-1b")
NAMES = Names(
    aliases={
        "gpt-*": "tiny-1b",
        "gpt-5*": "org/big-27b",
        "gpt-*-codex": "org/big-27b",
        "gpt-5-mini": "tiny-1b",
        "a*b*b": "org/big-27b",
        "gone": "not-there",
        "gone-*": "not-there",
        "tiny-1b": "org/big-27b",
    },
    small="tiny-1b",
)


def welcome(*models, names=None, broker="one", version=1, neurons=1):
    return Welcome(broker=broker, catalogue=version, neurons=neurons, models=models or None, names=names)


def known(*models, names=NAMES):
    catalogue = Catalogue()
    catalogue.update(welcome(*(models or (BIG, TINY)), names=names))
    return catalogue


@pytest.mark.parametrize(
    ("name", "id_"),
    [
        ("org/big-27b", "org/big-27b"),
        ("tiny-1b", "tiny-1b"),
        ("gpt-5-mini", "tiny-1b"),
        ("gpt-5", "org/big-27b"),
        ("gpt-5.1-mini", "org/big-27b"),
        ("gpt-4o", "tiny-1b"),
        ("gpt-4-codex", "org/big-27b"),
        ("abb", "org/big-27b"),
        ("axbxb", "org/big-27b"),
        ("claude-haiku-4-5", "tiny-1b"),
        ("gemini-3-flash", "tiny-1b"),
    ],
)
def test_a_name_finds_its_model(name: str, id_: str) -> None:
    """An id, an alias, the alias with the longest written part, the small model: in this order."""
    catalogue = known()
    assert catalogue.find(name).id == id_
    assert catalogue.label(name) == id_


@pytest.mark.parametrize("name", ["claude-opus-5", "gone", "gone-1", "ab", "xabb", "gpt", "", "GPT-5"])
def test_any_other_name_is_a_404(name: str) -> None:
    """So is an alias of a model that is not there, and a pattern that fits only in part."""
    with pytest.raises(FaultError) as caught:
        known().find(name)
    assert caught.value.fault.code is Code.MODEL_NOT_FOUND
    assert known().label(name) == "unknown"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("tiny1b", "does not exist. Did you mean 'tiny-1b'? GET /v1/models lists those that do."),
        ("big-27", "does not exist. Did you mean 'org/big-27b'? GET"),
        ("quick-on", "does not exist. Did you mean 'quick-one'? GET"),
        ("broken-3", "does not exist; GET /v1/models"),
    ],
)
def test_a_404_names_what_may_have_been_meant(name: str, said: str) -> None:
    """Ids and other names of models that would answer."""
    down = CatalogueEntry(id="broken-3b", servable=False)
    serving = [structs.replace(entry, servable=True) for entry in (BIG, TINY)]
    catalogue = known(*serving, down, names=Names(aliases={"quick-one": "tiny-1b"}))
    with pytest.raises(FaultError) as caught:
        catalogue.find(name)
    assert f"The model {name!r} {said}" in caught.value.fault.message


@pytest.mark.parametrize(
    ("name", "small"),
    [
        ("claude-haiku-4-5-20251001", True),
        ("gpt-5-nano", True),
        ("o4-mini", True),
        ("gemini-2.5-flash-lite", True),
        ("Mistral-Small-24B", True),
        ("tinyllama", False),
        ("gemini-3-pro", False),
        ("phi3mini", True),
        ("elite-9", False),
        ("minimax-m2", False),
    ],
)
def test_a_word_in_a_name_means_small(name: str, small: bool) -> None:
    """A whole word of letters: gemini and minimax are no mini."""
    assert means_small(name) is small


def test_without_a_small_model_an_unknown_small_name_is_unknown() -> None:
    """Nothing is guessed."""
    with pytest.raises(FaultError):
        known(names=Names()).find("gpt-5-mini")


def test_aliases_are_those_that_can_be_listed() -> None:
    """Exact ones, of models that are there, that are no id themselves."""
    assert known().aliases == {"gpt-5-mini": "tiny-1b"}


def test_before_anybody_has_spoken_it_is_a_503() -> None:
    """Later an unknown model stays a 404, broker or not."""
    catalogue = Catalogue()
    with pytest.raises(FaultError) as caught:
        catalogue.find("tiny-1b")
    assert caught.value.fault.code is Code.BROKER_LOST
    catalogue.update(welcome(TINY))
    catalogue.lose_broker()
    assert (catalogue.broker, catalogue.neurons, catalogue.version) == ("", 0, -1)
    assert catalogue.find("tiny-1b") is TINY
    with pytest.raises(FaultError) as caught:
        catalogue.find("nobody")
    assert caught.value.fault.code is Code.MODEL_NOT_FOUND


def test_a_welcome_without_news_changes_nothing() -> None:
    """Models and names that are not sent are those of before."""
    catalogue = known()
    catalogue.update(welcome(version=1, neurons=5))
    assert (len(catalogue.entries), catalogue.neurons, catalogue.find("gpt-5").id) == (2, 5, "org/big-27b")


def test_several_brokers_are_put_together() -> None:
    """All their models; loaded if one says so, else as the last one said; each has its own version."""
    hot = CatalogueEntry(id="a", loaded=True, context=1)
    catalogue = Catalogue()
    catalogue.update(
        welcome(hot, broker="one", version=7, neurons=2, names=Names(aliases={"x": "a", "y": "a"}))
    )
    catalogue.update(
        welcome(
            CatalogueEntry(id="a", context=2),
            TINY,
            broker="two",
            version=3,
            neurons=4,
            names=Names(aliases={"x": TINY.id}),
        ),
        source=1,
    )
    assert catalogue.find("a") is hot
    assert [entry.id for entry in catalogue.entries] == ["a", "tiny-1b"]
    assert (catalogue.version, catalogue.version_of(1), catalogue.version_of(2)) == (7, 3, -1)
    assert (catalogue.neurons, catalogue.loaded, catalogue.broker) == (4, 1, "one")
    assert (catalogue.find("x").id, catalogue.find("y").id) == ("tiny-1b", "a")
    catalogue.update(welcome(CatalogueEntry(id="a", context=3), broker="one", version=8))
    assert catalogue.find("a").context == 3


def test_a_lost_broker_has_no_say_while_another_lives() -> None:
    """What it called loaded may be gone; with the last one gone, names are kept."""
    catalogue = Catalogue()
    catalogue.update(welcome(CatalogueEntry(id="a", loaded=True), broker="one"))
    catalogue.update(welcome(CatalogueEntry(id="a"), broker="two"), source=1)
    catalogue.lose_broker()
    assert (catalogue.loaded, catalogue.broker, catalogue.version) == (0, "two", -1)
    catalogue.lose_broker(1)
    assert (catalogue.broker, catalogue.find("a").id) == ("", "a")
    catalogue.lose_broker(9)


def test_defaults_fill_what_a_request_leaves_open() -> None:
    """What it says itself holds; seed, stop and n are its own."""
    default = Sampling(temperature=0.6, top_k=20, max_tokens=100, seed=3, stop=("x",), n=2)
    entry = CatalogueEntry(id="a", sampling=default)
    asked = Sampling(temperature=0.0, seed=9)
    assert with_defaults(asked, entry) == Sampling(temperature=0.0, top_k=20, max_tokens=100, seed=9)
    assert with_defaults(asked, CatalogueEntry(id="a")) is asked


@pytest.mark.parametrize(
    ("asked", "default", "limit", "result"),
    [
        (None, None, 50, 50),
        (None, 100, 50, 50),
        (None, 20, 50, 20),
        (10, 20, 50, 10),
        (64_000, 20, 50, 50),
        (64_000, None, 0, 64_000),
    ],
)
def test_the_output_limit_caps_what_may_be_said(asked, default, limit, result) -> None:
    """Agents ask for more than a model gives: they get less, not an error."""
    entry = CatalogueEntry(id="a", max_output=limit, sampling=Sampling(max_tokens=default))
    assert with_defaults(Sampling(max_tokens=asked), entry).max_tokens == result


def started(*models, settled: bool, version: int = 1, broker: str = "one") -> Welcome:
    return Welcome(broker=broker, catalogue=version, settled=settled, models=models, names=Names())


def test_a_broker_that_has_just_started_does_not_make_known_models_unknown() -> None:
    """What its predecessor told stays, not loaded, until every neuron has had the time to announce itself."""
    catalogue = Catalogue()
    catalogue.update(started(BIG, structs.replace(TINY, loaded=True), settled=True, version=7))
    assert catalogue.version == 7
    catalogue.lose_broker()
    catalogue.update(started(BIG, settled=False, version=1))
    assert not catalogue.find("tiny-1b").loaded
    assert catalogue.version == -1, "the whole list is asked for again"
    catalogue.update(started(BIG, settled=True, version=2))
    assert catalogue.version == 2
    with pytest.raises(FaultError) as caught:
        catalogue.find("tiny-1b")
    assert caught.value.fault.code is Code.MODEL_NOT_FOUND


def test_a_name_is_unknown_only_once_a_broker_knows_the_fleet() -> None:
    """Until then its client is told to come back; one broker that knows is enough."""
    catalogue = Catalogue()
    catalogue.update(started(BIG, settled=False))
    with pytest.raises(FaultError) as caught:
        catalogue.find("other")
    assert caught.value.fault.code is Code.BROKER_LOST
    assert caught.value.fault.retryable
    catalogue.update(started(BIG, settled=True, broker="two"), source=1)
    with pytest.raises(FaultError) as caught:
        catalogue.find("other")
    assert caught.value.fault.code is Code.MODEL_NOT_FOUND
