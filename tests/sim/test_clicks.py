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


GAINS = st.lists(st.floats(0, 1), max_size=12)


@given(gains=GAINS, seed=st.integers(), name=st.sampled_from(sorted(CLICK_MODELS)))
def test_the_first_click_is_a_distribution_over_slots(gains: list[float], seed: int, name: str) -> None:
    first = CLICK_MODELS[name].first(gains)
    assert len(first) == len(gains)
    assert all(0.0 <= chance <= 1.0 for chance in first)
    assert sum(first) <= 1.0 + 1e-9
    assert all(0 <= slot < len(gains) for slot in CLICK_MODELS[name].clicks(gains, Random(seed)))


@pytest.mark.parametrize("name", sorted(CLICK_MODELS))
def test_the_first_click_comes_as_often_as_is_said(name: str) -> None:
    gains, rng, count = [0.0, 0.5, 1.0, 0.0, 0.25], Random(3), 8000
    seen = [0] * len(gains)
    for _ in range(count):
        clicked = CLICK_MODELS[name].clicks(gains, rng)
        if clicked:
            seen[clicked[0]] += 1
    # Standard deviation at most sqrt(8000) / 2 = 45; five of those.
    assert [n / count for n in seen] == pytest.approx(CLICK_MODELS[name].first(gains), abs=5 * 45 / count)


def test_a_cascade_ends_at_its_click_and_positions_are_looked_at_ever_less() -> None:
    rng = Random(4)
    assert all(len(CLICK_MODELS["cascade"].clicks([1.0] * 10, rng)) <= 1 for _ in range(500))
    counts = [0] * 10
    for _ in range(4000):
        for slot in CLICK_MODELS["position"].clicks([1.0] * 10, rng):
            counts[slot] += 1
    assert counts[0] > counts[1] > counts[3] > counts[9] > 0
