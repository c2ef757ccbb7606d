"""Rare counts: units with nothing as evidence, what they prove and what they cannot, and events that are missing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.judge.evidence import Evidence, Verdict
from crossfade.judge.infer.contrast import MINIMUM_SOME
from crossfade.judge.infer.nothing import DELTAS, WEIGHTS, below_log_e, most
from crossfade.judge.moments import MeanMoments
from crossfade.spec.model import Better, Kind, Margin, Metric, Source
from judge.questions import COMPLAINT, PURCHASE, ask, percent, pp, rates

CRASHES = Metric(name="crashes", source=Source.OUTCOME, kind=Kind.COUNT, better=Better.LOWER, window=60.0, cap=10.0)
BARE = replace(CRASHES, cap=None)
LIMIT = Margin(value=0.01, relative=False)


def counted(n_a: int, n_b: int, a: tuple[float, ...] = (), b: tuple[float, ...] = (), told: int | None = 1):
    """So many units of each arm, all 0 but those with the values named."""

    def one(value: float) -> np.ndarray:
        return np.array([value])

    return MeanMoments(
        step=np.array([0]),
        n_a=one(n_a),
        sum_a=one(sum(a)),
        squares_a=one(sum(x * x for x in a)),
        some_a=one(len(a)),
        n_b=one(n_b),
        sum_b=one(sum(b)),
        squares_b=one(sum(x * x for x in b)),
        some_b=one(len(b)),
        reports_a=told,
        reports_b=told,
    )


def guard(metric: Metric, moments: MeanMoments, **changes) -> Evidence:
    return ask(metric, moments, **{"limit": LIMIT, **changes})


def one_log_e(n: float, total: float, cap: float, mean: float) -> float:
    return float(below_log_e(*(np.array([x], dtype=float) for x in (n, total, cap, mean)))[0])


# -- the bet -----------------------------------------------------------------------------------------------------------


@given(
    st.lists(st.floats(0.0, 1.0), min_size=1, max_size=40),
    st.floats(0.001, 0.9),
    st.floats(0.5, 200.0),
)
def test_it_never_wins_more_than_the_bet_on_the_values_themselves(shares, part, cap):
    """Which gains nothing on average while their mean is not below the null, as each factor falls with the value."""
    values, null = cap * np.array(shares), part
    bet = 1.0 / (1.0 + (1.0 / null - 1.0) * np.exp(DELTAS))
    factors = values[:, None] / cap * (bet / null) + (1.0 - values[:, None] / cap) * ((1.0 - bet) / (1.0 - null))
    played = float(np.log(WEIGHTS @ np.exp(np.log(factors).sum(axis=0))))
    assert one_log_e(len(values), values.sum(), cap, part * cap) <= played + 1e-9
    at_null = null * (bet / null) + (1.0 - null) * ((1.0 - bet) / (1.0 - null))
    assert at_null == pytest.approx(np.ones(len(DELTAS)))


@given(st.integers(100, 100_000), st.floats(0.0, 30.0), st.floats(0.1, 50.0), st.floats(0.001, 0.2))
def test_the_largest_mean_that_is_left_is_the_tests_turned_round(n, total, cap, alpha):
    total = min(total, 0.5 * n * cap)
    end = most(*(np.array([x], dtype=float) for x in (n, total, cap, alpha)))[0]
    if end is not None:
        assert one_log_e(n, total, cap, end) == pytest.approx(-np.log(alpha), rel=1e-3)
        assert end >= total / n


# -- nothing in either arm ---------------------------------------------------------------------------------------------


def test_nothing_in_either_arm_is_proven_safe_where_a_unit_counts_for_no_more_than_a_cap():
    few, enough = guard(CRASHES, counted(20_000, 2000)), guard(CRASHES, counted(20_000, 6000))
    assert (few.verdict, enough.verdict) == (Verdict.UNDECIDED, Verdict.SAFE)
    assert few.upper > LIMIT.value > enough.upper > 0.0
    for found in (few, enough):
        assert (found.estimate, found.lower, found.e_value) == (0.0, None, None)
        assert found.values == {"v1": 0.0, "v2": 0.0}
        assert found.reason == "nothing happened in either arm"
        assert any("0 to 10" in one for one in found.assumptions)
    # Ten times the cap takes ten times the units: each is a tenth of a witness.
    larger = replace(CRASHES, cap=100.0)
    assert guard(larger, counted(200_000, 6000)).verdict is Verdict.UNDECIDED
    assert guard(larger, counted(200_000, 60_000)).verdict is Verdict.SAFE


@pytest.mark.parametrize(
    ("metric", "limit", "why"),
    [
        (BARE, LIMIT, "a cap, the most that counts of one unit, would"),
        (CRASHES, percent(20), "a margin of a share of nothing is nothing"),
        (BARE, percent(20), "a margin of a share of nothing is nothing"),
        (replace(CRASHES, better=Better.HIGHER), LIMIT, "more of it would be better"),
    ],
)
def test_where_nothing_proves_nothing_the_line_says_what_would(metric, limit, why):
    found = guard(metric, counted(10**6, 10**6), limit=limit)
    assert found.verdict is Verdict.UNMEASURED
    assert found.reason.startswith("nothing happened in either arm")
    assert why in found.reason


def test_a_goal_cannot_be_less_than_nothing():
    found = guard(CRASHES, counted(10**6, 10**6), role="goal", limit=None)
    assert found.verdict is Verdict.UNMEASURED
    assert "less than nothing" in found.reason


@pytest.mark.parametrize("told", [(None, None), (0, 0), (5, 0), (0, 5)])
def test_silence_is_no_zero(told):
    silent = replace(counted(50_000, 50_000), reports_a=told[0], reports_b=told[1])
    found = guard(CRASHES, silent)
    assert found.verdict is Verdict.UNMEASURED
    assert "no outcome" in found.reason
    of_response = replace(CRASHES, source=Source.RESPONSE, window=None)
    assert guard(of_response, silent).verdict is Verdict.SAFE


def test_a_rate_that_was_reported_to_be_nothing_is_measured_too():
    seen = rates(50_000, 0, 50_000, 0)
    assert ask(COMPLAINT, seen, limit=pp(1)).verdict is Verdict.UNMEASURED
    zeros = replace(seen, reports_a=7, reports_b=9)
    assert ask(COMPLAINT, zeros, limit=pp(1)).verdict is Verdict.SAFE
    one_sided = ask(COMPLAINT, replace(seen, reports_a=7, reports_b=0), limit=pp(1))
    assert one_sided.verdict is Verdict.UNMEASURED
    assert "v2" in one_sided.reason
    # Nobody buys anything: that is no health, however loudly it is reported.
    nobody = ask(PURCHASE, zeros, limit=pp(1))
    assert nobody.verdict is Verdict.UNMEASURED
    assert "every purchase that was reported is 0" in nobody.reason


# -- next to nothing ---------------------------------------------------------------------------------------------------


@given(
    st.one_of(st.tuples(st.integers(0, 14), st.integers(0, 14)), st.tuples(st.integers(30, 70), st.integers(0, 40))),
    st.sampled_from([1.0, 3.0, 10.0]),
)
def test_more_of_it_in_the_challenger_never_helps_it(events, size):
    """But for the one unit with which there are enough of them to compare."""
    a, b = events

    def safety(events: int) -> float:
        found = guard(CRASHES, counted(20_000, 5000, (1.0,) * a, (size,) * events))
        return found.e_value_safe or 0.0

    assert safety(b + 1) <= safety(b) * (1.0 + 1e-9)


@given(st.integers(0, 60), st.integers(0, 60), st.sampled_from([0.002, 0.01, 0.05]), st.booleans())
def test_interval_and_verdict_agree(a, b, margin, capped):
    limit = Margin(value=margin, relative=False)
    found = guard(CRASHES if capped else BARE, counted(20_000, 5000, (1.0,) * a, (2.0,) * b), limit=limit)
    if found.verdict is Verdict.SAFE:
        assert found.upper is not None
        assert found.upper <= margin
    elif found.verdict is not Verdict.UNMEASURED:
        assert found.upper is None or found.upper >= margin


def test_few_events_prove_nothing_safe_without_a_cap_and_the_line_says_so():
    few = guard(BARE, counted(100_000, 100_000, (1.0,) * 10, (1.0,) * 10))
    assert few.verdict is Verdict.UNDECIDED
    assert few.upper is None
    assert f"20 units have crashes other than 0, and safety takes {MINIMUM_SOME}" in few.reason
    assert "or a cap" in few.reason
    assert guard(BARE, counted(100_000, 100_000, (1.0,) * 20, (1.0,) * 20)).verdict is Verdict.SAFE
    assert guard(CRASHES, counted(100_000, 100_000, (1.0,) * 10, (1.0,) * 10)).verdict is Verdict.SAFE


def test_one_event_of_a_large_champion_proves_no_small_challenger_safe():
    """By the variance that was observed alone it would: this was the mistake."""
    few = counted(2000, 110, (1.0,))
    assert guard(BARE, few).verdict is Verdict.UNDECIDED
    assert guard(CRASHES, few).verdict is Verdict.UNDECIDED
    many = counted(40_000, 300, (1.0,) * 40)
    assert guard(BARE, many).verdict is Verdict.UNDECIDED, "at the margin three would be missing, and that is no proof"
    assert guard(BARE, counted(400_000, 3000, (1.0,) * 400)).verdict is Verdict.SAFE


def test_values_that_everybody_has_are_judged_as_they_were():
    """Where every unit has a value no value is missing: who counted them learns nothing from it."""
    rng = np.random.default_rng(3)
    a, b = rng.normal(10.0, 3.0, 3000), rng.normal(10.0, 3.0, 3000)
    latency = Metric(name="latency", source=Source.RESPONSE, kind=Kind.MEAN, better=Better.LOWER)
    seen = counted(3000, 3000, tuple(a), tuple(b))
    with_it, without = (
        guard(latency, one, limit=percent(3)) for one in (seen, replace(seen, some_a=None, some_b=None))
    )
    assert with_it.upper == pytest.approx(without.upper, rel=1e-9)
    assert with_it.e_value_safe == pytest.approx(without.e_value_safe, rel=1e-9)
