"""Merging by key: golden vectors, the published example, and what a click is worth."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade import interleave
from crossfade.live.interleave import METHODS, credit, merge

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "interleave.json").read_text(encoding="utf-8"))
VECTORS, PAGES = GOLDEN["vectors"], GOLDEN["pages"]
items = st.lists(st.sampled_from("abcdefgh"), max_size=8)
keys = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)


@pytest.mark.parametrize("number", range(len(VECTORS)))
def test_golden(number):
    vector = VECTORS[number]
    merged = merge(
        vector["method"], vector["champion"], vector["challenger"], key=vector["key"], length=vector["length"]
    )
    assert list(merged.items) == vector["items"]
    assert list(merged.owners) == vector["owners"]
    assert [list(place) for place in merged.from_] == vector["from"]
    assert merged.same == vector["same"]
    assert merged.credits == pytest.approx(tuple(vector["credits"]), abs=1e-9)


@pytest.mark.parametrize("number", range(len(PAGES)))
def test_golden_pages(number):
    page = PAGES[number]
    shown = interleave(*page["rankings"], method=page["method"], seed=page["seed"], length=page["length"])
    assert list(shown.items) == page["items"]
    assert list(shown.owners) == page["owners"]


def test_every_method_has_golden_vectors():
    assert {vector["method"] for vector in VECTORS} == set(METHODS)


def test_the_published_example_comes_out_in_quarters():
    count = 4000
    seen = Counter("".join(merge("team-draft", "abcd", "bdca", key=f"salt:u{n}:q").items) for n in range(count))
    assert set(seen) == {"abcd", "abdc", "bacd", "badc"}
    # Standard deviation of each count is 27; five of those is a chance of one in a million.
    assert all(abs(times - count / 4) < 137 for times in seen.values()), seen


@pytest.mark.parametrize("method", METHODS)
@given(champion=items, challenger=items, key=keys)
def test_the_same_key_shows_the_same_list(method, champion, challenger, key):
    assert merge(method, champion, challenger, key=key) == merge(method, champion, challenger, key=key)


@pytest.mark.parametrize("method", ["", "teamdraft", "optimized"])
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
