"""Measures of distance: against published values, scipy, and the laws each of them must keep."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau

from crossfade.live.compare import numbers, rankings, text

lists = st.lists(st.integers(0, 12), max_size=10, unique=True)
scores = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=25)
texts = st.text(st.sampled_from("ab c\n"), max_size=30)
weights = st.lists(st.floats(0.01, 1.0), min_size=2, max_size=6)


def test_rank_biased_overlap_has_the_known_value():
    assert rankings.rank_biased_overlap("abcde", "bacef") == pytest.approx(0.750555, abs=1e-6)


@given(lists, lists)
def test_rank_biased_overlap_is_a_share_that_only_equal_lists_fill(a, b):
    value = rankings.rank_biased_overlap(a, b)
    assert -1e-9 <= value <= 1.0 + 1e-9
    assert value == pytest.approx(rankings.rank_biased_overlap(b, a))
    assert rankings.rank_biased_overlap(a, a) == pytest.approx(1.0)
    if not set(a) & set(b) and (a or b):
        assert value == pytest.approx(0.0)


@given(lists, lists)
def test_rank_biased_overlap_is_its_series(a, b):
    """The direct sum to great depth, the overlap beyond the shorter list's end being extrapolated at its last share."""
    if not a or len(a) != len(b):
        return
    shares = [len(set(a[:d]) & set(b[:d])) / d for d in range(1, len(a) + 1)]
    shares += [shares[-1]] * 600
    series = 0.1 * math.fsum(0.9 ** (d - 1) * share for d, share in enumerate(shares, 1))
    assert rankings.rank_biased_overlap(a, b) == pytest.approx(series, abs=1e-9)


@given(scores)
def test_tau_b_is_scipys(pairs):
    x, y = zip(*pairs, strict=True)
    ours, theirs = rankings.tau_b(x, y), kendalltau(x, y).statistic
    assert (ours is None) == math.isnan(theirs)
    if ours is not None:
        assert ours == pytest.approx(theirs)


@given(lists, lists)
def test_kendall_tau_of_lists_is_symmetric_and_bounded(a, b):
    value = rankings.kendall_tau(a, b)
    assert value == pytest.approx(rankings.kendall_tau(b, a))
    if value is not None:
        assert -1.0 - 1e-12 <= value <= 1.0 + 1e-12
    if len(a) > 1:
        assert rankings.kendall_tau(a, a) == pytest.approx(1.0)
        assert rankings.kendall_tau(a, a[::-1]) == pytest.approx(-1.0)


@given(lists, lists)
def test_overlaps_are_symmetric_shares(a, b):
    for measure in (rankings.overlap, rankings.shared):
        assert 0.0 <= measure(a, b) <= 1.0
        assert measure(a, b) == measure(b, a)
        assert measure(a, a) == measure(a, a[::-1]) == 1.0


@given(texts, texts)
def test_text_measures_are_symmetric_shares(a, b):
    for measure in (text.word_overlap, text.phrase_overlap, text.length_ratio):
        assert 0.0 <= measure(a, b) <= 1.0
        assert measure(a, b) == measure(b, a)
        assert measure(a, f"  {a}\n") == 1.0


def test_text_measures_by_hand():
    assert text.word_overlap("The cat sat", "the dog sat") == pytest.approx(2 / 3)
    assert text.word_overlap("a b", "b a") == 1.0
    assert text.phrase_overlap("one two three four", "one two three five") == pytest.approx(1 / 2)
    assert text.phrase_overlap("yes", "no") == 0.0
    assert text.length_ratio("four", "fo") == pytest.approx(1 / 2)


@given(weights, weights)
def test_total_variation_is_a_distance(a, b):
    size = min(len(a), len(b))
    p, q = ([value / math.fsum(some[:size]) for value in some[:size]] for some in (a, b))
    distance = numbers.total_variation(p, q)
    assert 0.0 <= distance <= 1.0 + 1e-12
    assert distance == numbers.total_variation(q, p)
    assert numbers.total_variation(p, p) == 0.0
    assert numbers.is_distribution(p)


def test_total_variation_by_hand():
    assert numbers.total_variation([0.7, 0.3], [0.4, 0.6]) == pytest.approx(0.3)
    assert numbers.total_variation([0.7], [0.4]) == pytest.approx(0.3)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=8), st.floats(0.0, 0.5))
def test_relative_distance_is_the_share_by_which_a_tensor_was_scaled(values, share):
    if math.hypot(*values) < 1e-3:
        return
    scaled = [value * (1.0 - share) for value in values]
    assert numbers.relative_distance(values, scaled) == pytest.approx(share, abs=1e-9)
