"""cortex.toml and neuron.toml as users write them."""

import tomllib
from pathlib import Path

import pytest

from cortex.broker.catalogue import Limit, Profile
from cortex.broker.config import BrokerSettings
from cortex.broker.profiles import read
from cortex.deploy import config
from cortex.deploy.first_models import FIRST_MODELS
from cortex.edge.config import Gateway
from cortex.protocol.kit.settings import SettingsError

SEED_EXAMPLE = """
[gateway]
listen = "0.0.0.0:31313"
metrics_listen = "0.0.0.0:31314"

[eviction]
strategy = "lru"            # lru | priority
defrag_after_cycles = 50

[[neurons]]
name = "beast"
endpoint = "http://beast.internal:13131"

[[neurons]]
name = "benjy"
endpoint = "http://benjy.internal:13131"
"""


def test_the_example_of_the_rust_cortex_is_accepted(tmp_path: Path) -> None:
    """Its neurons become the roster of expected hosts."""
    path = tmp_path / "cortex.toml"
    path.write_text(SEED_EXAMPLE)
    settings = config.load_cortex(path)
    assert settings.gateway.listen == "0.0.0.0:31313"
    assert [neuron.name for neuron in settings.neurons] == ["beast", "benjy"]
    assert settings.eviction.defrag_after_cycles == 50


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[gateway]\nlsten = 'x'", "gateway.lsten: unknown key; did you mean gateway.listen?"),
        ("[gatway]\nlisten = 'x'", "gatway: unknown key; did you mean gateway?"),
        ("[gateway]\nworkers = 'two'", "gateway.workers"),
        ("[gateway]\nbrokers = ['udp://x:1']", "gateway: brokers: 'udp://x:1': use ipc:///"),
        ("[gateway]\nbrokers = ['ipc:///a', 'ipc:///a']", "gateway: brokers: ipc:///a is listed twice"),
        ("[eviction]\nstrategy = 'random'", "eviction.strategy"),
        (
            "[[neurons]]\nnam = 'x'",
            "nam of the 1st entry of neurons: unknown key; did you mean name of the 1st entry of neurons?",
        ),
        ("[gateway", "cortex.toml"),
    ],
)
def test_a_mistake_is_named_with_file_key_and_remedy(tmp_path: Path, text: str, expected: str) -> None:
    """One sentence tells what to change."""
    path = tmp_path / "cortex.toml"
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        config.load_cortex(path)
    assert str(path) in str(caught.value)
    assert expected in str(caught.value)


def test_the_first_files_are_written_once_and_readable(tmp_path: Path) -> None:
    """They show the addresses that were asked for; a user's edits survive the next start."""
    asked = Gateway(listen="127.0.0.1:8080", metrics_listen="127.0.0.1:8081")
    cortex, neuron, _ = config.write_first(tmp_path / "d", asked)
    assert config.load_cortex(cortex).gateway == asked
    assert config.load_neuron(neuron).models[0].source == "demo"
    cortex.write_text("[gateway]\nworkers = 3\n")
    assert config.write_first(tmp_path / "d", asked) == []
    assert config.load_cortex(cortex).gateway.workers == 3


def test_the_first_models_teach_every_key(tmp_path: Path) -> None:
    """The demo model is described; the examples are a valid file once their comment signs are gone."""
    cortex, *_ = config.write_first(tmp_path, Gateway())
    source = config.profiles(config.load_cortex(cortex), cortex, tmp_path)
    assert source.path == tmp_path / "models.toml"
    assert (source.catalogue.models, source.catalogue.small_model) == (
        (Profile(id="cortex-demo", limit=Limit(output=1024)),),
        "cortex-demo",
    )
    lines = FIRST_MODELS.splitlines()
    start = lines.index("# [[models]]")
    told = "\n".join([*lines[:start], *(line.removeprefix("# ") for line in lines[start:])])
    demo, example = read(told.replace("\n#\n", "\n\n"), "FILE").models
    assert set(tomllib.loads(told)["models"][1]) == set(Profile.__struct_fields__)
    assert (demo.id, example.replicas.max) == ("cortex-demo", 2)


@pytest.mark.parametrize("absolute", [False, True])
def test_models_config_is_relative_to_its_file_and_must_be_there(
    tmp_path: Path, absolute: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the working directory is; a file that was named and is missing is no reason to start without."""
    (tmp_path / "etc").mkdir()
    monkeypatch.chdir(tmp_path)
    models = tmp_path / "etc" / "fleet.toml"
    cortex = Path("etc/cortex.toml")
    cortex.write_text(f'models_config = "{models if absolute else "fleet.toml"}"\n')
    settings = config.load_cortex(cortex)
    with pytest.raises(SettingsError) as caught:
        config.profiles(settings, cortex, tmp_path / "data")
    assert str(caught.value) == f"{models}: no such file; models_config of etc/cortex.toml names it"
    models.write_text('[[models]]\nid = "a"\n')
    source = config.profiles(settings, cortex, tmp_path / "data")
    assert (source.path, source.catalogue.models) == (models, (Profile(id="a"),))
    models.write_text("nonsense = 1\n")
    with pytest.raises(SettingsError, match=r"fleet\.toml:1: nonsense: unknown key"):
        config.profiles(settings, cortex, tmp_path / "data")


def test_without_a_word_models_are_beside_cortex_toml_or_in_the_data_directory(tmp_path: Path) -> None:
    """The path is absolute, so that the log names the file that is missing."""
    settings = config.CortexSettings()
    beside = config.profiles(settings, Path("etc/cortex.toml"), tmp_path)
    assert beside.path == Path.cwd() / "etc" / "models.toml"
    assert config.profiles(settings, None, tmp_path).path == tmp_path / "models.toml"


def test_the_environment_overrides_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CORTEX_SECTION__KEY wins over the file."""
    cortex, *_ = config.write_first(tmp_path, Gateway())
    monkeypatch.setenv("CORTEX_GATEWAY__LISTEN", "127.0.0.1:8080")
    monkeypatch.setenv("CORTEX_GATEWAY__WORKERS", "1")
    settings = config.load_cortex(cortex)
    assert (settings.gateway.listen, settings.gateway.workers) == ("127.0.0.1:8080", 1)


def test_an_edge_learns_its_brokers_from_the_file(tmp_path: Path) -> None:
    """All of the mesh, in this order; none named: the one of its data directory."""
    path = tmp_path / "cortex.toml"
    path.write_text('[gateway]\nbrokers = ["ipc:///run/a", "tcp://10.0.0.2:31320"]\n')
    assert config.edge_endpoints(config.load_cortex(path), tmp_path) == (
        "ipc:///run/a",
        "tcp://10.0.0.2:31320",
    )
    local = config.edge_endpoints(config.load_cortex(None), tmp_path)
    assert local == (config.planes(BrokerSettings(), tmp_path).edge,)


def test_planes_are_ipc_unless_configured(tmp_path: Path) -> None:
    """Each plane may be moved to TCP on its own."""
    planes = config.planes(BrokerSettings(neuron="tcp://127.0.0.1:31321"), tmp_path)
    assert planes.neuron == "tcp://127.0.0.1:31321"
    assert planes.ctl == f"ipc://{tmp_path}/run/ctl.sock"
