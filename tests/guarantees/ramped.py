"""First failures of regulars over a ramp, where a challenger is no worse by any time but fails at others.

Who fails the champion early cannot fail for the first time later. What is left to fail is then the challenger's, whose
share has grown in the meantime.
"""

from __future__ import annotations

import numpy as np

from crossfade.judge.infer import labels

SHARES = (0.01, 0.02, 0.04, 0.08)
DAYS = 7
"""Of each step."""

REGULARS = 1000
"""Of whom each fails the champion on so many days; of everybody else nobody fails."""

FAILING = 0.3
ALPHA = 0.05

KINDS = {
    "half as often all along": (0.5, 0.5, 0.5, 0.5),
    "a tenth as often at 1 %, then alike": (0.1, 1.0, 1.0, 1.0),
}
"""How often the challenger fails beside the champion, by step."""


def evidence(rng: np.random.Generator, factors: tuple[float, ...]) -> np.ndarray:
    """The log e-value for harm at each day's look. Half of the regulars are there from the start."""
    share, factor = np.repeat(SHARES, DAYS), np.repeat(factors, DAYS)
    bucket, alive = rng.random(REGULARS), np.ones(REGULARS, dtype=bool)
    came = np.where(rng.random(REGULARS) < 0.5, 0, rng.integers(0, len(share), REGULARS))
    failed = np.zeros((2, len(share)))
    for day in range(len(share)):
        is_b = bucket < share[day]
        chance = FAILING * np.where(is_b, factor[day], 1.0)
        fell = alive & (came <= day) & (rng.random(REGULARS) < chance)
        failed[:, day] = (fell & ~is_b).sum(), (fell & is_b).sum()
        alive &= ~fell
    in_a, in_b = labels.event_bets(share, +1)
    return labels.mixture(np.cumsum(failed[0][:, None] * in_a + failed[1][:, None] * in_b, axis=0))


def alarms(kind: str, runs: int) -> int:
    """Runs in which it was called harmful at any look."""
    rng = np.random.default_rng(52)
    return sum(evidence(rng, KINDS[kind]).max() >= -np.log(ALPHA) for _ in range(runs))
