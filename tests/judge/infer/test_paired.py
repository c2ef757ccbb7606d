"""Pairs: bets that cannot gain under the null, gates, and errors seen in shadow."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossfade.judge.evidence import Verdict
from crossfade.judge.infer.paired import PORTIONS, WEIGHTS, mean_log_e
from judge.questions import DISAGREEMENT, ERRORS, ask, pairs, percent, pp


@settings(deadline=None)
@given(mean=st.floats(-0.9, 0.9), sign=st.sampled_from((-1, 1)), spread=st.floats(0, 1), beyond=st.floats(0, 1))
def test_no_bet_gains_on_average_under_its_null(mean, sign, spread, beyond):
    true = mean - sign * beyond * (1.0 + sign * mean)
    discordant = abs(true) + spread * (1.0 - abs(true))
    plus, minus = 0.5 * (discordant + true), 0.5 * (discordant - true)
    gain = (
        plus * math.exp(mean_log_e((1, 0, 0), mean, sign))
        + minus * math.exp(mean_log_e((0, 1, 0), mean, sign))
        + (1.0 - discordant) * math.exp(mean_log_e((0, 0, 1), mean, sign))
    )
    assert gain <= 1.0 + 1e-9


def test_the_mixture_is_the_average_of_wealths_played_pair_by_pair():
    sequence = [1, 0, 0, -1, 0, 1, 1, 0]
    wealth = np.ones(len(PORTIONS))
    for d in sequence:
        wealth *= 1.0 + (PORTIONS / 1.1) * (d - 0.1)
    assert mean_log_e((3, 1, 4), 0.1, +1) == pytest.approx(math.log(np.dot(wealth, WEIGHTS)))


def test_a_gate_is_proven_on_either_side_or_stays_open():
    assert ask(DISAGREEMENT, pairs(20, 0, 1980), role="gate", limit=pp(5)).verdict is Verdict.SAFE
    assert ask(DISAGREEMENT, pairs(200, 0, 1800), role="gate", limit=pp(5)).verdict is Verdict.HARMFUL
    assert ask(DISAGREEMENT, pairs(100, 0, 1900), role="gate", limit=pp(5)).verdict is Verdict.UNDECIDED


def test_the_champions_own_noise_is_not_held_against_the_challenger():
    found = ask(DISAGREEMENT, pairs(220, 200, 1580), role="gate", limit=pp(5))
    assert found.verdict is Verdict.SAFE
    assert found.estimate == pytest.approx(0.01)


def test_shadow_errors_absolute_and_relative():
    assert ask(ERRORS, pairs(60, 2, 1938), limit=pp(0.5), stage="shadow").verdict is Verdict.HARMFUL
    relative = ask(ERRORS, pairs(300, 2, 10), limit=percent(20), stage="shadow")
    assert relative.verdict is Verdict.HARMFUL
    assert any("share" in text for text in relative.assumptions)
    assert ask(ERRORS, pairs(5, 80, 1915), limit=percent(20), stage="shadow").verdict is Verdict.SAFE


def test_too_few_pairs_are_no_measurement():
    assert ask(DISAGREEMENT, pairs(0, 0, 0), role="gate", limit=pp(5)).reason == "disagreement has no pairs, needs 10"
    assert ask(DISAGREEMENT, pairs(1, 0, 5), role="gate", limit=pp(5)).verdict is Verdict.UNMEASURED


@settings(deadline=None)
@given(
    plus=st.integers(0, 400), minus=st.integers(0, 400), zero=st.integers(10, 2000), limit=st.sampled_from((0, 1, 5))
)
def test_interval_and_verdict_agree(plus, minus, zero, limit):
    found = ask(DISAGREEMENT, pairs(plus, minus, zero), role="gate", limit=pp(limit), alpha_harm=0.01)
    low = -1.0 if found.lower is None else found.lower
    high = 1.0 if found.upper is None else found.upper
    assert low <= found.estimate <= high
    assert (found.verdict is Verdict.HARMFUL) == (low >= found.limit and found.e_value >= 100.0)
    if found.verdict is Verdict.SAFE:
        assert high <= found.limit


def test_a_margin_of_a_share_is_not_shown_as_a_difference():
    assert ask(ERRORS, pairs(3, 2, 900), limit=percent(20), stage="shadow").limit is None
    assert ask(ERRORS, pairs(3, 2, 900), limit=pp(1), stage="shadow").limit == pytest.approx(0.01)
