"""How much work something is, counted in lines of Python: the same on every machine."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable


def lines_run(work: Callable[[], object]) -> int:
    """How many lines of Python this executes."""
    count = 0

    def trace(_frame, event, _argument):
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    gc.disable()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
        gc.enable()
    return count
