"""Who sleeps, and how much of the host's memory each takes: a book within a budget. Pure; measures nothing itself."""

from __future__ import annotations


class Asleep:
    """`budget` in bytes. `is_in_place`: they sleep in the very memory that they would compute in, as on a CPU."""

    def __init__(self, budget: int, *, is_in_place: bool) -> None:
        self.budget = budget
        self.is_in_place = is_in_place
        self.sizes: dict[str, int] = {}
        """Bytes of each that sleeps, or that slept when its load was ordered; who fell asleep first comes first."""
        self.expected: dict[str, int] = {}
        """Bytes of those that are on their way to sleep."""

    @property
    def total(self) -> int:
        return sum(self.sizes.values())

    def has_room(self, size: int) -> bool:
        """Whether one of `size` bytes may sleep, too."""
        return self.total + sum(self.expected.values()) + size <= self.budget

    @property
    def reclaimable(self) -> int:
        """Bytes that a device would have back at once if nobody slept."""
        return self.total if self.is_in_place else 0

    def own(self, model: str) -> int:
        """Bytes that a model will not take once more when it wakes."""
        return self.sizes.get(model, 0) if self.is_in_place else 0

    def check(self) -> None:
        """Assert what must always hold."""
        assert self.total <= self.budget, f"more than {self.budget} bytes sleep: {self.sizes}"
