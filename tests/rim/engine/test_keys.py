"""Numbers for keys: the same key, the same number, whatever the batches; and the rows kept under them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from crossfade.rim.engine.columns import Chains, Firsts, smallest
from crossfade.rim.engine.keys import SMALLEST, KeyIndex

keys = st.lists(st.lists(st.integers(0, 40), max_size=30), max_size=8)


@given(keys)
def test_keys_are_numbered_in_the_order_of_their_batches(batches: list[list[int]]) -> None:
    index, known = KeyIndex(), dict[int, int]()
    for batch in batches:
        # 0 marks an empty slot inside, and 1 stands for it.
        found = index.number(np.asarray(batch, dtype=np.uint64))
        for key in sorted({key or 1 for key in batch} - set(known)):
            known[key] = len(known)
        assert found.tolist() == [known[key or 1] for key in batch]
    assert index.count == len(known)
    asked = np.arange(41, dtype=np.uint64)
    assert index.find(asked).tolist() == [known.get(int(key) or 1, -1) for key in asked]


def test_an_index_grows_without_losing_anything() -> None:
    rng = np.random.default_rng(5)
    all_ = rng.integers(2, 2**64, 12 * SMALLEST, dtype=np.uint64)
    index = KeyIndex()
    numbers = np.concatenate([index.number(part) for part in np.array_split(all_, 7)])
    assert len(set(numbers.tolist())) == len(set(all_.tolist())) == index.count
    assert (index.find(all_) == numbers).all()
    assert (index.find(rng.integers(2, 2**64, 1000, dtype=np.uint64)) == -1).all()


rows = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.integers(0, 2)), max_size=40)


@given(rows, st.integers(1, 4))
def test_of_all_rows_the_smallest_stays(given_: list[tuple[int, int, int]], parts: int) -> None:
    firsts = Firsts("at", arm=np.int16)
    seen: dict[int, tuple[int, int]] = {}
    for part in range(parts):
        table = np.asarray(given_[part::parts], dtype=np.int64).reshape(-1, 3)
        columns = {"at": table[:, 1].astype(float), "arm": table[:, 2]}
        one = smallest(table[:, 0], columns, firsts.names)
        changed, before = firsts.merge(table[one, 0], {name: column[one] for name, column in columns.items()})
        old = {n: (at, arm) for n, at, arm in zip(changed, before["at"], before["arm"], strict=True) if at < np.inf}
        now = dict(seen)
        for number, at, arm in given_[part::parts]:
            now[number] = min(now.get(number, (at, arm)), (at, arm))
        assert set(changed.tolist()) == {number for number in now if now[number] != seen.get(number)}
        assert old == {number: seen[number] for number in changed.tolist() if number in seen}
        seen = now
    kept = {n: (firsts.rows["at"][n], firsts.rows["arm"][n]) for n in seen}
    assert kept == seen


@given(st.lists(st.lists(st.integers(0, 5), max_size=10), max_size=6))
def test_owners_find_all_their_items(batches: list[list[int]]) -> None:
    chains, owned, item = Chains(), dict[int, list[int]](), 0
    for batch in batches:
        chains.add(np.asarray(batch, dtype=np.int64), np.arange(item, item + len(batch)))
        for owner in batch:
            owned.setdefault(owner, []).append(item)
            item += 1
    everyone = np.arange(8)
    assert chains.has(everyone).tolist() == [owner in owned for owner in everyone.tolist()]
    found: dict[int, list[int]] = {}
    for owner, one in zip(*chains.take(everyone), strict=True):
        found.setdefault(int(owner), []).append(int(one))
    assert {owner: sorted(items) for owner, items in found.items()} == owned
    assert not chains.has(everyone).any()
