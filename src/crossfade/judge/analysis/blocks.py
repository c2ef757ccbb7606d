"""Time cut into blocks by the counts of units alone, and blocks joined into steps while the arms' shares stay.

Inside a block the share that came is bet at: given how many units each arm has, that is fair for independent units
whatever the rates are, so nobody has to say how units were assigned. Only what a block mixes — a share and a rate that
both change within it — could mislead, which is why blocks are short.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from crossfade.judge.moments import Floats, Ints

SHORTEST = 50
"""Units a block has at least."""

OF_THE_PAST = 1.0 / 40.0
"""A block is as long as this part of what came before it, so that a long experiment has hundreds of blocks."""

IN_EACH = 5
"""Units of either arm that a block waits for."""

CHANGED = 4.5
"""Standard errors by which a block's share differs from its step's when a new step begins."""


def cut(is_b: npt.NDArray[np.bool_], boundaries: Ints) -> Ints:
    """The block of each unit, units in time order; a block also ends at each of `boundaries` (numbers of units)."""
    n = len(is_b)
    of_b = np.cumsum(is_b)
    of_a = np.arange(1, n + 1) - of_b
    starts, start = [0], 0
    marks = [int(mark) for mark in boundaries if 0 < mark < n]
    while True:
        long = start + max(SHORTEST, math.ceil(start * OF_THE_PAST))
        before_a, before_b = (int(of_a[start - 1]), int(of_b[start - 1])) if start else (0, 0)
        end = max(
            long,
            int(np.searchsorted(of_a, before_a + IN_EACH)) + 1,
            int(np.searchsorted(of_b, before_b + IN_EACH)) + 1,
        )
        end = min([end, *(mark for mark in marks if start < mark)])
        if end >= n:
            break
        starts.append(end)
        start = end
    block = np.zeros(n, dtype=np.int64)
    block[starts[1:]] = 1
    return np.cumsum(block)


def steps(n_a: Ints, n_b: Ints) -> Ints:
    """The step of each block: a new one begins where the share of B is no longer that of the step so far."""
    found = np.zeros(len(n_a), dtype=np.int64)
    a = b = step = 0
    for i, (more_a, more_b) in enumerate(zip(n_a.tolist(), n_b.tolist(), strict=True)):
        if _differ(a, b, more_a, more_b):
            step, a, b = step + 1, 0, 0
        a, b = a + more_a, b + more_b
        found[i] = step
    return found


def shares(n_a: Ints, n_b: Ints, planned: float | None) -> Floats:
    """The assignment probability of B per block: as planned, or else the share that came."""
    if planned is not None:
        return np.full(len(n_a), planned)
    return np.asarray(n_b / np.maximum(n_a + n_b, 1), dtype=np.float64)


def _differ(a: int, b: int, more_a: int, more_b: int) -> bool:
    past, new = a + b, more_a + more_b
    if not past or not new:
        return False
    pooled = (b + more_b) / (past + new)
    error = math.sqrt(pooled * (1.0 - pooled) * (1.0 / past + 1.0 / new))
    return error > 0.0 and abs(more_b / new - b / past) > CHANGED * error
