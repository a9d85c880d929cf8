"""Logging for every process: one line per event on standard error. Prompts and outputs are never logged."""

from __future__ import annotations

import logging
import os
import sys


def set_up(role: str, level: str | None = None) -> logging.Logger:
    """Configure the root logger once per process; `CORTEX_LOG` overrides the level."""
    name = (level or os.environ.get("CORTEX_LOG", "info")).upper()
    known = logging.getLevelNamesMapping()
    logging.basicConfig(
        stream=sys.stderr,
        level=known.get(name, logging.INFO),
        format=f"%(asctime)s %(levelname)-7s {role}[{os.getpid()}] %(message)s",
        force=True,
    )
    logging.getLogger("transformers").setLevel(logging.ERROR)
    return logging.getLogger(f"cortex.{role}")
