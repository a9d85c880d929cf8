"""Keys of a running cortex: made, used and revoked by the command line, noticed by the gateway within a second."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from openai import AuthenticationError, OpenAI, PermissionDeniedError
from stack import Stack

from cortex.broker.ctl.__main__ import main

pytestmark = pytest.mark.system

WITHIN_S = 1.0


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    data: Path = tmp_path_factory.mktemp("keys") / "c"
    with Stack(data, sim={"tokens_per_s": 2000}, models=("one", "two"), gateway={"workers": 2}) as running:
        running.wait_until_known()
        yield running


def ask(stack: Stack, key: str, model: str = "one") -> str | None:
    client = OpenAI(base_url=f"{stack.url}/v1", api_key=key, max_retries=0)
    answer = client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": "hi"}], max_tokens=2
    )
    return answer.choices[0].finish_reason


def statuses(stack: Stack, key: str) -> set[int]:
    """What several connections are answered, so that every worker is among them."""
    headers = {"x-api-key": key}
    return {httpx.get(f"{stack.url}/v1/models", headers=headers).status_code for _ in range(8)}


def until(stack: Stack, key: str, status: int) -> None:
    began = time.monotonic()
    while statuses(stack, key) != {status}:
        assert time.monotonic() - began < WITHIN_S + 1, stack.logs()  # a second for a busy machine


def test_the_running_gateway_tells_where_its_keys_are(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever the settings of whoever asks say."""
    monkeypatch.setenv("CORTEX_GATEWAY__KEYS", "/nowhere/keys.toml")
    assert main(["keys", "list", "--json", "--data", str(stack.data)]) == 0
    assert json.loads(capsys.readouterr().out)["file"] == str(stack.data / "keys.toml")


def test_a_key_from_its_making_to_its_end(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    """Without keys any will do; with one only that, for its models, until it is revoked; a body is not waited for."""
    assert ask(stack, "none") == "length"
    assert main(["keys", "new", "ann", "--models", "one", "--json", "--data", str(stack.data)]) == 0
    made = json.loads(capsys.readouterr().out)
    until(stack, "none", 401)
    with pytest.raises(AuthenticationError) as wrong:
        ask(stack, "none")
    assert wrong.value.code == "invalid_api_key"
    assert ask(stack, made["key"]) == "length"
    with pytest.raises(PermissionDeniedError, match="it may use: one"):
        ask(stack, made["key"], "two")
    large = httpx.post(f"{stack.url}/v1/chat/completions", content=b"x" * 3_000_000)
    assert large.status_code == 401
    assert main(["keys", "revoke", made["id"], "--data", str(stack.data)]) == 0
    until(stack, made["key"], 401)
    with pytest.raises(AuthenticationError, match="revoked"):
        ask(stack, made["key"])
    assert made["key"].rpartition("_")[2] not in stack.logs()
