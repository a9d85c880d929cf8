"""The file behind the keys: read again when it changes, all or not at all."""

import asyncio
import os

import pytest
from asgi_driver import turn_until
from edge_world import World, run
from made_keys import entry, presented, ring

from cortex.edge import keyring as rim
from cortex.edge.keyring import PATIENCE, Gate, Keyring, credentials
from cortex.protocol.keys import KeyFile
from cortex.protocol.kit import keyfile
from cortex.protocol.kit.settings import SettingsError


def let_in(keyring, key=None):
    """Whether a request with this key is let in, and the code of the refusal if not."""
    headers = [] if key is None else [(b"x-api-key", key.encode())]
    reason = Gate(keyring, lambda: 1000.0)({"path": "/v1/models", "headers": headers})
    return reason is None or reason.code.value


def test_without_a_file_everybody_is_let_in(tmp_path):
    """Placeholder keys are not looked at."""
    for keyring in (Keyring(), Keyring(tmp_path / "keys.toml")):
        keyring.load()
        assert let_in(keyring) is True
        assert let_in(keyring, "none") is True


def test_a_key_without_the_word_before_it_is_told_so(tmp_path):
    """It is no key where it stands; one that stands beside it as x-api-key is looked at."""
    gate = Gate(ring(tmp_path / "keys.toml", entry()), lambda: 1000.0)
    bare = (b"authorization", presented().encode())
    scope = {"path": "/v1/models", "headers": [bare]}
    assert "does not begin with Bearer" in gate(scope).message
    assert "does not begin with Bearer" not in gate({**scope, "headers": []}).message
    assert gate({**scope, "headers": [bare, (b"x-api-key", presented().encode())]}) is None


def test_a_file_that_appears_turns_keys_on(tmp_path):
    """Without a restart."""
    path = tmp_path / "keys.toml"
    keyring = Keyring(path)
    keyring.load()
    keyring.look()
    assert let_in(keyring) is True
    keyfile.write(path, KeyFile(keys=(entry(),)))
    keyring.look()
    assert let_in(keyring) == "invalid_api_key"
    assert let_in(keyring, presented()) is True


def test_a_change_is_taken_whole_or_not_at_all(tmp_path, caplog):
    """While the file is wrong, readable by others or gone, what was read before stays, and the log says why, once."""
    path = tmp_path / "keys.toml"
    keyring = ring(path, entry())
    keyfile.write(path, KeyFile(keys=(entry(), entry("efgh"))))
    keyring.look()
    assert let_in(keyring, presented("efgh")) is True
    keyfile.write(path, KeyFile(keys=(entry(),)))
    path.write_text(path.read_text() + "[[keys]]\nid = 1\n")
    keyring.look()
    keyring.look()
    assert let_in(keyring, presented("efgh")) is True
    assert caplog.text.count("the keys read before stay in force") == 1
    keyfile.write(path, KeyFile(keys=(entry(),)))
    path.chmod(0o644)
    keyring.look()
    assert "chmod 600" in caplog.text
    path.unlink()
    keyring.look()
    assert "no such file" in caplog.text
    assert let_in(keyring) == "invalid_api_key"
    keyfile.write(path, KeyFile(keys=(entry(revoked=True),)))
    keyring.look()
    assert let_in(keyring, presented()) == "invalid_api_key"
    assert let_in(keyring, presented("efgh")) == "invalid_api_key"


def test_a_permission_that_is_mended_is_noticed(tmp_path):
    """A change of the mode alone is a change."""
    path = tmp_path / "keys.toml"
    keyfile.write(path, KeyFile(keys=(entry(),)))
    path.chmod(0o644)
    keyring = Keyring(path)
    keyring.load_or_close()
    assert let_in(keyring, presented()) == "keys_unreadable"
    path.chmod(0o600)
    keyring.look()
    assert let_in(keyring, presented()) is True


def test_a_first_file_that_cannot_be_read_lets_nobody_in(tmp_path, caplog):
    """It turns keys on all the same; the log says what is wrong, once, and nothing of keys that were read before."""
    path = tmp_path / "keys.toml"
    keyring = Keyring(path)
    keyring.load()
    keyfile.write(path, KeyFile(keys=(entry(),)))
    path.chmod(0o644)
    for _ in range(2 * PATIENCE + 1):
        keyring.look()
        assert let_in(keyring, presented()) == "keys_unreadable"
    assert caplog.text.count("nobody is let in") == 1
    path.chmod(0o600)
    keyring.look()
    assert let_in(keyring, presented()) is True


