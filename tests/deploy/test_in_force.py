"""`cortex-ctl config` shows what holds, and where each value came from."""

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from cortex.broker.profiles import Source
from cortex.deploy import config, local
from cortex.deploy.in_force import STARTED_WITH, InForce
from cortex.edge.config import Gateway


def shown(cortex_toml: Path | None, models: Path, **environ: str) -> list[str]:
    """Both texts, line by line."""
    settings, origins = config.load_cortex_told(cortex_toml)
    texts = InForce(Source(models), settings, origins, cortex_toml, environ).texts()
    assert all(tomllib.loads(text) for text in texts.values())
    return [line for text in texts.values() for line in text.splitlines()]


@pytest.fixture
def cortex_toml(tmp_path: Path) -> Path:
    path = tmp_path / "cortex.toml"
    path.write_text(
        '[gateway]\nlisten = "127.0.0.1:80"\nworkers = 2\nbrokers = ["tcp://a:1", "tcp://b:1"]\n'
        '[[neurons]]\nname = "beast"\n'
    )
    return path


def test_each_value_has_its_origin(
    cortex_toml: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file's own have none beside them, also where they say the default; a variable is named."""
    monkeypatch.setenv("CORTEX_GATEWAY__LISTEN", "127.0.0.1:8080")
    monkeypatch.setenv("CORTEX_QUEUE__TURN_S", "9")
    lines = shown(cortex_toml, tmp_path / "models.toml")
    assert 'listen = "127.0.0.1:8080"  # CORTEX_GATEWAY__LISTEN' in lines
    assert "turn_s = 9.0  # CORTEX_QUEUE__TURN_S" in lines
    assert "workers = 2" in lines
    assert "connections = 4096  # default" in lines
    assert any(line.startswith("brokers = [") and line.endswith("]") for line in lines)
    assert 'name = "beast"' in lines
    assert 'endpoint = ""  # default' in lines


def test_what_the_command_line_said_is_told_so(
    cortex_toml: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The launcher hands it on in variables, which its user never set; what the settings say it leaves to them."""
    settings = config.load_cortex(cortex_toml)
    plan = local.Plan(
        data=tmp_path,
        cortex_toml=cortex_toml,
        neuron_toml=None,
        settings=settings,
        http="127.0.0.1:9",
        metrics=settings.gateway.metrics_listen,
        grace_s=settings.gateway.grace_s,
        insecure_open=False,
        with_neuron=False,
        log_to_files=False,
    )
    told = local.environment_of(plan)
    assert told == {"CORTEX_GATEWAY__LISTEN": "127.0.0.1:9", STARTED_WITH: "CORTEX_GATEWAY__LISTEN"}
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    assert 'listen = "127.0.0.1:9"  # the command line' in shown(cortex_toml, tmp_path / "m.toml", **told)
    assert local.environment_of(replace(plan, http=settings.gateway.listen)) == {STARTED_WITH: ""}


def test_without_a_file_all_are_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which their heading says already; a variable stands out."""
    monkeypatch.setenv("CORTEX_GATEWAY__WORKERS", "1")
    lines = shown(None, tmp_path / "models.toml")
    assert f'listen = "{Gateway().listen}"' in lines
    assert "workers = 1  # CORTEX_GATEWAY__WORKERS" in lines


def test_a_profile_says_what_its_file_says(tmp_path: Path) -> None:
    """Under the old names too."""
    models = tmp_path / "models.toml"
    models.write_text('[[models]]\nid = "a"\nresidency_priority = 7\nlimit.context = 512\n')
    lines = shown(None, models)
    assert 'id = "a"' in lines
    assert "priority = 7" in lines
    assert "context = 512" in lines
    assert "output = 0  # default" in lines
    assert "ttl = 0.0  # default" in lines
