"""The boundary against published values, and the e-value against the boundary."""

from __future__ import annotations

import math

import numpy as np
import pytest

from crossfade.judge.infer.boundary import one_sided_log_e, radius, rho_squared


@pytest.mark.parametrize(("n", "expected"), [(1000, 0.10638), (5000, 0.04292), (10_000, 0.03061)])
def test_two_sided_half_widths(n, expected):
    assert radius(n, 0.05, two_sided=True) == pytest.approx(expected, abs=1e-5)


def test_one_sided_half_width_and_tuning():
    assert radius(5000, 0.05, two_sided=False) == pytest.approx(0.03930, abs=1e-5)
    assert 1.0 / rho_squared(0.05) == pytest.approx(630.03, abs=0.01)


@pytest.mark.parametrize("alpha", [0.05, 0.001])
@pytest.mark.parametrize("n", [150, 5000, 1e6])
def test_the_e_value_reaches_one_over_alpha_exactly_at_the_boundary(alpha, n):
    z = radius(n, alpha, two_sided=False) * math.sqrt(n)
    assert one_sided_log_e(z, n, alpha) == pytest.approx(math.log(1.0 / alpha), rel=1e-9)
    assert one_sided_log_e(0.99 * z, n, alpha) < math.log(1.0 / alpha)
    assert one_sided_log_e(-z, n, alpha) == -math.inf
    assert math.isfinite(one_sided_log_e(1e4, n, alpha))


@pytest.mark.parametrize("alpha", [0.1, 0.05, 0.05 / 12])
@pytest.mark.parametrize("n", [100, 1000, 5000, 1_000_000])
def test_an_independent_implementation_has_the_same_width(alpha, n):
    ville = pytest.importorskip("ville", reason="ville is the independent implementation of this test")
    theirs = ville.normal_mixture(np.array([n]), alpha, 1.0 / rho_squared(alpha)) / n
    assert radius(n, alpha, two_sided=True) == pytest.approx(float(theirs[0]), rel=1e-9)
    # Their tuning solves for the best width exactly, ours by the published approximation.
    best = ville.normal_mixture(np.array([5000]), alpha, ville.best_rho(5000, alpha)) / 5000
    assert radius(5000, alpha, two_sided=True) == pytest.approx(float(best[0]), rel=1e-3)


def test_an_independent_implementation_has_the_same_interval_for_a_stream():
    """One sample against a constant is what both can do: the same mean, spread and width."""
    ville = pytest.importorskip("ville", reason="ville is the independent implementation of this test")
    x = np.random.default_rng(1).lognormal(0.0, 1.0, 4000)
    theirs = ville.AsymptoticCS(alpha=0.05, t_opt=5000)
    theirs.update(x)
    lower, upper = (float(np.ravel(end)[-1]) for end in theirs.interval())
    reach = x.std(ddof=1) * radius(len(x), 0.05, two_sided=True)
    assert (lower, upper) == (pytest.approx(x.mean() - reach, rel=1e-3), pytest.approx(x.mean() + reach, rel=1e-3))
