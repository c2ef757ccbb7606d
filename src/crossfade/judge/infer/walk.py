"""Where tests begin to reject, walking away from the estimate: the ends of many intervals at once.

A log e-value grows about with the square of the distance from the estimate. Each step bets on that and is checked by
the test itself, so that three or four nulls are tried for an end instead of a whole grid of them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from crossfade.judge.moments import Floats, Ints

NEAR = 0.6
"""Standard errors within which an end is bracketed before it is read off between the two nulls."""

FURTHEST = 500.0
"""Standard errors beyond which no null is tried."""

PENALTY = 1.2
"""About what a mixture pays for not knowing the difference, in logs; only the first step relies on it."""


def walk(null: Callable[[Ints, Floats], Floats], log_e: Callable[[Ints, Floats], Floats], threshold: Floats) -> Floats:
    """For each walk the null at which its log e-value reaches its threshold; NaN where no null is rejected.

    `null(walks, z)` is the null `z` standard errors away from the estimate, `log_e(walks, nulls)` the evidence
    against it.
    """
    many = len(threshold)
    near, far = np.zeros(many), np.full(many, np.inf)
    at_near, at_far = np.full(many, -PENALTY), np.full(many, np.inf)
    every = np.arange(many)
    z = np.sqrt(2.0 * (threshold + PENALTY))
    walks = every
    for _ in range(40):
        found = log_e(walks, null(walks, z[walks]))
        rejected = found >= threshold[walks]
        out, back = walks[~rejected], walks[rejected]
        near[out], at_near[out] = z[out], found[~rejected]
        far[back], at_far[back] = z[back], found[rejected]
        lost = (near >= FURTHEST) & np.isinf(far)
        walks = walks[((far - near)[walks] > NEAR) & ~lost[walks]]
        if not len(walks):
            break
        z[walks] = _next(near[walks], far[walks], at_near[walks], at_far[walks], threshold[walks])
    close = np.flatnonzero((near == 0.0) & np.isfinite(far))
    if len(close):
        # What the test says of the estimate itself was only supposed so far.
        at_near[close] = np.minimum(log_e(close, null(close, near[close])), threshold[close])
    with np.errstate(invalid="ignore", divide="ignore"):
        portion = (threshold - at_near) / (at_far - at_near)
        ends = null(every, np.sqrt(near**2 + portion * (far**2 - near**2)))
    return np.where(np.isinf(far), np.nan, ends)


def _next(near: Floats, far: Floats, at_near: Floats, at_far: Floats, threshold: Floats) -> Floats:
    open_ = np.isinf(far)
    with np.errstate(divide="ignore", invalid="ignore"):
        grown = near * np.sqrt((threshold + PENALTY) / np.maximum(at_near + PENALTY, 1e-9))
        outward = np.minimum(np.clip(grown + 0.15, 1.1 * near + 0.1, 4.0 * near), FURTHEST)
        portion = np.clip((threshold - at_near) / (at_far - at_near), 0.0, 1.0)
        between = np.sqrt(near**2 + portion * (far**2 - near**2))
    # Past the guess on the side of the end that is further from it, so that the bracket closes from both sides.
    closer = np.where(between - near > far - between, between - 0.3 * NEAR, between + 0.3 * NEAR)
    slack = np.minimum(0.5 * (far - near), 0.1 * NEAR)
    inward = np.clip(closer, near + slack, np.where(open_, near, far) - slack)
    halved = 0.5 * (near + far)
    # Where the guess does not move the bracket much (a test that is not quite quadratic), half the way is surer.
    inward = np.where((far - near > 4.0) & ((inward - near < 0.02 * far) | (far - inward < 0.02 * far)), halved, inward)
    return np.where(open_, outward, inward)
