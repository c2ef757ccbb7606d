"""The three multileaving methods: fairness by going through all draws, and credit that says who was better."""

from __future__ import annotations

from collections import Counter
from itertools import permutations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossfade.live.interleave import multileave, pairwise_preference
from crossfade.live.interleave.probabilistic_multileave import draw
from crossfade.live.interleave.team_draft_multileave import draft

rankings = st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=7), min_size=2, max_size=4)
chances = st.lists(st.floats(0, 1, exclude_max=True), min_size=40, max_size=40)
SMALL = [("abcde", "bcdea", "edcba"), ("abcdef", "abcdef", "abcdef"), ("abc", "def", "ghi"), ("abcd", "ab", "dcba")]


@pytest.mark.parametrize("lists", SMALL)
def test_each_slot_is_as_often_one_captains_as_any_others(lists):
    owned: Counter[tuple[int, int]] = Counter()
    for orders in product(permutations(range(3)), repeat=2):
        merged = draft(lists, order=[*orders, (0, 1, 2), (0, 1, 2)].__getitem__, length=6)
        owned.update(enumerate(merged.owners))
    for slot in range(6):
        assert owned[slot, 0] == owned[slot, 1] == owned[slot, 2], (slot, owned)


@given(rankings, st.none() | st.integers(0, 9), st.randoms(use_true_random=False))
def test_a_captain_picks_its_best_free_item(lists, length, chance):
    orders = [chance.sample(range(len(lists)), len(lists)) for _ in range(9)]
    merged = draft(lists, order=orders.__getitem__, length=length)
    _whole(lists, merged, length)
    for slot, (item, owner) in enumerate(zip(merged.items, merged.owners, strict=True)):
        if owner >= 0:
            before = set(merged.items[:slot])
            assert item == next(other for other in lists[owner] if other not in before)
            assert merged.credits[slot] == tuple(float(n == owner) for n in range(len(lists)))
    if length is not None:
        longer = draft(lists, order=orders.__getitem__, length=length + 3)
        assert longer.items[:length] == merged.items
        assert longer.owners[:length] == merged.owners


def _whole(lists, merged, length):
    most = max(len(set(one)) for one in lists) if length is None else length
    assert len(set(merged.items)) == len(merged.items) == min(most, len(set().union(*lists)))
    assert len(merged.owners) == len(merged.credits) == len(merged.items)


@given(rankings, chances, st.none() | st.integers(0, 9))
def test_probabilistic_credit_sums_to_one_and_follows_the_rankers(lists, chance, length):
    merged = draw(lists, uniform=chance.__getitem__, length=length)
    _whole(lists, merged, length)
    for item, owner, worth in zip(merged.items, merged.owners, merged.credits, strict=True):
        assert sum(worth) == pytest.approx(1.0 if owner >= 0 else 0.0)
        assert owner < 0 or item in lists[owner]
        assert all(one == 0.0 or item in ranking for one, ranking in zip(worth, lists, strict=True))


@given(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=6), chances)
def test_equal_rankings_share_every_probabilistic_credit(one, chance):
    merged = draw([one, one, one], uniform=chance.__getitem__)
    assert all(worth == pytest.approx((1 / 3,) * 3) for worth in merged.credits)


def test_position_alone_is_worth_the_same_to_all_probabilistic_rankers():
    """Over the first two slots, exactly: each item by its chance, each credit by what it is."""
    from crossfade.live.interleave.probabilistic import Softmax

    lists = ("abcd", "bcda", "dxyz")
    expected = [0.0] * 3
    for item in set("abcdxyz"):
        likely = [Softmax(one).chance(item) for one in lists]
        expected = [so_far + sum(likely) / 3 * one / sum(likely) for so_far, one in zip(expected, likely, strict=True)]
    assert expected == pytest.approx([1 / 3] * 3)


def every_mix(lists, length):
    """Each list that may come, with its probability: every choice at every slot."""
    ways = [((), 1.0)]
    for _ in range(length):
        longer = []
        for choices, p in ways:
            seen = []
            for at in range(8):
                trial = [*choices, at]
                sizes = _sizes(lists)
                if at < sizes[len(choices)]:
                    seen.append(trial)
            longer += [(tuple(trial), p / len(seen)) for trial in seen]
        ways = longer
    for choices, p in ways:
        sizes = _sizes(lists)
        uniform = [(at + 0.5) / sizes[slot] for slot, at in enumerate(choices)]
        yield pairwise_preference.mix(lists, uniform=uniform.__getitem__, length=length).items, p


def _sizes(lists):
    """How many items each slot chooses from, as the paper defines it, for lists of one length."""
    depth = max(map(len, lists))
    return [len(set().union(*(one[: slot + 1] for one in lists))) - slot for slot in range(depth)]


@pytest.mark.parametrize("lists", [("abcd", "bdca", "cabd"), ("abcd", "abcd"), ("abcd", "efgh"), ("abcd", "badc")])
@pytest.mark.parametrize("clicked", [(0,), (1,), (0, 2), (1, 3), (0, 1, 3), (0, 1, 2, 3)])
def test_pairwise_credit_gives_random_clicks_nothing(lists, clicked):
    total, whole = [0.0] * len(lists), 0.0
    for items, p in every_mix(lists, 4):
        found = pairwise_preference.credit(lists, items, {items[slot]: 1.0 for slot in clicked})
        total = [so_far + p * one for so_far, one in zip(total, found, strict=True)]
        whole += p
    assert whole == pytest.approx(1.0)
    assert total == pytest.approx([0.0] * len(lists), abs=1e-12)


def test_pairwise_credit_goes_to_who_has_the_clicked_item_first():
    lists = ("abcd", "dcba", "bacd")
    total = [0.0] * 3
    for items, p in every_mix(lists, 4):
        found = pairwise_preference.credit(lists, items, {"d": 1.0})
        total = [so_far + p * one for so_far, one in zip(total, found, strict=True)]
    assert total[1] > 0.0
    assert total[0] < 0.0
    assert total[2] < 0.0


@settings(deadline=None)
@given(rankings, chances, st.sets(st.integers(0, 8)), st.none() | st.integers(0, 9))
def test_relabelling_the_rankers_permutes_pairwise_credit(lists, chance, clicked, length):
    merged = pairwise_preference.mix(lists, uniform=chance.__getitem__, length=length)
    _whole(lists, merged, length)
    engaged = {item: 1.0 for slot, item in enumerate(merged.items) if slot in clicked}
    one = pairwise_preference.credit(lists, merged.items, engaged)
    other = pairwise_preference.credit(lists[::-1], merged.items, engaged)
    assert other == pytest.approx(one[::-1])
    twice = [lists[0], lists[0]]
    shown = pairwise_preference.mix(twice, uniform=chance.__getitem__, length=length).items
    same = pairwise_preference.credit(twice, shown, {item: 1.0 for slot, item in enumerate(shown) if slot in clicked})
    assert same[0] == same[1]


def test_weights_multiply_and_clicks_elsewhere_count_nothing():
    merged = draft(["abc", "bca"], order=lambda _: (0, 1), length=2)
    assert merged.items == ("a", "b")
    assert multileave.credit(merged, {"a": 2.5, "b": 1.0, "zebra": 9.0}) == (2.5, 1.0)
