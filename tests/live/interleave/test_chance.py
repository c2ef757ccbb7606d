"""Draws by key: fair, independent of each other, the same one by one and in a row."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import xxhash
from hypothesis import given
from hypothesis import strategies as st

from crossfade.live.interleave.chance import coin, coins, flips, uniform, uniforms


def test_coins_are_fair_and_independent_of_each_other():
    count = 4000
    for other in (1, 63, 64):
        pairs = Counter((coin(f"k{n}", 0), coin(f"k{n}", other)) for n in range(count))
        assert len(pairs) == 4
        assert all(abs(times - count / 4) < 137 for times in pairs.values()), pairs


@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=20), st.lists(st.integers(0, 500), max_size=9))
def test_one_by_one_and_in_a_row_are_the_same(key, draws):
    toss, number = coins(key), uniforms(key)
    for draw in draws:
        assert toss(draw) == coin(key, draw)
        assert number(draw) == uniform(key, draw)
        assert 0.0 <= number(draw) < 1.0


def test_coins_in_order_are_the_same():
    assert list(islice(flips("k"), 200)) == [coin("k", round) for round in range(200)]


def test_the_first_coin_is_the_digest_in_its_lower_half():
    for n in range(50):
        assert coin(f"k{n}", 0) == (xxhash.xxh3_64_intdigest(f"k{n}:0".encode()) < 1 << 63)


def test_numbers_fill_the_unit_interval_evenly():
    tenths = Counter(int(uniform("k", n) * 10) for n in range(10_000))
    # Standard deviation 30; five of those.
    assert all(abs(tenths[part] - 1000) < 150 for part in range(10)), tenths
