"""models.toml as users write it: what it means, what is wrong with it, and how it is read again."""

from __future__ import annotations

import contextlib
import logging
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex.broker.catalogue import Catalogue, Limit, Profile, Replicas
from cortex.broker.profiles import Source, read
from cortex.protocol.kit.settings import SettingsError
from cortex.protocol.messages import Cost
from cortex.protocol.request import Sampling

WHOLE = """
small_model = "quick"

[[models]]
id = "org/big-27b"
engine = "torch"
source = "/models/big"
quantization = "int8"
vram_mb = 36001
min_devices = 2
min_device_vram_mb = 20000
affinity = ["beast"]
priority = 200
ttl = 900
min_residency = 60
load_deadline = 1200
replicas = { min = 0, max = 2 }
slots = 4
limit = { context = 32768, output = 8192 }
capabilities = ["text", "tools"]
cost = { input = 0.5, output = 0 }
sampling = { temperature = 0.6, top_p = 0.95, max_tokens = 4096 }
aliases = ["big", "gpt-5*"]

[[models]]
id = "small-1b"
pinned = true

[aliases]
quick = "small-1b"
"claude-3.5-*" = "org/big-27b"
"""

SEED = """
[[models]]
id = "Qwen/Qwen3-8B"
harness = "candle"
quant = "q4k"
vram_mb = 9000
pinned_on = ["beast"]
residency_priority = 50
cost.input = 0.1
"""


