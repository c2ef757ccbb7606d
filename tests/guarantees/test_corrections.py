"""Corrections that come without regard to the arm do not make more false alarms, although each look bets anew."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from crossfade.judge.moments import RateMoments

from .worlds import Plan, holds, rate_log_e, settled, until

ALPHA = 0.05
FAST, FULL = 60, 600
LOOKS, AFTER = 25, 10
"""Looks while units come, and looks at the same units while their corrections go on."""


class Corrected:
    """Units whose outcomes are corrected a while after their window has closed, alike in both arms."""

    def __init__(self, rng: np.random.Generator, share: float, rate: float, taken: float, given: float) -> None:
        self.first = settled(rng, Plan(shares=(share,), buckets=200, arrivals=100), rate, rate)
        self._due: dict[str, np.ndarray] = {}
        slots = len(self.first.share)
        for arm in "ab":
            n, k = getattr(self.first, f"n_{arm}"), getattr(self.first, f"k_{arm}")
            off, on = rng.binomial(k, taken), rng.binomial(n - k, given)
            # Corrections of bucket i that are known at time t: a row for each bucket, a column for each time.
            known = np.zeros((slots, slots + 20 * AFTER), dtype=np.int64)
            for sign, counts in ((-1, off), (+1, on)):
                bucket = np.repeat(np.arange(slots), counts)
                at = bucket + 1 + rng.geometric(1.0 / 40.0, len(bucket))
                inside = at < known.shape[1]
                np.add.at(known, (bucket[inside], at[inside]), sign)
            self._due[arm] = np.cumsum(known, axis=1)

    def at(self, time: int) -> RateMoments:
        """What a look at that time knows."""
        rows = min(time, len(self.first.share))
        seen = until(self.first, rows)
        return replace(
            seen,
            k_a=seen.k_a + self._due["a"][:rows, time - 1],
            k_b=seen.k_b + self._due["b"][:rows, time - 1],
        )

    def rejected(self, sign: int) -> bool:
        """Whether any look calls the arms different."""
        slots = len(self.first.share)
        times = [*np.linspace(slots / LOOKS, slots, LOOKS).astype(int), *(slots + 20 * n for n in range(1, AFTER + 1))]
        return any(rate_log_e(self.at(int(time)), sign) >= -math.log(ALPHA) for time in times)


WORLDS = {
    "a third of the events taken back": (0.5, 0.1, 0.33, 0.0),
    "the same at a 5% canary": (0.05, 0.1, 0.33, 0.0),
    "most events taken back": (0.5, 0.2, 0.9, 0.0),
    "events given afterwards": (0.2, 0.02, 0.0, 0.05),
    "both": (0.2, 0.1, 0.5, 0.05),
}


def rejected(name: str, runs: int, sign: int) -> int:
    rng = np.random.default_rng(11)
    return sum(Corrected(rng, *WORLDS[name]).rejected(sign) for _ in range(runs))


@pytest.mark.parametrize("name", ["a third of the events taken back", "both"])
def test_the_same_model_is_seldom_called_harmful_while_outcomes_are_corrected(name: str) -> None:
    assert holds(rejected(name, FAST, +1), FAST, ALPHA)


@pytest.mark.full
@pytest.mark.parametrize("sign", [+1, -1])
@pytest.mark.parametrize("name", WORLDS)
def test_the_same_model_is_seldom_called_different_while_outcomes_are_corrected(name: str, sign: int) -> None:
    times = rejected(name, FULL, sign)
    print(f"{name}, {sign:+d}: {times} of {FULL}")
    assert holds(times, FULL, ALPHA)
