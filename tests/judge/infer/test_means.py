"""Means: units, scores, steps; refusals below the minimum; laws of scale and of swapped arms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crossfade.judge.evidence import Verdict
from crossfade.judge.infer.means import MINIMUM_UNITS
from crossfade.judge.moments import MeanMoments
from judge.questions import REVENUE, ask, means, percent


def sample(n_a: int, n_b: int, difference: float = 0.0, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(10.0, 3.0, n_a), rng.normal(10.0 + difference, 3.0, n_b)


def test_a_clear_difference_is_found_and_none_is_not():
    assert ask(REVENUE, means(sample(5000, 5000, 0.5)), role="goal").verdict is Verdict.SAFE
    assert ask(REVENUE, means(sample(5000, 5000, -0.5)), role="goal").verdict is Verdict.HARMFUL
    assert ask(REVENUE, means(sample(5000, 5000)), role="goal").verdict is Verdict.UNDECIDED
    assert ask(REVENUE, means(sample(20_000, 20_000)), limit=percent(2)).verdict is Verdict.SAFE


def test_the_interval_is_the_tests_turned_round():
    found = ask(REVENUE, means(sample(5000, 5000)), role="goal")
    a, b = sample(5000, 5000)
    for end, seen in ((found.lower, "e_value_safe"), (found.upper, "e_value")):
        moved = ask(REVENUE, means((a, b - end)), role="goal")
        assert getattr(moved, seen) == pytest.approx(20.0, rel=1e-3)


def test_the_published_width_at_equal_arms():
    rng = np.random.default_rng(3)
    a, b = rng.normal(0, 1, 2500), rng.normal(0, 1, 2500)
    found = ask(REVENUE, means(((a - a.mean()) / a.std(), (b - b.mean()) / b.std())), role="goal")
    # n_eff = 5000 units, the difference of two means has twice the spread of one sample of that size.
    assert found.upper - found.estimate == pytest.approx(2 * 0.03930, rel=2e-3)


@pytest.mark.parametrize("n_b", [0, 5, MINIMUM_UNITS - 1])
def test_a_small_arm_is_refused(n_b):
    a, b = sample(10_000, MINIMUM_UNITS - 1, 50.0)
    found = ask(REVENUE, means((a, b[:n_b])), role="goal")
    assert found.verdict is Verdict.UNMEASURED
    assert f"needs {MINIMUM_UNITS}" in found.reason
    assert found.estimate is None


def test_no_moments_and_no_spread_are_refused():
    assert ask(REVENUE, MeanMoments(immature=4)).verdict is Verdict.UNMEASURED
    flat = ask(REVENUE, means((np.ones(500), np.ones(500))), role="goal")
    assert flat.verdict is Verdict.UNMEASURED
    assert "same value" in flat.reason


def test_steps_are_compared_within_themselves():
    rng = np.random.default_rng(4)
    early = rng.normal(10, 3, 9900), rng.normal(10, 3, 100)
    late = rng.normal(20, 3, 5000), rng.normal(20, 3, 5000)
    found = ask(REVENUE, means(early, late), role="goal")
    assert found.verdict is Verdict.UNDECIDED
    assert abs(found.estimate) < 0.3


@pytest.mark.parametrize("scale", [1e-3, 250.0])
def test_scaling_the_values_scales_the_numbers_and_nothing_else(scale):
    a, b = sample(3000, 2000, 0.2)
    one = ask(REVENUE, means((a, b)), limit=percent(2))
    other = ask(REVENUE, means((a * scale, b * scale)), limit=percent(2))
    assert other.e_value_safe == pytest.approx(one.e_value_safe, rel=1e-6)
    for name in ("estimate", "lower", "upper", "limit"):
        assert getattr(other, name) == pytest.approx(scale * getattr(one, name), rel=1e-6)


def test_swapping_the_arms_turns_the_sign():
    a, b = sample(3000, 2000, 0.3)
    one, other = ask(REVENUE, means((a, b)), role="goal"), ask(REVENUE, means((b, a)), role="goal")
    assert other.estimate == pytest.approx(-one.estimate)
    assert (other.lower, other.upper) == (pytest.approx(-one.upper), pytest.approx(-one.lower))
    assert other.e_value == pytest.approx(one.e_value_safe, rel=1e-9)


def test_a_share_of_a_mean_below_zero_is_refused():
    a, b = sample(20_000, 20_000)
    for level in (-30.0, -10.0):
        found = ask(REVENUE, means((a + level, b + level)), limit=percent(2))
        assert found.verdict is Verdict.UNMEASURED
        assert "no scale" in found.reason


def with_covariate(*steps: tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]) -> MeanMoments:
    """(y, x) of A and of B, one pair of samples a step."""
    plain = means(*[(a[0], b[0]) for a, b in steps])
    sums = {}
    for side, arm in enumerate("ab"):
        both = [step[side] for step in steps]
        sums[f"cov_sum_{arm}"] = np.array([x.sum() for _, x in both])
        sums[f"cov_squares_{arm}"] = np.array([(x * x).sum() for _, x in both])
        sums[f"cov_products_{arm}"] = np.array([(x * y).sum() for y, x in both])
    return replace(plain, **sums)


def correlated(n: int, difference: float = 0.0, correlation: float = 0.7, seed: int = 1):
    rng = np.random.default_rng(seed)
    x = rng.normal(5.0, 2.0, n)
    y = 10.0 + 3.0 * (correlation * (x - 5.0) / 2.0 + np.sqrt(1 - correlation**2) * rng.normal(0, 1, n)) + difference
    return y, x


def test_a_covariate_is_the_same_as_adjusting_each_unit():
    (y_a, x_a), (y_b, x_b) = a, b = correlated(3000), correlated(2000, 0.1, seed=2)
    x, y = np.r_[x_a, x_b], np.r_[y_a, y_b]
    slope = np.cov(x, y)[0, 1] / x.var(ddof=1)
    by_hand = ask(REVENUE, means((y_a - slope * (x_a - x.mean()), y_b - slope * (x_b - x.mean()))), limit=percent(2))
    found = ask(REVENUE, with_covariate((a, b)), limit=percent(2))
    for name in ("estimate", "lower", "upper", "limit", "e_value", "e_value_safe"):
        assert getattr(found, name) == pytest.approx(getattr(by_hand, name), rel=1e-8)
    explained = round(100 * np.corrcoef(x, y)[0, 1] ** 2)
    assert f"explains {explained} % of the variance" in found.reason
    assert any("covariate" in told for told in found.assumptions)


def test_a_covariate_narrows_the_interval_by_what_it_explains():
    a, b = correlated(5000), correlated(5000, seed=3)
    plain, found = ask(REVENUE, means((a[0], b[0])), role="goal"), ask(REVENUE, with_covariate((a, b)), role="goal")
    assert (found.upper - found.lower) / (plain.upper - plain.lower) == pytest.approx(np.sqrt(1 - 0.49), rel=0.02)


def test_a_line_says_what_it_would_be_without_its_covariate():
    a, b = correlated(3000, seed=7), correlated(2000, 0.1, seed=8)
    plain, found = (
        ask(REVENUE, means((a[0], b[0])), limit=percent(2)),
        ask(REVENUE, with_covariate((a, b)), limit=percent(2)),
    )
    assert found.unadjusted == {"estimate": plain.estimate, "lower": plain.lower, "upper": plain.upper}
    assert plain.unadjusted is None


def test_a_covariate_takes_the_imbalance_away():
    """Arms whose units differ by chance in what was known before."""
    (y_a, x_a), (y_b, x_b) = correlated(400, seed=4), correlated(400, seed=5)
    lucky_y, lucky_x = y_b + 3.0 * 0.7 * 0.2, x_b + 0.4
    plain = ask(REVENUE, means((y_a, lucky_y)), role="goal").estimate
    found = ask(REVENUE, with_covariate(((y_a, x_a), (lucky_y, lucky_x))), role="goal").estimate
    without = ask(REVENUE, with_covariate(((y_a, x_a), (y_b, x_b))), role="goal").estimate
    assert abs(plain - without) > 0.2
    assert found == pytest.approx(without, abs=0.05)


def test_a_covariate_that_never_varies_changes_nothing():
    (y_a, _), (y_b, _) = correlated(500), correlated(500, seed=6)
    flat = np.full(500, 7.0)
    plain, found = (
        ask(REVENUE, means((y_a, y_b)), role="goal"),
        ask(REVENUE, with_covariate(((y_a, flat), (y_b, flat))), role="goal"),
    )
    assert (found.estimate, found.upper) == (plain.estimate, plain.upper)
    assert "same value" in found.reason


def test_one_large_value_in_a_small_arm_is_no_proof():
    """Pooled variance alone calls this more: a tail seen once in few units is spread over many."""
    rng = np.random.default_rng(8)
    a, b = np.exp(rng.normal(0, 1, 19_000)), np.exp(rng.normal(0, 1, 200))
    b[0] = 3000.0
    found = ask(REVENUE, means((a, b)), role="goal")
    assert found.verdict is Verdict.UNDECIDED
    assert found.e_value_safe < 1.0
