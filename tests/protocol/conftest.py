"""Property tests here are repeatable and have no clock: a slow machine is no failure."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("cortex", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("cortex")