def refusal(text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        read(text, "FILE")
    return str(caught.value)


def models(*bodies: str) -> str:
    return "".join(f"[[models]]\n{body}\n" for body in bodies)


def test_a_whole_file_is_read() -> None:
    """Every key of a profile, aliases by name and by pattern, and the small model through its alias."""
    catalogue = read(WHOLE, "FILE")
    big, small = catalogue.models
    assert big == Profile(
        id="org/big-27b",
        engine="torch",
        source="/models/big",
        quantization="int8",
        vram_mb=36001,
        min_devices=2,
        min_device_vram_mb=20000,
        affinity=("beast",),
        priority=200,
        ttl=900.0,
        min_residency=60.0,
        load_deadline=1200.0,
        replicas=Replicas(min=0, max=2),
        slots=4,
        limit=Limit(context=32768, output=8192),
        capabilities=("text", "tools"),
        cost=Cost(input=0.5, output=0.0),
        sampling=Sampling(temperature=0.6, top_p=0.95, max_tokens=4096),
        aliases=("big", "gpt-5*"),
    )
    assert small == Profile(id="small-1b", pinned=True)
    assert big.footprint_bytes == 36001 * 2**19
    names = catalogue.names
    assert names.small == "small-1b"
    assert names.aliases == {
        "big": "org/big-27b",
        "gpt-5*": "org/big-27b",
        "quick": "small-1b",
        "claude-3.5-*": "org/big-27b",
    }


def test_an_empty_file_describes_nothing() -> None:
    """That is no error."""
    assert read("", "FILE") == Catalogue()


def test_the_keys_of_the_rust_cortex_are_understood() -> None:
    """They mean what is called otherwise here; candle is noted as the default engine, with its line."""
    notes: list[str] = []
    (profile,) = read(SEED, "FILE", notes.append).models
    assert profile == Profile(
        id="Qwen/Qwen3-8B",
        quantization="q4k",
        vram_mb=9000,
        affinity=("beast",),
        pinned=True,
        priority=50,
        cost=Cost(input=0.1),
    )
    assert notes == ['FILE:4: models["Qwen/Qwen3-8B"].harness: candle stands for the default engine here']


def test_pinned_on_nothing_is_not_pinned() -> None:
    """As the Rust cortex reads an empty list."""
    (profile,) = read(models('id = "a"\npinned_on = []'), "FILE").models
    assert (profile.affinity, profile.pinned) == ((), False)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("priorty = 1", 'FILE:3: models["a"].priorty: unknown key; did you mean models["a"].priority?'),
        (
            "limit.contxt = 1",
            'FILE:3: models["a"].limit.contxt: unknown key; did you mean models["a"].limit.context?',
        ),
        ('vram_mb = "9 GB"', 'FILE:3: models["a"].vram_mb: Expected `int`, got `str`'),
        ("ttl = nan", 'FILE:3: models["a"].ttl: Expected a finite number, got `nan`'),
        ("min_devices = 0", 'FILE:3: models["a"].min_devices: Expected `int` >= 1'),
        ("sampling.max_tokens = 0", 'FILE:3: models["a"].sampling.max_tokens: is 0, which leaves no room'),
        ("sampling.top_p = 2", 'FILE:3: models["a"].sampling.top_p: Expected `float` <= 1.0'),
        (
            "sampling.seed = 7",
            'FILE:3: models["a"].sampling.seed: belongs to each request; defaults can be given for',
        ),
        ("cost.input = -1", 'FILE:3: models["a"].cost.input: Expected `float` >= 0.0'),
        (
            'engine = "tourch"',
            "FILE:3: models[\"a\"].engine: 'tourch' is no engine; write torch, or leave it out",
        ),
        (
            'harness = "llamacpp"',
            "FILE:3: models[\"a\"].harness: 'llamacpp' is no engine; write torch or sim, or",
        ),
        ("harness = 1", 'FILE:3: models["a"].harness: Expected `str | null`, got `int`'),
        (
            'engine = "torch"\nharness = "candle"',
            'FILE:4: models["a"].harness: is what engine replaced, and engine is given too; keep engine',
        ),
        (
            'pinned = true\npinned_on = ["beast"]',
            'FILE:4: models["a"].pinned_on: is what affinity and pinned replaced, and pinned is given too; keep pinned',
        ),
        (
            "replicas = { min = 3, max = 2 }",
            'FILE:3: models["a"].replicas.min: is 3, more than replicas.max, 2',
        ),
        ("min_devices = 2", 'FILE:3: models["a"].min_devices: needs vram_mb, the whole footprint'),
        (
            "vram_mb = 30000\nmin_device_vram_mb = 8000",
            'FILE:4: models["a"].min_device_vram_mb: is 8000, less than a device\'s share of vram_mb, 30000;',
        ),
        (
            "vram_mb = 30000\nmin_devices = 2\nmin_device_vram_mb = 14999",
            'FILE:5: models["a"].min_device_vram_mb: is 14999, less than a device\'s share of vram_mb, 15000;',
        ),
        ("pinned = true\nttl = 5", 'FILE:4: models["a"].ttl: unloads a model that is pinned to stay;'),
        (
            "limit = { context = 10, output = 11 }",
            'FILE:3: models["a"].limit.output: is 11, more than limit.context',
        ),
        (
            'affinity = [\n"beast",\n"beast/cuda0"]',
            "FILE:5: the 2nd entry of models[\"a\"].affinity: 'beast/cuda0' is no device; did you mean beast/cuda-0?",
        ),
        (
            'affinity = ["beast:1"]',
            "FILE:3: the 1st entry of models[\"a\"].affinity: 'beast:1' is no device; did you mean beast/cuda-1?",
        ),
        (
            'affinity = ["beast/gpu-1"]',
            "FILE:3: the 1st entry of models[\"a\"].affinity: 'beast/gpu-1' is no device; did you mean",
        ),
        (
            'affinity = ["http://beast:13131"]',
            "FILE:3: the 1st entry of models[\"a\"].affinity: 'http://beast:13131' is an address",
        ),
        (
            'affinity = ["a b"]',
            "FILE:3: the 1st entry of models[\"a\"].affinity: 'a b' is neither a host such as beast nor a device",
        ),
        (
            'pinned_on = ["beast/0"]',
            "FILE:3: the 1st entry of models[\"a\"].pinned_on: 'beast/0' is no device; did you mean beast/cuda-0",
        ),
        ('affinity = ["a", "a"]', "FILE:3: the 2nd entry of models[\"a\"].affinity: 'a' is named twice"),
        (
            'vram_mb = 9\nmin_devices = 2\naffinity = ["a/cuda-0", "b/cuda-0"]',
            'FILE:5: models["a"].affinity: names 1 devices of one host at most; min_devices is 2',
        ),
        (
            'aliases = ["a"]',
            "FILE:3: the 1st entry of models[\"a\"].aliases: 'a' is the id of a model, and an id always means that",
        ),
        ('aliases = [""]', "FILE:3: the 1st entry of models[\"a\"].aliases: '' is no name"),
        ('aliases = ["x\\ny"]', "FILE:3: the 1st entry of models[\"a\"].aliases: 'x\\ny' is no name"),
        (
            '[[models]]\nid = "a"',
            "FILE:4: models[\"a\"].id: 'a' is described already, on line 1; keep one of them",
        ),
        ('[[models]]\nid = "a b"', 'FILE:4: models["a b"].id: must have no spaces and no `*`'),
        ("[[models]]", "FILE:3: the 2nd entry of models: Object missing required field `id`"),
        (
            '[aliases]\nfast = "b"',
            "FILE:4: aliases.fast: 'b' is not described here; add [[models]] with id = \"b\"",
        ),
        ("[aliases]\nfast = 1", 'FILE:4: aliases.fast: must be the id of a model: "name" = "id"'),
        (
            '[aliases]\nquick = "a"\nfast = "quick"',
            "FILE:5: aliases.fast: 'quick' is an alias itself, and aliases are not followed twice; name 'a'",
        ),
        (
            'aliases = ["fast"]\n[[models]]\nid = "bb"\n[aliases]\nfast = "bb"',
            "FILE:7: aliases.fast: 'fast' already means a; keep one of them",
        ),
        ("[alias]", "FILE:3: alias: unknown key; did you mean aliases?"),
    ],
)
def test_a_mistake_is_one_error_with_its_place_and_remedy(body: str, message: str) -> None:
    """File, line, key, what is wrong, what would be right."""
    assert refusal(models(f'id = "a"\n{body}')).startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '[models]\nid = "a"\n',
            "FILE:1: models: is one table; write [[models]] with two brackets for each model",
        ),
        ("models = 1\n", "FILE:1: models: Expected `array`"),
        ("[[models]]\nid = \n", "FILE:2: Invalid value at column 6"),
        (
            'small_model = "qwen"\n[[models]]\nid = "qwen3"\n',
            "FILE:1: small_model: 'qwen' is not described here; did you mean 'qwen3'?",
        ),
    ],
)
def test_a_mistake_outside_a_model_is_named_too(text: str, message: str) -> None:
    """At the top of the file and in its syntax."""
    assert refusal(text).startswith(message)


