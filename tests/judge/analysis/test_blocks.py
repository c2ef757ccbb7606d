"""Blocks: cut by counts of units alone, the same at every later look; steps where the arms' shares change."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from crossfade.judge.analysis.blocks import IN_EACH, SHORTEST, cut, shares, steps

NONE = np.zeros(0, dtype=np.int64)


@given(st.integers(0, 3000), st.floats(0.0, 1.0), st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_blocks_are_long_enough_and_none_but_the_last_lacks_an_arm(n, share, seed):
    is_b = np.random.default_rng(seed).random(n) < share
    block = cut(is_b, NONE)
    assert len(block) == n
    if n == 0:
        return
    count = np.bincount(block)
    of_b = np.bincount(block[is_b], minlength=len(count))
    assert (count[:-1] >= SHORTEST).all()
    assert (of_b[:-1] >= IN_EACH).all()
    assert ((count - of_b)[:-1] >= IN_EACH).all()
    assert (np.diff(block) >= 0).all()


def test_what_comes_later_moves_no_earlier_block():
    is_b = np.random.default_rng(1).random(5000) < 0.3
    whole = cut(is_b, np.array([2000, 5000]))
    early = cut(is_b[:2000], np.array([2000]))
    assert (whole[:2000] == early).all()
    assert whole[2000] > whole[1999]


def test_one_share_is_one_step_and_a_ramp_is_several():
    rng = np.random.default_rng(2)
    alike = rng.binomial(200, 0.5, 500)
    assert steps(200 - alike, alike).max() == 0
    ramp = rng.binomial(1000, np.repeat([0.01, 0.05, 0.25, 0.5], 10))
    assert (steps(1000 - ramp, ramp) == np.repeat([0, 1, 2, 3], 10)).all()


def test_shares_are_as_planned_or_as_they_came():
    n_a, n_b = np.array([30, 10]), np.array([10, 0])
    assert shares(n_a, n_b, None).tolist() == [0.25, 0.0]
    assert shares(n_a, n_b, 0.4).tolist() == [0.4, 0.4]
