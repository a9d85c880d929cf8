"""Property tests are repeatable and have no clock: a slow machine is no failure.

HYPOTHESIS_PROFILE=long makes a hundred times as many examples, other ones each time: `make test-long`.
"""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("cortex", deadline=None, derandomize=True, max_examples=60)
settings.register_profile("long", deadline=None, max_examples=6_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "cortex"))