@pytest.mark.parametrize(
    "body",
    [
        "vram_mb = 36000\nmin_devices = 2\nmin_device_vram_mb = 30000",
        'vram_mb = 9\nmin_devices = 2\naffinity = ["a/cuda-0", "a/cuda-1", "b/cuda-0"]',
        'affinity = ["beast", "benjy.lan/cpu-0"]',
        'aliases = ["fast", "*"]\n[aliases]\nfast = "a"',
    ],
)
def test_what_only_looks_odd_is_taken(body: str) -> None:
    """A floor above the share, mixed affinities, the same alias said twice, a pattern for everything."""
    read(models(f'id = "a"\n{body}'), "FILE")


@given(st.text(max_size=60) | st.text('[]{}="\n, .models id alias 1', max_size=60))
def test_any_text_is_a_catalogue_or_a_settings_error(text: str) -> None:
    """Nothing else leaves the reader."""
    with contextlib.suppress(SettingsError):
        assert isinstance(read(text, "FILE"), Catalogue)


# ── the file ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "models.toml"
    path.write_text(models('id = "a"'))
    return path


def test_a_bad_file_never_replaces_a_good_catalogue(path: Path) -> None:
    """All or nothing: the error is told, the old catalogue stays, the next good one holds."""
    source = Source(path)
    path.write_text(models('id = "b"', 'id = "c"\npriorty = 1'))
    wrong = 'models["c"].priorty: unknown key; did you mean models["c"].priority?'
    assert source.reload() == f"{path}:5: {wrong}"
    assert [model.id for model in source.catalogue.models] == ["a"]
    path.unlink()
    assert source.reload() == f"{path}: no such file"
    assert [model.id for model in source.catalogue.models] == ["a"]
    path.write_text(models('id = "b"'))
    assert source.reload() is None
    assert [model.id for model in source.catalogue.models] == ["b"]


def test_a_change_is_noticed_within_a_second(path: Path) -> None:
    """The file is looked at once a second at most; what was read, good or bad, is no change any more."""
    source = Source(path)
    assert not source.changed(10.0)
    path.write_text("wrong")
    assert not source.changed(10.9)
    assert source.changed(11.0)
    assert source.reload() is not None
    assert not source.changed(12.0)
    path.unlink()
    assert source.changed(13.0)


def test_a_missing_file_is_loud_and_may_come_later(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One line with the absolute path and what that means; once it is there it is read."""
    path.unlink()
    source = Source(path)
    assert not caplog.records
    with caplog.at_level(logging.WARNING):
        source.announce()
    (record,) = caplog.records
    assert str(path) in record.getMessage()
    assert "no model is described" in record.getMessage()
    assert source.catalogue == Catalogue()
    assert not source.changed(1.0)
    path.write_text(models('id = "a"'))
    assert source.changed(2.0)
    assert source.reload() is None
    assert source.catalogue.models
    with caplog.at_level(logging.INFO):
        source.announce()
    assert caplog.records[-1].getMessage() == f"{path} describes 1 model(s)"


def test_a_file_that_was_asked_for_must_be_there(path: Path) -> None:
    """Nothing starts on a catalogue that somebody misses."""
    path.unlink()
    with pytest.raises(SettingsError, match="no such file"):
        Source(path, required=True)


def test_a_bad_file_at_the_start_is_refused(path: Path) -> None:
    """There is no good one that could stay."""
    path.write_text("[[models]]\n")
    with pytest.raises(SettingsError, match=r"models\.toml:1: the 1st entry of models: Object missing"):
        Source(path)


def test_the_example_of_the_readme_is_a_models_toml() -> None:
    """What a user copies is accepted."""
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    example = readme.split("```toml\n# models.toml")[1].split("```")[0]
    catalogue = read(f"#{example}", "README")
    assert [model.id for model in catalogue.models] == ["qwen3-32b", "qwen3-0.6b"]


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("context = 100", 'models["m"].context: unknown key; did you mean limit = { context = 100 }?'),
        (
            "sampling = { temperature = 9.0 }",
            'models["m"].sampling.temperature: is 9; requests take 0 to 2',
        ),
    ],
)
def test_what_no_request_may_have_is_no_default(line: str, wrong: str) -> None:
    """And a limit that is written beside its table is shown its place."""
    with pytest.raises(SettingsError, match=re.escape(wrong)):
        read(f'[[models]]\nid = "m"\n{line}\n', "models.toml")
