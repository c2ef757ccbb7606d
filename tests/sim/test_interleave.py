"""Interleaving in process: every method over thousands of random pairs, each credit, and what is refused."""

from __future__ import annotations

import random
from itertools import product
from statistics import fmean, stdev

import pytest

import crossfade
from crossfade.sim.interleave import METHODS, PAIRS, SEVERAL, Page, interleave


def test_it_is_public():
    page = crossfade.interleave("abcd", "bdca", seed=1)
    assert isinstance(page, Page)
    assert sorted(page.items) == list("abcd")
    with pytest.raises(AttributeError, match="interleaved"):
        _ = crossfade.interleaved


def pairs(chance: random.Random, count: int):
    """Lengths 0–200, overlaps 0–100 %, duplicates."""
    world = [f"doc-{n}" for n in range(400)]
    for _ in range(count):
        sizes = [int(200 * chance.random() ** 4 + 0.5) for _ in range(2)]
        common = chance.sample(world[:200], sizes[0])
        overlap = chance.choice([0.0, 0.2, 0.5, 0.9, 1.0])
        a = chance.choices(common, k=sizes[0]) if common and chance.random() < 0.2 else common
        b = [
            chance.choice(common) if common and chance.random() < overlap else chance.choice(world)
            for _ in range(sizes[1])
        ]
        yield a, (list(a) if chance.random() < 0.05 else b)


def test_ten_thousand_random_pairs():
    chance = random.Random(20261123)
    for number, (a, b) in enumerate(pairs(chance, 10_000)):
        # The linear programme is the slow one; it has its turn, only not as often.
        method = "optimized" if number % 200 == 0 else [m for m in METHODS if m != "optimized"][number % 6]
        length = chance.choice([None, None, 0, 1, 10, 250])
        page = interleave(a, b, method=method, seed=number, length=length)
        check(page, a, b, length, number)


def check(page: Page, a, b, length, seed):
    most = max(len(set(a)), len(set(b))) if length is None else length
    assert len(page.items) == min(most, len({*a, *b}))
    assert len(set(page.items)) == len(page.items) == len(page.owners)
    assert set(page.items) <= {*a, *b}
    tops = [list(dict.fromkeys(ranking)) for ranking in (a, b)]
    for slot, (item, owner) in enumerate(zip(page.items, page.owners, strict=True)):
        if owner is not None and page.method in PAIRS + SEVERAL[:2] and page.method != "optimized":
            assert item in tops[owner]
        if page.method == "pairwise-preference":
            assert any(item in ranking[: slot + 1] for ranking in tops) or len(set(a)) != len(set(b))
    engaged = page.items[::3]
    assert page.preference(engaged) == pytest.approx(-page.preference(engaged, over=(0, 1)))
    assert page.credit([]) == (0.0, 0.0)
    assert page.same == (tops[0][: len(page.items)] == tops[1][: len(page.items)])
    if page.method != "optimized" and len(page.items) > 3:
        cut = len(page.items) // 2
        first = interleave(a, b, method=page.method, seed=seed, length=cut)
        assert first.items == page.items[:cut], "the next page neither repeats nor loses an item"


@pytest.mark.parametrize("method", METHODS)
def test_a_ranker_against_itself_has_no_preference_in_expectation(method):
    found = [interleave("abcdefgh", "abcdefgh", method=method, seed=n).preference(["b", "c"]) for n in range(2000)]
    assert abs(fmean(found)) <= 5 * (stdev(found) or 1e-12) / 2000**0.5


BIASED = [("123", "231"), ("abcde", "xaybz")]
"""Pairs of rankings on which balanced interleaving is known to favour one by position alone."""


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("a", "b"), [("123", "231"), ("abcdef", "badcfe"), ("abcde", "xaybz")])
def test_random_clicks_prefer_nobody(method, a, b):
    """One click on a slot drawn without looking."""
    chance = random.Random(5)
    found = []
    for number in range(3000):
        page = interleave(a, b, method=method, seed=number)
        found.append(page.preference([chance.choice(page.items)]))
    error = stdev(found) / 3000**0.5
    assert (abs(fmean(found)) > 5 * error) == (method == "balanced" and (a, b) in BIASED)


