"""What can be said of the server without starting it; the rest is in tests/system."""

import subprocess
import sys

import gunicorn
import pytest

from cortex.edge import server
from cortex.edge.config import Gateway
from cortex.protocol.kit.sockets import EndpointError


def test_the_tested_gunicorn_passes():
    """The private names that the subclasses need are there."""
    server.self_test()


def test_another_gunicorn_is_refused(monkeypatch):
    """Loudly, with the remedy."""
    monkeypatch.setattr(gunicorn, "__version__", "99.0")
    with pytest.raises(server.UntestedGunicornError, match="pip install gunicorn=="):
        server.self_test()


def test_a_missing_private_name_is_refused(monkeypatch):
    """Even if the version says otherwise."""
    monkeypatch.delattr(server.gasgi.ASGIWorker, "_shutdown")
    with pytest.raises(server.UntestedGunicornError, match="_shutdown"):
        server.self_test()


def test_an_open_address_is_refused():
    """Without keys nobody but this machine is served, unless the operator insists."""
    with pytest.raises(EndpointError, match="--insecure-open"):
        server.serve(Gateway(listen="0.0.0.0:0"), ("ipc:///nowhere",))


def test_the_table_and_the_dialects_are_pure():
    """They import neither sockets, nor clocks, nor the framework."""
    code = (
        "import sys, cortex.edge.inflight, cortex.edge.dialects.openai_chat, cortex.edge.dialects.openai_chat_reply;"
        "import cortex.edge.dialects.anthropic, cortex.edge.dialects.anthropic_models;"
        "print(*{'zmq', 'asyncio', 'falcon', 'gunicorn', 'torch'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""
