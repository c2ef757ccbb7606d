"""From a preference to an effect: exact where effects are in proportion, as sure as it says where they scatter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.judge.conversion import LEVEL, BothWays, Forecast, Told, forecast

NOW = Told(estimate=0.2, lower=0.1, upper=0.3)


def pair(preference: float, effect: float, *, width: float = 0.01) -> BothWays:
    return BothWays(
        preference=Told(estimate=preference, lower=preference - width, upper=preference + width),
        effect=Told(estimate=effect, lower=effect - width, upper=effect + width),
    )


def test_effects_in_proportion_give_the_proportion() -> None:
    found = forecast([pair(p, 0.05 * p) for p in (0.1, -0.2, 0.4)], NOW)
    assert isinstance(found, Forecast)
    assert (found.factor, found.estimate) == pytest.approx((0.05, 0.01))
    assert (found.lower, found.upper) == pytest.approx((0.005, 0.015)), "what is left is the preference's own interval"
    assert found.past == 3


def test_one_rollout_gives_its_own_proportion_within_both_intervals() -> None:
    found = forecast([pair(0.2, 0.04)], NOW)
    assert isinstance(found, Forecast)
    assert (found.estimate, found.factor) == pytest.approx((0.04, 0.2))
    assert (found.lower, found.upper) == pytest.approx((0.1 * 0.03 / 0.21, 0.3 * 0.05 / 0.19))


@pytest.mark.parametrize(
    ("past", "preference", "why"),
    [
        ([], NOW, "no rollout"),
        ([pair(0.2, 0.1)], replace(NOW, lower=None), "no interval"),
        ([pair(0.005, 0.1)], NOW, "no clear preference"),
        ([BothWays(preference=NOW, effect=Told(estimate=0.1, lower=0.0))], NOW, "open end"),
        ([pair(0.0, 0.1), pair(0.0, 0.2)], NOW, "no rollout that was tested both ways had a preference"),
    ],
)
def test_what_cannot_be_said_is_not_said(past: list[BothWays], preference: Told, why: str) -> None:
    found = forecast(past, preference)
    assert isinstance(found, str)
    assert why in found


numbers = st.floats(-1, 1).filter(lambda x: abs(x) > 0.01)


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=6), numbers)
def test_exchanging_the_rankers_everywhere_changes_the_sign_only(pairs: list[tuple[float, float]], now: float) -> None:
    told = Told(estimate=now, lower=now - 0.005, upper=now + 0.005)
    found = forecast([pair(p, e, width=0.005) for p, e in pairs], told)
    other = forecast([pair(-p, -e, width=0.005) for p, e in pairs], Told(
        estimate=-now, lower=-now - 0.005, upper=-now + 0.005
    ))  # fmt: skip
    assert isinstance(found, Forecast)
    assert isinstance(other, Forecast)
    assert other.estimate == pytest.approx(-found.estimate, abs=1e-9)
    assert (-other.upper, -other.lower) == pytest.approx((found.lower, found.upper), abs=1e-9)
    assert found.lower <= found.estimate <= found.upper


@pytest.mark.parametrize("count", [2, 3, 8])
def test_it_covers_as_often_as_it_says(count: int) -> None:
    """Effects that scatter around a proportion, as estimates of A/B tests do; the preference is known exactly here."""
    rng = np.random.default_rng(count)
    runs, covered = 2000, 0
    for _ in range(runs):
        preferences = rng.uniform(0.05, 0.4, count + 1) * rng.choice([-1.0, 1.0], count + 1)
        effects = 0.03 * preferences + rng.normal(0.0, 0.004, count + 1)
        past = [pair(float(p), float(e)) for p, e in zip(preferences[1:], effects[1:], strict=True)]
        now = float(preferences[0])
        found = forecast(past, Told(estimate=now, lower=now, upper=now))
        assert isinstance(found, Forecast)
        covered += found.lower <= effects[0] <= found.upper
    # 90 % of 2,000; standard deviation 13.
    assert LEVEL * runs - 4 * 13.4 <= covered <= LEVEL * runs + 4 * 13.4
