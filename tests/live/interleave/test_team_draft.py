"""Team draft against a plain second writing of it, and against what fairness means, slot by slot."""

from __future__ import annotations

import random
from collections import Counter
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.live.interleave import credit
from crossfade.live.interleave.team_draft import draft

rankings = st.lists(st.sampled_from("abcdefghij"), max_size=9)
coins = st.lists(st.booleans(), min_size=10, max_size=10)


def plainly(a: list[str], b: list[str], flips: list[bool], length: int) -> tuple[list[str], list[str]]:
    """Team draft as one would explain it, quadratic and without pointers."""
    a, b = list(dict.fromkeys(a)), list(dict.fromkeys(b))
    shown: list[str] = []
    owners: list[str] = []

    def left(ranking):
        return [item for item in ranking if item not in shown]

    for flip in flips:
        if not left(a) or not left(b):
            break
        contested = left(a)[0] == left(b)[0]
        captains = [("A", a), ("B", b)] if flip else [("B", b), ("A", a)]
        name, ranking = captains[0]
        shown.append(left(ranking)[0])
        owners.append(name)
        if contested and not (left(a) and left(b)):
            break
        name, ranking = captains[1]
        shown.append(left(ranking)[0])
        owners.append(name)
    shown += left(a) + left(b)
    owners += [""] * (len(shown) - len(owners))
    return shown[:length], owners[:length]


def test_ten_thousand_random_pairs():
    chance = random.Random(20240607)
    alphabet = [f"doc-{n}" for n in range(30)]
    for _ in range(10_000):
        a = chance.choices(alphabet, k=chance.randint(0, 12))
        b = chance.choices(a + alphabet[:5], k=chance.randint(0, 12)) if chance.random() < 0.7 else a[:]
        flips = [chance.random() < 0.5 for _ in range(13)]
        length = chance.choice([None, None, 0, 1, 5, 10, 30])
        merged = draft(a, b, flips=flips, length=length)
        most = max(len(set(a)), len(set(b))) if length is None else length
        shown, owners = plainly(a, b, flips, most)
        assert list(merged.items) == shown
        assert list(merged.owners) == owners
        check(a, b, merged, most)


def check(a, b, merged, most):
    """What holds for every merged list."""
    assert len(set(merged.items)) == len(merged.items) == len(merged.owners) == len(merged.from_)
    assert len(merged.items) == min(most, len(set(a) | set(b)))
    counts = Counter(merged.owners)
    assert abs(counts["A"] - counts["B"]) <= 1
    for slot, (item, owner, (arm, index)) in enumerate(zip(merged.items, merged.owners, merged.from_, strict=True)):
        source = {"A": a, "B": b}[arm]
        assert source.index(item) == index, "the first appearance in the list it is taken from"
        assert (arm == "A") == (item in a), "the champion's object wherever it has one"
        before = set(merged.items[:slot])
        if owner:
            ranking = {"A": a, "B": b}[owner]
            assert next(other for other in ranking if other not in before) == item, "the captain's best free item"
        else:
            assert not set(merged.owners[slot:]) - {""}, "uncredited slots only at the end"


@given(rankings, rankings, coins, st.none() | st.integers(0, 12))
def test_every_list_keeps_the_rules(a, b, flips, length):
    merged = draft(a, b, flips=flips, length=length)
    check(a, b, merged, max(len(set(a)), len(set(b))) if length is None else length)


@given(rankings, rankings, coins)
def test_relabelling_the_rankers_flips_the_owners(a, b, flips):
    merged = draft(a, b, flips=flips)
    mirrored = draft(b, a, flips=[not flip for flip in flips])
    assert mirrored.items == merged.items
    assert mirrored.owners == tuple({"A": "B", "B": "A", "": ""}[owner] for owner in merged.owners)
    assert mirrored.same == merged.same


@given(rankings, coins)
def test_equal_rankings_give_that_ranking(a, flips):
    merged = draft(a, a, flips=flips)
    assert list(merged.items) == list(dict.fromkeys(a))
    assert merged.same
    assert all(arm == "A" for arm, _ in merged.from_)


@given(rankings, rankings, coins, st.integers(0, 9))
def test_same_means_the_same_over_what_is_shown(a, b, flips, length):
    merged = draft(a, b, flips=flips, length=length)
    tops = [list(dict.fromkeys(ranking))[:length] for ranking in (a, b)]
    assert merged.same == (tops[0] == tops[1])
    if merged.same:
        assert list(merged.items) == tops[0]


SMALL = [
    ("abcd", "bdca"),
    ("abcd", "abcd"),
    ("abc", "abd"),
    ("ab", "a"),
    ("ab", "b"),
    ("abcde", "ba"),
    ("abcde", "xa"),
    ("abcde", "ax"),
    ("abcdef", "fedcba"),
    ("abc", "xyz"),
    ("abcd", "x"),
    ("aabb", "bbac"),
    ("abcdef", "badcgh"),
    ("", "ab"),
]


@pytest.mark.parametrize("length", [None, 1, 2, 3, 5])
@pytest.mark.parametrize(("a", "b"), SMALL)
def test_every_slot_is_as_often_one_captains_as_the_others(a, b, length):
    """Over all coins, exactly: so clicks by position alone favour neither ranker, whatever the lists."""
    owned: Counter[tuple[int, str]] = Counter()
    for flips in product((True, False), repeat=7):
        merged = draft(a, b, flips=flips, length=length)
        owned.update(enumerate(merged.owners))
    for slot in range(10):
        assert owned[slot, "A"] == owned[slot, "B"], (slot, owned)


@given(rankings, rankings)
def test_slots_are_fair_for_any_two_lists(a, b):
    owned: Counter[tuple[int, str]] = Counter()
    for flips in product((True, False), repeat=6):
        owned.update(enumerate(draft(a, b, flips=(*flips, True, True, True), length=9).owners))
    for slot in range(9):
        assert owned[slot, "A"] == owned[slot, "B"]


@pytest.mark.parametrize("clicked", ["a", "ab", "cd", "abcd", ""])
def test_equal_rankings_get_no_preference_in_expectation(clicked):
    total = 0
    for flips in product((True, False), repeat=2):
        merged = draft("abcd", "abcd", flips=flips)
        total += credit(merged.items, merged.owners, clicked)
    assert total == 0


def test_a_better_ranker_is_preferred():
    """Someone who clicks only the relevant item prefers the ranker that has it first."""
    votes = []
    for flips in product((True, False), repeat=4):
        merged = draft("abcdefgh", "hgfedcba", flips=flips)
        votes.append(credit(merged.items, merged.owners, ["h"]))
    assert votes == [1] * 16


def test_the_known_blind_spot_of_team_draft_is_there():
    """A = abc, B = bca, only c relevant: B is better and the expected credit is 0 (Radlinski and Craswell 2013)."""
    votes = 0
    for flips in product((True, False), repeat=3):
        merged = draft("abc", "bca", flips=flips)
        votes += credit(merged.items, merged.owners, ["c"])
    assert votes == 0
