"""Rates: verdicts people can trust at tiny exposure, refusals with reasons, intervals that agree with verdicts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossfade.judge.evidence import Verdict
from crossfade.judge.moments import RateMoments
from judge.questions import COMPLAINT, ERRORS, PURCHASE, UPTIME, ask, percent, pp, rates


@pytest.mark.parametrize("settled", [True, False])
@pytest.mark.parametrize("metric", [ERRORS, UPTIME, COMPLAINT])
def test_none_in_264_against_50_in_5000_is_no_alarm(metric, settled):
    found = ask(metric, rates(5000, 50, 264, 0, share=0.05, settled=settled))
    assert found.verdict is not Verdict.HARMFUL
    assert found.e_value < 20.0


@pytest.mark.parametrize("settled", [True, False])
def test_a_challenger_that_always_fails_at_one_per_cent_is_caught_within_eight_failures(settled):
    caught = [
        k
        for k in range(1, 30)
        if ask(ERRORS, rates(99 * k, 0, k, k, share=0.01, settled=settled), limit=pp(0.5), alpha_harm=0.05 / 12).verdict
        is Verdict.HARMFUL
    ]
    assert caught[0] <= 8


@pytest.mark.parametrize("settled", [True, False])
@pytest.mark.parametrize(("margin", "share"), [(0.5, 0.05), (1.0, 0.5), (2.0, 0.2)])
def test_no_error_at_all_is_safe_once_the_margin_has_had_its_chance(settled, margin, share):
    needed = math.log(1 / 0.05) / (margin / 100.0)
    few, many = round(0.5 * needed), round(2.2 * needed)
    before = ask(ERRORS, rates(round(few / share), 0, few, 0, share=share, settled=settled), limit=pp(margin))
    after = ask(ERRORS, rates(round(many / share), 0, many, 0, share=share, settled=settled), limit=pp(margin))
    assert before.verdict is Verdict.UNDECIDED
    assert after.verdict is Verdict.SAFE
    assert after.upper <= after.limit


@pytest.mark.parametrize("settled", [True, False])
def test_proven_harm_is_said_even_below_the_minimum(settled):
    found = ask(ERRORS, rates(2000, 2, 9, 9, share=0.005, settled=settled), limit=pp(0.5))
    assert found.verdict is Verdict.HARMFUL


@pytest.mark.parametrize(
    ("metric", "counts", "words"),
    [
        (ERRORS, (100, 0, 0, 0), "no unit from v2"),
        (ERRORS, (0, 0, 100, 0), "no unit from v1"),
        (ERRORS, (1000, 3, 9, 0), "9 units from v2, needs 10"),
        (PURCHASE, (1000, 0, 1000, 0), "no outcome from either arm"),
        (PURCHASE, (1000, 40, 60, 0), "no outcome from v2"),
        (COMPLAINT, (1000, 0, 1000, 0), "no outcome from either arm"),
    ],
)
def test_what_cannot_be_measured_says_why_and_shows_no_number(metric, counts, words):
    found = ask(metric, rates(*counts, share=0.1), limit=pp(1))
    assert found.verdict is Verdict.UNMEASURED
    assert words in found.reason
    assert (found.estimate, found.lower, found.upper, found.e_value, found.e_value_safe) == (None,) * 5


@pytest.mark.parametrize("settled", [True, False])
@pytest.mark.parametrize("buckets", [1, 40])
def test_an_arm_whose_units_are_lost_is_missing_not_harmful(settled, buckets):
    rng = np.random.default_rng(8)
    n_a, n_b = np.full(buckets, 800 // buckets), np.zeros(buckets, dtype=int)
    moments = RateMoments(
        step=np.zeros(buckets, dtype=int),
        bucket=np.arange(buckets),
        share=np.full(buckets, 0.5),
        n_a=n_a,
        k_a=rng.binomial(n_a, 0.1),
        n_b=n_b,
        k_b=n_b,
        settled=settled,
    )
    for metric in (ERRORS, UPTIME):
        found = ask(metric, moments, limit=pp(1))
        assert found.verdict is Verdict.UNMEASURED
        assert "no unit from v2" in found.reason


def test_open_windows_are_named_in_the_refusal():
    found = ask(PURCHASE, RateMoments(settled=True, immature=37))
    assert "37 more wait" in found.reason
    assert found.immature == 37


def test_a_share_of_nothing_has_no_scale():
    found = ask(ERRORS, rates(1000, 0, 1000, 0), limit=percent(20))
    assert found.verdict is Verdict.UNDECIDED
    assert found.limit is None
    assert "no scale" in found.reason


def test_a_goal_is_safe_only_when_superior_and_harmful_only_beyond_its_margin():
    same = ask(PURCHASE, rates(40_000, 4000, 40_000, 4000), role="goal")
    better = ask(PURCHASE, rates(40_000, 4000, 40_000, 4600), role="goal")
    slightly_worse = ask(PURCHASE, rates(40_000, 4000, 40_000, 3600), role="goal", limit=percent(20))
    worse = ask(PURCHASE, rates(40_000, 4000, 40_000, 3600), role="goal")
    verdicts = [found.verdict for found in (same, better, slightly_worse, worse)]
    assert verdicts == [Verdict.UNDECIDED, Verdict.SAFE, Verdict.UNDECIDED, Verdict.HARMFUL]
    assert better.limit == 0.0


counts = st.tuples(st.integers(20, 5000), st.floats(0, 1), st.integers(20, 5000), st.floats(0, 1)).map(
    lambda c: (c[0], round(c[0] * c[1]), c[2], round(c[2] * c[3]))
)
margins = st.sampled_from((None, pp(0.5), pp(5), percent(10), percent(50)))


@settings(deadline=None)
@given(
    counts=counts,
    metric=st.sampled_from((ERRORS, UPTIME)),
    limit=margins,
    settled=st.booleans(),
    role=st.sampled_from(("guardrail", "goal")),
)
def test_interval_and_verdict_never_contradict_each_other(counts, metric, limit, settled, role):
    found = ask(metric, rates(*counts, settled=settled), limit=limit, role=role, alpha_harm=0.01)
    assert math.isfinite(found.e_value)
    assert math.isfinite(found.e_value_safe)
    if (role == "goal" and limit is not None) or found.limit is None:
        return
    low = -math.inf if found.lower is None else found.lower
    high = math.inf if found.upper is None else found.upper
    assert low <= high
    worse_is_more = metric is ERRORS
    if found.verdict is Verdict.HARMFUL:
        assert low >= found.limit if worse_is_more else high <= found.limit
    elif found.verdict is Verdict.SAFE:
        assert high <= found.limit if worse_is_more else low >= found.limit
    else:
        assert low <= found.limit <= high


@settings(deadline=None)
@given(counts=counts, settled=st.booleans())
def test_swapping_the_arms_swaps_the_ends(counts, settled):
    n_a, k_a, n_b, k_b = counts
    one = ask(ERRORS, rates(n_a, k_a, n_b, k_b, settled=settled))
    other = ask(UPTIME, rates(n_b, k_b, n_a, k_a, settled=settled))
    assert one.estimate == pytest.approx(-other.estimate)
    assert one.e_value == pytest.approx(other.e_value, rel=1e-6)
    assert one.e_value_safe == pytest.approx(other.e_value_safe, rel=1e-6)


@settings(deadline=None)
@given(counts=counts, limit=margins)
def test_counting_successes_instead_of_failures_tells_the_same_of_an_absolute_margin(counts, limit):
    n_a, k_a, n_b, k_b = counts
    if limit is not None and limit.relative:
        return
    failures = ask(ERRORS, rates(n_a, k_a, n_b, k_b), limit=limit)
    successes = ask(UPTIME, rates(n_a, n_a - k_a, n_b, n_b - k_b), limit=limit)
    assert successes.verdict is failures.verdict
    assert successes.e_value == pytest.approx(failures.e_value, rel=1e-3)
    assert successes.e_value_safe == pytest.approx(failures.e_value_safe, rel=1e-3)


def test_a_ramp_that_only_mixes_time_shows_no_difference():
    step = np.array([0, 1])
    moments = RateMoments(
        step=step,
        bucket=step,
        share=np.array([0.01, 0.5]),
        n_a=np.array([99_000, 50_000]),
        k_a=np.array([990, 1500]),
        n_b=np.array([1000, 50_000]),
        k_b=np.array([10, 1500]),
        settled=True,
    )
    found = ask(ERRORS, moments, limit=pp(0.5))
    assert found.estimate == pytest.approx(0.0, abs=1e-4)
    assert found.verdict is Verdict.SAFE


def test_late_failures_of_units_that_moved_over_are_counted_over_the_units_of_their_step():
    step = np.array([0, 1])
    moments = RateMoments(
        step=step,
        bucket=step,
        share=np.array([0.1, 0.5]),
        n_a=np.array([900, 0]),
        k_a=np.array([9, 5]),
        n_b=np.array([100, 0]),
        k_b=np.array([1, 5]),
        seen_a=np.array([900, 500]),
        seen_b=np.array([100, 500]),
    )
    found = ask(ERRORS, moments, limit=pp(1))
    assert found.values == {"v1": pytest.approx(0.01), "v2": pytest.approx(0.01)}
    assert found.units == {"v1": 900, "v2": 100}


def test_evidence_survives_its_record():
    found = ask(ERRORS, rates(5000, 40, 264, 30, share=0.05), limit=pp(0.5), alpha_harm=0.004)
    again = type(found).from_json(found.to_json())
    assert again.to_json() == found.to_json()
    assert found.confidence == pytest.approx(0.996)
    assert found.confidence_safe == pytest.approx(0.95)
