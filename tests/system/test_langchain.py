"""LangChain's own suites for chat models and embeddings pass over every dialect."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

SUITES = Path(__file__).parent / "langchain_suites.py"
OPTIONS = {
    "asyncio_mode": "auto",
    "asyncio_default_fixture_loop_scope": "module",
    "asyncio_default_test_loop_scope": "module",
    "timeout": "300",
}


def test_langchain_is_content() -> None:
    """`ChatOpenAI` over chat and responses, `ChatAnthropic`, and `OpenAIEmbeddings`, with what the model cannot do."""
    options = [part for name, value in OPTIONS.items() for part in ("-o", f"{name}={value}")]
    arguments = ["-p", "no:unraisableexception", "-W", "ignore", *options, str(SUITES)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
