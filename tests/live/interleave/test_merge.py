"""Merging by key: golden vectors, the published example, and what a click is worth."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.live.interleave import METHODS, coin, credit, merge

VECTORS = json.loads((Path(__file__).parents[2] / "golden" / "interleave.json").read_text(encoding="utf-8"))["vectors"]
items = st.lists(st.sampled_from("abcdefgh"), max_size=8)


@pytest.mark.parametrize("number", range(len(VECTORS)))
def test_golden(number):
    vector = VECTORS[number]
    merged = merge("team-draft", vector["champion"], vector["challenger"], key=vector["key"], length=vector["length"])
    assert list(merged.items) == vector["items"]
    assert list(merged.owners) == vector["owners"]
    assert [list(place) for place in merged.from_] == vector["from"]
    assert merged.same == vector["same"]


def test_the_published_example_comes_out_in_quarters():
    count = 4000
    seen = Counter("".join(merge("team-draft", "abcd", "bdca", key=f"salt:u{n}:q").items) for n in range(count))
    assert set(seen) == {"abcd", "abdc", "bacd", "badc"}
    # Standard deviation of each count is 27; five of those is a chance of one in a million.
    assert all(abs(times - count / 4) < 137 for times in seen.values()), seen


def test_coins_are_fair_and_independent_of_each_other():
    count = 4000
    pairs = Counter((coin(f"k{n}", 0), coin(f"k{n}", 1)) for n in range(count))
    assert len(pairs) == 4
    assert all(abs(times - count / 4) < 137 for times in pairs.values()), pairs


@given(items, items, st.text(st.characters(exclude_categories=("Cs",)), max_size=20))
def test_the_same_key_shows_the_same_list(champion, challenger, key):
    assert merge("team-draft", champion, challenger, key=key) == merge("team-draft", champion, challenger, key=key)


@pytest.mark.parametrize("method", ["", "teamdraft", "balanced"])
def test_an_unknown_method_is_refused_with_the_known_ones(method):
    with pytest.raises(ValueError, match="team-draft"):
        merge(method, ["a"], ["b"], key="k")
    assert method not in METHODS


@pytest.mark.parametrize(
    ("clicked", "vote"),
    [
        ([], 0),
        (["a"], -1),
        (["b"], 1),
        (["b", "b", "b"], 1),
        (["a", "b"], 0),
        (["b", "d"], 2),
        (["p"], 0),
        (["elsewhere"], 0),
        (["a", "c", "b", "p", "a"], -1),
    ],
)
def test_credit(clicked, vote):
    assert credit(["a", "b", "p", "c", "d"], ["A", "B", "", "A", "B"], clicked) == vote
    assert credit(["a", "b", "p", "c", "d"], ["B", "A", "", "B", "A"], clicked) == -vote


def test_credit_refuses_lists_that_do_not_match():
    with pytest.raises(ValueError):
        credit(["a", "b"], ["A"], [])
