"""Label betting: valid against the whole null, equal to the bet written out unit by unit, blind to the future."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.special import logit

from crossfade.judge.infer import labels
from crossfade.judge.moments import RateMoments

shares = st.sampled_from((0.001, 0.01, 0.05, 0.3, 0.5, 0.9, 0.99))
rates = st.floats(1e-5, 0.9)
lines = st.one_of(
    st.tuples(st.just(1.0), st.floats(-0.6, 0.6)),
    st.tuples(st.floats(0.2, 5.0), st.just(0.0)),
    st.tuples(st.floats(0.2, 2.0), st.floats(0.0, 0.1)),
)
signs = st.sampled_from((-1, 1))


@settings(deadline=None)
@given(share=shares, base=rates, line=lines, sign=signs, along=st.floats(0, 1), beyond=st.floats(0, 1))
def test_no_bet_gains_on_average_anywhere_in_the_null(share, base, line, sign, along, beyond):
    a, m = line
    bet = labels.bets(np.array([share]), np.array([base]), np.array([a]), np.array([m]), sign)
    low, high = max(0.0, -m / a), min(1.0, (1.0 - m) / a)
    p_a = low + along * (high - low)
    on_line = a * p_a + m
    p_b = on_line * (1.0 - beyond) if sign > 0 else on_line + beyond * (1.0 - on_line)
    gain = share * (p_b * np.exp(bet.hit_b) + (1 - p_b) * np.exp(bet.miss_b)) + (1 - share) * (
        p_a * np.exp(bet.hit_a) + (1 - p_a) * np.exp(bet.miss_a)
    )
    assert (gain <= 1.0 + 1e-9).all()


@settings(deadline=None)
@given(share=shares, base=rates, line=lines, sign=signs)
def test_a_bet_is_the_likelihood_ratio_of_the_odds_ratio_it_stands_for(share, base, line, sign):
    a, m = line
    bet = labels.bets(np.array([share]), np.array([base]), np.array([a]), np.array([m]), sign)
    x = np.clip((base - share * m) / (1 - share + share * a), max(1e-7, (1e-7 - m) / a), min(1, (1 - m) / a) - 1e-7)
    y = a * x + m
    theta_a, theta_b = x * np.exp(bet.hit_a[0, 0]), y * np.exp(bet.hit_b[0, 0])
    if not 1e-4 < x < 0.999 or not 1e-4 < y < 0.999:
        return
    np.testing.assert_allclose((1 - theta_b) / (1 - y), np.exp(bet.miss_b[0, 0]), rtol=1e-6)
    np.testing.assert_allclose((1 - theta_a) / (1 - x), np.exp(bet.miss_a[0, 0]), rtol=1e-6)
    found = (logit(theta_b) - logit(theta_a)) - (logit(y) - logit(x))
    np.testing.assert_allclose(found, sign * labels.DELTAS, rtol=1e-4, atol=1e-6)


@settings(deadline=None)
@given(share=shares, base=rates, sign=signs)
def test_a_right_prediction_leaves_each_arm_fair_alone(share, base, sign):
    bet = labels.bets(np.array([share]), np.array([base]), np.ones(1), np.zeros(1), sign)
    for hit, miss in ((bet.hit_a, bet.miss_a), (bet.hit_b, bet.miss_b)):
        np.testing.assert_allclose(base * np.exp(hit) + (1 - base) * np.exp(miss), 1.0, rtol=1e-9)


@settings(deadline=None)
@given(n_a=st.integers(1, 3000), n_b=st.integers(1, 3000), rate=st.floats(0, 1), sign=signs, line=lines)
def test_counts_that_match_the_null_exactly_are_never_evidence_however_uneven_the_arms(n_a, n_b, rate, sign, line):
    a, m = line
    low, high = max(0.0, -m / a), min(1.0, (1.0 - m) / a)
    p_a = low + rate * (high - low)
    one = np.ones(1)
    data = labels.gather(0.5 * one, n_a * one, n_a * p_a * one, n_b * one, n_b * (a * p_a + m) * one)
    assert labels.trials_log_e(data, np.array([a]), np.array([m]), sign)[0] <= 1e-6


def test_settled_bets_are_those_written_out_unit_by_unit():
    rng = np.random.default_rng(5)
    share = np.repeat([0.1, 0.4], 20)
    n_b = rng.binomial(30, share)
    n_a = 30 - n_b
    k_a, k_b = rng.binomial(n_a, 0.1), rng.binomial(n_b, 0.2)
    found = labels.trials_log_e(labels.gather(share, n_a, k_a, n_b, k_b), np.ones(1), np.zeros(1), +1)[0]
    starts, before = labels.epoch_starts(n_a + n_b, share)
    events_before = np.cumsum(k_a + k_b) - (k_a + k_b)

    def stake(pi, b, delta):
        def log_odds_ratio(s):
            theta_b, theta_a = b * (1 + s * (1 - b) / pi), b * (1 - s * (1 - b) / (1 - pi))
            return logit(theta_b) - logit(theta_a) - delta

        return brentq(log_odds_ratio, 1e-12, min(pi / b, (1 - pi) / (1 - b)) * (1 - 1e-9), xtol=1e-15)

    def row_factor(row, pi, b, delta):
        s = stake(pi, b, delta)
        hits = k_b[row] * np.log1p(s * (1 - b) / pi) + k_a[row] * np.log1p(-s * (1 - b) / (1 - pi))
        return hits + (n_b - k_b)[row] * np.log1p(-s * b / pi) + (n_a - k_a)[row] * np.log1p(s * b / (1 - pi))

    wealth = []
    for delta in labels.DELTAS:
        total, first = 0.0, dict.fromkeys(labels.FIRST_RATES, 0.0)
        for row in range(len(share)):
            begin = starts[np.searchsorted(starts, row, side="right") - 1]
            if before[begin] == 0:
                for guess in first:
                    first[guess] += row_factor(row, n_b[row] / 30, guess, delta)
            else:
                base = (events_before[begin] + 0.5) / (before[begin] + 1)
                total += row_factor(row, share[row], base, delta)
        wealth.append(np.exp(total) * np.mean(np.exp(list(first.values()))))
    assert n_b[0] > 0
    assert found == pytest.approx(np.log(np.dot(wealth, labels.WEIGHTS)), rel=1e-7)


def test_a_bet_never_uses_what_came_later():
    rng = np.random.default_rng(2)
    share = np.full(60, 0.2)
    n_b = rng.binomial(40, share)
    n_a = 40 - n_b
    k_a, k_b = rng.binomial(n_a, 0.05), rng.binomial(n_b, 0.05)
    whole = labels.gather(share, n_a, k_a, n_b, k_b)
    part = labels.gather(share[:33], n_a[:33], k_a[:33], n_b[:33], k_b[:33])
    known = len(part.base)
    np.testing.assert_array_equal(part.base, whole.base[:known])
    changed = labels.gather(share, n_a, np.r_[k_a[:33], n_a[33:]], n_b, k_b)
    np.testing.assert_array_equal(changed.base[:known], whole.base[:known])


def test_epochs_begin_where_the_share_changes_and_when_much_more_has_been_seen():
    starts, before = labels.epoch_starts(np.full(100, 10), np.repeat([0.1, 0.2], 50))
    assert 0 in starts
    assert 50 in starts
    assert len(starts) < 30
    assert before[0] == 0
    assert before[99] == 990


def events_of(share, k_a, k_b, units, *, step=0):
    return RateMoments(
        step=np.array([step]),
        bucket=np.array([0]),
        share=np.array([share]),
        n_a=np.array([units]),
        k_a=np.array([k_a]),
        n_b=np.array([0]),
        k_b=np.array([k_b]),
    )


@settings(deadline=None)
@given(k_a=st.integers(0, 200), k_b=st.integers(0, 50), share=shares, line=lines)
def test_one_more_event_in_b_speaks_for_harm_and_against_safety(k_a, k_b, share, line):
    slope, offset = np.array([line[0]]), np.array([line[1]])
    fewer = labels.events(events_of(share, k_a, k_b, 1000))
    more = labels.events(events_of(share, k_a, k_b + 1, 1000))
    assert labels.events_log_e(more, slope, offset, +1) > labels.events_log_e(fewer, slope, offset, +1)
    assert labels.events_log_e(more, slope, offset, -1) < labels.events_log_e(fewer, slope, offset, -1)


@settings(deadline=None)
@given(share=shares, line=lines, sign=signs, p_a=st.floats(0, 0.4))
def test_an_event_bet_with_its_payment_gains_nothing_at_the_margin(share, line, sign, p_a):
    a, m = line
    p_b = a * p_a + m
    if not 0.0 <= p_b <= 1.0:
        return

    def e(k_a, k_b):
        found = labels.events(events_of(share, k_a, k_b, 1))
        return np.exp(labels.events_log_e(found, np.array([a]), np.array([m]), sign)[0])

    mean = share * p_b * e(0, 1) + (1 - share) * p_a * e(1, 0) + (1 - share * p_b - (1 - share) * p_a) * e(0, 0)
    assert mean <= 1.0 + 1e-9


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("offset", [-0.01, 0.01])
def test_units_of_earlier_steps_are_paid_for_and_not_earned_from(sign, offset):
    """Not knowing who returned, a claim is never stronger than if all of them, or none, were known to have."""
    uncounted = RateMoments(
        step=np.array([0, 1]),
        bucket=np.array([0, 1]),
        share=np.array([0.1, 0.5]),
        n_a=np.array([900, 10]),
        k_a=np.array([9, 5]),
        n_b=np.array([100, 10]),
        k_b=np.array([1, 5]),
    )
    none = replace(uncounted, seen_a=np.array([900, 10]), seen_b=np.array([100, 10]))
    every = replace(uncounted, seen_a=np.array([900, 510]), seen_b=np.array([100, 510]))

    def log_e(moments):
        return labels.events_log_e(labels.events(moments), np.ones(1), np.array([offset]), sign)[0]

    assert log_e(uncounted) == pytest.approx(min(log_e(none), log_e(every)))
    assert log_e(none) != pytest.approx(log_e(every))
