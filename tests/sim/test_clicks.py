"""Click models click where their readers would."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.sim.clicks import CLICK_MODELS, INFORMATIONAL, NAVIGATIONAL, PERFECT

LISTS = st.lists(st.booleans(), max_size=12)


@given(relevant=LISTS, seed=st.integers())
def test_the_perfect_reader_clicks_everything_relevant_and_nothing_else(relevant: list[bool], seed: int) -> None:
    assert PERFECT.clicks(relevant, Random(seed)) == [i for i, good in enumerate(relevant) if good]


@given(relevant=LISTS, seed=st.integers(), name=st.sampled_from(sorted(CLICK_MODELS)))
def test_clicks_are_slots_of_the_list_in_order_and_repeatable(relevant: list[bool], seed: int, name: str) -> None:
    clicked = CLICK_MODELS[name].clicks(relevant, Random(seed))
    assert clicked == sorted(set(clicked))
    assert all(0 <= slot < len(relevant) for slot in clicked)
    assert clicked == CLICK_MODELS[name].clicks(relevant, Random(seed))


def test_random_clicks_do_not_care_for_relevance() -> None:
    rng = Random(1)
    counts = [0] * 10
    for _ in range(4000):
        for slot in CLICK_MODELS["random"].clicks([True] * 5 + [False] * 5, rng):
            counts[slot] += 1
    assert all(1850 < n < 2150 for n in counts)


def test_a_navigational_reader_stops_at_the_first_hit_and_an_informational_one_goes_on() -> None:
    rng = Random(2)
    navigational = sum(len(NAVIGATIONAL.clicks([True] * 10, rng)) for _ in range(3000)) / 3000
    informational = sum(len(INFORMATIONAL.clicks([True] * 10, rng)) for _ in range(3000)) / 3000
    # Each click stops with probability s, so about 1/s clicks are made before the list ends.
    assert navigational == pytest.approx(1 / 0.9, abs=0.05)
    assert informational == pytest.approx(1 / 0.5, abs=0.1)
