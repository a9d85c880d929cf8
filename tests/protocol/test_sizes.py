"""One way of rounding, whoever tells of a size."""

import pytest

from cortex.protocol.sizes import MIB, mib, short_by


@pytest.mark.parametrize(
    ("number", "whole"), [(0, 0), (1, 1), (43.4 * MIB, 43), (43.6 * MIB, 44), (44 * MIB, 44), (-5 * MIB, -5)]
)
def test_a_size_is_the_nearest(number: float, whole: int) -> None:
    """But what is there at all is not nothing."""
    assert mib(number) == whole


@pytest.mark.parametrize(("wanted", "there"), [(43.6, 40.4), (43.4, 43.1), (100.5, 0)])
def test_what_is_missing_adds_up(wanted: float, there: float) -> None:
    """With the figures beside it, unless these are the same: then it is one."""
    missing = short_by(wanted * MIB, there * MIB)
    assert missing == max(1, mib(wanted * MIB) - mib(there * MIB))
