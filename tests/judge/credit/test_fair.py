"""The linear programme: exact where the answer is known, None where there is none, and quick at its largest."""

from __future__ import annotations

import time

import pytest

from crossfade.judge.credit.fair import fair_mixture
from crossfade.live.interleave.optimized import pattern, plan


def test_of_fair_mixtures_the_one_that_tells_most():
    credits = [[1.0], [-1.0], [2.0], [-2.0], [0.0]]
    assert fair_mixture(credits, [1.0, 1.0, 5.0, 5.0, 0.0]) == pytest.approx([0.0, 0.0, 0.5, 0.5, 0.0])
    assert fair_mixture(credits, [2.0, 1.0, 0.0, 5.0, 0.0]) == pytest.approx([2 / 3, 0.0, 0.0, 1 / 3, 0.0])


def test_nothing_fair_is_none():
    assert fair_mixture([[1.0], [2.0]], [1.0, 1.0]) is None
    assert fair_mixture([], []) is None


def test_lists_without_slots_are_as_good_as_any():
    assert fair_mixture([[]], [0.0]) == [1.0]


def test_the_largest_plan_is_solved_in_well_under_a_second():
    began = time.perf_counter()
    found = plan(*pattern([f"a{n}" for n in range(40)], [f"b{n}" for n in range(40)]), solve=fair_mixture)
    assert time.perf_counter() - began < 5.0
    assert 1 <= len(found.lists) <= 11
