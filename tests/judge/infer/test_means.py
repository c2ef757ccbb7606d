"""Means: units, scores, steps; refusals below the minimum; laws of scale and of swapped arms."""

from __future__ import annotations

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
