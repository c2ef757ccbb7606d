"""Sample ratio: false alarms under continuous looks, over a ramp too, and how soon 51/49 is found."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import gammaln

from crossfade.judge.infer.mismatch import CONCENTRATION, log_e

from .worlds import holds

ALPHA = 0.01


def paths(rng: np.random.Generator, share: float, planned: float, looks: int, per_look: int, runs: int) -> np.ndarray:
    """Log e-values at each look, shape (runs, looks): `log_e`, written for many runs at once."""
    n = per_look * np.arange(1, looks + 1)
    b = rng.binomial(per_look, share, (runs, looks)).cumsum(axis=1)
    parts = [(n - b, 1.0 - planned), (b, planned)]
    grown = sum(gammaln(CONCENTRATION * p + k) - gammaln(CONCENTRATION * p) - k * math.log(p) for k, p in parts)
    found = grown - gammaln(CONCENTRATION + n) + gammaln(CONCENTRATION)
    assert found[0, -1] == pytest.approx(log_e([n[-1] - b[0, -1], b[0, -1]], [1.0 - planned, planned]))
    return found


def alarms(found: np.ndarray) -> int:
    return int((found >= -math.log(ALPHA)).any(axis=1).sum())


@pytest.mark.parametrize("planned", [0.5, 0.05, 0.01])
def test_no_false_alarm_however_often_one_looks(planned):
    assert holds(alarms(paths(np.random.default_rng(1), planned, planned, 1000, 100, 1000)), 1000, ALPHA)


def test_no_false_alarm_over_a_ramp():
    rng = np.random.default_rng(2)
    steps = [paths(rng, share, share, 100, 200, 1000) for share in (0.01, 0.05, 0.25, 0.5)]
    before = np.cumsum([step[:, -1] for step in steps], axis=0)
    whole = np.concatenate([steps[0], *(step + before[i][:, None] for i, step in enumerate(steps[1:]))], axis=1)
    assert holds(alarms(whole), 1000, ALPHA)


def test_51_to_49_is_found_by_30_000_units():
    found = paths(np.random.default_rng(3), 0.49, 0.5, 600, 100, 1000) >= -math.log(ALPHA)
    first = np.where(found.any(axis=1), 100 * (found.argmax(axis=1) + 1), np.iinfo(np.int64).max)
    print(f"51/49 instead of 50/50 found after {np.median(first):,.0f} units (median)")
    assert np.median(first) <= 30_000
