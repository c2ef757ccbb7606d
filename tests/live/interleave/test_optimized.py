"""Optimized interleaving: the published mixtures, fairness of every plan, and what team draft cannot see."""

from __future__ import annotations

from itertools import cycle, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossfade.judge.credit.fair import fair_mixture
from crossfade.live.interleave.optimized import CREDITS, Infeasible, allowed, pattern, plan, show, telling

rankings = st.lists(st.sampled_from("abcdefgh"), max_size=6)


def planned(a, b, credit="inverse-rank", length=None):
    return plan(*pattern(a, b, length), solve=fair_mixture, credit=credit)


def shares(found):
    return [upto - before for before, upto in pairwise((0.0, *found.upto))]


@pytest.mark.parametrize(
    ("credit", "expected"),
    [
        ("linear", {"abdc": 0.25, "badc": 0.35, "bdac": 0.40}),
        ("inverse-rank", {"abdc": 0.40, "badc": 0.35, "bdac": 0.25}),
    ],
)
def test_the_published_mixtures(credit, expected):
    found = planned("abcd", "bdca", credit)
    named = {"".join("abcd"[n] for n in order): p for order, p in zip(found.lists, shares(found), strict=True)}
    assert named == pytest.approx(expected)


def test_a_credit_without_a_fair_mixture_is_refused_in_words():
    with pytest.raises(Infeasible, match=r"binary credit.*another credit may: inverse-rank, linear"):
        planned("abcd", "bdca", "binary")


@settings(deadline=None, max_examples=60)
@given(rankings, rankings, st.sampled_from(sorted(CREDITS)), st.none() | st.integers(0, 7))
def test_position_alone_is_worth_nothing_at_every_slot(a, b, credit, length):
    try:
        found = planned(a, b, credit, length)
    except Infeasible:
        assert credit == "binary", "the two others have had a solution for whatever was tried"
        return
    assert sum(shares(found)) == pytest.approx(1.0)
    for slot in range(len(found.credits[0])):
        expected = sum(p * row[slot] for p, row in zip(shares(found), found.credits, strict=True))
        assert expected == pytest.approx(0.0, abs=1e-7)


@settings(deadline=None, max_examples=40)
@given(rankings, rankings, st.floats(0, 1, exclude_max=True), st.lists(st.booleans(), min_size=9, max_size=9))
def test_every_list_keeps_the_rules(a, b, chance, coin):
    merged = show(a, b, planned(a, b), chance=chance, flips=coin)
    assert len(set(merged.items)) == len(merged.items) == max(len(set(a)), len(set(b)))
    assert len(merged.owners) == len(merged.credits) == len(merged.items)
    for slot, item in enumerate(merged.items):
        before = set(merged.items[:slot])
        tops = [next((other for other in ranking if other not in before), None) for ranking in (a, b)]
        assert item in tops
        arm, index = merged.from_[slot]
        assert {"A": a, "B": b}[arm][index] == item


@settings(deadline=None, max_examples=30)
@given(rankings, rankings)
def test_relabelling_the_rankers_flips_the_credits_and_tells_as_much(a, b):
    one, other = planned(a, b), planned(b, a)
    told = [sum(p * telling(row) for p, row in zip(shares(x), x.credits, strict=True)) for x in (one, other)]
    assert told[0] == pytest.approx(told[1], abs=1e-7)
    # Where several mixtures tell as much they may differ, but a list that is in both is worth the opposite.
    names = [*dict.fromkeys([*a, *b])], [*dict.fromkeys([*b, *a])]
    rows = [
        {tuple(name[n] for n in order): row for order, row in zip(x.lists, x.credits, strict=True)}
        for x, name in zip((one, other), names, strict=True)
    ]
    for order in rows[0].keys() & rows[1].keys():
        assert rows[0][order] == pytest.approx(tuple(-value for value in rows[1][order]))


@given(rankings)
def test_equal_rankings_are_shown_as_they_are(a):
    found = planned(a, a)
    assert found.lists == (tuple(range(len(set(a)))),)
    assert not any(found.credits[0])


def test_it_sees_what_team_draft_misses():
    """A = abc, B = bca, only c is ever clicked: B has it higher, and team draft expects no preference."""
    found = planned("abc", "bca")
    expected = sum(
        p * row[order.index(2)] for p, order, row in zip(shares(found), found.lists, found.credits, strict=True)
    )
    assert expected > 0.1


def test_the_lists_are_all_ways_of_taking_tops():
    assert sorted(allowed((0, 1, 2), (1, 2, 0), 3)) == [(0, 1, 2), (1, 0, 2), (1, 2, 0)]
    assert len(list(allowed(range(10), range(10, 20), 10))) == 1024
    assert list(allowed((0,), (0,), 1)) == [(0,)]
    assert list(allowed((), (), 0)) == [()]


def test_what_lies_below_the_optimized_slots_is_credited_to_nobody():
    a, b = [f"a{n}" for n in range(15)], [f"b{n}" for n in range(15)]
    merged = show(a, b, planned(a, b), chance=0.3, flips=cycle([True, False]))
    assert len(merged.items) == 15
    assert set(merged.owners[:10]) == {"A", "B"}
    assert set(merged.owners[10:]) == {""}
    assert {item[0] for item in merged.items[10:]} == {"a", "b"}
