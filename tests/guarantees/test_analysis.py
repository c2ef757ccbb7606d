"""Analyses of totals: levels over all looks where nothing is told of the assignment, and what they find."""

from __future__ import annotations

import numpy as np
import pytest

from crossfade.judge.analysis.asked import read_metric
from crossfade.judge.analysis.totals import Totals, analyse_totals
from crossfade.judge.evidence import Verdict

from .worlds import holds

ALPHA = 0.05
RAMP = np.repeat([0.01, 0.05, 0.25, 0.5], 6)


def verdicts(kind: str, share: np.ndarray, a: np.ndarray, b: np.ndarray, runs: int, per: int = 1000) -> tuple[int, int]:
    """Runs called harmful, and safe, at any look."""
    rng = np.random.default_rng(31)
    harm = safe = 0
    for _ in range(runs):
        n_b = rng.binomial(per, share)
        n = np.c_[per - n_b, n_b]
        sums = squares = np.c_[rng.binomial(n[:, 0], a), rng.binomial(n[:, 1], b)].astype(np.float64)
        totals = Totals(
            looks=tuple(range(1, len(share) + 1)),
            arms=("a", "b"),
            n=n.cumsum(axis=0),
            sum=sums.cumsum(axis=0),
            squares=squares.cumsum(axis=0) if kind == "mean" else None,
        )
        found = analyse_totals(totals, [read_metric(f"x:{kind}")], baseline="a", alpha=ALPHA)
        harm += any(line.verdict is Verdict.HARMFUL for line in found.evidence)
        safe += any(line.verdict is Verdict.SAFE for line in found.evidence)
    return harm, safe


@pytest.mark.parametrize("kind", ["rate", "mean"])
def test_levels_over_a_ramp_while_the_base_rate_triples(kind):
    base = np.linspace(0.03, 0.09, len(RAMP))
    for times in verdicts(kind, RAMP, base, base, 40):
        assert holds(times, 40, ALPHA)


@pytest.mark.full
@pytest.mark.parametrize("kind", ["rate", "mean"])
@pytest.mark.parametrize("share", [np.full(24, 0.5), np.full(24, 0.05), RAMP])
def test_levels_everywhere(kind, share):
    base = np.linspace(0.03, 0.09, len(share))
    for times in verdicts(kind, share, base, base, 1000):
        assert holds(times, 1000, ALPHA)


def test_a_real_difference_is_found():
    harm, safe = verdicts("rate", np.full(30, 0.5), np.full(30, 0.05), np.full(30, 0.065), 30)
    assert (harm, safe >= 24) == (0, True)
