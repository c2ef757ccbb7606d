"""Latency quantiles: levels with a daily swing and over a ramp, at no difference and at the margin; power."""

from __future__ import annotations

import numpy as np
import pytest

from crossfade.judge.infer import answers
from crossfade.judge.infer.question import Question
from crossfade.spec.model import Better, Kind, Margin, Metric, Source

from .worlds import RAMP, Plan, holds, latencies, quantiles_until

ALPHA = 0.05
FAST, FULL = 40, 1000


def decided(
    rng: np.random.Generator,
    plan: Plan,
    q: float,
    margin: float,
    factor: float,
    *,
    safe: bool = False,
    looks: int = 20,
    daily: float = 0.3,
) -> float:
    """Observations until the verdict was first reached; infinite where it never was."""
    moments = latencies(rng, plan, factor=factor, daily=daily)
    metric = Metric(name="latency", source=Source.RESPONSE, kind=Kind.QUANTILE, better=Better.LOWER, q=q)
    asked = Question(
        metric=metric,
        role="guardrail",
        limit=Margin(value=margin, relative=True),
        arm="v2",
        baseline="v1",
        stage="ab",
        step=None,
        alpha_harm=ALPHA,
        alpha_safe=ALPHA,
    )
    rows = len(plan.share)
    seen = np.unique(np.linspace(rows / looks, rows, looks).astype(int)).tolist()
    for at, found in zip(seen, answers([(asked, quantiles_until(moments, one)) for one in seen]), strict=True):
        e = found.e_value_safe if safe else found.e_value
        if e is not None and e >= 1.0 / ALPHA:
            return float(at * plan.arrivals)
    return np.inf


def share(runs: int, plan: Plan, q: float, margin: float, factor: float, *, safe: bool = False) -> int:
    rng = np.random.default_rng(5)
    return sum(np.isfinite(decided(rng, plan, q, margin, factor, safe=safe)) for _ in range(runs))


def plan(shares: tuple[float, ...]) -> Plan:
    return Plan(shares=shares, buckets=120 // len(shares), arrivals=100)


@pytest.mark.parametrize(
    ("shares", "q", "margin", "factor", "safe"),
    [((0.05,), 0.95, 0.0, 1.0, False), (RAMP, 0.5, 0.0, 1.0, False), ((0.5,), 0.5, 0.2, 1.2, True)],
)
def test_levels(shares, q, margin, factor, safe):
    assert holds(share(FAST, plan(shares), q, margin, factor, safe=safe), FAST, ALPHA)


@pytest.mark.full
@pytest.mark.parametrize("safe", [False, True])
@pytest.mark.parametrize("q", [0.5, 0.95, 0.99])
@pytest.mark.parametrize("shares", [(0.05,), (0.5,), RAMP])
@pytest.mark.parametrize("margin", [0.0, 0.2])
def test_levels_everywhere(shares, q, margin, safe):
    assert holds(share(FULL, plan(shares), q, margin, 1.0 + margin, safe=safe), FULL, ALPHA)


def test_a_slower_tail_is_found_within_a_thousand_observations():
    rng = np.random.default_rng(9)
    even = Plan(shares=(0.5,), buckets=150, arrivals=20)
    found = [decided(rng, even, 0.95, 0.0, 1.2, looks=75, daily=0.0) for _ in range(FAST)]
    assert np.median(found) <= 1200  # 1,000 within the noise of 40 runs


@pytest.mark.full
def test_a_slower_tail_is_found_within_a_thousand_observations_at_the_median():
    rng = np.random.default_rng(9)
    even = Plan(shares=(0.5,), buckets=150, arrivals=20)
    assert np.median([decided(rng, even, 0.95, 0.0, 1.2, looks=150, daily=0.0) for _ in range(400)]) <= 1000
