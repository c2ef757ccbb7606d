"""Ratios: against a table computed unit by unit, the delta method, refusals, steps, laws of scale and swapped arms."""

from __future__ import annotations

import numpy as np
import pytest

from crossfade.judge.evidence import Verdict
from crossfade.judge.infer.boundary import radius
from crossfade.judge.moments import RatioMoments
from crossfade.spec.model import Better, Kind, Metric, Source
from judge.questions import REVENUE, ask, means, percent

CLICKS = Metric(
    name="clicks/views", source=Source.OUTCOME, kind=Kind.RATIO, better=Better.HIGHER, window=60.0, per="views"
)

Sample = tuple[np.ndarray, np.ndarray]


def ratios(*steps: tuple[Sample, Sample]) -> RatioMoments:
    """(y, x) of A and of B, one pair of samples a step."""

    def column(side: int, f) -> np.ndarray:
        return np.array([f(*step[side]) for step in steps], dtype=np.float64)

    found = {}
    for side, arm in enumerate("ab"):
        found[f"n_{arm}"] = column(side, lambda y, x: len(y)).astype(np.int64)
        found[f"sum_y_{arm}"] = column(side, lambda y, x: y.sum())
        found[f"sum_x_{arm}"] = column(side, lambda y, x: x.sum())
        found[f"squares_y_{arm}"] = column(side, lambda y, x: (y * y).sum())
        found[f"squares_x_{arm}"] = column(side, lambda y, x: (x * x).sum())
        found[f"products_xy_{arm}"] = column(side, lambda y, x: (x * y).sum())
    return RatioMoments(step=np.arange(len(steps)), **found)


def visits(rng: np.random.Generator, n: int, rate: float, views: float = 5.0) -> Sample:
    """Clicks and views per unit; each unit has a rate of its own."""
    x = rng.poisson(views, n).astype(np.float64)
    own = rng.beta(4 * rate, 4 * (1 - rate), n)
    return rng.binomial(x.astype(int), own).astype(np.float64), x


def test_estimate_and_width_are_those_of_the_delta_method():
    rng = np.random.default_rng(1)
    (y_a, x_a), (y_b, x_b) = visits(rng, 3000, 0.2), visits(rng, 3000, 0.2)
    found = ask(CLICKS, ratios(((y_a, x_a), (y_b, x_b))), role="goal")
    assert found.estimate == pytest.approx(y_b.sum() / x_b.sum() - y_a.sum() / x_a.sum(), abs=1e-12)

    def linear(y: np.ndarray, x: np.ndarray) -> np.ndarray:
        return (y - y.sum() / x.sum() * x) / x.mean()

    spread = np.sqrt((linear(y_a, x_a).var() + linear(y_b, x_b).var()) / 2)
    assert found.upper - found.estimate == pytest.approx(2 * spread * radius(6000.0, 0.05, two_sided=False), rel=5e-3)
    assert "delta method" in found.assumptions[0]


def test_with_a_denominator_of_one_it_is_a_mean():
    rng = np.random.default_rng(2)
    a, b = rng.normal(10, 3, 900), rng.normal(10.4, 3, 400)
    c, d = rng.normal(20, 3, 500), rng.normal(20.4, 3, 500)
    ones = np.ones_like
    ratio = ask(CLICKS, ratios(((a, ones(a)), (b, ones(b))), ((c, ones(c)), (d, ones(d)))), limit=percent(2))
    mean = ask(REVENUE, means((a, b), (c, d)), limit=percent(2))
    for name in ("estimate", "lower", "upper", "limit", "e_value", "e_value_safe"):
        assert getattr(ratio, name) == pytest.approx(getattr(mean, name), rel=1e-9)


def test_verdicts():
    rng = np.random.default_rng(3)

    def asked(rate: float, **how) -> Verdict:
        return ask(CLICKS, ratios((visits(rng, 8000, 0.2), visits(rng, 8000, rate))), **how).verdict

    assert asked(0.24, role="goal") is Verdict.SAFE
    assert asked(0.16, role="goal") is Verdict.HARMFUL
    assert asked(0.2, role="goal") is Verdict.UNDECIDED
    assert asked(0.2, limit=percent(10)) is Verdict.SAFE


def test_units_that_return_are_one_unit():
    """Counting views as if independent would call this proven."""
    rng = np.random.default_rng(4)
    x = np.full(400, 200.0)
    y_a, y_b = x * rng.beta(1, 1, 400), x * rng.beta(1, 1, 400) + 8.0
    found = ask(CLICKS, ratios(((y_a, x), (y_b, x))), role="goal")
    assert found.verdict is Verdict.UNDECIDED
    assert found.lower < 0 < found.upper


def test_steps_are_compared_within_themselves():
    rng = np.random.default_rng(5)
    early = visits(rng, 9900, 0.1), visits(rng, 100, 0.1)
    late = visits(rng, 5000, 0.5, views=20.0), visits(rng, 5000, 0.5, views=20.0)
    assert abs(ask(CLICKS, ratios(early, late), role="goal").estimate) < 0.02
    pooled = ratios(
        tuple(tuple(np.r_[e, s] for e, s in zip(*both, strict=True)) for both in zip(early, late, strict=True))
    )
    assert ask(CLICKS, pooled, role="goal").estimate > 0.02


def test_refusals():
    rng = np.random.default_rng(6)
    few = ask(CLICKS, ratios((visits(rng, 5000, 0.2), visits(rng, 20, 0.2))), role="goal")
    assert few.verdict is Verdict.UNMEASURED
    assert "20 units from v2" in few.reason
    y, x = visits(rng, 5000, 0.2)
    unseen = ask(CLICKS, ratios(((y, x), (np.zeros(5000), np.zeros(5000)))), role="goal")
    assert unseen.verdict is Verdict.UNMEASURED
    assert "denominator" in unseen.reason
    assert "v2" in unseen.reason
    assert unseen.estimate is None
    assert ask(CLICKS, RatioMoments(), role="goal").verdict is Verdict.UNMEASURED


def test_a_ratio_that_few_units_have_a_denominator_of_is_not_measured_yet():
    """Looked at from 100 units an arm on, of which five had any, false verdicts came thrice as often as allowed."""
    rng = np.random.default_rng(8)

    def rare(n: int) -> tuple[np.ndarray, np.ndarray]:
        x = (rng.random(n) < 0.05) * rng.poisson(5.0, n).astype(float)
        return rng.binomial(x.astype(int), 0.3).astype(float), x

    early = ask(CLICKS, ratios((rare(1000), rare(1000))), role="goal")
    assert early.verdict is Verdict.UNMEASURED
    assert "has the denominators of about" in early.reason
    assert ask(CLICKS, ratios((rare(5000), rare(5000))), role="goal").estimate is not None


def test_swapping_the_arms_turns_the_sign():
    rng = np.random.default_rng(7)
    a, b = visits(rng, 3000, 0.2), visits(rng, 800, 0.25)
    one, other = ask(CLICKS, ratios((a, b)), role="goal"), ask(CLICKS, ratios((b, a)), role="goal")
    assert other.estimate == pytest.approx(-one.estimate)
    assert (other.lower, other.upper) == (pytest.approx(-one.upper), pytest.approx(-one.lower))
    assert other.e_value == pytest.approx(one.e_value_safe, rel=1e-9)
