"""Slow burns after promotion are found, and a challenger that stays as good is seldom demoted, all year long."""

from __future__ import annotations

import math

import numpy as np
import pytest

from crossfade.judge.infer import restarts
from crossfade.judge.infer.question import Question
from crossfade.judge.moments import MeanMoments
from crossfade.spec.model import Better, Kind, Metric, Source

from . import burns, test_averages
from .worlds import holds

ALPHA = 0.05
PLANNED = ALPHA / 6.0
"""What a rollout of two metrics and three stages leaves to one test."""


def kept(runs: int, days: float, alpha: float, *, hourly: float = burns.DAILY_UNITS / 24.0) -> int:
    """Runs without any difference in which the challenger is demoted."""
    rng = np.random.default_rng(21)
    return sum(math.isfinite(burns.demoted(burns.watch(rng, days, 0.0, hourly), days, alpha)) for _ in range(runs))


def eroded(runs: int, alpha: float = PLANNED) -> np.ndarray:
    """Days until a challenger that loses a tenth of its conversions over 30 days is demoted."""
    rng = np.random.default_rng(22)
    return np.array([burns.demoted(burns.watch(rng, 30, burns.eroding(30)), 30, alpha) for _ in range(runs)])


def alone(runs: int) -> int:
    """Runs without any difference in which a detector alarms that does not compare arms."""
    rng = np.random.default_rng(23)
    return sum(burns.alarmed_alone(burns.watch(rng, 60, 0.0), 60, ALPHA) for _ in range(runs))


def test_a_challenger_that_stays_as_good_is_seldom_demoted():
    assert holds(kept(40, 30, ALPHA), 40, ALPHA)
    assert alone(5) == 5


def test_a_slow_burn_is_found():
    assert np.isfinite(eroded(40)).mean() >= 0.9


def test_a_drop_that_begins_late_is_found_where_a_test_from_the_start_would_not_see_it():
    rng = np.random.default_rng(24)
    drop = np.r_[np.zeros(20 * 24), np.full(10 * 24, 0.1)]
    runs = [burns.watch(rng, 30, drop) for _ in range(30)]
    assert np.mean([math.isfinite(burns.demoted(one, 30, PLANNED)) for one in runs]) >= 0.8
    from_start = [burns.log_e_path(one, -1).max() >= -math.log(PLANNED) for one in runs]
    assert np.mean(from_start) <= 0.5


def test_what_is_told_of_every_slice_is_told_of_the_last():
    moments = burns.watch(np.random.default_rng(3), 5, burns.eroding(5, 0.4, 5))
    found = restarts.tape(burns.question(ALPHA), moments)
    stake, left = burns.stakes(found, watch=9 * burns.DAY, horizon=burns.DAY)
    late = restarts.late(found, stake, left)
    assert burns.late_path(found, stake, left)[-1] == pytest.approx(late.log_e)
    assert 0 < late.bucket - moments.bucket[0] < 110
    assert late.values[1] < late.values[0]


@pytest.mark.full
def test_a_year_without_a_difference():
    assert holds(kept(1000, 365, ALPHA), 1000, ALPHA)
    assert holds(kept(1000, 365, ALPHA, hourly=40.0), 1000, ALPHA)


@pytest.mark.full
def test_slow_burns_are_found_as_promised():
    assert np.isfinite(eroded(1000)).mean() >= 0.95


REVENUE = Metric(name="revenue", source=Source.OUTCOME, kind=Kind.MEAN, better=Better.HIGHER, window=burns.DAY)


def averages(runs: int, draw, *, lost: float = 0.0, hours: int = 24 * 30, hourly: int = 200) -> int:
    """Runs in which bets on means that begin late reach 1/alpha, looked at every hour."""
    rng, times = np.random.default_rng(25), 0
    asked = Question(
        metric=REVENUE, role="guardrail", limit=None, arm="v2", baseline="v1", stage="promote", step=None,
        alpha_harm=ALPHA, alpha_safe=0.05,
    )  # fmt: skip
    stake = np.full(hours, 1.0 / hours)
    for _ in range(runs):
        n_b = rng.binomial(hourly, 1.0 - burns.HOLDBACK, hours)
        sums = np.zeros((hours, 2, 2))
        for side, n in enumerate((hourly - n_b, n_b)):
            values = draw(rng, int(n.sum()))
            at = np.repeat(np.arange(hours), n)
            values = values * (1.0 - lost * (at >= hours // 2)) if side else values
            sums[:, side, 0] = np.bincount(at, weights=values, minlength=hours)
            sums[:, side, 1] = np.bincount(at, weights=values**2, minlength=hours)
        moments = MeanMoments(
            step=np.zeros(hours, dtype=np.int64), bucket=burns.bucket(burns.DAY) + np.arange(hours),
            share=np.full(hours, 1.0 - burns.HOLDBACK), n_a=hourly - n_b, sum_a=sums[:, 0, 0],
            squares_a=sums[:, 0, 1], n_b=n_b, sum_b=sums[:, 1, 0], squares_b=sums[:, 1, 1],
        )  # fmt: skip
        found = restarts.tape(asked, moments)
        times += bool((burns.late_path(found, stake, 0.0) >= -math.log(ALPHA)).any())
    return times


@pytest.mark.parametrize("draw", [test_averages.lognormal, test_averages.purchases])
def test_averages_that_stay_as_good_are_seldom_called_worse(draw):
    assert holds(averages(30, draw), 30, ALPHA)


def test_an_average_that_drops_late_is_found():
    assert averages(10, lambda rng, n: rng.gamma(4.0, 1.0, n), lost=0.1) >= 9


@pytest.mark.full
@pytest.mark.parametrize("draw", [test_averages.lognormal, test_averages.purchases])
def test_averages_that_stay_as_good_are_seldom_called_worse_at_full_size(draw):
    assert holds(averages(1000, draw), 1000, ALPHA)