def test_what_was_in_the_way_of_reading_may_pass(tmp_path, monkeypatch):
    """A revocation is not lost because there was no free descriptor at that moment."""
    path = tmp_path / "keys.toml"
    keyring = ring(path, entry())
    keyfile.write(path, KeyFile(keys=(entry(revoked=True),)))
    for name in ("read", "mark"):
        with monkeypatch.context() as during:
            during.setattr(keyfile, name, failing)
            keyring.look()
            assert let_in(keyring, presented()) is True
    for _ in range(PATIENCE):
        keyring.look()
    assert let_in(keyring, presented()) == "invalid_api_key"


def failing(_path):
    raise SettingsError("keys.toml: Too many open files")


def test_a_file_that_cannot_be_looked_at_is_not_taken_for_none(tmp_path, monkeypatch):
    """Whether there is one is not known then, and nobody is let in."""
    keyring = Keyring(tmp_path / "keys.toml")
    with monkeypatch.context() as during:
        during.setattr(keyfile, "mark", failing)
        keyring.load_or_close()
        assert let_in(keyring) == "keys_unreadable"
    for _ in range(PATIENCE):
        keyring.look()
    assert let_in(keyring) is True


def test_a_worker_that_replaces_another_knows_that_keys_were_in_use(tmp_path):
    """They came while the gateway ran, and their file is gone when the new worker is forked off."""
    path = tmp_path / "keys.toml"
    arbiter = Keyring(path)
    arbiter.load()
    if (worker := os.fork()) == 0:
        keyfile.write(path, KeyFile(keys=(entry(),)))
        arbiter.look()
        os._exit(0 if let_in(arbiter) == "invalid_api_key" else 1)
    assert os.waitpid(worker, 0)[1] == 0
    path.unlink()
    arbiter.load_or_close()
    assert let_in(arbiter) == "keys_unreadable"


def test_a_start_with_a_wrong_file_is_refused(tmp_path):
    """Wrong, or named by the settings and not there."""
    path = tmp_path / "keys.toml"
    with pytest.raises(SettingsError, match="no such file"):
        Keyring(path, required=True).load()
    path.touch(mode=0o644)
    with pytest.raises(SettingsError, match="0600 or 0640"):
        Keyring(path).load()


def test_keys_that_were_in_use_are_missed(tmp_path):
    """A worker that starts later does not let everybody in because the file has gone."""
    path = tmp_path / "keys.toml"
    keyring = ring(path, entry())
    path.unlink()
    keyring.load_or_close()
    assert let_in(keyring, presented()) == "keys_unreadable"


def test_the_file_is_looked_at_by_itself(tmp_path, monkeypatch):
    """From the worker's start to its end, whatever a look may throw."""
    monkeypatch.setattr(rim, "LOOK_S", 0.0)
    looks = []

    class Counted(Keyring):
        def look(self):
            looks.append(None)
            raise OSError("odd")

    async def scenario():
        keyring = Counted(tmp_path / "keys.toml")
        keyring.start()
        await turn_until(lambda: len(looks) >= 3)
        keyring.stop()
        count = len(looks)
        await asyncio.sleep(0.01)
        assert len(looks) == count

    run(scenario())


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ([("authorization", "Bearer a")], ["a"]),
        ([("authorization", "bearer  a ")], ["a"]),
        ([("x-api-key", "b")], ["b"]),
        ([("x-api-key", "b"), ("authorization", "Bearer a")], ["b", "a"]),
        ([("authorization", "Basic a"), ("x-api-key", "")], []),
        ([("authorization", "Bearer")], []),
        ([("authorization", "a")], []),
    ],
)
def test_what_counts_as_a_credential(headers, found):
    """A bearer's token and x-api-key; nothing else."""
    assert list(credentials([(name.encode(), value.encode()) for name, value in headers])) == found


def test_the_worker_looks_after_its_keys(tmp_path):
    """Lifespan starts and stops the looking."""
    keyring = ring(tmp_path / "keys.toml", entry())

    async def scenario():
        world = World(keyring=keyring)
        inbox = asyncio.Queue()

        async def send(_message):
            pass

        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}}
        task = asyncio.ensure_future(world.app(scope, inbox.get, send))
        inbox.put_nowait({"type": "lifespan.startup"})
        await turn_until(lambda: keyring._watching is not None)
        inbox.put_nowait({"type": "lifespan.shutdown"})
        await task
        assert keyring._watching is None

    run(scenario())
