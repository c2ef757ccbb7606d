"""How large a change is, for people: population stability index, Kolmogorov–Smirnov, Wasserstein, Jensen–Shannon.

None of them is a test. Each is above 0 by chance alone, the more the fewer values there are; see `psi_by_chance`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crossfade.judge.drift.cells import Floats, Ints


def shares(counts: Ints) -> Floats:
    """Shares of cells, none of them empty: half a request is added to each."""
    found: Floats = (counts + 0.5) / (counts.sum() + 0.5 * len(counts))
    return found


def psi(then: Ints, now: Ints) -> float:
    """Population stability index over cells that either has."""
    there = (then + now) > 0
    a, b = shares(then[there]), shares(now[there])
    return float(np.sum((b - a) * np.log(b / a)))


def psi_by_chance(then: Ints, now: Ints) -> tuple[float, float]:
    """Mean and standard deviation of the index where nothing has changed: (B − 1)(1/n + 1/m), as a chi-square has."""
    free = max(int(((then + now) > 0).sum()) - 1, 0)
    scale = 1.0 / max(int(then.sum()), 1) + 1.0 / max(int(now.sum()), 1)
    return free * scale, float(np.sqrt(2.0 * free)) * scale


def jensen_shannon(then: Ints, now: Ints) -> float:
    """Jensen–Shannon divergence in bits, 0 to 1."""
    if not then.sum() or not now.sum():
        return 0.0
    a, b = then / then.sum(), now / now.sum()
    middle = (a + b) / 2.0
    return float(sum(np.sum(one[one > 0] * np.log2(one[one > 0] / middle[one > 0])) for one in (a, b)) / 2.0)


Points = tuple[Sequence[float], Sequence[int]]
"""Numbers in ascending order, and how often each occurred."""


def kolmogorov_smirnov(then: Points, now: Points) -> float:
    """The largest distance of the two distribution functions, 0 to 1."""
    _, a, b = _both(then, now)
    return float(np.max(np.abs(a - b))) if len(a) else 0.0


def wasserstein(then: Points, now: Points) -> float:
    """How far, on average, values would have to be moved to make one of the other; in the numbers' own units."""
    places, a, b = _both(then, now)
    return float(np.sum(np.abs(a - b)[:-1] * np.diff(places))) if len(a) else 0.0


def _both(then: Points, now: Points) -> tuple[Floats, Floats, Floats]:
    """Every place, and both distribution functions there; nothing where one has no values."""
    if not sum(then[1]) or not sum(now[1]):
        return np.zeros(0), np.zeros(0), np.zeros(0)
    places = np.unique(np.concatenate([then[0], now[0]]))
    functions = []
    for where, counts in (then, now):
        reached = np.concatenate([[0.0], np.cumsum(counts) / np.sum(counts)])
        functions.append(reached[np.searchsorted(where, places, side="right")])
    return places, functions[0], functions[1]
