"""Who sends requests: a pool of named units, some far busier than others. Pure; chance comes in as a generator."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from random import Random

COUNTRIES = ("de", "fr", "in", "jp", "us")


@dataclass(frozen=True, slots=True)
class Unit:
    """One user."""

    name: str
    country: str


class Population:
    """`size` units of log-normally skewed activity: new ones keep arriving while a few come back often."""

    def __init__(self, size: int, rng: Random, *, skew: float = 1.0) -> None:
        self._units = [Unit(f"user-{i:06d}", COUNTRIES[int(rng.random() ** 2 * len(COUNTRIES))]) for i in range(size)]
        self._cumulated = list(accumulate(rng.lognormvariate(0.0, skew) for _ in range(size)))

    def __len__(self) -> int:
        return len(self._units)

    def draw(self, rng: Random) -> Unit:
        """Whoever sends the next request."""
        at = bisect_right(self._cumulated, rng.random() * self._cumulated[-1])
        return self._units[min(at, len(self._units) - 1)]
