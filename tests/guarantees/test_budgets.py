"""A canary's budget is a bound: its harm stays under it in all but 5 % of runs, and the harmless still get on."""

from __future__ import annotations

import numpy as np
import pytest

from crossfade.judge.decide.ramp import spent_at_most
from crossfade.judge.infer import infer
from crossfade.judge.moments import RateMoments

from .budgets import FIXED, SEVERITIES, believed, overspent, rollout, ruined, runs
from .worlds import holds

FAST, FULL = 12, 1000


def in_time(automatic: bool, count: int) -> None:
    """The harmless reach half of the units within 1.5 × the time that fixed steps take by the clock alone."""
    reached = [run.reached for run in runs("none", automatic=automatic, count=count)]
    times = np.array([np.inf if at is None else at for at in reached])
    by_the_clock = (len(FIXED) - 1) * rollout(automatic=False).stages[0].hold_for
    assert np.median(times) <= 1.5 * by_the_clock


@pytest.mark.parametrize("severity", ["slight", "severe"])
def test_automatic_steps_keep_the_budget(severity):
    assert holds(overspent(runs(severity, automatic=True, count=FAST)), FAST, 0.05)


def test_fixed_steps_keep_the_budget():
    assert holds(overspent(runs("medium", automatic=False, count=FAST)), FAST, 0.05)


def test_the_harmless_reach_half_of_the_units_in_time():
    in_time(True, FAST)


@pytest.mark.full
@pytest.mark.parametrize("automatic", [True, False])
@pytest.mark.parametrize("severity", SEVERITIES)
def test_every_severity_keeps_the_budget(severity, automatic):
    assert holds(overspent(runs(severity, automatic=automatic, count=FULL)), FULL, 0.05)


@pytest.mark.full
@pytest.mark.parametrize("automatic", [True, False])
def test_the_harmless_reach_half_of_the_units_in_time_by_either(automatic):
    in_time(automatic, FULL)


def test_a_ramp_that_believes_keeps_its_budget_over_the_harm_it_believes_in():
    assert holds(overspent(believed(FAST)), FAST, 0.05)


@pytest.mark.full
def test_a_ramp_that_believes_keeps_its_budget_up_to_the_worst_it_finds_credible():
    assert holds(overspent(believed(FULL)), FULL, 0.05)
    for harm in (0.0, 0.01, 0.05):
        assert holds(overspent(ruined(harm, FULL)), FULL, 0.05)


def spent_beyond_its_bound(rates: tuple[float, ...], runs: int, units: int = 20_000) -> int:
    """Runs in which a harmless canary cost more than the bound says, after its last step."""
    rng, share, rate = np.random.default_rng(4), np.array(FIXED), np.array(rates)
    errors, steps = rollout(automatic=False).metric("errors"), np.arange(len(FIXED))
    times = 0
    for _ in range(runs):
        n_b = rng.binomial(units, share)
        k_b = rng.binomial(n_b, rate)
        moments = RateMoments(
            step=steps, bucket=steps, share=share, n_a=units - n_b, n_b=n_b, k_b=k_b,
            k_a=rng.binomial(units - n_b, rate), seen_a=units - n_b, seen_b=n_b,
        )  # fmt: skip
        line = infer(
            errors, moments, role="guardrail", limit=errors.guardrail, arm="v2", baseline="v1", stage="canary", step=3,
            alpha_harm=0.05, alpha_safe=0.05,
        )  # fmt: skip
        times += float(k_b.sum() - (n_b * rate).sum()) > spent_at_most(line)
    return times


@pytest.mark.parametrize("rates", [(0.01,) * 4, (0.01, 0.01, 0.03, 0.03), (0.03, 0.03, 0.03, 0.01)])
def test_what_was_spent_is_bounded_whatever_the_base_rate_does_over_the_steps(rates):
    assert holds(spent_beyond_its_bound(rates, 60), 60, 0.05)
