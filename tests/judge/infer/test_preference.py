"""Preference: the published e-value, its one-sided form by integration, ties, and small numbers."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import quad

from crossfade.judge.evidence import Verdict
from crossfade.judge.infer import PREFERENCE
from crossfade.judge.infer.preference import share_log_e, two_sided_log_e
from judge.questions import ask, pairs


def prefer(wins: int, losses: int, ties: int = 0, **changes):
    return ask(PREFERENCE, pairs(losses, wins, ties), role="goal", stage="interleave", **changes)


def test_the_known_value():
    assert math.exp(two_sided_log_e(130, 90)) == pytest.approx(6.897, abs=5e-4)


@pytest.mark.parametrize(("wins", "losses"), [(130, 90), (90, 130), (3, 0), (0, 12)])
def test_the_one_sided_value_is_the_cut_prior_integrated(wins, losses):
    prior = stats.beta(50, 50)

    def ratio(p: float) -> float:
        return float(prior.pdf(p) / prior.sf(0.5)) * math.exp(wins * math.log(2 * p) + losses * math.log(2 * (1 - p)))

    expected = quad(ratio, 0.5, 1.0, points=[0.55, 0.6, 0.7])[0]
    assert math.exp(share_log_e(wins, losses, 0.5, +1)) == pytest.approx(expected, rel=1e-6)


@settings(deadline=None)
@given(share=st.floats(0.05, 0.95), sign=st.sampled_from((-1, 1)), beyond=st.floats(0, 1))
def test_one_vote_gains_nothing_under_the_null(share, sign, beyond):
    true = share * (1 - beyond) if sign > 0 else share + beyond * (1 - share)
    gain = true * math.exp(share_log_e(1, 0, share, sign)) + (1 - true) * math.exp(share_log_e(0, 1, share, sign))
    assert gain <= 1.0 + 1e-9


def test_verdicts_ties_and_the_interval():
    found = prefer(200, 100, 500)
    assert found.verdict is Verdict.SAFE
    assert found.estimate == pytest.approx(1 / 3)
    assert 0.0 < found.lower < found.estimate < found.upper < 1.0
    assert found.events == {"v1": 100, "v2": 200, "ties": 500}
    assert prefer(100, 200).verdict is Verdict.HARMFUL
    assert prefer(101, 100, 5000).verdict is Verdict.UNDECIDED
    assert prefer(4, 0, 50).verdict is Verdict.UNMEASURED


def test_swapping_the_rankers_turns_the_sign():
    one, other = prefer(150, 110), prefer(110, 150)
    assert other.estimate == pytest.approx(-one.estimate)
    assert other.e_value == pytest.approx(one.e_value_safe)
    assert other.lower == pytest.approx(-one.upper)
