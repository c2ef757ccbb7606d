"""Graded votes: is the mean of numbers from −1 to 1 at most a limit? From their sums and squares alone.

For x ≥ −1 and a bet b in [0, 1), `exp(b x − c(b) x²) ≤ 1 + b x` with `c(b) = −ln(1 − b) − b` (Fan, Grama and Liu
2015). The product of the right sides is a fair gain where the mean is 0, so that of the left sides is an e-value at
every moment, whatever else is true of the numbers, and it needs their number, sum and sum of squares only.
"""

from __future__ import annotations

import numpy as np

from crossfade.judge.infer.labels import mixture
from crossfade.judge.moments import Floats

BETS: Floats = np.geomspace(0.01, 0.9, 16)
"""Bets tried: the best one is about mean / mean square, so the small ones are for slight preferences."""

_STAKES: Floats = np.exp(-0.5 * (np.log(BETS / 0.12) / 0.9) ** 2)
_STAKES /= _STAKES.sum()
_COSTS: Floats = -np.log1p(-BETS) - BETS


def graded_log_e(count: int, total: float, squares: float, mean: float, sign: int) -> float:
    """Log e-value against "mean ≤ `mean`" (sign +1) or "mean ≥ `mean`" (−1) of `count` numbers from −1 to 1."""
    if abs(mean) >= 1.0:
        return 0.0
    reach = 1.0 + sign * mean
    shifted = sign * (total - count * mean) / reach
    spread = max(squares - 2.0 * mean * total + count * mean * mean, 0.0) / (reach * reach)
    return float(mixture(BETS * shifted - _COSTS * spread, _STAKES))


def graded_log_es(totals: Floats, squares: Floats) -> Floats:
    """Log of the sum of both one-sided e-values against "the mean is 0", of many samples at once."""
    sides = [
        np.asarray(mixture(sign * totals[:, None] * BETS - squares[:, None] * _COSTS, _STAKES)) for sign in (1.0, -1.0)
    ]
    return np.asarray(np.logaddexp(sides[0], sides[1]), dtype=np.float64)
