"""Probabilistic interleaving: the published credit, fairness at every slot, and no rounding that shows."""

from __future__ import annotations

from math import fsum

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossfade.live.interleave.probabilistic import Softmax, draw

rankings = st.lists(st.sampled_from("abcdefghij"), max_size=9)
chances = st.lists(st.floats(0, 1, exclude_max=True), min_size=12, max_size=12)
flips = st.lists(st.booleans(), min_size=12, max_size=12)


def shown(a, b, coin, uniform, length=None):
    return draw(a, b, coin=coin.__getitem__, uniform=uniform.__getitem__, length=length)


def test_the_published_credit():
    merged = shown("123", "231", [True, True, True], [0.9, 0.0, 0.0])
    assert "".join(merged.items) == "213"
    assert merged.credits[0] == pytest.approx(0.77778, abs=5e-6)
    assert (merged.credits[0] + merged.credits[2]) / 2 == pytest.approx(0.38889, abs=5e-6)


@given(rankings, rankings, flips, chances, st.none() | st.integers(0, 12))
def test_every_list_keeps_the_rules(a, b, coin, uniform, length):
    merged = shown(a, b, coin, uniform, length)
    most = max(len(set(a)), len(set(b))) if length is None else length
    assert len(set(merged.items)) == len(merged.items) == min(most, len({*a, *b}))
    assert set(merged.items) <= {*a, *b}
    for slot, (item, owner, worth) in enumerate(zip(merged.items, merged.owners, merged.credits, strict=True)):
        over = {*a} <= {*merged.items[:slot]} or {*b} <= {*merged.items[:slot]}
        assert (owner == "") == over
        assert -1.0 <= worth <= 1.0
        assert not owner or item in {"A": a, "B": b}[owner]
        assert owner or worth == 0.0


@given(rankings, rankings, flips, chances)
def test_relabelling_the_rankers_flips_the_credit(a, b, coin, uniform):
    merged, mirrored = shown(a, b, coin, uniform), shown(b, a, [not one for one in coin], uniform)
    for slot, owner in enumerate(merged.owners):
        if owner:
            assert mirrored.items[slot] == merged.items[slot]
            assert mirrored.owners[slot] != owner
            assert mirrored.credits[slot] == pytest.approx(-merged.credits[slot])


@given(rankings, flips, chances)
def test_equal_rankings_get_no_credit_at_all(a, coin, uniform):
    assert not any(shown(a, a, coin, uniform).credits)


@settings(deadline=None)
@given(rankings, rankings)
def test_position_alone_is_worth_nothing_at_every_slot(a, b):
    """After any start that can be shown, the expected credit of the next slot is zero: exactly, over what it may be."""
    ours, theirs = Softmax(dict.fromkeys(a)), Softmax(dict.fromkeys(b))
    for taken in [*dict.fromkeys(a[::2] + b[::3]), ""]:
        if not ours.left or not theirs.left:
            return
        every = [(ours.chance(item), theirs.chance(item)) for item in {*ours.left, *theirs.left}]
        assert fsum((p + q) / 2 for p, q in every) == pytest.approx(1.0)
        assert fsum((p + q) / 2 * (q - p) / (q + p) for p, q in every) == pytest.approx(0.0, abs=1e-12)
        ours.drop(taken)
        theirs.drop(taken)


def test_items_come_as_often_as_the_softmax_says():
    way = Softmax("abc")
    cuts = [way.chance("a"), way.chance("a") + way.chance("b")]
    assert way.pick(0.0) == way.pick(cuts[0] - 1e-9) == "a"
    assert way.pick(cuts[0] + 1e-9) == way.pick(cuts[1] - 1e-9) == "b"
    assert way.pick(cuts[1] + 1e-9) == way.pick(1.0 - 2**-53) == "c"
    assert cuts[0] == pytest.approx(1 / (1 + 1 / 8 + 1 / 27))


def test_a_thousand_items_taken_away_leave_exact_chances():
    way = Softmax(str(n) for n in range(1000))
    for n in range(998):
        way.drop(str(n))
    assert way.chance("998") + way.chance("999") == pytest.approx(1.0, rel=1e-12)
    assert way.chance("998") / way.chance("999") == pytest.approx((1000 / 999) ** 3)
