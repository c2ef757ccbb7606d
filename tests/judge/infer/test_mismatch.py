"""Sample-ratio mismatch: published values, ramps, refusals, and what one unplanned unit means."""

from __future__ import annotations

import math

import numpy as np
import pytest

from crossfade.judge.evidence import Verdict
from crossfade.judge.infer.mismatch import Stretch, log_e, sample_ratio, stretches
from crossfade.judge.moments import RateMoments

HALF = {"v1": 0.5, "v2": 0.5}


def counted(v1: int, v2: int, planned: dict[str, float] | None = None) -> Stretch:
    return Stretch(planned=planned or HALF, units={"v1": v1, "v2": v2})


@pytest.mark.parametrize(
    ("units", "strength", "published"), [((5300, 5000), 100.0, 2.00327), ((821588, 815482), 10000.0, 8.76597)]
)
def test_published_values(units, strength, published):
    assert log_e(units, (0.5, 0.5), strength) == pytest.approx(published, abs=5e-6)


def test_it_averages_to_one_under_the_plan():
    theta = np.array([0.3, 0.7])
    n = 12
    mean = sum(
        math.comb(n, k) * theta[0] ** k * theta[1] ** (n - k) * math.exp(log_e((k, n - k), theta, 5.0))
        for k in range(n + 1)
    )
    assert mean == pytest.approx(1.0, abs=1e-12)


def test_a_mismatch_names_the_arm_that_lost_units():
    found = sample_ratio([counted(821_588, 815_482)], alpha=0.01)
    assert found.verdict is Verdict.HARMFUL
    assert "v2 has 815,482 where 818,535 were due" in found.reason
    assert found.p_value == pytest.approx(1.0 / found.e_value)
    assert sample_ratio([counted(5050, 5000)], alpha=0.01).verdict is Verdict.UNDECIDED


def test_few_units_are_no_clean_bill():
    assert sample_ratio([counted(30, 28)], alpha=0.05).verdict is Verdict.UNMEASURED
    assert sample_ratio([], alpha=0.05).e_value is None


def test_a_ramp_is_judged_stretch_by_stretch():
    ramp = [counted(9900, 100, {"v1": 0.99, "v2": 0.01}), counted(5000, 5000)]
    assert sample_ratio(ramp, alpha=0.05).verdict is Verdict.UNDECIDED
    pooled = counted(14_900, 5100)
    assert sample_ratio([pooled], alpha=0.05).verdict is Verdict.HARMFUL
    parts = [log_e((9900, 100), (0.99, 0.01)), log_e((5000, 5000), (0.5, 0.5))]
    assert math.log(sample_ratio(ramp, alpha=0.05).e_value) == pytest.approx(sum(parts))


def test_a_unit_of_an_arm_that_nobody_planned_is_proof():
    found = sample_ratio([Stretch(planned=HALF, units={"v1": 500, "v2": 500, "v3": 1})], alpha=1e-6)
    assert found.verdict is Verdict.HARMFUL
    assert "v3" in found.reason


def test_what_was_proven_stays_proven():
    found = sample_ratio([counted(5050, 5000)], alpha=0.01, before=math.log(250.0))
    assert found.verdict is Verdict.HARMFUL
    assert found.p_value == pytest.approx(1 / 250)


def test_moments_of_a_rate_tell_their_stretches():
    at = np.array([0, 0, 1])
    moments = RateMoments(
        step=at,
        bucket=np.arange(3),
        share=np.array([0.01, 0.01, 0.5]),
        n_a=np.array([90, 99, 50]),
        n_b=np.array([1, 2, 49]),
        k_a=at,
        k_b=at,
    )
    first, second = stretches(moments, "v1", "v2")
    assert (first.units, second.units) == ({"v1": 189, "v2": 3}, {"v1": 50, "v2": 49})
    assert first.planned == {"v1": 0.99, "v2": 0.01}