def test_debiased_balanced_credit_is_unbiased_where_its_own_is_not():
    found = []
    for number, slot in product(range(1000), range(3)):
        page = interleave("123", "231", method="balanced", seed=number)
        found.append(page.preference([page.items[slot]], function="debiased"))
    assert abs(fmean(found)) < 5 * stdev(found) / 3000**0.5


@pytest.mark.parametrize("method", METHODS)
def test_relabelling_the_rankers_flips_the_preference(method):
    """Clicks on one good item: what one labelling prefers by x the other disprefers by x, up to chance."""
    one = [interleave("abcdef", "fabcde", method=method, seed=n).preference(["f"]) for n in range(2000)]
    other = [interleave("fabcde", "abcdef", method=method, seed=n).preference(["f"]) for n in range(2000)]
    error = (stdev(one) + stdev(other)) / 2000**0.5
    assert fmean(one) > 0.2
    assert fmean(one) == pytest.approx(-fmean(other), abs=5 * error + 1e-9)


def test_optimized_and_pairwise_see_what_team_draft_misses():
    def expected(method):
        return [interleave("abc", "bca", method=method, seed=n).preference(["c"]) for n in range(2000)]

    team = expected("team-draft")
    assert abs(fmean(team)) < 5 * stdev(team) / 2000**0.5
    for method in ("optimized", "balanced", "probabilistic", "pairwise-preference"):
        assert fmean(expected(method)) > 0.05, method


@pytest.mark.parametrize("method", SEVERAL)
def test_of_four_rankers_the_better_ones_get_more(method):
    rankings = ["abcdefgh", "hgfedcba", "abcdefgh", "bacdefgh"]
    total = [0.0] * 4
    for number in range(600):
        credit = interleave(*rankings, method=method, seed=number).credit(["g", "h"])
        total = [so_far + one for so_far, one in zip(total, credit, strict=True)]
    assert total[1] == max(total)
    assert total[1] > 1.5 * total[0] or total[0] < 0.0


def test_unshared_credit_leaves_out_what_both_would_have_picked():
    page = interleave("abcd", "abdc", method="team-draft", seed=3)
    assert page.items[0] == "a"
    assert sum(page.credit(["a"])) == 1.0
    assert page.credit(["a"], function="unshared") == (0.0, 0.0)
    owned = {(slot, owner): 0 for slot in range(4) for owner in (0, 1)}
    for number in range(4000):
        page = interleave("abcd", "bacd", method="team-draft", seed=number)
        kept = page._unshared()
        for slot, owner in enumerate(kept):
            if owner is not None:
                owned[slot, owner] += 1
    for slot in range(4):
        # Standard deviation 32 at most; five of those on either side.
        assert abs(owned[slot, 0] - owned[slot, 1]) < 320, owned


def test_credit_is_weighted_and_examination_is_taken_out():
    page = interleave("ab", "cd", method="team-draft", seed="u")
    (first, second), item = page.owners[:2], page.items[0]
    assert page.credit({item: 30.0, "elsewhere": 5.0})[first] == 30.0
    assert page.credit({item: 30.0})[second] == 0.0
    assert page.credit([item, item]) == page.credit([item])
    assert page.credit([item], function="debiased", examined=[0.5, 0.25])[first] == 4.0


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"method": "teamdraft"}, "team-draft, balanced"),
        ({"length": -1}, "0 or more"),
        ({"method": "optimized", "credit": "squared"}, "inverse-rank, linear, binary"),
        ({"method": "optimized", "credit": "binary"}, "another credit may"),
    ],
)
def test_wrong_use_is_told(how, words):
    with pytest.raises(ValueError, match=words):
        interleave("abcd", "bdca", seed=1, **how)


def test_numbers_of_rankings_are_told():
    with pytest.raises(ValueError, match=r"team-draft takes 2 rankings, found 3.*team-draft-multileave"):
        interleave("ab", "ba", "ab", seed=1)
    with pytest.raises(ValueError, match="2 rankings or more, found 1"):
        interleave("ab", method="pairwise-preference", seed=1)
    with pytest.raises(ValueError, match="optimized has no debiased"):
        interleave("ab", "ba", method="optimized", seed=1).credit(["a"], function="debiased")
    with pytest.raises(ValueError, match="a number above 0 for each of the 2"):
        interleave("ab", "ba", seed=1).credit(["a"], function="debiased", examined=[1.0])
    with pytest.raises(ValueError, match="allowed: standard"):
        interleave("ab", "ba", seed=1).credit(["a"], function="best")
