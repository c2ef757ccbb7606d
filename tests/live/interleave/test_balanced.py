"""Balanced interleaving: its balance, its published bias, and the weights that take the bias away."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.live.interleave.balanced import balance, credits, debiased

rankings = st.lists(st.sampled_from("abcdefghij"), max_size=9)
lengths = st.none() | st.integers(0, 12)
LEADS = (True, False)


def preference(items, a, b, engaged):
    ours, theirs = credits(items, a, b, engaged)
    return theirs - ours


@given(rankings, rankings, st.booleans(), lengths)
def test_every_prefix_is_the_top_of_both_lists_in_balance(a, b, leads, length):
    merged = balance(a, b, champion_leads=leads, length=length)
    a, b = list(dict.fromkeys(a)), list(dict.fromkeys(b))
    most = max(len(a), len(b)) if length is None else length
    assert len(set(merged.items)) == len(merged.items) == min(most, len({*a, *b}))
    for slot in range(1, len(merged.items) + 1):
        prefix = set(merged.items[:slot])
        tops = [(i, j) for i in range(len(a) + 1) for j in range(len(b) + 1) if {*a[:i], *b[:j]} == prefix]
        level = [(i, j) for i, j in tops if abs(i - j) <= 1 or i == len(a) or j == len(b)]
        assert level, (a, b, merged.items[:slot])


@given(rankings, rankings, st.booleans(), lengths)
def test_relabelling_the_rankers_flips_owners_and_credit(a, b, leads, length):
    merged = balance(a, b, champion_leads=leads, length=length)
    mirrored = balance(b, a, champion_leads=not leads, length=length)
    assert mirrored.items == merged.items
    assert mirrored.owners == tuple({"A": "B", "B": "A", "": ""}[owner] for owner in merged.owners)
    engaged = dict.fromkeys(merged.items[::2], 1.0)
    assert preference(merged.items, a, b, engaged) == -preference(merged.items, b, a, engaged)


@given(rankings, st.booleans(), st.sets(st.sampled_from("abcdefghij")))
def test_equal_rankings_get_no_preference(a, leads, clicked):
    merged = balance(a, a, champion_leads=leads)
    assert list(merged.items) == list(dict.fromkeys(a))
    assert merged.same
    assert preference(merged.items, a, a, dict.fromkeys(clicked, 1.0)) == 0.0


def test_the_published_bias_under_one_random_click():
    """A = 123, B = 231: whoever clicks one slot without looking prefers B in two cases of three."""
    votes = []
    for leads in LEADS:
        merged = balance("123", "231", champion_leads=leads)
        votes += [preference(merged.items, "123", "231", {item: 1.0}) for item in merged.items]
    assert sorted(votes) == [-1.0, -1.0, 1.0, 1.0, 1.0, 1.0]


@pytest.mark.parametrize(("a", "b"), [("123", "231"), ("abcde", "bcdea"), ("abcdef", "axbycz"), ("abcdef", "f")])
def test_debiased_credit_gives_random_clicks_nothing(a, b):
    weights = debiased(a, b)
    for slot in range(max(len(a), len(b))):
        total = 0.0
        for leads in LEADS:
            owner = balance(a, b, champion_leads=leads).owners[slot]
            total += {"A": -1.0, "B": 1.0, "": 0.0}[owner] * weights.get((slot, owner), 0.0)
        assert total == 0.0


def test_credit_stops_at_the_depth_that_was_looked_at():
    """Clicked b and e of abcde shown; A = abcde has e fifth, B = becda second: within two, B has both and A only b."""
    assert credits("bacde", "abcde", "becda", {"b": 1.0, "e": 2.0}) == (1.0, 3.0)
    assert credits("bacde", "abcde", "becda", {}) == (0.0, 0.0)


def test_the_longer_list_goes_on_when_the_shorter_one_ends():
    assert "".join(balance("ab", "cdefg", champion_leads=True).items) == "acbde"
    assert "".join(balance("ab", "cdefg", champion_leads=True, length=9).items) == "acbdefg"
