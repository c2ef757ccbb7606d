"""Shadow pairs and preferences: levels at the limit, and how many pairs a difference takes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from crossfade.judge.infer.paired import mean_log_e
from crossfade.judge.infer.preference import share_log_e

from .worlds import holds

ALPHA = 0.05
FAST, FULL = 200, 2000


def pairs_until(rng: np.random.Generator, plus: float, minus: float, limit: float, sign: int, most: int) -> float:
    """Pairs until the limit was rejected at one of 60 looks."""
    drawn = rng.choice(3, most, p=[plus, minus, 1.0 - plus - minus])
    counts = np.stack([np.cumsum(drawn == kind) for kind in range(3)])
    for seen in np.unique(np.geomspace(10, most, 60).astype(int)):
        a, b, c = (int(count) for count in counts[:, seen - 1])
        if mean_log_e((a, b, c), limit, sign) >= -math.log(ALPHA):
            return float(seen)
    return np.inf


LIMITS = [(0.05, 0.0, 0.05), (0.10, 0.05, 0.05), (0.3, 0.2, 0.1), (0.02, 0.02, 0.0)]


@pytest.mark.parametrize("sign", [+1, -1])
@pytest.mark.parametrize(("plus", "minus", "limit"), LIMITS)
def test_levels_of_pairs(plus, minus, limit, sign):
    rng = np.random.default_rng(1)
    found = [pairs_until(rng, plus, minus, limit, sign, 3000) for _ in range(FAST)]
    assert holds(int(np.isfinite(found).sum()), FAST, ALPHA)


def test_disagreement_beyond_noise_is_found():
    rng = np.random.default_rng(2)
    assert np.median([pairs_until(rng, 0.07, 0.05, 0.0, +1, 12_000) for _ in range(100)]) <= 2500
    assert np.median([pairs_until(rng, 0.003, 0.001, 0.0, +1, 30_000) for _ in range(100)]) <= 9000


def test_agreement_is_proven_soon():
    rng = np.random.default_rng(3)
    assert np.median([pairs_until(rng, 0.0, 0.0, 0.05, -1, 400) for _ in range(3)]) <= 130


def votes_until(rng: np.random.Generator, chance: float, sign: int, most: int = 4000) -> float:
    wins = np.cumsum(rng.random(most) < chance)
    for seen in np.unique(np.geomspace(10, most, 60).astype(int)):
        won = int(wins[seen - 1])
        if share_log_e(won, int(seen) - won, 0.5, sign) >= -math.log(ALPHA):
            return float(seen)
    return np.inf


@pytest.mark.parametrize("sign", [+1, -1])
def test_levels_of_preferences(sign):
    rng = np.random.default_rng(4)
    assert holds(int(np.isfinite([votes_until(rng, 0.5, sign) for _ in range(FAST)]).sum()), FAST, ALPHA)


@pytest.mark.full
@pytest.mark.parametrize("sign", [+1, -1])
def test_levels_with_many_runs(sign):
    rng = np.random.default_rng(5)
    assert holds(int(np.isfinite([votes_until(rng, 0.5, sign) for _ in range(FULL)]).sum()), FULL, ALPHA)
    for plus, minus, limit in LIMITS:
        found = [pairs_until(rng, plus, minus, limit, sign, 3000) for _ in range(FULL)]
        assert holds(int(np.isfinite(found).sum()), FULL, ALPHA)


def test_a_clear_preference_takes_few_votes():
    rng = np.random.default_rng(6)
    assert np.median([votes_until(rng, 0.65, +1) for _ in range(100)]) <= 150
